//! The head of a request, which a component may keep when the request itself goes on.

use std::sync::Arc;

use http::{Extensions, HeaderMap, Method, Uri, Version};

use super::origin::Origin;
use super::params::Captures;
use super::{Inner, Request};
use crate::{Body, Connection};

/// What a request shares with a head that was kept of it, until one of the two changes it.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    pub(super) connection: Connection,
    pub(super) origin: Origin,
}

/// The head of a request at one moment, for a component that may call a second application; see
/// [`Request::keep_head`].
pub struct KeptHead {
    shared: Arc<Shared>,
    extensions: Extensions,
    captures: Captures,
    prefixed: Option<Box<str>>,
    offset: usize,
}

impl KeptHead {
    /// A second request with this head and an empty body.
    #[must_use]
    pub fn into_request(self) -> Request {
        Request(Box::new(Inner {
            shared: self.shared,
            extensions: self.extensions,
            body: Body::empty(),
            captures: self.captures,
            prefixed: self.prefixed,
            offset: self.offset,
        }))
    }
}

impl std::fmt::Debug for KeptHead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeptHead")
            .field("method", &self.shared.method)
            .field("uri", &self.shared.uri)
            .finish_non_exhaustive()
    }
}

impl Request {
    /// Keeps the head of this request as it is now, for a component that may call a second application.
    ///
    /// It costs a count, and a copy of the extensions and captures where there are any. Method, target and headers are
    /// shared until one of the two changes any of them, who then copies them.
    ///
    /// ```
    /// use enfilade_core::{Body, Request};
    ///
    /// let mut request = Request::get("/api/users");
    /// request.mount("/api");
    /// *request.body_mut() = Body::from("content");
    /// let head = request.keep_head();
    /// request.headers_mut().insert("x-later", "1".parse().unwrap());
    ///
    /// let second = head.into_request();
    /// assert_eq!((second.script_name(), second.path()), ("/api", "/users"));
    /// assert!(second.headers().is_empty());
    /// assert!(second.body().is_finished());
    /// assert!(!request.body().is_finished());
    /// ```
    #[must_use]
    pub fn keep_head(&self) -> KeptHead {
        KeptHead {
            shared: self.0.shared.clone(),
            extensions: self.0.extensions.clone(),
            captures: self.0.captures.clone(),
            prefixed: self.0.prefixed.clone(),
            offset: self.0.offset,
        }
    }

    /// A second request with this one's head and an empty body: [`keep_head`](Request::keep_head), and at once a request
    /// of it.
    #[must_use]
    pub fn clone_head(&self) -> Request {
        self.keep_head().into_request()
    }

    /// What may be shared, to change it; only here is it copied, and only while the other one is still there.
    pub(super) fn shared_mut(&mut self) -> &mut Shared {
        Arc::make_mut(&mut self.0.shared)
    }
}
