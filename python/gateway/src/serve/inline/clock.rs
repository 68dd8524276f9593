//! The clock of an inline server.

use std::cell::Cell;
use std::time::Instant;

use enfilade::server_parts::date;

/// The time of the last update, which the server makes once per turn.
///
/// hyper reads the time of day on each poll. If it is set back by less than the time of a turn, `Date` is wrong by no
/// more than that.
#[derive(Debug)]
pub(super) struct Clock {
    now: Cell<Instant>,
}

impl Clock {
    pub(super) fn new() -> Clock {
        date::look();
        Clock {
            now: Cell::new(Instant::now()),
        }
    }

    pub(super) fn now(&self) -> Instant {
        self.now.get()
    }

    /// Updates the time.
    pub(super) fn look(&self) {
        self.now.set(Instant::now());
        date::look();
    }
}
