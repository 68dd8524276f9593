//! Compresses responses.

mod encoder;
mod etag;
mod memo;
mod policy;
mod pool;
mod stream;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use enfilade_core::headers::{has_token, vary_add};
use enfilade_core::{
    Application, Body, Description, HttpError, IntoResponse, Middleware, OptionValue, Reply,
    Request, Response, Wrapper, wrapped,
};
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_LENGTH, IF_NONE_MATCH};
use http::response::Parts;
use http::{HeaderMap, Method, StatusCode};

use self::memo::Memo;
pub use self::memo::MemoUsage;
use self::pool::EncoderPool;
use self::stream::CompressedBody;
use crate::content::coding::{Coding, Negotiated, negotiate};
use crate::shared::header_values::HeaderValues;

/// A shorter response fits into one packet, compressed or not.
const MIN_SIZE: u64 = 860;
/// Content in memory from this size on is compressed on another thread: at this size gzip takes some 300 µs, which
/// would delay other requests on the event loop, and the handover takes 12 to 30 µs.
const OFFLOAD_FROM: usize = 64 * 1024;

/// Compresses responses if the client's `Accept-Encoding` allows it.
///
/// gzip and deflate are always available, br and zstd with the features `brotli` and `zstd`. With the feature
/// `libdeflate` a C library compresses gzip and deflate content in memory.
///
/// A body in memory is compressed at once and gets its exact `Content-Length`. From 64 KiB on a thread pool does it, so
/// that other requests are not delayed. With a [`memo`](Compression::memo), repeated content is compressed once. A
/// stream is compressed frame by frame. It is flushed whenever it pauses, so event streams arrive in time. Trailers are
/// kept. If a stream fails, the compressed stream fails too and never ends as valid content. An encoder of a stream
/// takes 0.3 MB (gzip), 0.9 MB (br) or 1.1 MB (zstd) as long as the stream lasts.
///
/// Every response that could be compressed gets `Vary: Accept-Encoding`, even if it is not compressed for this client,
/// and so do a 206 and a 304 that stand for such a response. A compressed response loses the headers that describe the
/// original bytes, also in trailers: `Content-Length`, `Accept-Ranges`, `Content-MD5` and the digests. A strong `ETag`
/// becomes weak, or [specific to the coding](Compression::etags).
///
/// These are never compressed: 1xx, 204, 205, 206 and 304, responses with a `Content-Range` or a `Content-Encoding`,
/// responses with `Cache-Control: no-transform` in the request or the response, responses known to be shorter than
/// [`min_size`](Compression::min_size), and [types](Compression::only_if) that do not get smaller.
///
/// A response to HEAD has the headers of GET except `Content-Length`, because nothing is compressed for it.
///
/// # Order
///
/// Inside a log that should count the bytes sent, outside everything that makes or reads plain content.
///
/// # Security
///
/// If a response contains a secret together with text from the client, its compressed length reveals the secret
/// (BREACH). Exclude such responses with [`only_if`](Compression::only_if), or with `Cache-Control: no-transform`.
///
/// # Example
///
/// ```
/// use enfilade_core::{Application, Request};
/// use enfilade_middleware::Compression;
/// use enfilade_testing::Client;
///
/// let app = Application::new(|_: Request| "la ".repeat(1_000)).wrap(Compression::new());
/// let client = Client::new(app);
///
/// let coded = client.get("/").header("accept-encoding", "gzip, compress").send();
/// assert_eq!(coded.header("content-encoding"), Some("gzip"));
/// assert_eq!(coded.header("vary"), Some("accept-encoding"));
/// assert!(coded.bytes().len() < 100);
///
/// let plain = client.get("/").send();
/// assert_eq!(plain.header("content-encoding"), None);
/// assert_eq!(plain.header("vary"), Some("accept-encoding"));
/// assert_eq!(plain.bytes().len(), 3_000);
/// ```
#[derive(Clone)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct Compression {
    codings: Vec<Coding>,
    levels: Vec<(Coding, u32)>,
    min_size: u64,
    strict: bool,
    flush: Flush,
    etags: Etags,
    memo: Option<Arc<Memo>>,
    predicate: Arc<dyn Fn(&Response) -> bool + Send + Sync>,
}

/// When a compressed stream is flushed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flush {
    /// Whenever the inner stream pauses: everything written so far arrives.
    #[default]
    WhenPending,
    /// Only when the encoder's buffer is full and at the end: smaller, but late.
    Never,
}

/// What happens to a strong `ETag` when content is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Etags {
    /// It becomes weak: `"a"` is sent as `W/"a"`, and clients send that in conditions.
    #[default]
    Weaken,
    /// It gets the name of the coding: `"a"` is sent as `"a-gzip"`, and in conditions the application sees `"a"` too.
    /// Use it for clients that need strong validators, for example for `If-Match`.
    PerCoding,
}

impl Compression {
    /// Offers all codings in this build, for content of 860 bytes and more.
    pub fn new() -> Self {
        Compression {
            codings: Coding::ALL.to_vec(),
            levels: Vec::new(),
            min_size: MIN_SIZE,
            strict: false,
            flush: Flush::default(),
            etags: Etags::default(),
            memo: None,
            predicate: Arc::new(|response| {
                policy::media_type(response.headers()).is_some_and(policy::is_compressible)
            }),
        }
    }

    /// Sets the offered codings, the best first: if the client prefers several equally, the first one is used.
    ///
    /// By default zstd, br, gzip and deflate, if the features `zstd` and `brotli` are on. At most eight are used.
    pub fn codings(mut self, codings: impl IntoIterator<Item = Coding>) -> Self {
        self.codings = codings.into_iter().collect();
        self
    }

    /// Sets the level of a coding; values outside its range are clamped.
    ///
    /// gzip and deflate have 1 (fast) to 9 (small), 3 by default; brotli has 0 to 11, 4 by default; zstd has 1 to 19, 3
    /// by default.
    pub fn level(mut self, coding: Coding, level: u32) -> Self {
        self.levels.push((coding, level));
        self
    }

    /// Sets the minimum length to compress, in bytes; 860 by default. Empty bodies are never compressed.
    pub fn min_size(mut self, bytes: u64) -> Self {
        self.min_size = bytes;
        self
    }

    /// Returns 406 if the client accepts none of the codings and no plain content; off by default.
    ///
    /// The application is not called then. By default such a client gets plain content, which RFC 9110, section 12.5.3,
    /// allows and most clients prefer.
    pub fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// Sets when a compressed stream is flushed; whenever it pauses by default.
    pub fn flush(mut self, flush: Flush) -> Self {
        self.flush = flush;
        self
    }

    /// Sets what happens to a strong `ETag` when content is compressed; it becomes weak by default.
    ///
    /// ```
    /// use enfilade_core::{Application, Request};
    /// use enfilade_middleware::{Compression, Etags};
    /// use enfilade_testing::Client;
    ///
    /// let app = Application::new(|request: Request| {
    ///     let asked = request.headers().get("if-none-match");
    ///     let is_same = asked.is_some_and(|tags| tags.to_str().unwrap().split(", ").any(|tag| tag == "\"v1\""));
    ///     let status = if is_same { 304 } else { 200 };
    ///     let body = if status == 200 { "la ".repeat(1_000) } else { String::new() };
    ///     let status = http::StatusCode::from_u16(status).unwrap();
    ///     (status, [("etag", "\"v1\""), ("content-type", "text/plain")], body)
    /// });
    /// let client = Client::new(app.wrap(Compression::new().etags(Etags::PerCoding)));
    ///
    /// let first = client.get("/").header("accept-encoding", "gzip").send();
    /// assert_eq!(first.header("etag"), Some("\"v1-gzip\""));
    /// let again = client.get("/").header("accept-encoding", "gzip").header("if-none-match", "\"v1-gzip\"").send();
    /// assert_eq!(again.status(), 304);
    /// assert_eq!(again.header("etag"), Some("\"v1-gzip\""));
    /// ```
    pub fn etags(mut self, etags: Etags) -> Self {
        self.etags = etags;
        self
    }

    /// Keeps compressed content in a memo of at most this many bytes; off by default.
    ///
    /// If content in memory is sent again, byte for byte, it is not compressed again. Content is added the second time
    /// that it is seen, so content that is always new takes no space; entries that were not used lately are removed
    /// first. An entry takes the length of its plain and its compressed content. Clones of this wrapper share the memo.
    ///
    /// ```
    /// use enfilade_core::{Application, Request};
    /// use enfilade_middleware::Compression;
    /// use enfilade_testing::Client;
    ///
    /// let compression = Compression::new().memo(1024 * 1024);
    /// let usage = compression.memo_usage();
    /// let client = Client::new(Application::new(|_: Request| "la ".repeat(1_000)).wrap(compression));
    /// for _ in 0..10 {
    ///     client.get("/").header("accept-encoding", "gzip").send();
    /// }
    /// assert_eq!((usage.misses(), usage.hits()), (2, 8));
    /// assert!((3_000..4_000).contains(&usage.bytes()));
    /// ```
    pub fn memo(mut self, bytes: u64) -> Self {
        self.memo = Some(Arc::new(Memo::new(bytes)));
        self
    }

    /// Returns the statistics of the memo, which stay current.
    #[must_use]
    pub fn memo_usage(&self) -> MemoUsage {
        MemoUsage(self.memo.clone())
    }

    /// Compresses only these media types, compared without case and parameters.
    ///
    /// By default text, JSON, XML, JavaScript, SVG, WebAssembly and uncompressed fonts.
    pub fn content_types<T: Into<String>>(self, types: impl IntoIterator<Item = T>) -> Self {
        let types: Vec<String> = types.into_iter().map(Into::into).collect();
        self.only_if(move |response| {
            let found = policy::media_type(response.headers());
            found.is_some_and(|found| types.iter().any(|known| known.eq_ignore_ascii_case(found)))
        })
    }

    /// Compresses only responses for which `predicate` returns true, in place of the list of media types.
    pub fn only_if(
        mut self,
        predicate: impl Fn(&Response) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.predicate = Arc::new(predicate);
        self
    }

    /// The level of a coding: the last one set, within its range.
    fn level_of(&self, coding: Coding) -> u32 {
        let mut levels = self.levels.iter().rev();
        let chosen = levels.find(|(of, _)| *of == coding);
        let range = encoder::levels(coding);
        chosen.map_or_else(
            || encoder::default_level(coding),
            |(_, level)| (*level).clamp(*range.start(), *range.end()),
        )
    }

    fn is_worth_compressing(&self, response: &Response) -> bool {
        policy::is_long_enough(response, self.min_size)
            && (self.predicate)(response)
            && policy::may_be_compressed(response)
    }
}

impl Default for Compression {
    fn default() -> Self {
        Compression::new()
    }
}

impl Middleware for Compression {
    fn wrap(self, app: Application) -> Application {
        let pools = self.codings.iter().map(|coding| {
            let pool = EncoderPool::new(*coding, self.level_of(*coding));
            Arc::new(pool)
        });
        let encoders = Encoders {
            pools: pools.collect(),
            names: self.codings.iter().map(|coding| coding.name()).collect(),
            options: self,
        };
        wrapped(app, encoders)
    }
}

impl fmt::Debug for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compression")
            .field("codings", &self.codings)
            .field("levels", &self.levels)
            .field("min_size", &self.min_size)
            .field("strict", &self.strict)
            .field("flush", &self.flush)
            .field("etags", &self.etags)
            .field("memo", &self.memo_usage())
            .finish_non_exhaustive()
    }
}

/// The headers of a request that affect compression, as received: most responses are not compressed and need no more.
struct AcceptedEncodings {
    values: HeaderValues,
    is_head: bool,
    /// The conditions, and the coding for which they were restored.
    conditions: Option<Box<(HeaderMap, Coding)>>,
}

/// The values of `Accept-Encoding`; none if `Cache-Control` forbids all codings.
fn accepted_encodings(headers: &HeaderMap) -> HeaderValues {
    let values = HeaderValues::of(headers, &ACCEPT_ENCODING);
    // Each lookup in the map costs as much as everything else here: search for the token only if the header exists.
    let is_forbidden = !values.as_slice().is_empty()
        && headers.contains_key(CACHE_CONTROL)
        && has_token(headers, &CACHE_CONTROL, "no-transform");
    if is_forbidden {
        HeaderValues::None
    } else {
        values
    }
}

/// The client accepts neither an available coding nor plain content.
struct NotAcceptable;

/// The state of the wrapper.
struct Encoders {
    options: Compression,
    /// One for each coding, in the order of the codings.
    pools: Vec<Arc<EncoderPool>>,
    /// Names of the codings, in the order of the codings.
    names: Vec<&'static str>,
}

impl Wrapper for Encoders {
    fn call(self: &Arc<Self>, inner: &Application, mut request: Request) -> Reply {
        let Ok(accepted) = self.read(&mut request) else {
            return Reply::new(not_acceptable());
        };
        let mut reply = inner.call(request);
        // Most responses are not affected: they are not even moved.
        let is_done = |response| !self.is_concerned(response);
        if !reply.as_ready().is_some_and(is_done) {
            let encoders = self.clone();
            reply = reply.then(move |response| encoders.compress_response(accepted, response));
        }
        reply
    }

    fn describe(&self) -> Description {
        let coding = |pool: &Arc<EncoderPool>| format!("{} {}", pool.coding().name(), pool.level());
        let codings = self.pools.iter().map(coding);
        Description::new("Compression")
            .option("codings", codings.collect::<OptionValue>())
            .option("min_size", OptionValue::size(self.options.min_size))
    }
}

impl Encoders {
    /// Reads what the client accepts, and restores its conditions to the application's tags.
    fn read(&self, request: &mut Request) -> Result<AcceptedEncodings, NotAcceptable> {
        let values = accepted_encodings(request.headers());
        if self.options.strict
            && negotiate(request.headers().get_all(ACCEPT_ENCODING), &self.names)
                == Negotiated::NotAcceptable
        {
            return Err(NotAcceptable);
        }
        let conditions = match self.options.etags {
            Etags::Weaken => None,
            Etags::PerCoding => self.restore_conditions(&values, request.headers_mut()),
        };
        Ok(AcceptedEncodings {
            values,
            is_head: request.method() == Method::HEAD,
            conditions,
        })
    }

    fn restore_conditions(
        &self,
        values: &HeaderValues,
        headers: &mut HeaderMap,
    ) -> Option<Box<(HeaderMap, Coding)>> {
        let chosen = self.choose(values).map(|pool| pool.coding());
        let mut before = HeaderMap::new();
        for line in headers.get_all(IF_NONE_MATCH) {
            before.append(IF_NONE_MATCH, line.clone());
        }
        etag::restore_conditions(headers, chosen, &self.options.codings);
        chosen.map(|coding| Box::new((before, coding)))
    }

    /// Returns the coding that the client prefers.
    fn choose(&self, values: &HeaderValues) -> Option<&Arc<EncoderPool>> {
        match negotiate(values.as_slice(), &self.names) {
            Negotiated::Coding(name) => {
                let mut pools = self.pools.iter();
                pools.find(|pool| pool.coding().name() == name)
            }
            Negotiated::Identity | Negotiated::NotAcceptable => None,
        }
    }

    /// Whether the response could be compressed, or stands for one that could.
    fn is_concerned(&self, response: &Response) -> bool {
        let options = &self.options;
        options.is_worth_compressing(response)
            || policy::stands_for_compressed(response, options.min_size, &*options.predicate)
    }

    /// Compresses the response if possible and if the client accepts it.
    fn compress_response(&self, accepted: AcceptedEncodings, mut response: Response) -> Reply {
        if !self.is_concerned(&response) {
            return response.into();
        }
        vary_add(response.headers_mut(), &ACCEPT_ENCODING);
        if response.status() == StatusCode::NOT_MODIFIED
            && let Some(conditions) = &accepted.conditions
        {
            let (before, coding) = &**conditions;
            etag::mark_not_modified(response.headers_mut(), before, *coding);
        }
        match self.choose(&accepted.values) {
            Some(pool) if self.options.is_worth_compressing(&response) => {
                self.compress(pool, accepted.is_head, response)
            }
            _ => response.into(),
        }
    }

    fn compress(&self, pool: &Arc<EncoderPool>, is_head: bool, response: Response) -> Reply {
        let (mut parts, body) = response.into_parts();
        let whole = if is_head {
            Err(body)
        } else {
            body.try_into_bytes()
        };
        match whole {
            Ok(content) => self.compress_whole(pool, parts, content),
            Err(stream) => {
                policy::mark_compressed(&mut parts.headers, pool.coding(), self.options.etags);
                let compressed = CompressedBody::new(stream, pool.clone(), self.options.flush);
                Response::from_parts(parts, Body::new(compressed)).into()
            }
        }
    }

    /// Compresses content that is completely in memory, or finds it in the memo.
    fn compress_whole(&self, pool: &Arc<EncoderPool>, parts: Parts, content: Bytes) -> Reply {
        let head = ResponseHead {
            parts,
            coding: pool.coding(),
            etags: self.options.etags,
        };
        let length = content.len();
        let missing = match self
            .options
            .memo
            .as_ref()
            .map(|memo| memo.find(pool, &content))
        {
            Some(Ok(compressed)) => return head.with(compressed).into(),
            Some(Err(missing)) => Some(missing),
            None => None,
        };
        let pool = pool.clone();
        let compress = move || {
            let compressed = pool.encode(&content).map(Bytes::from);
            if let (Ok(compressed), Some(missing)) = (&compressed, missing) {
                missing.keep(&content, compressed);
            }
            // If no encoder can be made, plain content is better than none.
            compressed.map_err(|_| content)
        };
        if length < OFFLOAD_FROM {
            return head.with_result(compress()).into();
        }
        Reply::from_future(async move { head.with_result(blocking::unblock(compress).await) })
    }
}

/// The head of a response whose content is compressed as a whole.
struct ResponseHead {
    parts: Parts,
    coding: Coding,
    etags: Etags,
}

impl ResponseHead {
    fn with(mut self, compressed: Bytes) -> Response {
        policy::mark_compressed(&mut self.parts.headers, self.coding, self.etags);
        self.parts
            .headers
            .insert(CONTENT_LENGTH, compressed.len().into());
        Response::from_parts(self.parts, compressed.into())
    }

    /// Adds the compressed content, or the plain one.
    fn with_result(self, compressed: Result<Bytes, Bytes>) -> Response {
        match compressed {
            Ok(compressed) => self.with(compressed),
            Err(plain) => Response::from_parts(self.parts, plain.into()),
        }
    }
}

fn not_acceptable() -> Response {
    let mut response = HttpError::new(StatusCode::NOT_ACCEPTABLE).into_response();
    vary_add(response.headers_mut(), &ACCEPT_ENCODING);
    response
}

#[cfg(test)]
mod tests;
