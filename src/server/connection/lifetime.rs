//! The lifetime of connections: they serve, then finish requests in flight, then are aborted.

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

/// How long dropping aborted connections may take.
const BREAK_OFF_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a connection that was accepted just before the end may take to send its first bytes.
const FIRST_BYTES: Duration = Duration::from_millis(500);

/// The phase of a server's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Serving,
    Finishing,
    Over,
}

/// The server's side: sets the phase of its connections, and knows when the last of them has ended.
///
/// Connections do not outlive it: if it is dropped, they are aborted.
pub(in crate::server) struct Lifetime(watch::Sender<Phase>);

impl Lifetime {
    pub(in crate::server) fn new() -> Lifetime {
        Lifetime(watch::Sender::new(Phase::Serving))
    }

    /// A share for one more connection.
    pub(in crate::server) fn share(&self) -> Share {
        Share(self.0.subscribe())
    }

    /// Lets connections finish requests in flight, and waits until all have ended.
    pub(in crate::server) async fn finish(&self) {
        self.0.send_replace(Phase::Finishing);
        self.0.closed().await;
    }

    /// Aborts the connections that are left, and waits until they are dropped.
    ///
    /// It does not wait long for a connection whose application blocks, and so cannot be dropped.
    pub(in crate::server) async fn break_off(self) {
        self.0.send_replace(Phase::Over);
        let _ = tokio::time::timeout(BREAK_OFF_TIMEOUT, self.0.closed()).await;
    }
}

/// A connection's side.
#[derive(Clone)]
pub(in crate::server) struct Share(watch::Receiver<Phase>);

impl Share {
    /// Waits for a client's first bytes; `None` if the server stops and they do not arrive soon.
    ///
    /// A connection that was accepted before the end may already have a request, which is not lost.
    pub(in crate::server) async fn until_finishing<T>(
        &mut self,
        first: impl Future<Output = T>,
    ) -> Option<T> {
        let stopped = async {
            // The server may have been dropped too.
            let _ = self.0.wait_for(|phase| *phase != Phase::Serving).await;
            tokio::time::sleep(FIRST_BYTES).await;
        };
        match race(first, stopped).await {
            First::Left(value) => Some(value),
            First::Right(()) => None,
        }
    }

    /// Waits until the server is asked to stop; forever if it was dropped.
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

    /// Waits until the server aborts the connections that are left.
    pub(in crate::server) async fn over(&mut self) {
        // An error means that the server was dropped.
        let _ = self.0.wait_for(|phase| *phase == Phase::Over).await;
    }

    /// Drives a connection to its end, or until the server, its timeouts or its client end it.
    ///
    /// `finish` makes it accept nothing new.
    pub(in crate::server) async fn drive<C: Future + Unpin>(
        &mut self,
        connection: &mut C,
        finish: impl Fn(&mut C),
        activity: &Activity,
        limits: &Limits,
        watch: &Watch,
    ) -> End<C::Output> {
        // hyper closes a connection that is asked to finish before it has read anything. Here bytes are there to be
        // read, so a connection that was accepted just before the end finishes its first request.
        let first = poll_fn(|context| {
            date::look();
            Poll::Ready(Pin::new(&mut *connection).poll(context))
        });
        if let Poll::Ready(output) = first.await {
            return End::Ended(output);
        }
        let mut phase = *self.0.borrow_and_update();
        let (mut clock, mut presence) = (Clock::default(), Presence::default());
        // Whether hyper was asked to finish.
        let mut is_asked = false;
        loop {
            match phase {
                Phase::Serving => {}
                // A client of HTTP/1 learns it from the next response: if the connection just closed, a request that is
                // on its way would be lost. GOAWAY loses none (RFC 9113, section 6.8).
                Phase::Finishing => {
                    clock.asked_at.get_or_insert_with(Instant::now);
                    is_asked |= activity.is_http2();
                    match activity.is_http2() {
                        true => finish(connection),
                        false => activity.finish(),
                    }
                }
                Phase::Over => return End::Stopped,
            }
            // Polling the waiting future costs more than a look, and once it has the waker a look is enough. If hyper
            // has used up the task's budget, a future that is polled only once then would not note the waker.
            let look = self.0.clone();
            let mut changed = pin!(unconstrained(self.0.changed()));
            let mut waker = None;
            let event = poll_fn(|context| {
                date::look();
                // A client that disconnects early is not an error of this server; hyper has responded as far as it
                // could.
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
                // A request has arrived, and its event was not seen yet.
                Event::Over(CloseReason::Idle) if !activity.is_http2() && watch.unread(1) > 0 => {
                    activity.moves();
                }
                // hyper sends a GOAWAY over HTTP/2, and closes otherwise.
                Event::Over(CloseReason::Idle) if !is_asked => {
                    is_asked = true;
                    clock.asked_at.get_or_insert_with(Instant::now);
                    finish(connection);
                }
                Event::Over(reason) => return End::Over(reason),
            }
        }
    }
}

/// How a connection ended.
pub(in crate::server) enum End<T> {
    /// hyper is done with it.
    Ended(T),
    /// The server aborts it.
    Stopped,
    Over(CloseReason),
}

/// An event of a connection.
enum Event<T> {
    Ended(T),
    /// The server was dropped.
    Stopped,
    /// The server is in another phase.
    Changed,
    Over(CloseReason),
}

/// Whether this is another waker than before.
fn is_new(known: &mut Option<Waker>, waker: &Waker) -> bool {
    let is_known = known.as_ref().is_some_and(|known| known.will_wake(waker));
    if !is_known {
        *known = Some(waker.clone());
    }
    !is_known
}
