//! How long connections live: they serve, then finish what is in flight, then are broken off.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, Sleep};

use super::activity::{Activity, Over};
use super::limits::Limits;

/// How long dropping what is broken off may take.
const BREAK_OFF_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a connection that was accepted just before the end may take to say something.
const FIRST_BYTES: Duration = Duration::from_millis(500);
/// How long an idle connection that is told to finish may take for it.
const FINISH_TIMEOUT: Duration = Duration::from_secs(5);

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
#[derive(Clone)]
pub(super) struct Share(watch::Receiver<Phase>);

impl Share {
    /// Waits for a client's first bytes; `None` where the server stops, and they do not come soon.
    ///
    /// What was accepted before the end may have been asked already, and is not lost.
    pub(super) async fn until_finishing<T>(&mut self, first: impl Future<Output = T>) -> Option<T> {
        let stopped = async {
            // The server may be gone too.
            let _ = self.0.wait_for(|phase| *phase != Phase::Serving).await;
            tokio::time::sleep(FIRST_BYTES).await;
        };
        tokio::select! {
            value = first => Some(value),
            () = stopped => None,
        }
    }

    /// Waits until the server is told to stop; for ever where it is gone.
    pub(super) async fn finishing(&mut self) {
        if self
            .0
            .wait_for(|phase| *phase != Phase::Serving)
            .await
            .is_err()
        {
            std::future::pending().await
        }
    }

    /// Drives a connection to its end, or as far as the server and its time limits let it; `finish` lets it take nothing
    /// new. Tells why its time is over, where it is.
    pub(super) async fn drive<C: Future + Unpin>(
        &mut self,
        connection: &mut C,
        finish: impl Fn(&mut C),
        activity: &Activity,
        limits: &Limits,
    ) -> Option<Over> {
        // hyper closes a connection that is told to finish before it has read anything. There is something to be read, so
        // one that was accepted just before the end finishes its first request.
        let first = poll_fn(|context| Poll::Ready(Pin::new(&mut *connection).poll(context)));
        if first.await.is_ready() {
            return None;
        }
        let mut phase = *self.0.borrow_and_update();
        let mut clock = Clock::default();
        loop {
            match phase {
                Phase::Serving => {}
                Phase::Finishing => finish(connection),
                Phase::Over => return None,
            }
            let served = poll_fn(|context| {
                // A client that goes away in the middle is no error of this server; hyper has answered what it could.
                match Pin::new(&mut *connection).poll(context) {
                    Poll::Ready(_) => Poll::Ready(None),
                    Poll::Pending => clock.poll(context, activity, limits).map(Some),
                }
            });
            tokio::select! {
                served = served => match served {
                    None => return None,
                    // hyper says goodbye over HTTP/2, and closes otherwise.
                    Some(Over::Idle) if clock.told_at.is_none() => {
                        clock.told_at = Some(Instant::now());
                        finish(connection);
                    }
                    Some(over) => return Some(over),
                },
                changed = self.0.changed() => match changed {
                    Ok(()) => phase = *self.0.borrow_and_update(),
                    Err(_) => return None,
                },
            }
        }
    }
}

/// Keeps the time of a connection.
///
/// The timer is set anew only where it would ring too late, and looks again when it rings: most requests do not touch it.
#[derive(Default)]
struct Clock {
    timer: Option<Pin<Box<Sleep>>>,
    /// When the connection was told to finish, as it was idle.
    told_at: Option<Instant>,
}

impl Clock {
    fn deadline(&self, activity: &Activity, limits: &Limits) -> Option<(Instant, Over)> {
        let (deadline, over) =
            activity.deadline(limits.header_read_timeout, limits.keep_alive_timeout)?;
        Some(match self.told_at {
            // What is told to finish and does not is broken off.
            Some(told) if over == Over::Idle => (told + FINISH_TIMEOUT, over),
            _ => (deadline, over),
        })
    }

    fn poll(
        &mut self,
        context: &mut Context<'_>,
        activity: &Activity,
        limits: &Limits,
    ) -> Poll<Over> {
        loop {
            let Some((deadline, over)) = self.deadline(activity, limits) else {
                // Something is being answered, and whoever is done with it polls again.
                return Poll::Pending;
            };
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
            if timer.deadline() > deadline {
                timer.as_mut().reset(deadline);
            }
            ready!(timer.as_mut().poll(context));
            if Instant::now() >= deadline {
                return Poll::Ready(over);
            }
            timer.as_mut().reset(deadline);
        }
    }
}
