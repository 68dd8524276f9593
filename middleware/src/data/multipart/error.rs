//! What is wrong with a multipart body.

use std::fmt;

use enfilade_core::HttpError;
use http::StatusCode;

/// What is wrong with a multipart body.
///
/// [`into_http_error`](MultipartError::into_http_error) makes a response of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultipartError(pub(super) Problem);

/// Each kind of mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// The limit, and its name.
    TooMuch(&'static str, u64),
    /// The body ended before its last boundary.
    Incomplete,
    /// What the client sent, in words.
    Malformed(&'static str),
}

impl MultipartError {
    pub(super) fn malformed(what: &'static str) -> MultipartError {
        MultipartError(Problem::Malformed(what))
    }

    pub(super) fn too_much(what: &'static str, limit: u64) -> MultipartError {
        MultipartError(Problem::TooMuch(what, limit))
    }

    pub(super) fn incomplete() -> MultipartError {
        MultipartError(Problem::Incomplete)
    }

    /// Makes the response: a 413 or a 400 with this text.
    #[must_use]
    pub fn into_http_error(self) -> HttpError {
        let status = match self.is_limit() {
            true => StatusCode::PAYLOAD_TOO_LARGE,
            false => StatusCode::BAD_REQUEST,
        };
        HttpError::new(status)
            .message(self.to_string())
            .caused_by(self)
    }

    /// Returns whether the body exceeds a limit; otherwise it is malformed.
    #[must_use]
    pub fn is_limit(&self) -> bool {
        matches!(self.0, Problem::TooMuch(..))
    }
}

impl fmt::Display for MultipartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Problem::TooMuch(what, limit) => {
                write!(f, "the multipart body has more than {limit} {what}")
            }
            Problem::Incomplete => f.write_str("the multipart body ends before its last boundary"),
            Problem::Malformed(what) => write!(f, "the multipart body is malformed: {what}"),
        }
    }
}

impl std::error::Error for MultipartError {}
