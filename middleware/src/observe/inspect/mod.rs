//! Calls your own functions at each stage of a request.

use std::fmt;
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use enfilade_core::{
    Application, BodyEnd, BodyError, Description, HttpError, Middleware, Reply, Request, Response,
    Wrapper, wrapped,
};
use http::{Method, StatusCode, Uri};

use crate::shared::monotonic::{Timer, TimerInstant};

/// Calls your own functions when a request arrives, gets a response, ends or fails.
///
/// | | is called |
/// |---|---|
/// | [`on_request`](Inspect::on_request) | with the request, before the application is called |
/// | [`on_response`](Inspect::on_response) | with the head of the response, when it is available |
/// | [`on_body_end`](Inspect::on_body_end) | once, when the response body has ended in any way |
/// | [`on_error`](Inspect::on_error) | with each [`Failure`], before the function of the same stage |
///
/// All but the first also get the [`Exchange`]: the request, its status, and the time since it arrived. A response is a
/// failure if it was made from an [`HttpError`], whatever its status; a plain status, such as the 404 of a router, is
/// not a failure. Each function can be set once; a second one replaces the first. They only read: to change something,
/// write a wrapper.
///
/// They run on the request's thread, so they must not block. If one panics, it is as if the application panicked.
///
/// A body in memory stays in memory. With `on_error`, a stream is inspected frame by frame, to get the error if it
/// fails.
///
/// # Order
///
/// It sees what passes its place in the stack: put it where you want to look.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use std::sync::mpsc;
///
/// use enfilade::middleware::{Failure, Inspect};
/// use enfilade::{Application, HttpError, Request};
/// use enfilade_testing::Client;
///
/// let (sender, events) = mpsc::channel();
/// let (bodies, errors) = (sender.clone(), sender.clone());
/// let inspect = Inspect::new()
///     .on_request(move |request| sender.send(format!("-> {}", request.path())).unwrap())
///     .on_body_end(move |exchange, end| {
///         let line = format!("<- {} {}: {} bytes", exchange.method(), exchange.uri(), end.bytes());
///         bodies.send(line).unwrap();
///     })
///     .on_error(move |_, failure| {
///         if let Failure::Error(error) = failure {
///             errors.send(format!("!! {}", error.source().unwrap())).unwrap();
///         }
///     });
/// let app = Application::new(|request: Request| -> Result<String, HttpError> {
///     let number: u64 = request.path().trim_start_matches('/').parse()?;
///     Ok(number.to_string())
/// });
/// let client = Client::new(app.wrap(inspect));
/// client.get("/42").send();
/// client.get("/x").send();
/// let events: Vec<_> = events.try_iter().collect();
/// assert_eq!(
///     events,
///     [
///         "-> /42",
///         "<- GET /42: 2 bytes",
///         "-> /x",
///         "!! invalid digit found in string",
///         "<- GET /x: 21 bytes",
///     ],
/// );
/// ```
#[derive(Clone)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct Inspect {
    timer: Timer,
    on_request: Option<Arc<dyn Fn(&Request) + Send + Sync>>,
    on_response: Option<Arc<dyn Fn(&Exchange, &Response) + Send + Sync>>,
    on_body_end: Option<Arc<dyn Fn(&Exchange, BodyEnd) + Send + Sync>>,
    on_error: Option<Arc<dyn Fn(&Exchange, &Failure<'_>) + Send + Sync>>,
}

impl Inspect {
    /// Starts without functions.
    pub fn new() -> Self {
        Inspect {
            timer: Timer::default(),
            on_request: None,
            on_response: None,
            on_body_end: None,
            on_error: None,
        }
    }

    /// Calls `inspect` with each request, before the application is called.
    pub fn on_request(mut self, inspect: impl Fn(&Request) + Send + Sync + 'static) -> Self {
        self.on_request = Some(Arc::new(inspect));
        self
    }

    /// Calls `inspect` with the head of each response; its body exists, but is not sent yet.
    pub fn on_response(
        mut self,
        inspect: impl Fn(&Exchange, &Response) + Send + Sync + 'static,
    ) -> Self {
        self.on_response = Some(Arc::new(inspect));
        self
    }

    /// Calls `inspect` when a response body was sent, failed, or was dropped because the client disconnected.
    pub fn on_body_end(
        mut self,
        inspect: impl Fn(&Exchange, BodyEnd) + Send + Sync + 'static,
    ) -> Self {
        self.on_body_end = Some(Arc::new(inspect));
        self
    }

    /// Calls `inspect` with each failure; a request may have both an error response and a body that fails.
    pub fn on_error(
        mut self,
        inspect: impl Fn(&Exchange, &Failure<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.on_error = Some(Arc::new(inspect));
        self
    }

    /// Sets the timer of [`Exchange::elapsed`], which returns the time since any moment and must not run backward.
    ///
    /// By default it is the system's monotonic clock; tests use a fixed one.
    pub fn timer(mut self, elapsed: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.timer = Timer::new(elapsed);
        self
    }

    fn fail(&self, exchange: &Exchange, failure: &Failure<'_>) {
        if let Some(inspect) = &self.on_error {
            inspect(exchange, failure);
        }
    }

    /// The names of the functions that are set, for the description.
    fn hooks(&self) -> Vec<&'static str> {
        let hooks = [
            ("request", self.on_request.is_some()),
            ("response", self.on_response.is_some()),
            ("body end", self.on_body_end.is_some()),
            ("error", self.on_error.is_some()),
        ];
        let set = hooks.into_iter().filter(|(_, is_set)| *is_set);
        set.map(|(name, _)| name).collect()
    }
}

impl Default for Inspect {
    fn default() -> Self {
        Inspect::new()
    }
}

impl fmt::Debug for Inspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inspect({})", self.hooks().join(", "))
    }
}

impl Middleware for Inspect {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl Wrapper for Inspect {
    fn call(self: &Arc<Self>, inner: &Application, request: Request) -> Reply {
        if let Some(inspect) = &self.on_request {
            inspect(&request);
        }
        let waiting = PendingRequest {
            exchange: Exchange::new(&request, &self.timer),
            options: self.clone(),
        };
        inner
            .call(request)
            .map(move |response| waiting.watch(response))
    }

    fn describe(&self) -> Description {
        Description::new("Inspect").option("calls on", self.hooks())
    }
}

/// An inspected request, as it arrived.
#[derive(Clone)]
pub struct Exchange {
    method: Method,
    uri: Uri,
    status: Option<StatusCode>,
    started: TimerInstant,
    timer: Timer,
}

impl Exchange {
    fn new(request: &Request, timer: &Timer) -> Exchange {
        Exchange {
            method: request.method().clone(),
            uri: request.uri().clone(),
            status: None,
            started: timer.start(),
            timer: timer.clone(),
        }
    }

    /// Returns the method of the request.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Returns the target of the request, as received.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Returns the status of the response; `None` before there is one.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// Returns the time since the request arrived.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.timer.since(self.started)
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("method", &self.method)
            .field("uri", &self.uri)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// A failure of a request.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure<'a> {
    /// The application responded with an error, of any status; it has the cause. The client need not see any of it.
    Error(&'a HttpError),
    /// The response body failed, and the client notices that it is incomplete.
    Body(&'a BodyError),
    /// The request was aborted before there was a response: the client disconnected, or an outer wrapper stopped
    /// waiting.
    Abandoned,
    /// The application panicked; a gateway responds with 500.
    Panicked,
}

impl fmt::Display for Failure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Error(error) => write!(f, "responded with {error}"),
            Failure::Body(error) => error.fmt(f),
            Failure::Abandoned => f.write_str("aborted before there was a response"),
            Failure::Panicked => f.write_str("the application panicked"),
        }
    }
}

/// A request in progress; if it is dropped before it has a response, it reports that.
struct PendingRequest {
    exchange: Exchange,
    options: Arc<Inspect>,
}

impl PendingRequest {
    fn watch(mut self, mut response: Response) -> Response {
        self.exchange.status = Some(response.status());
        let (exchange, options) = (self.exchange.clone(), self.options.clone());
        drop(self);
        if let Some(error) = response.extensions().get::<Arc<HttpError>>() {
            options.fail(&exchange, &Failure::Error(error));
        }
        if let Some(inspect) = &options.on_response {
            inspect(&exchange, &response);
        }
        let mut body = std::mem::take(response.body_mut());
        if options.on_error.is_some() {
            let (exchange, options) = (exchange.clone(), options.clone());
            body = body.inspect_frames(move |next| {
                let frame = next();
                if let Poll::Ready(Some(Err(error))) = &frame {
                    options.fail(&exchange, &Failure::Body(error));
                }
                frame
            });
        }
        if let Some(inspect) = options.on_body_end.clone() {
            body = body.on_end(move |end| inspect(&exchange, end));
        }
        *response.body_mut() = body;
        response
    }
}

impl Drop for PendingRequest {
    fn drop(&mut self) {
        if self.exchange.status.is_none() {
            let failure = match thread::panicking() {
                true => Failure::Panicked,
                false => Failure::Abandoned,
            };
            self.options.fail(&self.exchange, &failure);
        }
    }
}

#[cfg(test)]
mod tests;
