//! The authenticated user.

/// The authenticated user; CGI's `REMOTE_USER`.
///
/// An authentication component puts it into the request's extensions for components further in, and into the response's
/// for components further out, such as a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteUser(String);

impl RemoteUser {
    /// A user of this name.
    pub fn new(name: impl Into<String>) -> Self {
        RemoteUser(name.into())
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }
}
