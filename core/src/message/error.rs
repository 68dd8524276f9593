//! What can go wrong with a body.

use std::error::Error as StdError;
use std::fmt;

use crate::message::unwind::Panic;

/// Any error that can cross threads.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// An error of the contract: a body that could not be read.
///
/// What it was is in [`kind`](BodyError::kind); the cause, where there is one, in [`source`](StdError::source).
#[derive(Debug)]
pub struct BodyError {
    kind: BodyErrorKind,
    cause: Option<BoxError>,
}

/// What a [`BodyError`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyErrorKind {
    /// The source of a body failed, or the peer broke off in the middle of it.
    Failed,
    /// A body is longer than the limit that was set for reading it.
    TooLarge,
    /// Nothing came of a body for longer than it may take.
    TimedOut,
    /// The source of a body panicked.
    Panicked,
    /// A slice was asked for that is outside the body.
    OutOfRange,
    /// A slice was asked for of a body that has none: a stream.
    NotSliceable,
}

impl BodyError {
    /// A body's source failed because of `cause`.
    ///
    /// Where `cause` is an error of this type, or has one among its own causes, this is of the same kind: other libraries
    /// put an error of their own around it on its way through them.
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

    /// A body is longer than it may be.
    #[must_use]
    pub fn too_large() -> BodyError {
        BodyError {
            kind: BodyErrorKind::TooLarge,
            cause: None,
        }
    }

    /// Nothing came of a body for too long.
    #[must_use]
    pub fn timed_out() -> BodyError {
        BodyError {
            kind: BodyErrorKind::TimedOut,
            cause: None,
        }
    }

    /// The source of a body panicked, which was caught. The text of the panic becomes the cause.
    #[must_use]
    pub fn panicked(panic: impl Into<Panic>) -> BodyError {
        BodyError {
            kind: BodyErrorKind::Panicked,
            cause: Some(panic.into().to_string().into()),
        }
    }

    /// A slice of a body of `length` bytes is outside it.
    pub(super) fn out_of_range(length: u64) -> BodyError {
        BodyError {
            kind: BodyErrorKind::OutOfRange,
            cause: Some(format!("the body has {length} bytes").into()),
        }
    }

    /// A body is no bytes in memory and no segments.
    pub(super) fn not_sliceable() -> BodyError {
        BodyError {
            kind: BodyErrorKind::NotSliceable,
            cause: None,
        }
    }

    /// What this error is about.
    #[must_use]
    pub fn kind(&self) -> BodyErrorKind {
        self.kind
    }
}

/// How many causes are looked at: an error may be its own cause.
const MAX_CAUSES: usize = 64;

/// The kind of the error, or of the first body's error among its causes.
pub(super) fn inner_kind(error: &(dyn StdError + 'static)) -> Option<BodyErrorKind> {
    let causes = std::iter::successors(Some(error), |&error| cause_of(error));
    let mut bodies = causes
        .take(MAX_CAUSES)
        .filter_map(|cause| cause.downcast_ref::<BodyError>());
    bodies.next().map(BodyError::kind)
}

fn cause_of<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    // An `io::Error` passes over what it holds when it is asked for its source.
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
            BodyErrorKind::TimedOut => "the body did not go on in time",
            BodyErrorKind::Panicked => "what makes the body panicked",
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
