//! The clock of an inline server.

use std::cell::Cell;
use std::time::{Instant, SystemTime};

use http::HeaderValue;

use crate::serve::inline::date;

/// The time of the last update, which the server makes once per turn.
#[derive(Debug)]
pub(super) struct Clock {
    now: Cell<Instant>,
    /// The time of day, if hyper would send another one.
    correction: Cell<Option<SystemTime>>,
}

impl Clock {
    pub(super) fn new() -> Clock {
        Clock {
            now: Cell::new(Instant::now()),
            correction: Cell::new(date::look()),
        }
    }

    pub(super) fn now(&self) -> Instant {
        self.now.get()
    }

    /// Returns the `Date` of a response, if hyper would get it wrong.
    pub(super) fn date(&self) -> Option<HeaderValue> {
        self.correction.get().map(date::value)
    }

    /// Updates the time.
    pub(super) fn look(&self) {
        self.now.set(Instant::now());
        self.correction.set(date::look());
    }
}
