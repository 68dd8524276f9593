//! Content, as the status and the headers describe it.

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, StatusCode};

/// Whether a response of this status can have content (RFC 9110, section 6.4.1, and 15.3.6 for 205).
///
/// A response to HEAD has no content either, whatever its status.
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::headers::allows_content;
/// use enfilade::http::StatusCode;
///
/// assert!(allows_content(StatusCode::NOT_FOUND));
/// assert!(!allows_content(StatusCode::NO_CONTENT));
/// ```
#[must_use]
pub fn allows_content(status: StatusCode) -> bool {
    !status.is_informational()
        && !matches!(
            status,
            StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED
        )
}

/// The number in `Content-Length` (RFC 9110, section 8.6); `None` if absent or not only digits.
///
/// The first field value counts. A number beyond `u64` becomes the largest `u64`, so that it exceeds every limit.
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::headers::content_length;
/// use enfilade::http::{HeaderMap, HeaderValue, header::CONTENT_LENGTH};
///
/// let headers = HeaderMap::from_iter([(CONTENT_LENGTH, HeaderValue::from_static("5"))]);
/// assert_eq!(content_length(&headers), Some(5));
/// ```
#[must_use]
pub fn content_length(headers: &HeaderMap) -> Option<u64> {
    let value = headers.get(CONTENT_LENGTH)?.to_str().ok()?;
    // `parse` alone would accept a plus sign.
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| value.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_status_has_content_or_not() {
        for (status, expected) in [
            (100, false),
            (101, false),
            (200, true),
            (204, false),
            (205, false),
            (206, true),
            (301, true),
            (304, false),
            (404, true),
            (599, true),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(allows_content(status), expected, "{status}");
        }
    }

    #[test]
    fn a_length_is_digits() {
        for (value, expected) in [
            ("0", Some(0)),
            ("007", Some(7)),
            ("18446744073709551616", Some(u64::MAX)),
            ("", None),
            ("+4", None),
            ("-4", None),
            ("4, 4", None),
            ("4 ", None),
            ("\u{e9}", None),
        ] {
            let value = HeaderValue::from_str(value).unwrap();
            let headers = HeaderMap::from_iter([(CONTENT_LENGTH, value.clone())]);
            assert_eq!(content_length(&headers), expected, "{value:?}");
        }
        assert_eq!(content_length(&HeaderMap::new()), None);
    }
}
