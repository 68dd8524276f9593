//! Codes the content of answers with gzip or deflate.

mod coder;
mod negotiation;
mod policy;
mod stream;

use std::fmt;
use std::sync::Arc;

use enfilade_core::headers::{has_token, vary_add};
use enfilade_core::{
    Application, Body, Description, Handler, IntoResponse, Middleware, Reply, Request, Response,
};
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_LENGTH};
use http::{Method, StatusCode};

pub use self::coder::Coding;
pub use self::negotiation::{Negotiated, negotiate_coding};
use self::stream::Coded;

/// Below this many bytes an answer fits into one packet either way.
const MIN_SIZE: u64 = 860;
/// zlib's scale from 0 to 9; 6 is what most others use.
const LEVEL: u32 = 6;
/// Bodies in memory up to this size are coded at once; longer ones piece by piece, so that others have their turn.
const AT_ONCE: usize = 64 * 1024;

/// Codes the content of answers, as the client's `Accept-Encoding` asks.
///
/// A body in memory is coded at once and gets its exact `Content-Length`; a stream is coded as it passes, and what came
/// so far is brought out whenever the stream pauses, so event streams arrive in time. Trailers pass. A stream that fails
/// ends as a failure, never as valid content.
///
/// Every answer that could have been coded has `Vary: Accept-Encoding`, also where this client did not want it. A coded
/// answer loses what was true of the old bytes alone: `Content-Length`, `Accept-Ranges`, `Content-MD5` and the digests;
/// a strong `ETag` becomes weak.
///
/// Not coded are: 1xx, 204, 205, 206 and 304, answers with a `Content-Range` or a `Content-Encoding`, those that
/// `Cache-Control: no-transform` in the request or the answer forbids, those known to be shorter than
/// [`min_size`](Compression::min_size), and [types](Compression::only_if) that do not gain.
///
/// The answer to HEAD has the headers of GET but for `Content-Length`, as nothing is coded for it.
///
/// # Order
///
/// Inside a log that should count what is sent, outside of whatever makes or reads plain content.
///
/// # Security
///
/// An answer that has a secret beside text from the client tells the secret by its coded length (BREACH). Leave such
/// answers out with [`only_if`](Compression::only_if), or with `Cache-Control: no-transform`.
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
/// let coded = client.get("/").header("accept-encoding", "gzip, br").send();
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
    level: u32,
    min_size: u64,
    strict: bool,
    flush: Flush,
    gains: Gains,
}

type Gains = Arc<dyn Fn(&Response) -> bool + Send + Sync>;

/// When a coded stream brings out what it has so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flush {
    /// Whenever the inner stream has nothing more at the moment: what was written arrives.
    #[default]
    WhenPending,
    /// Only as the coder fills up and at the end: smaller, but late.
    Never,
}

impl Compression {
    /// gzip, then deflate; content of 860 bytes and more; level 6.
    pub fn new() -> Self {
        Compression {
            codings: vec![Coding::Gzip, Coding::Deflate],
            level: LEVEL,
            min_size: MIN_SIZE,
            strict: false,
            flush: Flush::default(),
            gains: Arc::new(|response| {
                policy::media_type(response.headers()).is_some_and(policy::is_compressible)
            }),
        }
    }

    /// The codings that are offered, the best first: where the client likes two equally, the earlier is taken.
    pub fn codings(mut self, codings: impl IntoIterator<Item = Coding>) -> Self {
        self.codings = codings.into_iter().collect();
        self
    }

    /// How hard to try, from 1 (fast) to 9 (small); 6 by default. Other numbers are brought into that range.
    pub fn level(mut self, level: u32) -> Self {
        self.level = level.clamp(1, 9);
        self
    }

    /// The least content, in bytes, that is coded; 860 by default. Nothing at all is never coded.
    pub fn min_size(mut self, bytes: u64) -> Self {
        self.min_size = bytes;
        self
    }

    /// Answers 406 where the client accepts none of the codings and refuses plain content too; off by default.
    ///
    /// The application is not called then. Without it such a client gets plain content, which RFC 9110, section
    /// 12.5.3, allows and most clients rather have.
    pub fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// When a coded stream brings out what it has so far; whenever it pauses by default.
    pub fn flush(mut self, flush: Flush) -> Self {
        self.flush = flush;
        self
    }

    /// Codes only these media types, compared without case and parameters.
    ///
    /// By default text, JSON, XML, JavaScript, SVG, WebAssembly and plain fonts are coded.
    pub fn content_types<T: Into<String>>(self, types: impl IntoIterator<Item = T>) -> Self {
        let types: Vec<String> = types.into_iter().map(Into::into).collect();
        self.only_if(move |response| {
            let found = policy::media_type(response.headers());
            found.is_some_and(|found| types.iter().any(|known| known.eq_ignore_ascii_case(found)))
        })
    }

    /// Codes only answers for which `gains` says so, in place of the list of media types.
    pub fn only_if(mut self, gains: impl Fn(&Response) -> bool + Send + Sync + 'static) -> Self {
        self.gains = Arc::new(gains);
        self
    }

    /// Codes the answer where that is allowed, wanted and worth it.
    fn apply(&self, wish: Wish, method: &Method, mut response: Response) -> Response {
        let could_be = policy::may_be_coded(&response)
            && policy::is_long_enough(&response, self.min_size)
            && (self.gains)(&response);
        // What a 304 stands for may have been coded (RFC 9110, section 15.4.5).
        if could_be || response.status() == StatusCode::NOT_MODIFIED {
            vary_add(response.headers_mut(), &ACCEPT_ENCODING);
        }
        match wish {
            Wish::Coded(coding) if could_be => self.encode(coding, method, response),
            _ => response,
        }
    }

    fn encode(&self, coding: Coding, method: &Method, response: Response) -> Response {
        let (mut parts, body) = response.into_parts();
        policy::mark_coded(&mut parts.headers, coding);
        let at_once = method != Method::HEAD
            && body
                .known_length()
                .is_some_and(|length| length <= AT_ONCE as u64);
        let body = if at_once {
            body.try_into_bytes()
        } else {
            Err(body)
        };
        let coded = match body {
            Ok(bytes) => {
                let coded = coder::encode_all(coding, self.level, &bytes);
                parts.headers.insert(CONTENT_LENGTH, coded.len().into());
                coded.into()
            }
            Err(stream) => Body::new(Coded::new(stream, coding, self.level, self.flush)),
        };
        Response::from_parts(parts, coded)
    }
}

#[derive(Clone, Copy)]
enum Wish {
    Coded(Coding),
    Plain,
    Nothing,
}

impl Default for Compression {
    fn default() -> Self {
        Compression::new()
    }
}

impl Middleware for Compression {
    fn wrap(self, app: Application) -> Application {
        Application::from_handler(Compressed {
            app,
            names: self.codings.iter().map(|coding| coding.name()).collect(),
            options: Arc::new(self),
        })
    }
}

impl fmt::Debug for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compression")
            .field("codings", &self.codings)
            .field("level", &self.level)
            .field("min_size", &self.min_size)
            .field("strict", &self.strict)
            .field("flush", &self.flush)
            .finish_non_exhaustive()
    }
}
#[derive(Clone)]
struct Compressed {
    app: Application,
    /// Of the codings, in their order.
    names: Vec<&'static str>,
    options: Arc<Compression>,
}

impl Compressed {
    /// Which coding this client wants, and whether it could do without.
    fn negotiate(&self, request: &Request) -> Wish {
        match negotiate_coding(request.headers(), &self.names) {
            Negotiated::Coding(_)
                if has_token(request.headers(), &CACHE_CONTROL, "no-transform") =>
            {
                Wish::Plain
            }
            Negotiated::Coding(name) => {
                let mut codings = self.options.codings.iter();
                codings
                    .find(|coding| coding.name() == name)
                    .map_or(Wish::Plain, |coding| Wish::Coded(*coding))
            }
            Negotiated::NotAcceptable if self.options.strict => Wish::Nothing,
            Negotiated::Identity | Negotiated::NotAcceptable => Wish::Plain,
        }
    }
}

impl Handler for Compressed {
    fn call(&self, request: Request) -> Reply {
        let wish = self.negotiate(&request);
        if matches!(wish, Wish::Nothing) {
            return Reply::new(not_acceptable());
        }
        let method = request.method().clone();
        let options = self.options.clone();
        self.app
            .call(request)
            .map(move |response| options.apply(wish, &method, response))
    }

    fn describe(&self) -> Description {
        Description::new("Compression")
            .option("codings", self.names.join(", "))
            .option("level", self.options.level)
            .option("min_size", self.options.min_size)
            .around(&self.app)
    }

    fn map_inner(&self, change: &mut dyn FnMut(Application) -> Application) -> Option<Application> {
        let app = change(self.app.clone());
        Some(Application::from_handler(Compressed {
            app,
            ..self.clone()
        }))
    }
}

fn not_acceptable() -> Response {
    let mut response = (StatusCode::NOT_ACCEPTABLE, "Not Acceptable").into_response();
    vary_add(response.headers_mut(), &ACCEPT_ENCODING);
    response
}

#[cfg(test)]
mod tests;
