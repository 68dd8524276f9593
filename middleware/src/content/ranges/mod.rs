//! Sends the parts of the content that a client asks for.

mod marks;
mod multipart;
mod partial;
mod range_request;
mod skip;

use std::fmt;
use std::sync::Arc;

use enfilade_core::{
    Application, Description, Middleware, OptionValue, Reply, Request, Response, Wrapper, wrapped,
};
use time::OffsetDateTime;

use self::partial::Options;
pub(crate) use self::range_request::RangeRequest;

/// The maximum number of parts by default: enough for each reader of documents, and no burden for the server.
const MAX_PARTS: usize = 16;

/// Sends only the parts of the content that a client asks for with `Range`: a 206, or a 416 if there is no such part.
///
/// It works on each response to GET with status 200 whose content is in memory or made of
/// [segments](enfilade_core::Segment), such as files. A part is a slice: nothing before it is read. Such a response, and
/// that to HEAD, gets `Accept-Ranges: bytes`, unless the application sets the header itself. Several ranges are sent as
/// `multipart/byteranges`; ranges that overlap or touch are merged, and if more than 16 are left, the whole content is
/// sent. `If-Range` holds for the same strong `ETag`, or for exactly the `Last-Modified`; otherwise the whole content is
/// sent (RFC 9110, section 13.1.5).
///
/// These pass unchanged: other methods and statuses, empty content, a response with a `Content-Range` or with
/// `Accept-Ranges: none`, and streams, unless [`skip_streams`](Ranges::skip_streams) allows them. A `Range` that is
/// malformed is ignored.
///
/// # Order
///
/// Outside [`Conditional`](crate::Conditional) and [`Etag`](crate::Etag), which see the whole content then, and inside
/// [`Compression`](crate::Compression), which does not compress a 206.
///
/// # Security
///
/// No byte is sent twice in a response, however the client combines ranges.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::Ranges;
/// use enfilade::{Application, Request};
/// use enfilade_testing::Client;
///
/// let client = Client::new(Application::new(|_: Request| "hall, salon, cellar").wrap(Ranges::new()));
///
/// let salon = client.get("/").header("range", "bytes=6-10").send();
/// assert_eq!(salon.status(), 206);
/// assert_eq!(salon.header("content-range"), Some("bytes 6-10/19"));
/// assert_eq!(salon.text(), "salon");
///
/// let whole = client.get("/").send();
/// assert_eq!(whole.header("accept-ranges"), Some("bytes"));
/// let beyond = client.get("/").header("range", "bytes=19-").send();
/// assert_eq!(beyond.status(), 416);
/// assert_eq!(beyond.header("content-range"), Some("bytes */19"));
/// ```
#[derive(Clone)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct Ranges {
    options: Options,
}

impl Ranges {
    /// Sends at most 16 parts, of content in memory and of files.
    pub fn new() -> Self {
        Ranges {
            options: Options {
                max_parts: MAX_PARTS,
                skip_limit: None,
                now: Arc::new(system_time),
            },
        }
    }

    /// Sets the maximum number of parts after merging; 16 by default. With 1, several ranges get the whole content.
    ///
    /// A request with more gets the whole content.
    pub fn max_parts(mut self, parts: usize) -> Self {
        self.options.max_parts = parts;
        self
    }

    /// Sends a part of a stream too, if its length is known and the part begins within this many bytes; off by default.
    ///
    /// The bytes before the part are made and dropped, which costs the application as much as sending them. After the
    /// part the stream is dropped; trailers are not sent. Several ranges get the whole content.
    ///
    /// ```
    /// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
    /// use enfilade::middleware::Ranges;
    /// use enfilade::{Application, Body, Request};
    /// use enfilade_testing::Client;
    ///
    /// let app = Application::new(|_: Request| {
    ///     ([("content-length", "18")], Body::from_iterator(["hall, ", "salon, ", "attic"]))
    /// });
    /// let client = Client::new(app.wrap(Ranges::new().skip_streams(1024)));
    /// let part = client.get("/").header("range", "bytes=6-10").send();
    /// assert_eq!((part.status().as_u16(), part.text()), (206, "salon".into()));
    /// ```
    pub fn skip_streams(mut self, limit: u64) -> Self {
        self.options.skip_limit = Some(limit);
        self
    }

    /// Sets the clock that tells whether a date in `If-Range` is old enough; the system's by default.
    ///
    /// It is read only if the response has no `Date` of its own.
    pub fn clock(mut self, now: impl Fn() -> OffsetDateTime + Send + Sync + 'static) -> Self {
        self.options.now = Arc::new(now);
        self
    }

    /// Turns a whole 200 into the 206 or 416 that the request asks for; every other response is returned unchanged.
    pub(crate) fn respond(&self, request: RangeRequest, response: Response) -> Response {
        partial::respond(&self.options, request, response)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the default clock; an option replaces it"
)]
fn system_time() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

impl Default for Ranges {
    fn default() -> Self {
        Ranges::new()
    }
}

impl fmt::Debug for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ranges")
            .field("max_parts", &self.options.max_parts)
            .field("skip_limit", &self.options.skip_limit)
            .finish_non_exhaustive()
    }
}

impl Middleware for Ranges {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl Wrapper for Ranges {
    fn call(self: &Arc<Self>, inner: &Application, request: Request) -> Reply {
        let Some(asked) = RangeRequest::of(&request) else {
            return inner.call(request);
        };
        let ranges = self.clone();
        let reply = inner.call(request);
        reply.map(move |response| ranges.respond(asked, response))
    }

    fn describe(&self) -> Description {
        let description = Description::new("Ranges").option("max_parts", self.options.max_parts);
        match self.options.skip_limit {
            Some(limit) => description.option("skip_streams", OptionValue::size(limit)),
            None => description,
        }
    }
}

#[cfg(test)]
mod tests;
