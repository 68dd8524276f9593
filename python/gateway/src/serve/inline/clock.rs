//! The time of an inline server.

use std::cell::Cell;
use std::time::Instant;

/// The time, as of the last look at the connections.
#[derive(Debug)]
pub(super) struct Clock(Cell<Instant>);

impl Clock {
    pub(super) fn new(now: Instant) -> Clock {
        Clock(Cell::new(now))
    }

    pub(super) fn now(&self) -> Instant {
        self.0.get()
    }

    pub(super) fn set(&self, now: Instant) {
        self.0.set(now);
    }
}
