//! The time of a case whose clock is `controlled`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::verdict::{Check, unsupported};

/// The time since the case began; a step moves it forward or back.
#[derive(Clone, Default)]
pub(crate) struct Clock(Arc<AtomicU64>);

impl Clock {
    /// Sets it to a step's `at_s`, or forward by its `advance_clock_s`, in seconds; without either it stays.
    pub(crate) fn tell(&self, step: &Value) -> Check {
        match (step.get("at_s"), step.get("advance_clock_s")) {
            (None, None) => {}
            (Some(at), None) => self.0.store(milliseconds(at)?, Ordering::Relaxed),
            (None, Some(by)) => drop(self.0.fetch_add(milliseconds(by)?, Ordering::Relaxed)),
            (Some(at), Some(by)) => return unsupported(format!("the time {at} and {by} after")),
        }
        Ok(())
    }

    pub(crate) fn now(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

fn milliseconds(seconds: &Value) -> Check<u64> {
    let time = seconds.as_f64().map(Duration::try_from_secs_f64);
    let milliseconds = match time {
        Some(Ok(time)) => u64::try_from(time.as_millis()).ok(),
        _ => None,
    };
    milliseconds.map_or_else(|| unsupported(format!("the time {seconds}")), Ok)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_step_sets_the_time() {
        let clock = Clock::default();
        for (step, expected) in [
            (json!({}), Some(0)),
            (json!({"at_s": 10}), Some(10_000)),
            (json!({"at_s": 1.1}), Some(1_100)),
            (json!({}), Some(1_100)),
            (json!({"advance_clock_s": 2}), Some(3_100)),
            (json!({"advance_clock_s": 0.5}), Some(3_600)),
            (json!({"at_s": 1, "advance_clock_s": 1}), None),
            (json!({"advance_clock_s": -1}), None),
            (json!({"at_s": -1}), None),
            (json!({"at_s": "soon"}), None),
        ] {
            let told = clock.tell(&step).ok();
            let expected = expected.map(Duration::from_millis);
            assert_eq!(told.map(|()| clock.now()), expected, "{step}");
        }
    }
}
