//! What can be wrong with a wrapper's options.

use std::fmt;

/// A mistake in the options of a wrapper, found when the stack is built.
///
/// The text says what is wrong and where; [`kind`](Error::kind) is for programs.
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::{ErrorKind, Headers};
///
/// let error = Headers::new().set("x y", "1").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::HeaderName);
/// assert_eq!(error.to_string(), "\"x y\" is not a header name");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

/// What an [`Error`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A wrapper for development in a program that was built for release.
    Build,
    /// A cookie that browsers would reject.
    Cookie,
    /// A directory or an archive of files that cannot be served, or a path in it that is not one.
    Directory,
    /// A header name that is no token, or that belongs to the gateway.
    HeaderName,
    /// A header value with a byte that is not allowed in one, or that its header does not take.
    HeaderValue,
    /// A host, or a pattern of hosts, that is malformed or repeated.
    Host,
    /// A network, or an address, that is not well formed.
    Network,
    /// An origin that is not one that browsers send, or credentials for every origin.
    Origin,
    /// A quota in no time, or in too long a time.
    Quota,
    /// A route or mount prefix that is malformed or repeated.
    Route,
    /// A rule of a rewrite, a redirect or a cache that is not well formed, or that leads where it must not.
    Rule,
    /// A secret that is too short.
    Secret,
    /// A status that is not of the kind that is wanted.
    Status,
    /// A log format that is not well formed.
    LogFormat,
    /// A name of a metric that is not well formed.
    MetricName,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error {
            kind,
            message: message.into(),
        }
    }

    /// What this error is about.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
