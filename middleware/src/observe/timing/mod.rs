//! Tells how long an answer took.

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

/// How many entries components may add, unless an option says otherwise.
const ENTRIES: usize = 32;

/// Tells with every answer how long it took: in `Server-Timing`, which browsers show, and in `X-Runtime`.
///
/// `Server-Timing` has an entry for the whole, in milliseconds, and those that components inside add to the request's
/// [`ServerTiming`]: how long the database took, whether the cache had it. `X-Runtime` has the seconds with six decimals.
///
/// What is measured ends where the head of the answer is there, as the headers go out with it: the time that it takes to
/// make and to send a body is not in it. Nothing is added where an application panics, or where a request is given up.
///
/// A `Server-Timing` of the application stays, and gets a second line; its `X-Runtime` stays as it is.
///
/// # Order
///
/// What it stands outside of is measured. Of two, each has a line of its own, and components inside both add to the inner
/// one: give them different [names](Timing::name).
///
/// # Security
///
/// Timings tell things: whether a name is known, whether a page was in a cache, what a page is made of. Whoever serves
/// the public shows them to those who need them: see [`shown_to`](Timing::shown_to).
///
/// # Example
///
/// ```
/// use std::time::Duration;
///
/// use enfilade_core::{Application, Request};
/// use enfilade_middleware::{ServerTiming, Timing};
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
/// Shown to one's own people, and without `X-Runtime`:
///
/// ```
/// use enfilade_core::{Application, Request};
/// use enfilade_middleware::Timing;
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
    /// Both headers, to everybody.
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

    /// The name of the entry for the whole; `total` by default.
    ///
    /// # Errors
    ///
    /// Where it is no token (RFC 9110, section 5.6.2).
    pub fn name(mut self, name: impl Into<String>) -> Result<Self, Error> {
        self.name = name.into();
        if !is_token(&self.name) {
            let message = format!("{:?} is not a token", self.name);
            return Err(Error::new(ErrorKind::MetricName, message));
        }
        Ok(self)
    }

    /// Whether there is a `Server-Timing`; there is one by default. Without it, what components
    /// add goes to a `Timing` further out, if there is one.
    pub fn server_timing(mut self, is_sent: bool) -> Self {
        self.server_timing = is_sent;
        self
    }

    /// Whether there is an `X-Runtime`; there is one by default.
    pub fn x_runtime(mut self, is_sent: bool) -> Self {
        self.x_runtime = is_sent;
        self
    }

    /// How many entries components may add to an answer; 32 by default. Those that come after them are left out.
    pub fn limit(mut self, entries: usize) -> Self {
        self.limit = entries;
        self
    }

    /// Sets the timer: it returns the time since any moment and must not run backward.
    ///
    /// By default it is the system's monotonic clock; tests fix it.
    pub fn timer(mut self, elapsed: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.timer = Timer::new(elapsed);
        self
    }

    /// Adds the headers only where `filter` says so of the request; everybody sees them by default.
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
