//! What wrappers measure time with.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The time since some moment, which does not run backward.
#[derive(Clone)]
pub(crate) struct Timer(Arc<dyn Fn() -> Duration + Send + Sync>);

impl Timer {
    /// The system's monotonic clock.
    pub(crate) fn system() -> Timer {
        let origin = Instant::now();
        Timer::new(move || origin.elapsed())
    }

    pub(crate) fn new(elapsed: impl Fn() -> Duration + Send + Sync + 'static) -> Timer {
        Timer(Arc::new(elapsed))
    }

    pub(crate) fn now(&self) -> Duration {
        (self.0)()
    }

    /// The time since `start`, which is one of this timer's.
    pub(crate) fn since(&self, start: Duration) -> Duration {
        self.now().saturating_sub(start)
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Timer")
    }
}
