//! Decompresses request bodies.

mod chain;
mod decoder;
mod plan;
mod stream;

use std::sync::Arc;

use enfilade_core::{
    Application, Body, Description, HttpError, IntoResponse, Middleware, OptionValue, Reply,
    Request, Response, Wrapper, wrapped,
};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use http::{HeaderValue, StatusCode};

use self::chain::Bounds;
use self::plan::{Codings, DecodePlan};
use self::stream::DecompressedBody;
use crate::content::coding::Coding;
use crate::protect::body_fault::BodyFault;

/// The default limit of a body: enough for a form or a JSON document, and common in other servers.
const LIMIT: u64 = 2 * 1024 * 1024;
/// The default ratio. Text rarely shrinks more than thirtyfold; Apache has the same number.
const RATIO: u32 = 200;

/// Decompresses request bodies according to `Content-Encoding`, within limits.
///
/// The body is decompressed piece by piece as the application reads it; nothing is buffered. The application sees the
/// request without `Content-Encoding`, without `Content-Length` (the new length is unknown), and without headers that
/// describe the compressed bytes: `Content-Digest`, `Repr-Digest`, `Digest` and `Content-MD5`, also as trailers. Other
/// trailers are kept.
///
/// Content may be encoded twice, as in `Content-Encoding: br, gzip`. `identity` is ignored. A gzip file may have
/// several members and zstd content several frames; `deflate` is only the zlib format (RFC 9110, section 8.4.1.2).
///
/// Requests without `Content-Encoding` are not changed, and neither are those with a `Content-Range`: a part of
/// compressed content cannot be decompressed. Without content, only `Content-Encoding` is removed.
///
/// If a body cannot be decompressed, the response is 400, 413 or 415, even if the application responds otherwise; see
/// below.
///
/// # Order
///
/// Outside everything that reads the body or counts its bytes. Inside wrappers that check a digest or signature of the
/// bytes that were sent.
///
/// # Security
///
/// A few hundred bytes can grow to gigabytes (a "bomb"). The limit counts decompressed bytes, and the ratio stops
/// content early that grows more than real content does. Compressed content that is longer than twice the limit plus 64
/// KiB is rejected too, whatever its decompressed length; the same goes for the bytes between two codings. While a body
/// is read, each of its codings takes 16 KiB and a window: 32 KiB for gzip and deflate, up to 8 MiB for zstd (RFC 9659,
/// section 3), up to 16 MiB for br. Long bodies yield to other tasks on the event loop.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::Decompression;
/// use enfilade::{Application, HttpError, Request};
/// use enfilade_testing::Client;
///
/// async fn shout(mut request: Request) -> Result<String, HttpError> {
///     let content = request.take_body().collect(10_000).await?;
///     Ok(String::from_utf8_lossy(&content).to_uppercase())
/// }
///
/// let client = Client::new(Application::new(shout).wrap(Decompression::new().limit(10_000)));
/// // What `printf hello | gzip` writes.
/// let coded = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xcb\x48\xcd\xc9\xc9\x07\0\x86\xa6\x10\x36\x05\0\0\0";
///
/// let response = client.post("/").header("content-encoding", "gzip").body(&coded[..]).send();
/// assert_eq!(response.text(), "HELLO");
/// let cut_off = client.post("/").header("content-encoding", "gzip").body(&coded[..20]).send();
/// assert_eq!(cut_off.status(), 400);
/// let unknown = client.post("/").header("content-encoding", "compress").body(&coded[..]).send();
/// assert_eq!(unknown.status(), 415);
/// assert!(unknown.header("accept-encoding").unwrap().contains("gzip"));
/// ```
///
/// # Errors
///
/// | The body | response |
/// |---|---|
/// | has a coding that is not accepted, or more than two | 415 with an `Accept-Encoding` that lists the accepted ones; the application is not called |
/// | is invalid for its coding, incomplete, or followed by other bytes | 400 |
/// | is longer than the [limit](Decompression::limit) or grows more than the [ratio](Decompression::ratio) | 413, and the rest is not read |
///
/// The last two are found while the application reads: its read fails with a [`BodyError`](enfilade_core::BodyError),
/// and `request.take_body().collect(n).await?` responds correctly by itself. If the application responds otherwise
/// after such a failure, with a 500 or as if nothing had happened, its response is replaced, except for the extensions.
/// A 4xx of the application stays, because it also blames the client.
///
/// A body that the application does not read is not decompressed and not checked. Once a response has started, it
/// cannot be replaced. If the client aborts the body, the gateway's error is passed on unchanged.
#[derive(Clone, Debug)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct Decompression {
    codings: Vec<Coding>,
    /// The codings, as a 415 lists them.
    accepted: HeaderValue,
    bounds: Bounds,
}

impl Decompression {
    /// Accepts all codings in this build, for bodies of at most 2 MiB when decompressed.
    pub fn new() -> Self {
        Decompression {
            codings: Coding::ALL.to_vec(),
            accepted: accepted(Coding::ALL),
            bounds: Bounds {
                limit: LIMIT,
                ratio: RATIO,
            },
        }
    }

    /// Sets the accepted codings, which a 415 lists; without any, every compressed body is rejected.
    ///
    /// By default zstd, br, gzip and deflate, if the features `zstd` and `brotli` are on.
    pub fn codings(mut self, codings: impl IntoIterator<Item = Coding>) -> Self {
        self.codings = codings.into_iter().collect();
        self.accepted = accepted(&self.codings);
        self
    }

    /// Sets the maximum length of a decompressed body, in bytes; 2 MiB by default.
    ///
    /// Set it to the longest body that the application accepts. It applies only to compressed bodies.
    ///
    /// ```
    /// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
    /// use enfilade::middleware::Decompression;
    /// use enfilade::{Application, HttpError, Request};
    /// use enfilade_testing::Client;
    ///
    /// let app = Application::new(async |mut request: Request| {
    ///     Ok::<_, HttpError>(request.take_body().collect(100).await?)
    /// });
    /// // What `printf hello | gzip` writes.
    /// let coded = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xcb\x48\xcd\xc9\xc9\x07\0\x86\xa6\x10\x36\x05\0\0\0";
    /// for (limit, status) in [(5, 200), (4, 413)] {
    ///     let client = Client::new(app.clone().wrap(Decompression::new().limit(limit)));
    ///     let request = client.post("/").header("content-encoding", "gzip");
    ///     assert_eq!(request.body(&coded[..]).send().status(), status);
    /// }
    /// ```
    pub fn limit(mut self, bytes: u64) -> Self {
        self.bounds.limit = bytes;
        self
    }

    /// Sets the maximum ratio of decompressed to compressed bytes; 200 by default.
    ///
    /// The first MiB of a body is exempt, so that short bodies may grow more. The ratio applies at each point of a
    /// body, not only at its end. Raise it, together with the limit, for content that is almost empty, such as disk
    /// images: deflate shrinks up to a thousandfold, br and zstd more.
    pub fn ratio(mut self, times: u32) -> Self {
        self.bounds.ratio = times;
        self
    }
}

impl Default for Decompression {
    fn default() -> Self {
        Decompression::new()
    }
}

impl Middleware for Decompression {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl Wrapper for Decompression {
    fn call(self: &Arc<Self>, inner: &Application, mut request: Request) -> Reply {
        match plan::plan(&request, &self.codings) {
            DecodePlan::Pass => inner.call(request),
            DecodePlan::Uncoded => {
                request.headers_mut().remove(CONTENT_ENCODING);
                inner.call(request)
            }
            DecodePlan::Decode(codings) => self.decode(codings, inner, request),
            DecodePlan::Refuse => Reply::new(refuse(&self.accepted)),
        }
    }

    fn describe(&self) -> Description {
        let Bounds { limit, ratio } = self.bounds;
        let names = self.codings.iter().map(|coding| coding.name());
        Description::new("Decompression")
            .option("codings", names.collect::<OptionValue>())
            .option("limit", OptionValue::size(limit))
            .option("ratio", ratio)
    }
}

impl Decompression {
    fn decode(&self, codings: Codings, inner: &Application, mut request: Request) -> Reply {
        let body_fault = BodyFault::default();
        let compressed = request.take_body();
        let decoded = DecompressedBody::new(compressed, codings, self.bounds, body_fault.clone());
        *request.body_mut() = Body::new(decoded);
        plan::mark_decoded(request.headers_mut());
        let reply = inner.call(request);
        reply.map(move |response| body_fault.override_response(response))
    }
}

/// The value of `Accept-Encoding` for these codings: `identity` if there are none (RFC 9110, section 12.5.3).
fn accepted(codings: &[Coding]) -> HeaderValue {
    let names: Vec<_> = codings.iter().map(|coding| coding.name()).collect();
    let list = HeaderValue::try_from(names.join(", ")).ok();
    list.filter(|list| !list.is_empty())
        .unwrap_or(HeaderValue::from_static("identity"))
}

/// A 415 lists the accepted codings (RFC 9110, section 15.5.16).
fn refuse(accepted: &HeaderValue) -> Response {
    let mut response = HttpError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE).into_response();
    response
        .headers_mut()
        .insert(ACCEPT_ENCODING, accepted.clone());
    response
}

#[cfg(test)]
mod tests;
