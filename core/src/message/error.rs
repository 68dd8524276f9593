//! Errors of bodies.

use std::error::Error as StdError;
use std::fmt;

use crate::message::unwind::Panic;

/// Any error that can cross threads.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// An error of the contract: a body could not be read.
///
/// [`kind`](BodyError::kind) has the reason, and [`source`](StdError::source) the cause, if there is one.
#[derive(Debug)]
pub struct BodyError {
    kind: BodyErrorKind,
    cause: Option<BoxError>,
}

/// The reason of a [`BodyError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyErrorKind {
    /// The source of the body failed, or the peer disconnected in the middle of it.
    Failed,
    /// The body is longer than the limit for reading it.
    TooLarge,
    /// The body sent no data for longer than its timeout.
    TimedOut,
    /// The source of a body panicked.
    Panicked,
    /// The requested slice is outside the body.
    OutOfRange,
    /// The body cannot be sliced: it is a stream.
    NotSliceable,
}

impl BodyError {
    /// An error because the body's source failed with `cause`.
    ///
    /// If `cause` is a `BodyError`, or has one among its own causes, the new error has the same kind: other libraries
    /// wrap our errors in their own.
    pub fn new(cause: impl Into<BoxError>) -> BodyError {
        let cause = cause.into();
        match cause.downcast::<BodyError>() {
            Ok(error) => *error,
            Err(cause) => BodyError {
                kind: inner_kind(&*cause).unwrap_or(BodyErrorKind::Failed),
                cause: Some(cause),
            },
        }
    }

    /// An error because a body is longer than its limit.
    #[must_use]
    pub fn too_large() -> BodyError {
        BodyError {
            kind: BodyErrorKind::TooLarge,
            cause: None,
        }
    }

    /// An error because a body sent no data for too long.
    #[must_use]
    pub fn timed_out() -> BodyError {
        BodyError {
            kind: BodyErrorKind::TimedOut,
            cause: None,
        }
    }

    /// An error because the source of a body panicked. The text of the panic becomes the cause.
    #[must_use]
    pub fn panicked(panic: impl Into<Panic>) -> BodyError {
        BodyError {
            kind: BodyErrorKind::Panicked,
            cause: Some(panic.into().to_string().into()),
        }
    }

    /// An error because a slice is outside a body of `length` bytes.
    pub(super) fn out_of_range(length: u64) -> BodyError {
        BodyError {
            kind: BodyErrorKind::OutOfRange,
            cause: Some(format!("the body has {length} bytes").into()),
        }
    }

    /// An error because a body is a stream.
    pub(super) fn not_sliceable() -> BodyError {
        BodyError {
            kind: BodyErrorKind::NotSliceable,
            cause: None,
        }
    }

    /// The reason of this error.
    #[must_use]
    pub fn kind(&self) -> BodyErrorKind {
        self.kind
    }
}

/// How many causes are inspected: an error may be its own cause.
const MAX_CAUSES: usize = 64;

/// The kind of the error, or of the first `BodyError` among its causes.
pub(super) fn inner_kind(error: &(dyn StdError + 'static)) -> Option<BodyErrorKind> {
    let causes = std::iter::successors(Some(error), |&error| cause_of(error));
    let mut bodies = causes
        .take(MAX_CAUSES)
        .filter_map(|cause| cause.downcast_ref::<BodyError>());
    bodies.next().map(BodyError::kind)
}

fn cause_of<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    // An `io::Error` skips the error that it wraps when asked for its source.
    let held = error.downcast_ref::<std::io::Error>();
    match held.and_then(std::io::Error::get_ref) {
        Some(held) => Some(held),
        None => error.source(),
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            BodyErrorKind::Failed => "the body could not be read to its end",
            BodyErrorKind::TooLarge => "the body is longer than the limit",
            BodyErrorKind::TimedOut => "timed out reading the body",
            BodyErrorKind::Panicked => "the source of the body panicked",
            BodyErrorKind::OutOfRange => "the slice is outside the body",
            BodyErrorKind::NotSliceable => "a stream cannot be sliced",
        })
    }
}

impl StdError for BodyError {
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
        let error = BodyError::new("cable cut");
        assert_eq!(error.to_string(), "the body could not be read to its end");
        assert_eq!(error.source().unwrap().to_string(), "cable cut");
        assert_eq!(
            BodyError::new(BodyError::too_large()).kind(),
            BodyErrorKind::TooLarge
        );
        let wrapped = std::io::Error::other(BodyError::too_large());
        assert_eq!(BodyError::new(wrapped).kind(), BodyErrorKind::TooLarge);
        let other = std::io::Error::other("cable cut");
        assert_eq!(BodyError::new(other).kind(), BodyErrorKind::Failed);
    }

    #[test]
    fn an_error_that_is_its_own_cause_is_no_endless_search() {
        #[derive(Debug)]
        struct Ring;

        impl fmt::Display for Ring {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("ring")
            }
        }

        impl StdError for Ring {
            fn source(&self) -> Option<&(dyn StdError + 'static)> {
                Some(self)
            }
        }

        assert_eq!(BodyError::new(Ring).kind(), BodyErrorKind::Failed);
        assert_eq!(crate::HttpError::from(Ring).status(), 500);
    }
}
