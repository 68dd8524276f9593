//! Opens a span for each request, and propagates its trace.

mod span;

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};
use std::sync::Arc;
use std::task::Poll;
use std::thread;

use enfilade_core::{
    Application, BodyEnd, Description, HttpError, Middleware, Outcome, Reply, Request, Response,
    Wrapper, wrapped,
};
use http::Method;
use tracing::{Instrument, Span};

use self::span::{
    Blame, record_context, record_error, record_failure, record_name, record_status, span,
};
use crate::observe::trace_context::TraceContext;
use enfilade_core::MatchedPattern;
use enfilade_core::RouteWanted;

/// Opens a [`tracing`] span for each request, and propagates its trace to the application.
///
/// The fields of the span are those of OpenTelemetry's semantic conventions for HTTP servers:
///
/// | | |
/// |---|---|
/// | `http.request.method` | a method of RFC 9110 or RFC 5789, or `_OTHER` and the method in `http.request.method_original` |
/// | `url.scheme`, `url.path` | as the client used them; `url.query` only if [`query`](Trace::query) is set |
/// | `server.address`, `server.port` | the requested host |
/// | `client.address` | the [client](Request::client_address); `network.peer.address` and `.port` are the socket's |
/// | `network.protocol.version` | `1.0`, `1.1`, `2` or `3` |
/// | `user_agent.original` | the header |
/// | `http.route` | the [pattern](MatchedPattern) that a [`Router`](crate::Router) inside matched |
/// | `http.response.status_code` | the status |
/// | `http.response.body.size` | the bytes of the body that were actually sent |
/// | `error.type` | the status from 500 on; `body` if the body failed; `panic`; `cancelled` if the client disconnected |
/// | `otel.name` | the method and the route, such as `GET /users/{id}`; `HTTP` for an unknown method |
/// | `otel.kind`, `otel.status_code` | `server`; `ERROR` unless the client is at fault |
/// | `trace_id`, `span_id`, `parent_span_id` | those of the [`TraceContext`], for logs |
///
/// The application runs inside the span, and so does each poll of a streamed body. The span is closed when the body has
/// ended. The cause of an [`HttpError`] of 500 and above, and the error of a failed body, are reported in an event of
/// the level `ERROR` with the field `exception.message`.
///
/// The span has the name `HTTP request`, the level `INFO` and the target `enfilade`. If no subscriber is interested,
/// nothing is measured or wrapped, but the trace is still propagated.
///
/// # Traces
///
/// The W3C's `traceparent` and `tracestate` are read (see [`TraceContext`]), and passed on to the application with the
/// ID of this span. If a request has none, or a malformed one, a new trace starts. Inner components read the context
/// with [`TraceContext::of`], and pass it on with [`TraceContext::write_to`].
///
/// # Exporters
///
/// The subscriber decides where spans go. If it has IDs of its own, like `tracing-opentelemetry`, set the parent in
/// [`on_span`](Trace::on_span), which may also write its own `traceparent` into the request.
///
/// # Order
///
/// Outside everything that responds itself, so that its responses are in the span. Outside the router, because its
/// response has the pattern. Inside a [`ProxyFix`](crate::ProxyFix), which finds the client's address.
///
/// # Security
///
/// Queries contain secrets, and paths may contain them too. A client controls the ID of the trace, and whether it is
/// marked as sampled: at the edge of your network, use [`restart_traces`](Trace::restart_traces). Control characters in
/// text from a client are escaped, so that it cannot forge a line in a log.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::{Trace, TraceContext};
/// use enfilade::{Application, Request};
/// use enfilade_testing::Client;
///
/// let app = Application::new(|request: Request| {
///     let context = TraceContext::of(&request).unwrap();
///     // .. a request to another service, with `context.write_to(its.headers_mut())`
///     context.traceparent().to_str().unwrap().to_owned()
/// });
/// // An id of a test; by default they are random.
/// let client = Client::new(app.wrap(Trace::new().ids(|| 7)));
/// let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let response = client.get("/").header("traceparent", parent).send();
/// assert_eq!(response.text(), "00-0af7651916cd43dd8448eb211c80319c-0000000000000007-01");
/// let response = client.get("/").send();
/// assert_eq!(response.text(), "00-00000000000000000000000000000007-0000000000000007-02");
/// ```
#[derive(Clone)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct Trace {
    ids: Arc<dyn Fn() -> u128 + Send + Sync>,
    starts: bool,
    restarts: bool,
    query: Option<Arc<dyn Fn(&str) -> Option<String> + Send + Sync>>,
    on_span: Option<Arc<dyn Fn(&Span, &mut Request) + Send + Sync>>,
}

impl Trace {
    /// Continues the traces of clients, and starts one if it is missing; keeps queries out of spans.
    pub fn new() -> Self {
        Trace {
            ids: Arc::new(|| fastrand::u128(..)),
            starts: true,
            restarts: false,
            query: None,
            on_span: None,
        }
    }

    /// Sets whether a request without a trace starts one; on by default.
    ///
    /// If off, such a request has no [`TraceContext`], and its span no IDs.
    pub fn start_traces(mut self, starts: bool) -> Self {
        self.starts = starts;
        self
    }

    /// Sets whether each request starts a new trace, even if it has one; off by default.
    ///
    /// Use it at the edge, where clients are not trusted.
    pub fn restart_traces(mut self, restarts: bool) -> Self {
        self.restarts = restarts;
        self
    }

    /// Sets `url.query` to the result of `show`; omitted by default, because queries contain secrets.
    ///
    /// ```
    /// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
    /// use enfilade::middleware::Trace;
    ///
    /// // All of it, for a site that has none.
    /// let trace = Trace::new().query(|query| Some(query.to_owned()));
    /// ```
    pub fn query(mut self, show: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        self.query = Some(Arc::new(show));
        self
    }

    /// Calls `prepare` with each new span and its request, before the application is called.
    ///
    /// The request already has its [`TraceContext`], whose `parent_id` is the client's span. Use it to set the parent
    /// of a span in a system with its own IDs, and to write these IDs into the request. It is not called if no
    /// subscriber is interested in the span.
    pub fn on_span(
        mut self,
        prepare: impl Fn(&Span, &mut Request) + Send + Sync + 'static,
    ) -> Self {
        self.on_span = Some(Arc::new(prepare));
        self
    }

    /// Sets the source of IDs: random bits; the ID of a span uses the lower half.
    ///
    /// By default it is a fast generator per thread, which is not cryptographic; tests use a fixed one. An invalid ID
    /// of zero becomes one.
    pub fn ids(mut self, random: impl Fn() -> u128 + Send + Sync + 'static) -> Self {
        self.ids = Arc::new(random);
        self
    }

    /// The context for the span of this request.
    fn context(&self, request: &Request, is_recorded: bool) -> Option<TraceContext> {
        let parent = || TraceContext::from_headers(request.headers());
        let parent = (!self.restarts).then(parent).flatten();
        let root = || {
            let trace_id = NonZeroU128::new((self.ids)()).unwrap_or(NonZeroU128::MIN);
            TraceContext::root(trace_id, self.span_id()).sampled(is_recorded)
        };
        match parent {
            Some(parent) => Some(parent.child(self.span_id())),
            None => self.starts.then(root),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
    fn span_id(&self) -> NonZeroU64 {
        NonZeroU64::new((self.ids)() as u64).unwrap_or(NonZeroU64::MIN)
    }

    /// Opens the span, and stores its context in the request.
    fn open(&self, request: &mut Request) -> Span {
        let query = self.query.as_ref().zip(request.query_string());
        let query = query.and_then(|(show, query)| show(query));
        let span = span(request, query.as_deref());
        match self.context(request, !span.is_disabled()) {
            Some(context) => {
                record_context(&span, &context);
                context.write_to(request.headers_mut());
                request.extensions_mut().insert(context);
            }
            None => TraceContext::remove_from(request.headers_mut()),
        }
        if let Some(prepare) = self.on_span.as_ref().filter(|_| !span.is_disabled()) {
            prepare(&span, request);
        }
        span
    }
}

impl Default for Trace {
    fn default() -> Self {
        Trace::new()
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace")
            .field("start_traces", &self.starts)
            .field("restart_traces", &self.restarts)
            .field("query", &self.query.is_some())
            .finish_non_exhaustive()
    }
}

impl Middleware for Trace {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl Wrapper for Trace {
    fn call(self: &Arc<Self>, inner: &Application, mut request: Request) -> Reply {
        let span = self.open(&mut request);
        if span.is_disabled() {
            return inner.call(request);
        }
        if request.extensions().get::<RouteWanted>().is_none() {
            request.extensions_mut().insert(RouteWanted);
        }
        let waiting = PendingSpan::new(&span, request.method());
        let _entered = span.enter();
        match inner.call(request).try_into_response() {
            Ok(response) => waiting.watch(response).into(),
            Err(pending) => {
                let response = async move { waiting.watch(pending.await) };
                Reply::from_future(response.instrument(span.clone()))
            }
        }
    }

    fn describe(&self) -> Description {
        let traces = match (self.restarts, self.starts) {
            (true, true) => "restarted",
            (true, false) => "removed",
            (false, true) => "continued or started",
            (false, false) => "continued",
        };
        let query = match self.query {
            Some(_) => "shown",
            None => "left out",
        };
        Description::new("Trace")
            .option("traces", traces)
            .option("query", query)
    }
}

/// A request in progress; if it is dropped before it has a response, it records that in the span.
struct PendingSpan {
    span: Span,
    method: Option<Method>,
}

impl PendingSpan {
    fn new(span: &Span, method: &Method) -> PendingSpan {
        PendingSpan {
            span: span.clone(),
            method: Some(method.clone()),
        }
    }

    fn watch(mut self, mut response: Response) -> Response {
        let span = self.span.clone();
        let route = response.extensions().get::<MatchedPattern>();
        if let Some(method) = self.method.take() {
            record_name(&span, &method, route.map(MatchedPattern::as_str));
        }
        let failed = record_status(&span, response.status());
        let error = response.extensions().get::<Arc<HttpError>>();
        if let Some(cause) = error.filter(|_| failed).and_then(|error| error.source()) {
            record_error(&span, cause);
        }
        let body = std::mem::take(response.body_mut());
        let inside = span.clone();
        let body = body.inspect_frames(move |next| {
            let frame = inside.in_scope(next);
            if let Poll::Ready(Some(Err(error))) = &frame {
                record_error(&inside, error);
            }
            frame
        });
        *response.body_mut() = body.on_end(move |end| record_end(&span, end, failed));
        response
    }
}

impl Drop for PendingSpan {
    fn drop(&mut self) {
        if let Some(method) = self.method.take() {
            record_name(&self.span, &method, None);
            match thread::panicking() {
                true => record_failure(&self.span, "panic", Blame::Server),
                false => record_failure(&self.span, "cancelled", Blame::Client),
            }
        }
    }
}

/// Only the first failure counts.
fn record_end(span: &Span, end: BodyEnd, failed: bool) {
    span.record("http.response.body.size", end.bytes());
    match end.outcome() {
        _ if failed => {}
        Outcome::Failed => record_failure(span, "body", Blame::Server),
        Outcome::Dropped => record_failure(span, "cancelled", Blame::Client),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
