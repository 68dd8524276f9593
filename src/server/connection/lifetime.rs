//! How long connections live: they serve, then finish what is in flight, then are broken off.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::unconstrained;
use tokio::time::Instant;

use crate::listening::Watch;
use crate::race::{First, race};
use crate::server::connection::activity::Activity;
use crate::server::connection::clock::{Clock, Presence};
use crate::server::connection::close_reason::CloseReason;
use crate::server::connection::date;
use crate::server::connection::limits::Limits;

/// How long dropping what is broken off may take.
const BREAK_OFF_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a connection that was accepted just before the end may take to say something.
const FIRST_BYTES: Duration = Duration::from_millis(500);

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
pub(in crate::server) struct Lifetime(watch::Sender<Phase>);

impl Lifetime {
    pub(in crate::server) fn new() -> Lifetime {
        Lifetime(watch::Sender::new(Phase::Serving))
    }

    /// A part for one more connection.
    pub(in crate::server) fn share(&self) -> Share {
        Share(self.0.subscribe())
    }

    /// Lets connections finish what is in flight, and waits until all are gone.
    pub(in crate::server) async fn finish(&self) {
        self.0.send_replace(Phase::Finishing);
        self.0.closed().await;
    }

    /// Breaks off the connections that are left, and waits until they are dropped.
    ///
    /// It does not wait long for one whose application blocks and so cannot be dropped.
    pub(in crate::server) async fn break_off(self) {
        self.0.send_replace(Phase::Over);
        let _ = tokio::time::timeout(BREAK_OFF_TIMEOUT, self.0.closed()).await;
    }
}

/// A connection's side.
#[derive(Clone)]
pub(in crate::server) struct Share(watch::Receiver<Phase>);

impl Share {
    /// Waits for a client's first bytes; `None` where the server stops, and they do not come soon.
    ///
    /// What was accepted before the end may have been asked already, and is not lost.
    pub(in crate::server) async fn until_finishing<T>(
        &mut self,
        first: impl Future<Output = T>,
    ) -> Option<T> {
        let stopped = async {
            // The server may be gone too.
            let _ = self.0.wait_for(|phase| *phase != Phase::Serving).await;
            tokio::time::sleep(FIRST_BYTES).await;
        };
        match race(first, stopped).await {
            First::Left(value) => Some(value),
            First::Right(()) => None,
        }
    }

    /// Waits until the server is told to stop; for ever where it is gone.
    pub(in crate::server) async fn finishing(&mut self) {
        if self
            .0
            .wait_for(|phase| *phase != Phase::Serving)
            .await
            .is_err()
        {
            std::future::pending().await
        }
    }

    /// Waits until the server breaks off what is left.
    pub(in crate::server) async fn over(&mut self) {
        // An error says that the server is gone.
        let _ = self.0.wait_for(|phase| *phase == Phase::Over).await;
    }

    /// Drives a connection to its end, or as far as the server, its time limits and its client let it; `finish` lets it
    /// take nothing new.
    pub(in crate::server) async fn drive<C: Future + Unpin>(
        &mut self,
        connection: &mut C,
        finish: impl Fn(&mut C),
        activity: &Activity,
        limits: &Limits,
        watch: &Watch,
    ) -> End<C::Output> {
        // hyper closes a connection that is told to finish before it has read anything. There is something to be read, so
        // one that was accepted just before the end finishes its first request.
        let first = poll_fn(|context| {
            date::look();
            Poll::Ready(Pin::new(&mut *connection).poll(context))
        });
        if let Poll::Ready(output) = first.await {
            return End::Ended(output);
        }
        let mut phase = *self.0.borrow_and_update();
        let (mut clock, mut presence) = (Clock::default(), Presence::default());
        loop {
            match phase {
                Phase::Serving => {}
                Phase::Finishing => {
                    clock.told_at.get_or_insert_with(Instant::now);
                    finish(connection);
                }
                Phase::Over => return End::Stopped,
            }
            // Polling what waits costs more than to look, and once it has the waker to look is enough.
            // A future that is polled but once must not find that hyper has used up the task's budget, as one that does has
            // no waker afterwards.
            let look = self.0.clone();
            let mut changed = pin!(unconstrained(self.0.changed()));
            let mut waker = None;
            let event = poll_fn(|context| {
                date::look();
                // A client that goes away in the middle is no error of this server; hyper has answered what it could.
                if let Poll::Ready(output) = Pin::new(&mut *connection).poll(context) {
                    return Poll::Ready(Event::Ended(output));
                }
                let is_new = is_new(&mut waker, context.waker());
                if (is_new || look.has_changed().unwrap_or(true))
                    && let Poll::Ready(changed) = changed.as_mut().poll(context)
                {
                    return Poll::Ready(changed.map_or(Event::Stopped, |()| Event::Changed));
                }
                if let Some(reason) = activity.over() {
                    return Poll::Ready(Event::Over(reason));
                }
                if activity.is_in_flight()
                    && presence
                        .poll_gone(context, is_new, activity, watch)
                        .is_ready()
                {
                    return Poll::Ready(Event::Over(CloseReason::Gone));
                }
                clock
                    .poll(context, is_new, activity, limits)
                    .map(Event::Over)
            });
            match event.await {
                Event::Ended(output) => return End::Ended(output),
                Event::Stopped => return End::Stopped,
                Event::Changed => phase = *look.borrow(),
                // hyper says goodbye over HTTP/2, and closes otherwise.
                Event::Over(CloseReason::Idle) if clock.told_at.is_none() => {
                    clock.told_at = Some(Instant::now());
                    finish(connection);
                }
                Event::Over(reason) => return End::Over(reason),
            }
        }
    }
}

/// How a connection came to its end.
pub(in crate::server) enum End<T> {
    /// hyper is done with it.
    Ended(T),
    /// The server breaks it off.
    Stopped,
    Over(CloseReason),
}

/// What happens to a connection.
enum Event<T> {
    Ended(T),
    /// The server is gone.
    Stopped,
    /// The server is in another phase.
    Changed,
    Over(CloseReason),
}

/// Whether this is another waker than the one before.
fn is_new(known: &mut Option<Waker>, waker: &Waker) -> bool {
    let is_known = known.as_ref().is_some_and(|known| known.will_wake(waker));
    if !is_known {
        *known = Some(waker.clone());
    }
    !is_known
}
