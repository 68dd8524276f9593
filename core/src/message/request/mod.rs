//! Requests: what the client sent, and their position in the tree of applications.

mod client_facts;
#[cfg(any(feature = "form", feature = "json"))]
pub(crate) mod data;
#[cfg(feature = "serde")]
mod deserialize;
mod head;
mod params;
mod path;
mod path_state;
mod provided;
mod query;
mod remote_user;
mod target_error;
mod url;

use std::fmt;
use std::str::Utf8Error;
use std::sync::Arc;

use http::request::Parts;
use http::{Extensions, HeaderMap, Method, StatusCode, Uri, Version};

use self::client_facts::ClientFacts;
use self::head::Shared;
pub use self::head::{Head, HeadSnapshot};
use self::params::Captures;
pub use self::params::{CaptureSink, Captured, Params};
use self::path::canonical_path;
use self::path_state::PathState;
use self::provided::Provided;
pub use self::remote_user::RemoteUser;
pub use self::target_error::TargetError;
use crate::message::body::Body;
use crate::message::connection::Connection;
use crate::message::error::BoxError;
use crate::message::http_error::HttpError;
use crate::message::upgrade::{Offer, Upgrade};

/// A request, as an application receives it.
///
/// It has the fields of [`http::Request`], and what WSGI's environ adds: the part of the path that mounts consumed
/// ([`script_name`](Request::script_name)), the rest ([`path`](Request::path)), the captures of routers, and the
/// connection. It is one pointer wide, so passing it inward costs nothing.
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::Request;
///
/// let mut request = Request::get("/api/users/42?full=1");
/// request.mount("/api").unwrap();
/// assert_eq!(request.script_name(), "/api");
/// assert_eq!(request.path(), "/users/42");
/// assert_eq!(request.uri().path(), "/api/users/42"); // as received
/// assert_eq!(request.url_for_path("/users"), "/api/users");
/// ```
///
/// | you want | use |
/// |---|---|
/// | a capture of the route | [`param`](Request::param) |
/// | the query | `query`, [`query_pairs`](Request::query_pairs), [`query_string`](Request::query_string) |
/// | the body as JSON, as a form, as it is | `json`, `form`, [`take_body`](Request::take_body) |
/// | headers, cookies | [`headers`](Request::headers), [`cookies`](Request::cookies) |
/// | the client | [`client_address`](Request::client_address), [`connection`](Request::connection) |
/// | a link | [`url_for_path`](Request::url_for_path), [`url`](Request::url) |
/// | what a wrapper inserted, such as a user | [`extensions`](Request::extensions) |
/// | another protocol on the connection | [`upgrade`](Request::upgrade) |
/// | a variable of WSGI or CGI | [`environ`](Request::environ) |
///
/// `json` needs the feature `json`; `form` and `query` need `form`.
pub struct Request(Box<Inner>);

struct Inner {
    head: Head,
    extensions: Extensions,
    body: Body,
    captures: Captures,
    /// `script_name` and `path` joined, if that differs from the path of `uri`: a prefix was added, or `uri` is not
    /// canonical.
    full_path: Option<Box<str>>,
    /// The length of the part that never reached this program.
    outside: usize,
    /// The offset of `path`.
    offset: usize,
    provided: Provided,
}

impl Request {
    /// A request without headers or body, over HTTP/1.1 and a connection with no known facts.
    #[must_use]
    pub fn new(method: Method, uri: Uri) -> Request {
        let (mut parts, ()) = http::Request::new(()).into_parts();
        parts.method = method;
        parts.uri = uri;
        Request::from_parts(parts, Body::empty(), Connection::default())
    }

    /// A GET request for a static target, for examples and tests.
    ///
    /// # Panics
    ///
    /// Panics if `target` is not a valid request target.
    #[must_use]
    pub fn get(target: &'static str) -> Request {
        Request::new(Method::GET, Uri::from_static(target))
    }

    /// Makes a request from its parts, as gateways do.
    #[must_use]
    pub fn from_parts(parts: Parts, body: Body, connection: Connection) -> Request {
        let full_path = canonical_path(&parts.uri);
        let shared = Shared {
            method: parts.method,
            uri: parts.uri,
            version: parts.version,
            headers: parts.headers,
            connection,
            client_facts: ClientFacts::default(),
        };
        Request(Box::new(Inner {
            head: Head::new(shared),
            extensions: parts.extensions,
            body,
            captures: Captures::default(),
            full_path,
            outside: 0,
            offset: 0,
            provided: Provided::default(),
        }))
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &Method {
        self.0.head.method()
    }

    /// The method, to change it.
    pub fn method_mut(&mut self) -> &mut Method {
        &mut self.shared_mut().method
    }

    /// The request target as received; mounting never changes it.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        self.0.head.uri()
    }

    /// Replaces the target and the path. Mounts are reset; captures stay.
    pub fn set_uri(&mut self, uri: Uri) {
        self.detach_captures();
        self.0.full_path = canonical_path(&uri);
        self.shared_mut().uri = uri;
        (self.0.outside, self.0.offset) = (0, 0);
    }

    /// The version of HTTP.
    #[must_use]
    pub fn version(&self) -> Version {
        self.0.head.version()
    }

    /// The version of HTTP as a request line writes it, such as `HTTP/1.1`; CGI's `SERVER_PROTOCOL`.
    #[must_use]
    pub fn protocol(&self) -> &'static str {
        self.0.head.protocol()
    }

    /// The version of HTTP, to change it.
    pub fn version_mut(&mut self) -> &mut Version {
        &mut self.shared_mut().version
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.0.head.headers()
    }

    /// The headers, to change them.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.shared_mut().headers
    }

    /// The values that components left for components further in, by type.
    #[must_use]
    pub fn extensions(&self) -> &Extensions {
        &self.0.extensions
    }

    /// The extensions, to change them.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.0.extensions
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &Body {
        &self.0.body
    }

    /// The body, to read or replace it.
    pub fn body_mut(&mut self) -> &mut Body {
        &mut self.0.body
    }

    /// Takes the body and leaves an empty one.
    pub fn take_body(&mut self) -> Body {
        std::mem::take(&mut self.0.body)
    }

    /// The connection that the request arrived on, with the facts of its socket.
    ///
    /// Behind a proxy, its peer is the proxy; for the client see [`client_address`](Request::client_address) and
    /// [`scheme`](Request::scheme).
    #[must_use]
    pub fn connection(&self) -> &Connection {
        self.0.head.connection()
    }

    /// Replaces the connection, for tests; the client, scheme and host that components set stay.
    ///
    /// A component that knows the client better than the socket does not replace the connection. It calls
    /// [`set_client`](Request::set_client), [`set_scheme`](Request::set_scheme) and [`set_host`](Request::set_host).
    pub fn set_connection(&mut self, connection: Connection) {
        self.shared_mut().connection = connection;
    }

    /// An upgrade to `protocol`, such as `websocket`, if the client offers it and the gateway supports it.
    ///
    /// The case of `protocol` does not matter (RFC 9110, section 7.8). Over HTTP/1.1 the client offers protocols with
    /// `Upgrade`, over HTTP/2 with an extended CONNECT (RFC 8441). Here an extended CONNECT is a GET with
    /// `Connection: upgrade` and `Upgrade`, so that routers and wrappers need not distinguish them; the
    /// [`version`](Request::version) still differs.
    ///
    /// `None` behind CGI, FastCGI, SCGI and HTTP/1.0. Also `None` until the body of the request is read to its end: the
    /// rest of a body that is dropped would be read as the other protocol.
    ///
    /// [`Upgraded`](crate::Upgraded) has an example.
    #[must_use]
    pub fn upgrade(&self, protocol: &str) -> Option<Upgrade> {
        let is_asked = |offered: &&str| offered.eq_ignore_ascii_case(protocol);
        self.offered().find(is_asked).map(Upgrade::new)
    }

    /// All upgrades that [`upgrade`](Request::upgrade) can return, in the client's order.
    pub fn upgrades(&self) -> impl Iterator<Item = Upgrade> {
        self.offered().map(Upgrade::new)
    }

    /// The protocols that the connection can change to now.
    fn offered(&self) -> impl Iterator<Item = &str> {
        let offer = self.extensions().get::<Offer>();
        let offer = offer.filter(|offer| self.body().is_finished() && offer.is_body_read());
        let protocols = offer.map(|offer| &*offer.protocols);
        protocols
            .unwrap_or_default()
            .iter()
            .map(|protocol| &**protocol)
    }

    /// The values that routers captured from the path, outer routers first.
    #[must_use]
    pub fn params(&self) -> Params<'_> {
        Params::new(&self.0.captures, self.full_path())
    }

    /// Adds captures, as routers do: one value for each of `names`.
    ///
    /// Up to four values of two routers need no allocation.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use std::sync::Arc;
    ///
    /// use enfilade::{Captured, Request};
    ///
    /// let mut request = Request::get("/users/a%20b");
    /// request.capture(&Arc::from(["name".into()]), [Captured::Raw(7..12)]).unwrap();
    /// assert_eq!(request.params().get("name"), Some("a b"));
    /// ```
    ///
    /// # Errors
    ///
    /// If a value does not decode to UTF-8; then respond with 400.
    pub fn capture(
        &mut self,
        names: &Arc<[Arc<str>]>,
        values: impl IntoIterator<Item = Captured>,
    ) -> Result<(), Utf8Error> {
        self.capture_each(names, |_, captures| {
            values.into_iter().try_for_each(|value| captures.add(value))
        })
    }

    /// Adds captures that `find` reads from the [`path`](Request::path), one after the other.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use std::sync::Arc;
    ///
    /// use enfilade::{Captured, Request};
    ///
    /// let mut request = Request::get("/files/a/b");
    /// let names = Arc::from(["rest".into()]);
    /// let noted = request.capture_each(&names, |path, captures| {
    ///     captures.add(Captured::Raw("/files/".len()..path.len()))
    /// });
    /// assert!(noted.is_ok());
    /// assert_eq!(request.params().get("rest"), Some("a/b"));
    /// ```
    ///
    /// # Errors
    ///
    /// Those of `find`, which fails if a value does not decode to UTF-8. Then nothing is captured.
    #[inline]
    pub fn capture_each<E>(
        &mut self,
        names: &Arc<[Arc<str>]>,
        find: impl FnOnce(&str, &mut CaptureSink<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let inner = &mut *self.0;
        let full_path = inner
            .full_path
            .as_deref()
            .unwrap_or_else(|| inner.head.uri().path());
        inner.captures.add(names, (full_path, inner.offset), find)
    }

    /// Parses the value that a router captured as `name`.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::{HttpError, Request};
    /// # use std::sync::Arc;
    ///
    /// fn half(request: Request) -> Result<String, HttpError> {
    ///     let id: u64 = request.param("id")?;
    ///     Ok((id / 2).to_string())
    /// }
    /// # let mut request = Request::get("/42");
    /// # request.capture(&Arc::from(["id".into()]), [enfilade::Captured::Raw(1..3)]).unwrap();
    /// # assert_eq!(half(request).unwrap(), "21");
    /// # assert_eq!(half(Request::get("/")).unwrap_err().status(), 500);
    /// ```
    /// # Errors
    ///
    /// - 404 if it is not a valid `T`, because no such path exists. For another status, use
    ///   `request.param("id").map_err(|error| error.with_status(StatusCode::BAD_REQUEST))`.
    /// - 500 if no pattern captures that name: a mistake in the program. The cause lists the names that exist.
    pub fn param<T>(&self, name: &str) -> Result<T, HttpError>
    where
        T: std::str::FromStr<Err: Into<BoxError>>,
    {
        let value = self.params().get(name).ok_or_else(|| {
            let (path, params) = (self.full_path(), self.params());
            let names: Vec<&str> = params.iter().map(|(name, _)| name).collect();
            HttpError::new(StatusCode::INTERNAL_SERVER_ERROR).caused_by(format!(
                "the route of {path} captures no {name:?}, only {names:?}"
            ))
        })?;
        value
            .parse()
            .map_err(|error: T::Err| HttpError::new(StatusCode::NOT_FOUND).caused_by(error.into()))
    }

    /// Converts the request for other libraries, with the path that is left.
    ///
    /// The extensions carry the connection, the client and scheme that components set, the mounts and the captures. So
    /// a request converted back has the same position in the tree.
    #[must_use]
    pub fn into_http(mut self) -> http::Request<Body> {
        let uri = self.remaining_uri();
        let mounted = self.take_path_state(&uri);
        let body = self.take_body();
        let mut request = http::Request::new(body);
        let provided = std::mem::take(&mut self.0.provided);
        let shared = self.0.head.into_shared();
        *request.method_mut() = shared.method;
        *request.uri_mut() = uri;
        *request.version_mut() = shared.version;
        *request.headers_mut() = shared.headers;
        *request.extensions_mut() = self.0.extensions;
        request.extensions_mut().insert(shared.connection);
        if shared.client_facts != ClientFacts::default() {
            request.extensions_mut().insert(shared.client_facts);
        }
        if let Some(mounted) = mounted {
            request.extensions_mut().insert(mounted);
        }
        if !provided.is_empty() {
            request.extensions_mut().insert(provided);
        }
        request
    }
}

/// Converts a request of other libraries; takes the connection from the extensions, if there is one.
///
/// It also takes what [`into_http`](Request::into_http) left there. If a prefix was stripped from the path since then,
/// as routers do, it is mounted.
impl<B> From<http::Request<B>> for Request
where
    B: http_body::Body<Data = bytes::Bytes, Error: Into<BoxError>> + Send + 'static,
{
    fn from(request: http::Request<B>) -> Request {
        let (mut parts, body) = request.into_parts();
        let connection = parts.extensions.remove::<Connection>().unwrap_or_default();
        let client_facts = parts.extensions.remove::<ClientFacts>().unwrap_or_default();
        let mounted = parts.extensions.remove::<PathState>();
        let provided = parts.extensions.remove::<Provided>();
        let mut request = Request::from_parts(parts, Body::new(body), connection);
        request.0.provided = provided.unwrap_or_default();
        request.shared_mut().client_facts = client_facts;
        if let Some(mounted) = mounted {
            request.restore(mounted);
        }
        request
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", self.method())
            .field("uri", self.uri())
            .field("script_name", &self.script_name())
            .field("path", &self.path())
            .field("headers", self.headers())
            .field("body", self.body())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
