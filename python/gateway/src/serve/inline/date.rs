//! The header `Date` after the clock was set back.

use std::cell::Cell;
use std::time::SystemTime;

use enfilade::headers::format_http_date;
use http::HeaderValue;

thread_local! {
    // hyper keeps the same on this thread: the text of the latest second that it has seen.
    static CLOCK: Cell<SystemClock> = const { Cell::new(SystemClock::NOTHING) };
}

/// Reads the clock.
///
/// Returns the time if hyper would get it wrong: after the clock was set back, hyper's date stays in the future.
///
/// hyper reads the clock on each poll, the server once for all connections with events. If the clock is set back by
/// less than the time of such a turn, that is not noticed, and `Date` is wrong by no more than that.
pub(super) fn look() -> Option<SystemTime> {
    let seen = CLOCK.get().at(time_of_day());
    CLOCK.set(seen);
    seen.correction()
}

/// Formats a time as a value of the header.
pub(super) fn value(time: SystemTime) -> HeaderValue {
    let date = HeaderValue::try_from(format_http_date(time.into()));
    date.expect("letters, digits and punctuation")
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place at which the server reads the time of day"
)]
fn time_of_day() -> SystemTime {
    SystemTime::now()
}

/// The time of day, and the latest one ever seen.
#[derive(Clone, Copy, Debug)]
struct SystemClock {
    now: SystemTime,
    latest: SystemTime,
}

impl SystemClock {
    const NOTHING: SystemClock = SystemClock {
        now: SystemTime::UNIX_EPOCH,
        latest: SystemTime::UNIX_EPOCH,
    };

    fn at(self, now: SystemTime) -> SystemClock {
        let latest = self.latest.max(now);
        SystemClock { now, latest }
    }

    fn correction(self) -> Option<SystemTime> {
        (self.now < self.latest).then_some(self.now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_date_is_right_however_the_clock_is_set() {
        let mut seen = SystemClock::NOTHING;
        for (time, expected) in [
            (784_111_777, None),
            (784_111_778, None),
            // An hour forward, and back.
            (784_115_378, None),
            (784_111_779, Some("Sun, 06 Nov 1994 08:49:39 GMT")),
            (784_115_377, Some("Sun, 06 Nov 1994 09:49:37 GMT")),
            (784_115_378, None),
        ] {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(time);
            seen = seen.at(time);
            let found = seen.correction().map(value);
            let found = found.as_ref().map(|date| date.to_str().unwrap());
            assert_eq!(found, expected);
        }
    }
}
