//! Decodes the content of requests.

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

/// How many bytes a body may become: what a form or a JSON document has at most, and what peers allow.
const LIMIT: u64 = 2 * 1024 * 1024;
/// How many times as long a body may become. Text seldom gains more than thirtyfold; Apache has the same number.
const RATIO: u32 = 200;

/// Decodes the content of requests, as their `Content-Encoding` says, within bounds.
///
/// Content is decoded as the application reads it, a piece at a time; nothing of it is kept. The application sees it
/// without `Content-Encoding`, without `Content-Length`, which is not known any more, and without what was true of the
/// coded bytes alone: `Content-Digest`, `Repr-Digest`, `Digest` and `Content-MD5`, as trailers too. Other trailers pass.
///
/// Content may be coded twice, as in `Content-Encoding: br, gzip`. `identity` is no coding. A gzip file may have several
/// members and zstd content several frames; `deflate` is the zlib format and nothing else (RFC 9110, section 8.4.1.2).
///
/// Not touched are requests without `Content-Encoding`, and those with a `Content-Range`: a part of coded content cannot
/// be decoded. Where there is no content, only `Content-Encoding` is removed.
///
/// A body that cannot be decoded is answered 400, 413 or 415, also where the application says otherwise; see below.
///
/// # Order
///
/// Outside whatever reads the body or counts its bytes. Inside what checks a digest or signature of the bytes that were
/// sent.
///
/// # Security
///
/// Some hundred bytes can become gigabytes (a "bomb"). The limit counts what comes out, and the ratio stops early what
/// gains more than real content does. Coded content that is more than twice as long as the limit, and 64 KiB, is refused
/// too, whatever it becomes, as is what passes between two codings. While a body is read, each of its codings takes
/// 16 KiB and a window: 32 KiB for gzip and deflate, up to 8 MiB for zstd (RFC 9659, section 3), up to 16 MiB for br.
/// Long bodies let others on the event loop have their turn.
///
/// # Example
///
/// ```
/// use enfilade_core::{Application, HttpError, Request};
/// use enfilade_middleware::Decompression;
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
/// let answer = client.post("/").header("content-encoding", "gzip").body(&coded[..]).send();
/// assert_eq!(answer.text(), "HELLO");
/// let cut_off = client.post("/").header("content-encoding", "gzip").body(&coded[..20]).send();
/// assert_eq!(cut_off.status(), 400);
/// let unknown = client.post("/").header("content-encoding", "compress").body(&coded[..]).send();
/// assert_eq!(unknown.status(), 415);
/// assert!(unknown.header("accept-encoding").unwrap().contains("gzip"));
/// ```
///
/// # Errors
///
/// | A body | is answered |
/// |---|---|
/// | in a coding that is not accepted, or in more than two | 415 with an `Accept-Encoding` that names those that are; the application is not called |
/// | that is not what its coding says, is cut off, or is followed by other bytes | 400 |
/// | that becomes longer than the [limit](Decompression::limit) or grows more than the [ratio](Decompression::ratio) | 413, and no more of it is read |
///
/// The latter two turn up while the application reads: its read fails with a [`BodyError`](enfilade_core::BodyError), and
/// `request.take_body().collect(n).await?` answers that by itself. An application that answers otherwise after such a
/// failure, with a 500 or as if nothing had happened, has its answer replaced, but for the extensions. One that answers
/// 4xx knows that the client is to blame, and its answer stays.
///
/// What the application does not read is not decoded and not checked; and once its answer has begun, that cannot be
/// replaced. A body that breaks off on its way is the gateway's error, which passes as it is.
#[derive(Clone, Debug)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct Decompression {
    codings: Vec<Coding>,
    /// The codings, as a response of 415 names them.
    accepted: HeaderValue,
    bounds: Bounds,
}

impl Decompression {
    /// All codings that were built in, for bodies that become at most 2 MiB.
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

    /// The codings that are accepted, as an answer of 415 names them; with none, every coded body is refused.
    ///
    /// By default zstd, br, gzip and deflate, as far as the features `zstd` and `brotli` are there.
    pub fn codings(mut self, codings: impl IntoIterator<Item = Coding>) -> Self {
        self.codings = codings.into_iter().collect();
        self.accepted = accepted(&self.codings);
        self
    }

    /// The most bytes that a decoded body may have; 2 MiB by default.
    ///
    /// Set it to what the longest body of the application is. It holds for coded bodies alone.
    ///
    /// ```
    /// # use enfilade_core::{Application, HttpError, Request};
    /// # use enfilade_middleware::Decompression;
    /// # use enfilade_testing::Client;
    /// # let app = Application::new(|mut request: Request| async move {
    /// #     let content = request.take_body().collect(100).await?;
    /// #     Ok::<_, HttpError>(content)
    /// # });
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

    /// How many times as long as its coded bytes a body may become; 200 by default.
    ///
    /// The first MiB of a body is free of it, so that short bodies that gain much pass. The number counts at each point
    /// of a body, and not at its end alone. Raise it, with the limit, for content that is almost empty, such as images of
    /// disks: deflate gains up to a thousandfold, br and zstd more.
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

/// A response of 415 says what would have been taken (RFC 9110, section 15.5.16).
fn refuse(accepted: &HeaderValue) -> Response {
    let mut response = HttpError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE).into_response();
    response
        .headers_mut()
        .insert(ACCEPT_ENCODING, accepted.clone());
    response
}

#[cfg(test)]
mod tests;
