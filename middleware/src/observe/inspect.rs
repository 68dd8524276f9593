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
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::{Context, Waker};

    use enfilade_core::{Body, IntoResponse};
    use enfilade_testing::{Client, Lint, laws};

    use super::*;

    #[derive(Clone, Default)]
    struct RecordedLines(Arc<Mutex<Vec<String>>>);

    impl RecordedLines {
        fn record(&self, line: String) {
            self.0.lock().unwrap().push(line);
        }

        fn lines(&self) -> Vec<String> {
            std::mem::take(&mut self.0.lock().unwrap())
        }
    }

    fn line(exchange: &Exchange) -> String {
        let status = exchange
            .status()
            .map_or("-".to_owned(), |status| status.as_u16().to_string());
        let (method, uri) = (exchange.method(), exchange.uri());
        format!("{method} {uri} {status} {}s", exchange.elapsed().as_secs())
    }

    /// Tells of every station; each look at the time takes a second.
    fn inspect(recorded: &RecordedLines) -> Inspect {
        let seconds = AtomicU32::new(0);
        let timer = move || Duration::from_secs(seconds.fetch_add(1, Ordering::Relaxed).into());
        let (first, second, third, fourth) = (
            recorded.clone(),
            recorded.clone(),
            recorded.clone(),
            recorded.clone(),
        );
        Inspect::new()
            .timer(timer)
            .on_request(move |request| first.record(format!("request {}", request.path())))
            .on_response(move |exchange, response| {
                let length = response.body().known_length();
                second.record(format!("head {} {length:?}", line(exchange)));
            })
            .on_body_end(move |exchange, end| {
                third.record(format!(
                    "end {} {:?} {}",
                    line(exchange),
                    end.outcome(),
                    end.bytes()
                ));
            })
            .on_error(move |exchange, failure| {
                fourth.record(format!("error {} {failure}", line(exchange)));
            })
    }

    fn linted(app: Application, recorded: &RecordedLines) -> Client {
        let app = app
            .wrap(Lint::new())
            .wrap(inspect(recorded))
            .wrap(Lint::new());
        Client::new(app)
    }

    #[test]
    fn every_station_is_called_once_and_in_order() {
        let recorded = RecordedLines::default();
        let ready = Application::new(|_: Request| "text");
        let pending = Application::new(async |_: Request| Body::from_iterator(["te", "xt"]));
        for (app, length) in [(ready, "Some(4)"), (pending, "None")] {
            linted(app, &recorded).get("/a?b").send();
            let expected = [
                "request /a".to_owned(),
                format!("head GET /a?b 200 1s {length}"),
                "end GET /a?b 200 2s Complete 4".to_owned(),
            ];
            assert_eq!(recorded.lines(), expected);
        }
        linted(Application::new(|_: Request| "text"), &recorded)
            .head("/")
            .send();
        assert_eq!(recorded.lines()[2], "end HEAD / 200 2s Complete 0");
    }

    #[test]
    fn an_error_as_an_answer_is_told_with_its_status() {
        let recorded = RecordedLines::default();
        let app = Application::new(|request: Request| {
            let missing = request.path() == "/missing";
            match missing {
                true => StatusCode::NOT_FOUND.into_response(),
                false => HttpError::new(StatusCode::CONFLICT)
                    .message("taken")
                    .caused_by("a secret")
                    .into_response(),
            }
        });
        let client = linted(app, &recorded);
        assert_eq!(client.get("/").send().text(), "taken");
        assert_eq!(recorded.lines()[1], "error GET / 409 1s answered 409 taken");
        client.get("/missing").send();
        assert!(
            recorded
                .lines()
                .iter()
                .all(|line| !line.starts_with("error"))
        );
    }

    struct Failing;

    impl http_body::Body for Failing {
        type Data = bytes::Bytes;
        type Error = BodyError;

        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _context: &mut Context<'_>,
        ) -> enfilade_core::NextFrame {
            Poll::Ready(Some(Err(BodyError::new("cable cut"))))
        }
    }

    #[test]
    fn a_body_that_fails_is_told_once_with_its_cause() {
        let recorded = RecordedLines::default();
        let app = Application::new(|_: Request| Body::new(Failing));
        let response = linted(app, &recorded).get("/").send();
        assert!(response.body_error().is_some());
        assert_eq!(
            recorded.lines()[2..],
            [
                "error GET / 200 2s the body could not be read to its end",
                "end GET / 200 3s Failed 0",
            ]
        );
    }

    #[test]
    fn a_client_that_has_gone_is_no_failure_of_the_body() {
        let recorded = RecordedLines::default();
        let app = Application::new(|_: Request| Body::from_iterator(["te", "xt"]));
        let app = app.wrap(inspect(&recorded));
        let mut body = pollster::block_on(app.call(Request::get("/"))).into_body();
        drop(pollster::block_on(body.frame()));
        drop(body);
        assert_eq!(recorded.lines()[2..], ["end GET / 200 2s Dropped 2"]);
    }

    #[test]
    fn a_request_without_an_answer_is_told() {
        let pending = Application::new(async |_: Request| std::future::pending::<&str>().await);
        let panics = Application::new(|request: Request| match request.path() {
            "/" => panic!("on purpose"),
            _ => "x",
        });
        let late = Application::new(async |request: Request| match request.path() {
            "/" => panic!("on purpose"),
            _ => "x",
        });
        let panicked = "error GET / - 1s the application panicked";
        let given_up = "error GET / - 1s given up before there was an answer";
        for (app, expected) in [(pending, given_up), (panics, panicked), (late, panicked)] {
            let recorded = RecordedLines::default();
            let app = app.wrap(inspect(&recorded));
            let _ = catch_unwind(AssertUnwindSafe(|| {
                let mut response = std::pin::pin!(app.call(Request::get("/")).into_future());
                let mut context = Context::from_waker(Waker::noop());
                assert!(response.as_mut().poll(&mut context).is_pending());
            }));
            assert_eq!(recorded.lines(), ["request /", expected]);
        }
    }

    #[test]
    fn a_body_in_memory_stays_there_and_a_ready_reply_stays_ready() {
        let app = Application::new(|_: Request| "text").wrap(inspect(&RecordedLines::default()));
        let reply = app.call(Request::get("/"));
        let body = reply.as_ready().unwrap().body();
        assert_eq!(body.as_bytes().unwrap(), "text");
    }

    #[test]
    fn is_described_with_what_it_calls() {
        fn inner(_: Request) -> &'static str {
            "x"
        }
        let inspect = Inspect::new().on_request(|_| ()).on_error(|_, _| ());
        let app = Application::new(inner).wrap(inspect);
        assert_eq!(
            app.describe().to_string(),
            "Inspect (calls on: [request, error])\n└─ inner\n"
        );
    }

    #[test]
    fn keeps_the_laws() {
        laws::check(inspect(&RecordedLines::default()));
    }
}
