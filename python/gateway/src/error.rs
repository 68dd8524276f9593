//! Errors before anything is served.

use std::fmt;

use pyo3::PyErr;

/// The error of loading a Python application or starting a server.
///
/// Its text is complete: if Python raised an exception, it includes the traceback.
#[derive(Debug)]
pub struct Error {
    what: String,
    cause: Option<PyErr>,
}

impl Error {
    pub(crate) fn new(what: impl Into<String>) -> Error {
        Error {
            what: what.into(),
            cause: None,
        }
    }

    pub(crate) fn raised(what: impl Into<String>, cause: PyErr) -> Error {
        Error {
            what: what.into(),
            cause: Some(cause),
        }
    }

    /// Returns the exception, if Python raised one.
    #[must_use]
    pub fn exception(&self) -> Option<&PyErr> {
        self.cause.as_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause
            .as_ref()
            .map(|cause| cause as &(dyn std::error::Error + 'static))
    }
}
