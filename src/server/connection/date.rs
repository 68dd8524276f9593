//! The header `Date`.

use std::cell::Cell;
use std::time::SystemTime;

use http::HeaderValue;

thread_local! {
    // hyper keeps the same on this thread: the text of the latest second that it has seen.
    static CLOCK: Cell<SystemClock> = const { Cell::new(SystemClock::NOTHING) };
}

/// Reads the clock, as hyper does each time it is polled.
pub fn look() {
    CLOCK.set(CLOCK.get().at(time_of_day()));
}

/// The value that hyper would get wrong: its date stays in the future after the clock was set back.
///
/// `None` if hyper may set it.
#[must_use]
pub fn correction() -> Option<HeaderValue> {
    let seen = CLOCK.get();
    (seen.now < seen.latest).then(|| value(seen.now))
}

/// The value for a response that hyper does not write.
pub(in crate::server) fn now() -> HeaderValue {
    value(time_of_day())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the server reads the time of day"
)]
fn time_of_day() -> SystemTime {
    SystemTime::now()
}

fn value(time: SystemTime) -> HeaderValue {
    // HTTP has no date for a clock before 1970.
    let date = httpdate::fmt_http_date(time.max(SystemTime::UNIX_EPOCH));
    let date = HeaderValue::try_from(date);
    date.expect("letters, digits and punctuation")
}

/// The time of day, and the latest time seen so far.
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
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_date_is_right_however_the_clock_is_set() {
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
            CLOCK.set(CLOCK.get().at(time));
            let found = correction();
            let found = found.as_ref().map(|date| date.to_str().unwrap());
            assert_eq!(found, expected);
        }
    }
}
