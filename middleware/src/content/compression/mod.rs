//! Compresses responses.

mod encoder;
mod encoders;
mod etag;
mod memo;
mod policy;
mod pool;
mod stream;

use std::fmt;
use std::sync::Arc;

use enfilade_core::{Application, Middleware, Response, wrapped};

use self::encoders::Encoders;
use self::memo::Memo;
pub use self::memo::MemoUsage;
use self::pool::EncoderPool;
use crate::content::coding::Coding;

/// A shorter response fits into one packet, compressed or not.
const MIN_SIZE: u64 = 860;

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
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::Compression;
/// use enfilade::{Application, Request};
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
    /// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
    /// use enfilade::middleware::{Compression, Etags};
    /// use enfilade::{Application, Request};
    /// use enfilade_testing::Client;
    ///
    /// let app = Application::new(|request: Request| {
    ///     let asked = request.headers().get("if-none-match");
    ///     let is_same = asked.is_some_and(|tags| tags.to_str().unwrap().split(", ").any(|tag| tag == "\"v1\""));
    ///     let status = if is_same { 304 } else { 200 };
    ///     let body = if status == 200 { "la ".repeat(1_000) } else { String::new() };
    ///     let status = enfilade::http::StatusCode::from_u16(status).unwrap();
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
    /// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
    /// use enfilade::middleware::Compression;
    /// use enfilade::{Application, Request};
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

#[cfg(test)]
mod tests;
