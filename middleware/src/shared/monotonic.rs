//! A monotonic timer for wrappers that measure time.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A clock that does not run backward.
#[derive(Clone)]
pub(crate) enum Timer {
    /// The system's, and the moment from which it counts.
    System(Instant),
    /// The time since any moment.
    Given(Arc<dyn Fn() -> Duration + Send + Sync>),
}

/// A moment of a timer.
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

    /// Starts a measurement; the system's clock is read only once, and the reading is converted only if needed.
    pub(crate) fn start(&self) -> TimerInstant {
        match self {
            Timer::System(_) => TimerInstant::System(Instant::now()),
            Timer::Given(elapsed) => TimerInstant::Given(elapsed()),
        }
    }

    /// The time since `start`, which comes from this timer.
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
