//! The time of an inline server.

use std::cell::Cell;
use std::time::{Instant, SystemTime};

use http::HeaderValue;

use crate::serve::inline::date;

/// The time, as of the last look at the connections.
#[derive(Debug)]
pub(super) struct Clock {
    now: Cell<Instant>,
    /// The time of day, if hyper would say another.
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

    /// The `Date` of a response, if hyper would get it wrong.
    pub(super) fn date(&self) -> Option<HeaderValue> {
        self.correction.get().map(date::value)
    }

    /// It is later.
    pub(super) fn look(&self) {
        self.now.set(Instant::now());
        self.correction.set(date::look());
    }
}
