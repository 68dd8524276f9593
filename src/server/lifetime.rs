//! How long connections live: they serve, then finish what is in flight, then are broken off.

use std::pin::{Pin, pin};
use std::time::Duration;

use tokio::sync::watch;

/// How long dropping what is broken off may take.
const BREAK_OFF_TIMEOUT: Duration = Duration::from_secs(1);

/// What the connections of a server are to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Serving,
    Finishing,
    Over,
}

/// The server's side: tells its connections what to do, and knows when the last of them is gone.
///
/// Connections live no longer than this: where it is dropped, they are broken off.
pub(super) struct Lifetime(watch::Sender<Phase>);

impl Lifetime {
    pub(super) fn new() -> Lifetime {
        Lifetime(watch::Sender::new(Phase::Serving))
    }

    /// A part for one more connection.
    pub(super) fn share(&self) -> Share {
        Share(self.0.subscribe())
    }

    /// Lets connections finish what is in flight, and waits until all are gone.
    pub(super) async fn finish(&self) {
        self.0.send_replace(Phase::Finishing);
        self.0.closed().await;
    }

    /// Breaks off the connections that are left, and waits until they are dropped.
    ///
    /// It does not wait long for one whose application blocks and so cannot be dropped.
    pub(super) async fn break_off(self) {
        self.0.send_replace(Phase::Over);
        let _ = tokio::time::timeout(BREAK_OFF_TIMEOUT, self.0.closed()).await;
    }
}

/// A connection's side.
pub(super) struct Share(watch::Receiver<Phase>);

impl Share {
    /// Waits for something that is not worth finishing; `None` where the server stops first.
    pub(super) async fn until_finishing<T>(&mut self, idle: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            value = idle => Some(value),
            _ = self.0.wait_for(|phase| *phase != Phase::Serving) => None,
        }
    }

    /// Drives a connection to its end, or as far as the server lets it; `finish` lets it take nothing new.
    pub(super) async fn drive<C: Future>(mut self, connection: C, finish: impl Fn(Pin<&mut C>)) {
        let mut connection = pin!(connection);
        // One that was accepted just before the end finishes its first request.
        let mut phase = *self.0.borrow_and_update();
        loop {
            match phase {
                Phase::Serving => {}
                Phase::Finishing => finish(connection.as_mut()),
                Phase::Over => return,
            }
            tokio::select! {
                // A client that goes away in the middle is no error of this server; hyper has answered what it could.
                _ = connection.as_mut() => return,
                changed = self.0.changed() => match changed {
                    Ok(()) => phase = *self.0.borrow_and_update(),
                    Err(_) => return,
                },
            }
        }
    }
}
