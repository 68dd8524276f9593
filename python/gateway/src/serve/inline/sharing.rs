//! How a worker shares connections with other workers, which accept at the same socket.
//!
//! A connection stays with the worker that accepted it. So a worker accepts one only if it has nothing else to do:
//! while it runs a request, the others take those that wait. Two things need more than that:
//!
//! - A client sends its request a moment after it connects. In this moment the worker would accept further connections,
//!   whose requests would then wait for each other.
//! - Connections that are kept may all be with one worker, for example if the others were just started.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use crate::serve::inline::connection::Connection;

/// How long a new connection without a request keeps the worker from accepting the next.
const FIRST_BYTES: Duration = Duration::from_millis(2);
/// If requests have waited this long, one connection is left to another worker.
const PATIENCE: Duration = Duration::from_millis(10);
/// The shortest time between two connections that are left to others.
///
/// It bounds the cost if all workers are busy: then it gains nothing.
const BETWEEN: Duration = Duration::from_millis(100);

/// What a worker knows about the connections that it may leave to others.
pub(super) struct Sharing {
    /// Whether there are other workers.
    is_shared: bool,
    /// The connection that was accepted last, until it sends something.
    newest: RefCell<Option<(Weak<Connection>, Instant)>>,
    /// Whether the last one sent nothing for so long that the next is not waited for.
    was_silent: Cell<bool>,
    /// The time since which requests wait for the application.
    waiting: Cell<Option<Instant>>,
    released: Cell<Option<Instant>>,
}

impl Sharing {
    pub(super) fn new(is_shared: bool) -> Sharing {
        Sharing {
            is_shared,
            newest: RefCell::default(),
            was_silent: Cell::new(false),
            waiting: Cell::new(None),
            released: Cell::new(None),
        }
    }

    pub(super) fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Notes a connection that was accepted, and whose first bytes were read if they are here.
    pub(super) fn accepted(&self, connection: &Rc<Connection>, now: Instant) {
        let is_silent = connection.is_silent();
        if is_silent && self.is_shared && !self.was_silent.get() {
            *self.newest.borrow_mut() = Some((Rc::downgrade(connection), now));
        }
        if !is_silent {
            self.was_silent.set(false);
        }
    }

    /// Returns until when the worker waits for the first bytes of a connection, and accepts no other.
    pub(super) fn waits_until(&self, now: Instant) -> Option<Instant> {
        let mut newest = self.newest.borrow_mut();
        let (connection, since) = newest.as_ref()?;
        let is_silent = connection
            .upgrade()
            .is_some_and(|connection| connection.is_silent());
        let until = *since + FIRST_BYTES;
        if is_silent && now < until {
            return Some(until);
        }
        self.was_silent.set(is_silent);
        *newest = None;
        None
    }

    /// Notes whether requests wait for the application.
    pub(super) fn set_waiting(&self, is_waiting: bool, now: Instant) {
        match is_waiting {
            true if self.waiting.get().is_some() => {}
            true => self.waiting.set(Some(now)),
            false => self.waiting.set(None),
        }
    }

    /// Whether the connection of the response that is sent now is left to another worker.
    pub(super) fn releases(&self, now: Instant) -> bool {
        let has_passed = |since: Instant, time| now.saturating_duration_since(since) >= time;
        let releases = self.is_shared
            && self
                .waiting
                .get()
                .is_some_and(|since| has_passed(since, PATIENCE))
            && self
                .released
                .get()
                .is_none_or(|since| has_passed(since, BETWEEN));
        if releases {
            self.released.set(Some(now));
        }
        releases
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_left_to_others_while_requests_wait_long() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        for is_shared in [true, false] {
            let sharing = Sharing::new(is_shared);
            assert!(!sharing.releases(at(0)));
            sharing.set_waiting(true, at(0));
            sharing.set_waiting(true, at(8));
            for (time, releases) in [
                (9, false),
                (10, true),
                (11, false),
                (109, false),
                (110, true),
            ] {
                assert_eq!(sharing.releases(at(time)), releases && is_shared, "{time}");
            }
            sharing.set_waiting(false, at(300));
            assert!(!sharing.releases(at(300)));
            sharing.set_waiting(true, at(300));
            assert!(!sharing.releases(at(309)));
            assert_eq!(sharing.releases(at(310)), is_shared);
        }
    }
}
