//! What wrappers measure time with.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A clock that does not run backward.
#[derive(Clone)]
pub(crate) enum Timer {
    /// The system's, and the moment that it counts from.
    System(Instant),
    /// The time since some moment.
    Given(Arc<dyn Fn() -> Duration + Send + Sync>),
}

/// A moment by a timer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TimerInstant {
    System(Instant),
    Given(Duration),
}

/// The system's monotonic clock.
impl Default for Timer {
    fn default() -> Timer {
        Timer::System(Instant::now())
    }
}

impl Timer {
    pub(crate) fn new(elapsed: impl Fn() -> Duration + Send + Sync + 'static) -> Timer {
        Timer::Given(Arc::new(elapsed))
    }

    pub(crate) fn now(&self) -> Duration {
        match self {
            Timer::System(origin) => origin.elapsed(),
            Timer::Given(elapsed) => elapsed(),
        }
    }

    /// Begins to measure; of the system's clock the reading is kept as it is, and counted from only once.
    pub(crate) fn start(&self) -> TimerInstant {
        match self {
            Timer::System(_) => TimerInstant::System(Instant::now()),
            Timer::Given(elapsed) => TimerInstant::Given(elapsed()),
        }
    }

    /// The time since `start`, which is one of this timer's.
    pub(crate) fn since(&self, start: TimerInstant) -> Duration {
        match start {
            TimerInstant::System(start) => start.elapsed(),
            TimerInstant::Given(start) => self.now().saturating_sub(start),
        }
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Timer")
    }
}
