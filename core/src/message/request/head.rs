//! The head of a request, which a component may keep when it passes the request on.

use std::sync::Arc;

use http::{Extensions, HeaderMap, Method, Uri, Version};

use super::client_facts::ClientFacts;
use super::params::Captures;
use super::provided::Provided;
use super::{Inner, Request};
use crate::message::body::Body;
use crate::message::connection::Connection;

/// The data that a request shares with kept heads of it, until one of them changes it.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    pub(super) connection: Connection,
    pub(super) client_facts: ClientFacts,
}

/// What a client sent before the content, and the connection; cloning costs a reference count.
///
/// [`Request::head`] returns it. A component that reports on a request after its response was sent keeps the head. It
/// does not show later changes by components further in.
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::Request;
///
/// let mut request = Request::get("/books?page=2");
/// let head = request.head().clone();
/// request.set_path("/changed").unwrap();
/// assert_eq!(head.uri(), "/books?page=2");
/// assert_eq!((head.method().as_str(), head.query_string()), ("GET", Some("page=2")));
/// ```
#[derive(Clone)]
pub struct Head(Arc<Shared>);

impl Head {
    pub(super) fn new(shared: Shared) -> Head {
        Head(Arc::new(shared))
    }

    /// The shared data, to change it. It is copied only here, and only while another owner exists.
    pub(super) fn make_mut(&mut self) -> &mut Shared {
        Arc::make_mut(&mut self.0)
    }

    pub(super) fn into_shared(self) -> Shared {
        Arc::unwrap_or_clone(self.0)
    }

    pub(super) fn client_facts(&self) -> &ClientFacts {
        &self.0.client_facts
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.0.method
    }

    /// The request target as received.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.0.uri
    }

    /// The query without its `?`, as received; `None` without a `?`.
    #[must_use]
    pub fn query_string(&self) -> Option<&str> {
        self.0.uri.query()
    }

    /// The version of HTTP.
    #[must_use]
    pub fn version(&self) -> Version {
        self.0.version
    }

    /// The version of HTTP as a request line writes it, such as `HTTP/1.1`; CGI's `SERVER_PROTOCOL`.
    #[must_use]
    pub fn protocol(&self) -> &'static str {
        match self.0.version {
            Version::HTTP_09 => "HTTP/0.9",
            Version::HTTP_10 => "HTTP/1.0",
            Version::HTTP_2 => "HTTP/2.0",
            Version::HTTP_3 => "HTTP/3.0",
            _ => "HTTP/1.1",
        }
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// The connection; behind a proxy, its peer is the proxy.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.0.connection
    }
}

impl std::fmt::Debug for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Head")
            .field("method", self.method())
            .field("uri", self.uri())
            .finish_non_exhaustive()
    }
}

/// The head and the mount position of a request at one moment, to call a second application.
///
/// See [`Request::keep_head`].
pub struct HeadSnapshot {
    head: Head,
    extensions: Extensions,
    /// Boxed because most requests have none, and wrappers pass snapshots around.
    captures: Option<Box<Captures>>,
    full_path: Option<Box<str>>,
    outside: usize,
    offset: usize,
    provided: Provided,
}

impl HeadSnapshot {
    /// Makes a second request with this head and an empty body.
    #[must_use]
    pub fn into_request(self) -> Request {
        Request(Box::new(Inner {
            head: self.head,
            extensions: self.extensions,
            body: Body::empty(),
            captures: self
                .captures
                .map_or_else(Captures::default, |captures| *captures),
            full_path: self.full_path,
            outside: self.outside,
            offset: self.offset,
            provided: self.provided,
        }))
    }
}

impl std::fmt::Debug for HeadSnapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeadSnapshot")
            .field("head", &self.head)
            .finish_non_exhaustive()
    }
}

impl Request {
    /// The data before the content, to inspect, or to keep as it is now.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.0.head
    }

    /// Keeps the head of this request as it is now, for a component that may call a second application.
    ///
    /// It costs a reference count, and a copy of the extensions and captures, if any. Method, target and headers are
    /// shared until one side changes any of them, and that side copies them.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::{Body, Request};
    ///
    /// let mut request = Request::get("/api/users");
    /// request.mount("/api").unwrap();
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
    pub fn keep_head(&self) -> HeadSnapshot {
        HeadSnapshot {
            head: self.0.head.clone(),
            extensions: self.0.extensions.clone(),
            captures: (!self.0.captures.is_empty()).then(|| Box::new(self.0.captures.clone())),
            full_path: self.0.full_path.clone(),
            outside: self.0.outside,
            offset: self.0.offset,
            provided: self.0.provided.clone(),
        }
    }

    /// Makes a second request with this head and an empty body, by [`keep_head`](Request::keep_head).
    #[must_use]
    pub fn clone_head(&self) -> Request {
        self.keep_head().into_request()
    }

    pub(super) fn shared_mut(&mut self) -> &mut Shared {
        self.0.head.make_mut()
    }
}
