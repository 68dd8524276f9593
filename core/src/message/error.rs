//! What can go wrong with a body.

use std::error::Error as StdError;
use std::fmt;

use crate::message::unwind::Panic;

/// Any error that can cross threads.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// An error of the contract: a body that could not be read.
///
/// What it was is in [`kind`](Error::kind); the cause, where there is one, in [`source`](StdError::source).
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    cause: Option<BoxError>,
}

/// What an [`Error`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The source of a body failed, or the peer broke off in the middle of it.
    Body,
    /// A body is longer than the limit that was set for reading it.
    BodyTooLarge,
    /// Nothing came of a body for longer than it may take.
    BodyTimedOut,
    /// The source of a body panicked.
    BodyPanicked,
}

impl Error {
    /// A body's source failed because of `cause`.
    ///
    /// Where `cause` is an error of this type, or has one among its own causes, this is of the same kind: other libraries
    /// put an error of their own around it on its way through them.
    pub fn body(cause: impl Into<BoxError>) -> Error {
        let cause = cause.into();
        match cause.downcast::<Error>() {
            Ok(error) => *error,
            Err(cause) => Error {
                kind: inner_kind(&*cause).unwrap_or(ErrorKind::Body),
                cause: Some(cause),
            },
        }
    }

    /// A body is longer than it may be.
    #[must_use]
    pub fn body_too_large() -> Error {
        Error {
            kind: ErrorKind::BodyTooLarge,
            cause: None,
        }
    }

    /// Nothing came of a body for too long.
    #[must_use]
    pub fn body_timed_out() -> Error {
        Error {
            kind: ErrorKind::BodyTimedOut,
            cause: None,
        }
    }

    /// The source of a body panicked, which was caught. The text of the panic becomes the cause.
    #[must_use]
    pub fn body_panicked(panic: impl Into<Panic>) -> Error {
        Error {
            kind: ErrorKind::BodyPanicked,
            cause: Some(panic.into().to_string().into()),
        }
    }

    /// What this error is about.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

fn inner_kind(error: &(dyn StdError + 'static)) -> Option<ErrorKind> {
    if let Some(error) = error.downcast_ref::<Error>() {
        return Some(error.kind);
    }
    // An `io::Error` passes over what it holds when it is asked for its source.
    match error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref)
    {
        Some(inside) => inner_kind(inside),
        None => error.source().and_then(inner_kind),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            ErrorKind::Body => "the body could not be read to its end",
            ErrorKind::BodyTooLarge => "the body is longer than the limit",
            ErrorKind::BodyTimedOut => "the body did not go on in time",
            ErrorKind::BodyPanicked => "what makes the body panicked",
        })
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause
            .as_deref()
            .map(|cause| cause as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_cause_and_does_not_wrap_itself() {
        let error = Error::body("cable cut");
        assert_eq!(error.to_string(), "the body could not be read to its end");
        assert_eq!(error.source().unwrap().to_string(), "cable cut");
        assert_eq!(
            Error::body(Error::body_too_large()).kind(),
            ErrorKind::BodyTooLarge
        );
        let wrapped = std::io::Error::other(Error::body_too_large());
        assert_eq!(Error::body(wrapped).kind(), ErrorKind::BodyTooLarge);
        let other = std::io::Error::other("cable cut");
        assert_eq!(Error::body(other).kind(), ErrorKind::Body);
    }
}
