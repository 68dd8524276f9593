//! The statuses that an option allows.

use http::StatusCode;

use crate::error::{Error, ErrorKind};

/// The purpose of a status in an option.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ValidStatus {
    /// An error.
    Error,
    /// An error that the wrapper responds with, and that needs no header of its own (RFC 9110, sections 15.5.2, 15.5.6,
    /// 15.5.8 and 15.5.22).
    Refusal,
    /// A redirect to the same content elsewhere.
    Redirect,
    /// A response of an application: not interim, except for the 101 of an upgrade.
    Response,
}

impl ValidStatus {
    /// Returns the status, if it is one of them.
    pub(crate) fn check(self, status: StatusCode) -> Result<StatusCode, Error> {
        let number = status.as_u16();
        let is_error = (400..=599).contains(&number);
        let is_valid = match self {
            ValidStatus::Error => is_error,
            ValidStatus::Refusal => is_error && !matches!(number, 401 | 405 | 407 | 426),
            ValidStatus::Redirect => matches!(number, 301 | 302 | 307 | 308),
            ValidStatus::Response => number == 101 || (200..=599).contains(&number),
        };
        let valid = match self {
            ValidStatus::Error => "400 to 599",
            ValidStatus::Refusal => "400 to 599 except 401, 405, 407 and 426",
            ValidStatus::Redirect => "301, 302, 307 or 308",
            ValidStatus::Response => "101, or 200 to 599",
        };
        let message = || format!("{number} is not a valid status here: use {valid}");
        is_valid
            .then_some(status)
            .ok_or_else(|| Error::new(ErrorKind::Status, message()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_option_has_its_statuses_and_one_text() {
        let cases: [(ValidStatus, &[u16], &[u16], &str); 4] = [
            (
                ValidStatus::Error,
                &[400, 401, 405, 500, 599],
                &[101, 200, 304, 399, 600, 999],
                "400 to 599",
            ),
            (
                ValidStatus::Refusal,
                &[400, 403, 421, 503],
                &[200, 401, 405, 407, 426, 600],
                "400 to 599 except 401, 405, 407 and 426",
            ),
            (
                ValidStatus::Redirect,
                &[301, 302, 307, 308],
                &[200, 300, 303, 304, 305],
                "301, 302, 307 or 308",
            ),
            (
                ValidStatus::Response,
                &[101, 200, 404, 599],
                &[100, 102, 103, 600, 999],
                "101, or 200 to 599",
            ),
        ];
        for (kind, valid, invalid, use_these) in cases {
            let check = |number: u16| kind.check(StatusCode::from_u16(number).unwrap());
            for number in valid {
                assert_eq!(check(*number).unwrap().as_u16(), *number, "{kind:?}");
            }
            for number in invalid {
                let error = check(*number).unwrap_err();
                let message = format!("{number} is not a valid status here: use {use_these}");
                assert_eq!(
                    (error.kind(), error.to_string()),
                    (ErrorKind::Status, message)
                );
            }
        }
    }
}
