//! Reports how long a response took.

mod entries;

use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use enfilade_core::headers::is_token;
use enfilade_core::{
    Application, Description, Middleware, OptionValue, Reply, Request, Wrapper, wrapped,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use self::entries::{ROOM, push_entry};
pub use self::entries::{ServerTiming, Stopwatch};
use crate::error::Error;
use crate::error::ErrorKind;
use crate::shared::monotonic::Timer;

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
const X_RUNTIME: HeaderName = HeaderName::from_static("x-runtime");

/// The default limit of entries.
const ENTRIES: usize = 32;

/// Reports how long a response took: in `Server-Timing`, which browsers show, and in `X-Runtime`.
///
/// `Server-Timing` has an entry for the total time, in milliseconds, and the entries that inner components add to the
/// request's [`ServerTiming`]: how long the database took, whether the cache was hit. `X-Runtime` has the seconds with
/// six decimals.
///
/// The measurement ends with the head of the response, because the headers are sent with it: the time to make and send
/// a body is not included. If an application panics or a request is aborted, nothing is added.
///
/// If the application sets `Server-Timing`, its value stays and a second field value is added. Its `X-Runtime` stays
/// unchanged.
///
/// # Order
///
/// It measures everything inside it. If there are two, each adds its own field value, and components inside both add to
/// the inner one: use different [names](Timing::name).
///
/// # Security
///
/// Timings reveal facts: whether a name is known, whether a page was in a cache, how a page is made. On a public site
/// show them only to people who need them: see [`shown_to`](Timing::shown_to).
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use std::time::Duration;
///
/// use enfilade::middleware::{ServerTiming, Timing};
/// use enfilade::{Application, Request};
///
/// let app = Application::new(|request: Request| {
///     ServerTiming::of(&request).add("db", Duration::from_micros(1_250));
///     "Hello"
/// });
/// // A timer of a test, which stands still.
/// let app = app.wrap(Timing::new().timer(|| Duration::from_secs(7)));
/// let response = pollster::block_on(app.call(Request::get("/")));
/// assert_eq!(response.headers()["server-timing"], "total;dur=0.000, db;dur=1.250");
/// assert_eq!(response.headers()["x-runtime"], "0.000000");
/// ```
///
/// Shown only to internal clients, and without `X-Runtime`:
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::Timing;
/// use enfilade::{Application, Request};
///
/// let inside = |request: &Request| request.client_address().is_some_and(|client| client.is_loopback());
/// let app = Application::new(|_: Request| "Hello");
/// let app = app.wrap(Timing::new().x_runtime(false).shown_to(inside));
/// let response = pollster::block_on(app.call(Request::get("/")));
/// assert!(!response.headers().contains_key("server-timing"));
/// ```
#[derive(Clone)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct Timing {
    name: String,
    server_timing: bool,
    x_runtime: bool,
    limit: usize,
    timer: Timer,
    shown_to: Option<Arc<dyn Fn(&Request) -> bool + Send + Sync>>,
}

impl Timing {
    /// Sends both headers, to every client.
    pub fn new() -> Self {
        Timing {
            name: "total".to_owned(),
            server_timing: true,
            x_runtime: true,
            limit: ENTRIES,
            timer: Timer::default(),
            shown_to: None,
        }
    }

    /// Sets the name of the entry for the total time; `total` by default.
    ///
    /// # Errors
    ///
    /// If it is not a token (RFC 9110, section 5.6.2).
    pub fn name(mut self, name: impl Into<String>) -> Result<Self, Error> {
        self.name = name.into();
        if !is_token(&self.name) {
            let message = format!("{:?} is not a token", self.name);
            return Err(Error::new(ErrorKind::MetricName, message));
        }
        Ok(self)
    }

    /// Sets whether `Server-Timing` is sent; on by default.
    ///
    /// If off, entries of components go to a `Timing` outside, if there is one.
    pub fn server_timing(mut self, is_sent: bool) -> Self {
        self.server_timing = is_sent;
        self
    }

    /// Sets whether `X-Runtime` is sent; on by default.
    pub fn x_runtime(mut self, is_sent: bool) -> Self {
        self.x_runtime = is_sent;
        self
    }

    /// Sets how many entries components may add to a response; 32 by default. Further ones are left out.
    pub fn limit(mut self, entries: usize) -> Self {
        self.limit = entries;
        self
    }

    /// Sets the timer, which returns the time since any moment and must not run backward.
    ///
    /// By default it is the system's monotonic clock; tests use a fixed one.
    pub fn timer(mut self, elapsed: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.timer = Timer::new(elapsed);
        self
    }

    /// Adds the headers only if `filter` returns `true` for the request; by default all clients get them.
    pub fn shown_to(mut self, filter: impl Fn(&Request) -> bool + Send + Sync + 'static) -> Self {
        self.shown_to = Some(Arc::new(filter));
        self
    }

    fn is_shown_to(&self, request: &Request) -> bool {
        self.shown_to.as_ref().is_none_or(|filter| filter(request))
    }

    fn write(&self, headers: &mut HeaderMap, elapsed: Duration, timings: &ServerTiming) {
        if self.server_timing {
            let mut text = String::with_capacity(ROOM);
            push_entry(&mut text, &self.name, None, Some(elapsed));
            timings.write_to(&mut text);
            let value = HeaderValue::try_from(text).expect("tokens, and quoted visible ASCII");
            headers.append(SERVER_TIMING, value);
        }
        if self.x_runtime && !headers.contains_key(X_RUNTIME) {
            let mut text = String::with_capacity(32);
            let _ = write!(text, "{}.{:06}", elapsed.as_secs(), elapsed.subsec_micros());
            let value = HeaderValue::try_from(text).expect("only digits and a dot");
            headers.insert(X_RUNTIME, value);
        }
    }
}

impl Default for Timing {
    fn default() -> Self {
        Timing::new()
    }
}

impl fmt::Debug for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timing")
            .field("name", &self.name)
            .field("server_timing", &self.server_timing)
            .field("x_runtime", &self.x_runtime)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl Middleware for Timing {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl Wrapper for Timing {
    fn call(self: &Arc<Self>, inner: &Application, mut request: Request) -> Reply {
        if !self.is_shown_to(&request) {
            return inner.call(request);
        }
        let options = self.clone();
        let mut timings = ServerTiming::default();
        if options.server_timing {
            timings = ServerTiming::new(options.timer.clone(), options.limit);
            request.extensions_mut().insert(timings.clone());
        }
        let started = options.timer.start();
        inner.call(request).update(move |response| {
            let elapsed = options.timer.since(started);
            options.write(response.headers_mut(), elapsed, &timings);
        })
    }

    fn describe(&self) -> Description {
        let headers = [
            (self.server_timing, SERVER_TIMING),
            (self.x_runtime, X_RUNTIME),
        ];
        let sent = headers.iter().filter(|(is_sent, _)| *is_sent);
        let sent = sent.map(|(_, name)| name);
        Description::new("Timing")
            .option("headers", sent.collect::<OptionValue>())
            .option("name", &self.name)
    }
}

#[cfg(test)]
mod tests;
