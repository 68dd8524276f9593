//! The time of a connection, and whether its client is still there.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::task::unconstrained;
use tokio::time::{Instant, Sleep};

use crate::listening::Watch;
use crate::server::connection::activity::Activity;
use crate::server::connection::close_reason::CloseReason;
use crate::server::connection::limits::Limits;

/// How often it is looked whether the client of a request in flight is still there.
const LOOKS: Duration = Duration::from_secs(1);
/// Up to how much is looked at, once, of what a client has sent and nobody reads.
const UNREAD: usize = 8 * 1024 * 1024;

/// Keeps the time of a connection.
///
/// The timer is set anew only if it would ring too late, and looks again when it rings: most requests do not touch it.
#[derive(Default)]
pub(super) struct Clock {
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether the timer wakes the connection's task when it rings.
    has_waker: bool,
    /// When the connection was told to finish.
    pub(super) told_at: Option<Instant>,
}

impl Clock {
    /// Whether the time is over; `is_new` says that the timer does not have this waker.
    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
        is_new: bool,
        activity: &Activity,
        limits: &Limits,
    ) -> Poll<CloseReason> {
        let (head, keep_alive) = (limits.header_read_timeout, limits.keep_alive_timeout);
        loop {
            let Some((deadline, over)) = activity.deadline(head, keep_alive, self.told_at) else {
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
            ready!(poll_timer(timer, context));
            if Instant::now() >= deadline {
                return Poll::Ready(over);
            }
            timer.as_mut().reset(deadline);
            self.has_waker = false;
        }
    }
}

/// Whether it is time; otherwise the task is woken then, also if it has used up its budget, with which a timer that is
/// polled but once would not note the waker.
fn poll_timer(timer: &mut Pin<Box<Sleep>>, context: &mut Context<'_>) -> Poll<()> {
    pin!(unconstrained(timer.as_mut())).poll(context)
}

/// Looks now and then whether the client of a request in flight is still there.
///
/// hyper reads nothing meanwhile but the body, as fast as the application takes it. A reset is the end of the request. A
/// client that has only closed its side still waits for the response, unless it owes a part of the request.
#[derive(Default)]
pub(super) struct Presence {
    timer: Option<Pin<Box<Sleep>>>,
    has_waker: bool,
    /// Whether the client has closed its side, and was looked at then.
    is_closed: bool,
}

impl Presence {
    /// Ready when the client is gone.
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
            // What it owed then, it still owes.
            return false;
        }
        watch.probe();
        let missing = usize::try_from(activity.missing()).unwrap_or(usize::MAX);
        missing > 0 && watch.unread(missing.min(UNREAD)) < missing.min(UNREAD)
    }
}
