//! The timeouts of a connection, and whether its client is still connected.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::task::unconstrained;
use tokio::time::{Instant, Sleep};

use crate::listening::Watch;
use crate::server::connection::activity::Activity;
use crate::server::connection::close_reason::CloseReason;
use crate::server::connection::limits::Limits;

/// How often to check that the client of a request in flight is still connected.
const LOOKS: Duration = Duration::from_secs(1);
/// How many unread bytes of a client are inspected, once.
const UNREAD: usize = 8 * 1024 * 1024;

/// Measures the timeouts of a connection.
///
/// The timer is only reset if it would fire too late, and is checked again when it fires: most requests do not touch
/// it.
#[derive(Default)]
pub(super) struct Clock {
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether the timer wakes the connection's task when it fires.
    has_waker: bool,
    /// When the connection was asked to finish.
    pub(super) asked_at: Option<Instant>,
}

impl Clock {
    /// Whether the time is over; `is_new` means that the timer does not have this waker.
    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
        is_new: bool,
        activity: &Activity,
        limits: &Limits,
    ) -> Poll<CloseReason> {
        let (head, keep_alive) = (limits.header_read_timeout, limits.keep_alive_timeout);
        loop {
            let Some((deadline, over)) = activity.deadline(head, keep_alive, self.asked_at) else {
                // A request is in flight, and the task that finishes it polls again.
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
            ready!(poll_timer(timer, context));
            if Instant::now() >= deadline {
                return Poll::Ready(over);
            }
            timer.as_mut().reset(deadline);
            self.has_waker = false;
        }
    }
}

/// Whether the time is over; otherwise the task is woken then.
///
/// This also works if the task has used up its budget: then a timer that is polled once would not note the waker.
fn poll_timer(timer: &mut Pin<Box<Sleep>>, context: &mut Context<'_>) -> Poll<()> {
    pin!(unconstrained(timer.as_mut())).poll(context)
}

/// Checks from time to time whether the client of a request in flight is still connected.
///
/// Meanwhile hyper reads only the body, as fast as the application takes it. A reset ends the request. A client that
/// has only closed its sending side still waits for the response, unless part of its request is missing.
#[derive(Default)]
pub(super) struct Presence {
    timer: Option<Pin<Box<Sleep>>>,
    has_waker: bool,
    /// Whether the client has closed its side, and the unread bytes were inspected then.
    is_closed: bool,
}

impl Presence {
    /// Ready when the client is disconnected.
    pub(super) fn poll_gone(
        &mut self,
        context: &mut Context<'_>,
        is_new: bool,
        activity: &Activity,
        watch: &Watch,
    ) -> Poll<()> {
        loop {
            if self.has_waker
                && !is_new
                && self.timer.as_ref().is_some_and(|timer| !timer.is_elapsed())
            {
                return Poll::Pending;
            }
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(LOOKS)));
            self.has_waker = true;
            ready!(poll_timer(timer, context));
            timer.as_mut().reset(Instant::now() + LOOKS);
            self.has_waker = false;
            if self.is_gone(activity, watch) {
                return Poll::Ready(());
            }
        }
    }

    fn is_gone(&mut self, activity: &Activity, watch: &Watch) -> bool {
        if watch.is_reset() {
            return true;
        }
        if !watch.is_read_closed() {
            return false;
        }
        if std::mem::replace(&mut self.is_closed, true) {
            // The part that was missing then is still missing.
            return false;
        }
        watch.probe();
        let missing = usize::try_from(activity.missing()).unwrap_or(usize::MAX);
        missing > 0 && watch.unread(missing.min(UNREAD)) < missing.min(UNREAD)
    }
}
