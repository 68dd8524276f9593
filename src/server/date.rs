//! The header `Date`.

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

use enfilade_core::headers::format_http_date;
use http::HeaderValue;
use std::time::Instant;

thread_local! {
    // No input: the text of a second is made once on each thread, and nobody sees from which thread it is.
    static DATES: RefCell<Dates> = const { RefCell::new(Dates { current: None }) };
}

/// The value for a response that is sent now.
pub(super) fn now() -> HeaderValue {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place at which the server reads the time of day"
    )]
    DATES.with_borrow_mut(|dates| dates.at(Instant::now(), SystemTime::now))
}

/// Keeps the text of the current second.
///
/// When the second is over is known by a clock that nobody sets, so that a date is right again a second after the time
/// of day was set, forward or back.
struct Dates {
    current: Option<(HeaderValue, Instant)>,
}

impl Dates {
    fn at(&mut self, now: Instant, time_of_day: impl FnOnce() -> SystemTime) -> HeaderValue {
        if let Some((date, end)) = &self.current
            && now < *end
        {
            return date.clone();
        }
        let time = time_of_day();
        let since = time
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let left = Duration::from_secs(1) - Duration::from_nanos(since.subsec_nanos().into());
        let date = HeaderValue::try_from(format_http_date(time.into()));
        let date = date.expect("letters, digits and punctuation");
        self.current = Some((date.clone(), now + left));
        date
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_right_within_a_second_however_the_clock_was_set() {
        let start = Instant::now();
        let mut dates = Dates { current: None };
        let mut at = |after: u64, time: u64| {
            let time = SystemTime::UNIX_EPOCH + Duration::from_millis(time);
            let date = dates.at(start + Duration::from_millis(after), || time);
            date.to_str().unwrap().to_owned()
        };
        let first = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(at(0, 784_111_777_400), first);
        assert_eq!(at(599, 784_111_777_999), first);
        assert_eq!(at(600, 784_111_778_000), "Sun, 06 Nov 1994 08:49:38 GMT");
        // An hour forward, and back.
        assert_eq!(at(1_600, 784_115_378_000), "Sun, 06 Nov 1994 09:49:38 GMT");
        assert_eq!(at(2_600, 784_111_780_000), "Sun, 06 Nov 1994 08:49:40 GMT");
    }
}
