//! How long connections live: they serve, then finish what is in flight, then are broken off.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};
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
            // Polling what waits costs more than to look, and once it has the waker to look is enough.
            let (look, mut changed) = (self.0.clone(), pin!(self.0.changed()));
            let mut waker = None;
            let event = poll_fn(|context| {
                // A client that goes away in the middle is no error of this server; hyper has answered what it could.
                if Pin::new(&mut *connection).poll(context).is_ready() {
                    return Poll::Ready(Event::Ended);
                }
                let is_new = is_new(&mut waker, context.waker());
                if (is_new || look.has_changed().unwrap_or(true))
                    && let Poll::Ready(changed) = changed.as_mut().poll(context)
                {
                    return Poll::Ready(changed.map_or(Event::Ended, |()| Event::Changed));
                }
                clock
                    .poll(context, is_new, activity, limits)
                    .map(Event::Over)
            });
            match event.await {
                Event::Ended => return None,
                Event::Changed => phase = *look.borrow(),
                // hyper says goodbye over HTTP/2, and closes otherwise.
                Event::Over(Over::Idle) if clock.told_at.is_none() => {
                    clock.told_at = Some(Instant::now());
                    finish(connection);
                }
                Event::Over(over) => return Some(over),
            }
        }
    }
}

/// What happens to a connection.
enum Event {
    /// It is at its end, or the server is.
    Ended,
    /// The server is in another phase.
    Changed,
    Over(Over),
}

/// Whether this is another waker than the one before.
fn is_new(known: &mut Option<Waker>, waker: &Waker) -> bool {
    let is_known = known.as_ref().is_some_and(|known| known.will_wake(waker));
    if !is_known {
        *known = Some(waker.clone());
    }
    !is_known
}

/// Keeps the time of a connection.
///
/// The timer is set anew only where it would ring too late, and looks again when it rings: most requests do not touch it.
#[derive(Default)]
struct Clock {
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether the timer wakes the connection's task when it rings.
    has_waker: bool,
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

    /// Whether the time is over; `is_new` says that the timer does not have this waker.
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        is_new: bool,
        activity: &Activity,
        limits: &Limits,
    ) -> Poll<Over> {
        loop {
            let Some((deadline, over)) = self.deadline(activity, limits) else {
                // Something is being answered, and whoever is done with it polls again.
                self.has_waker &= !is_new;
                return Poll::Pending;
            };
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
            if timer.deadline() > deadline {
                timer.as_mut().reset(deadline);
                self.has_waker = false;
            }
            if self.has_waker && !is_new && !timer.is_elapsed() {
                return Poll::Pending;
            }
            self.has_waker = true;
            ready!(timer.as_mut().poll(context));
            if Instant::now() >= deadline {
                return Poll::Ready(over);
            }
            timer.as_mut().reset(deadline);
            self.has_waker = false;
        }
    }
}
