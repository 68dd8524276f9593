//! Calls functions of one's own at the stations of a request.

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

/// Calls functions of one's own at the stations of a request: it came, its answer began, its answer ended, it failed.
///
/// | | is called |
/// |---|---|
/// | [`on_request`](Inspect::on_request) | with the request, before the application is |
/// | [`on_response`](Inspect::on_response) | with the head of the answer, when it is there |
/// | [`on_body_end`](Inspect::on_body_end) | once, when the body of the answer has ended, however it did |
/// | [`on_error`](Inspect::on_error) | with each [`Failure`], before the station that it belongs to |
///
/// All but the first also have the [`Exchange`]: which request it was, its status, and the time since it came. An answer
/// is a failure where it was made of an [`HttpError`], whatever its status; a bare status, such as the 404 of a router, is
/// none. Each function can be set once; a second one replaces the first. They see and change nothing: whoever wants to
/// change something writes a wrapper.
///
/// They run where the request does, so they must not block; one that panics does so in the place of the application.
///
/// A body that is in memory stays there. A stream is looked at frame by frame where there is an `on_error`, so that it can
/// be told why it failed.
///
/// # Order
///
/// It sees what passes its place: put it where the question is.
///
/// # Example
///
/// ```
/// use std::sync::mpsc;
///
/// use enfilade_core::{Application, HttpError, Request};
/// use enfilade_middleware::{Failure, Inspect};
/// use enfilade_testing::Client;
///
/// let (sender, told) = mpsc::channel();
/// let (bodies, errors) = (sender.clone(), sender.clone());
/// let inspect = Inspect::new()
///     .on_request(move |request| sender.send(format!("-> {}", request.path())).unwrap())
///     .on_body_end(move |exchange, end| {
///         let line = format!("<- {} {}: {} bytes", exchange.method(), exchange.uri(), end.bytes());
///         bodies.send(line).unwrap();
///     })
///     .on_error(move |_, failure| {
///         if let Failure::Answer(error) = failure {
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
/// let told: Vec<_> = told.try_iter().collect();
/// assert_eq!(
///     told,
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
    /// Calls nothing yet.
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

    /// Calls `inspect` with the head of each answer; its body is there, and not yet sent.
    pub fn on_response(
        mut self,
        inspect: impl Fn(&Exchange, &Response) + Send + Sync + 'static,
    ) -> Self {
        self.on_response = Some(Arc::new(inspect));
        self
    }

    /// Calls `inspect` when the body of an answer was sent, failed, or was dropped because the client had gone.
    pub fn on_body_end(
        mut self,
        inspect: impl Fn(&Exchange, BodyEnd) + Send + Sync + 'static,
    ) -> Self {
        self.on_body_end = Some(Arc::new(inspect));
        self
    }

    /// Calls `inspect` with what goes wrong; a request may have an error as its answer, and a body that fails.
    pub fn on_error(
        mut self,
        inspect: impl Fn(&Exchange, &Failure<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.on_error = Some(Arc::new(inspect));
        self
    }

    /// Sets the timer of [`Exchange::elapsed`]: it returns the time since any moment and must not run backward.
    ///
    /// By default it is the system's monotonic clock; tests fix it.
    pub fn timer(mut self, elapsed: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.timer = Timer::new(elapsed);
        self
    }

    fn fail(&self, exchange: &Exchange, failure: &Failure<'_>) {
        if let Some(inspect) = &self.on_error {
            inspect(exchange, failure);
        }
    }

    /// The names of what is called, for people.
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
        let unanswered = UnansweredRequest {
            exchange: Exchange::new(&request, &self.timer),
            options: self.clone(),
        };
        inner
            .call(request)
            .map(move |response| unanswered.watch(response))
    }

    fn describe(&self) -> Description {
        Description::new("Inspect").option("calls on", self.hooks())
    }
}

/// A request that is looked at, as it was when it came.
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

    /// The method of the request.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The target of the request, as it was received.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The status of the answer; none before there is one.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// The time since the request came.
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

/// What went wrong with a request.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure<'a> {
    /// The application answered with an error, of any status; the cause is in it. Nothing of it need reach the client.
    Answer(&'a HttpError),
    /// The body of the answer failed, and the client sees that it is not whole.
    Body(&'a BodyError),
    /// The request was given up before there was an answer: the client has gone, or somebody outside did not wait.
    Abandoned,
    /// The application panicked; a gateway answers 500.
    Panicked,
}

impl fmt::Display for Failure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Answer(error) => write!(f, "answered {error}"),
            Failure::Body(error) => error.fmt(f),
            Failure::Abandoned => f.write_str("given up before there was an answer"),
            Failure::Panicked => f.write_str("the application panicked"),
        }
    }
}

/// A request that is on its way; dropped before it has an answer, it tells that.
struct UnansweredRequest {
    exchange: Exchange,
    options: Arc<Inspect>,
}

impl UnansweredRequest {
    fn watch(mut self, mut response: Response) -> Response {
        self.exchange.status = Some(response.status());
        let (exchange, options) = (self.exchange.clone(), self.options.clone());
        drop(self);
        if let Some(error) = response.extensions().get::<Arc<HttpError>>() {
            options.fail(&exchange, &Failure::Answer(error));
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

impl Drop for UnansweredRequest {
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
