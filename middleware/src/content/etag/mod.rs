//! Adds entity tags to responses.

#[cfg(feature = "strong-etags")]
mod strong;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use enfilade_core::conditional::EntityTag;
use enfilade_core::headers::has_token;
use enfilade_core::{
    Application, Description, Middleware, OptionValue, Reply, Request, Response, Wrapper, wrapped,
};
use http::header::{CACHE_CONTROL, ETAG, LAST_MODIFIED};
use http::{HeaderName, Method, StatusCode};

use crate::shared::xxh64;

/// Content up to this length is hashed by default; it takes some 100 µs, or ten times as long for a strong tag.
const LIMIT: u64 = 1024 * 1024;

/// Adds an `ETag` to responses: a hash of the content, a header, or a tag that the handler knows.
///
/// By default the tag is weak: a 64-bit hash, the same on each machine. It is added to a 200 to GET, HEAD and QUERY and
/// to a 201 to POST, if the content is in memory, not empty, and not longer than [`limit`](Etag::limit). A stream and a
/// file are not read. A response that has an `ETag` or `Last-Modified` already, or `Cache-Control: no-store`, passes
/// unchanged. So does the response to PUT, PATCH and DELETE, because its content is not the changed resource (RFC 9110,
/// section 9.3.4).
///
/// If a handler knows the version, it puts an [`EntityTag`] into the extensions of the response. That tag is sent in
/// place of a hash, whatever the method and the body.
///
/// # Order
///
/// Inside everything that changes the content, above all [`Compression`](crate::Compression), and inside
/// [`Conditional`](crate::Conditional), which compares the tags.
///
/// # Security
///
/// A user who chooses content can make two versions with the same weak tag. That matters if others rely on the tag to
/// notice a change: use [`strong`](Etag::strong) tags there.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::conditional::EntityTag;
/// use enfilade::middleware::Etag;
/// use enfilade::{Application, IntoResponse, Request, Response};
/// use enfilade_testing::Client;
///
/// let app = Application::new(|request: Request| -> Response {
///     let mut response = "Hello".into_response();
///     if request.path() == "/versioned" {
///         response.extensions_mut().insert(EntityTag::strong("version-7").unwrap());
///     }
///     response
/// });
/// let client = Client::new(app.wrap(Etag::new()));
/// assert_eq!(client.get("/").send().header("etag"), Some("W/\"0a75a91375b27d44\""));
/// assert_eq!(client.get("/versioned").send().header("etag"), Some("\"version-7\""));
/// ```
#[derive(Clone)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct Etag {
    source: Source,
    limit: u64,
    strong: Option<fn(&[Bytes]) -> Option<EntityTag>>,
}

/// What the tag is made of.
#[derive(Clone)]
enum Source {
    Content,
    Header(HeaderName),
    Function(Arc<dyn Fn(&Response) -> Option<EntityTag> + Send + Sync>),
}

impl Etag {
    /// Makes weak tags of content in memory.
    pub fn new() -> Self {
        Etag::of(Source::Content)
    }

    /// Makes tags of a response header, such as a version; the header stays.
    ///
    /// The tag is weak, or strong with [`strong`](Etag::strong). A response without the header, or with a value that
    /// cannot be a tag, such as one with a space, gets none.
    ///
    /// ```
    /// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
    /// use enfilade::http::HeaderName;
    /// use enfilade::middleware::Etag;
    /// use enfilade::{Application, Request};
    /// use enfilade_testing::Client;
    ///
    /// let app = Application::new(|_: Request| ([("x-version", "7")], "Hello"));
    /// let client = Client::new(app.wrap(Etag::from_header(HeaderName::from_static("x-version"))));
    /// assert_eq!(client.get("/").send().header("etag"), Some("W/\"7\""));
    /// ```
    pub fn from_header(name: HeaderName) -> Self {
        Etag::of(Source::Header(name))
    }

    /// Makes tags by a function of the response; `None` means no tag.
    ///
    /// ```
    /// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
    /// use enfilade::conditional::EntityTag;
    /// use enfilade::middleware::Etag;
    /// use enfilade::{Application, Request};
    /// use enfilade_testing::Client;
    ///
    /// let by_length = Etag::from_fn(|response| EntityTag::weak(response.body().known_length()?.to_string()).ok());
    /// let client = Client::new(Application::new(|_: Request| "Hello").wrap(by_length));
    /// assert_eq!(client.get("/").send().header("etag"), Some("W/\"5\""));
    /// ```
    pub fn from_fn(
        function: impl Fn(&Response) -> Option<EntityTag> + Send + Sync + 'static,
    ) -> Self {
        Etag::of(Source::Function(Arc::new(function)))
    }

    fn of(source: Source) -> Self {
        Etag {
            source,
            limit: LIMIT,
            strong: None,
        }
    }

    /// Sets the maximum length of content that is hashed, in bytes; 1 MiB by default.
    ///
    /// The hash is computed on the event loop. Longer content gets no tag.
    pub fn limit(mut self, bytes: u64) -> Self {
        self.limit = bytes;
        self
    }

    fn tag_response(&self, method: Tagged, response: &mut Response) {
        if response.headers().contains_key(ETAG) || !is_tagged_status(response.status()) {
            return;
        }
        let tag = match response.extensions_mut().remove::<EntityTag>() {
            Some(tag) => Some(tag),
            None if method.allows(response.status()) && may_be_kept(response) => self.tag(response),
            None => None,
        };
        if let Some(tag) = tag {
            response.headers_mut().insert(ETAG, tag.into());
        }
    }

    fn tag(&self, response: &Response) -> Option<EntityTag> {
        match &self.source {
            Source::Function(function) => function(response),
            Source::Header(name) => {
                let value = response.headers().get(name)?.as_bytes();
                let tag = match self.strong {
                    Some(_) => EntityTag::strong(value),
                    None => EntityTag::weak(value),
                };
                tag.ok()
            }
            Source::Content => {
                let buffers = response.body().buffers()?;
                let length = response.body().known_length()?;
                let is_hashed = length > 0 && length <= self.limit;
                is_hashed.then(|| self.strong.unwrap_or(weak)(buffers))?
            }
        }
    }
}

/// How a request's method determines which responses are tagged.
#[derive(Clone, Copy)]
enum Tagged {
    /// Its response has the content of the target.
    Read,
    /// A 201 has the content of the new resource.
    Created,
    Nothing,
}

impl Tagged {
    fn by(method: &Method) -> Tagged {
        match *method {
            Method::GET | Method::HEAD | Method::QUERY => Tagged::Read,
            Method::POST => Tagged::Created,
            _ => Tagged::Nothing,
        }
    }

    fn allows(self, status: StatusCode) -> bool {
        match self {
            Tagged::Read => status == StatusCode::OK,
            Tagged::Created => status == StatusCode::CREATED,
            Tagged::Nothing => false,
        }
    }
}

fn is_tagged_status(status: StatusCode) -> bool {
    matches!(status, StatusCode::OK | StatusCode::CREATED)
}

/// Whether a tag is of use: a cache may keep the content, and has no other validator.
fn may_be_kept(response: &Response) -> bool {
    let headers = response.headers();
    !headers.contains_key(LAST_MODIFIED)
        && !has_token(headers, &CACHE_CONTROL, "no-store")
        && !response.body().is_upgrade()
}

fn weak(buffers: &[Bytes]) -> Option<EntityTag> {
    let hash = match buffers {
        [whole] => xxh64::hash(whole),
        parts => xxh64::hash(&parts.concat()),
    };
    EntityTag::weak(hexadecimal(&hash.to_be_bytes())).ok()
}

fn hexadecimal(bytes: &[u8]) -> Vec<u8> {
    let digit = |value: u8| b"0123456789abcdef".get(usize::from(value)).copied();
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]);
    digits.filter_map(digit).collect()
}

impl Default for Etag {
    fn default() -> Self {
        Etag::new()
    }
}

impl fmt::Debug for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Etag")
            .field("source", &self.source.name())
            .field("limit", &self.limit)
            .field("strong", &self.strong.is_some())
            .finish()
    }
}

impl Source {
    fn name(&self) -> String {
        match self {
            Source::Content => "content".to_owned(),
            Source::Header(name) => name.to_string(),
            Source::Function(_) => "a function".to_owned(),
        }
    }
}

impl Middleware for Etag {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl Wrapper for Etag {
    fn call(self: &Arc<Self>, inner: &Application, request: Request) -> Reply {
        let method = Tagged::by(request.method());
        let mut reply = inner.call(request);
        if let Some(response) = reply.as_ready_mut() {
            self.tag_response(method, response);
            return reply;
        }
        let etag = self.clone();
        reply.update(move |response| etag.tag_response(method, response))
    }

    fn describe(&self) -> Description {
        Description::new("Etag")
            .option("source", self.source.name())
            .option("strong", self.strong.is_some())
            .option("limit", OptionValue::size(self.limit))
    }
}

#[cfg(test)]
mod tests;
