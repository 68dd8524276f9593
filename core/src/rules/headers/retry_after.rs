//! `Retry-After` (RFC 9110, section 10.2.3).

use std::time::Duration;

use http::HeaderValue;

/// The value of `Retry-After`: whole seconds, rounded up (RFC 9110, section 10.2.3).
///
/// ```
/// # use enfilade_core as enfilade;
/// use std::time::Duration;
///
/// use enfilade::headers::retry_after;
///
/// assert_eq!(retry_after(Duration::from_millis(1_500)), "2");
/// assert_eq!(retry_after(Duration::ZERO), "0");
/// ```
#[must_use]
pub fn retry_after(delay: Duration) -> HeaderValue {
    let started = u64::from(delay.subsec_nanos() > 0);
    delay.as_secs().saturating_add(started).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_rounded_up() {
        for (delay, expected) in [
            (Duration::ZERO, "0"),
            (Duration::from_nanos(1), "1"),
            (Duration::from_secs(1), "1"),
            (Duration::new(1, 1), "2"),
            (Duration::MAX, "18446744073709551615"),
        ] {
            assert_eq!(retry_after(delay), expected);
        }
    }
}
