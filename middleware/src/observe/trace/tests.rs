use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};

use enfilade_core::{Body, BodyError, Connection, Scheme};
use enfilade_testing::laws::{self, Check};
use enfilade_testing::{Client, Lint};
use http::{HeaderName, StatusCode, Version};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};

use super::*;
use crate::dispatch::router::Router;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

type Fields = BTreeMap<&'static str, String>;

/// What happens to spans, in order; and all their fields.
#[derive(Default)]
struct Seen {
    log: Vec<String>,
    spans: Vec<Fields>,
    open: usize,
}

/// A subscriber that keeps what it sees.
#[derive(Clone, Default)]
struct Recorder {
    seen: Arc<Mutex<Seen>>,
    handles: Arc<AtomicU64>,
}

struct Note<'a>(&'a mut Fields);

impl Visit for Note<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        let before = self.0.insert(field.name(), text);
        assert_eq!(before, None, "{} is recorded twice", field.name());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

impl Subscriber for Recorder {
    /// Not for all threads: some tests have no subscriber.
    fn register_callsite(&self, _metadata: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "enfilade" || metadata.target() == "test"
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut seen = self.seen.lock().unwrap();
        let mut fields = Fields::from([("name", attributes.metadata().name().to_owned())]);
        attributes.record(&mut Note(&mut fields));
        seen.spans.push(fields);
        seen.open += 1;
        self.handles.fetch_add(1, Ordering::Relaxed);
        Id::from_u64(seen.spans.len() as u64)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let at = usize::try_from(span.into_u64()).unwrap() - 1;
        values.record(&mut Note(&mut self.seen.lock().unwrap().spans[at]));
    }

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::new();
        event.record(&mut Note(&mut fields));
        let message = fields.get("exception.message").or(fields.get("message"));
        let line = format!("{}: {}", event.metadata().level(), message.unwrap());
        self.seen.lock().unwrap().log.push(line);
    }

    fn enter(&self, _span: &Id) {
        self.seen.lock().unwrap().log.push("enter".to_owned());
    }

    fn exit(&self, _span: &Id) {
        self.seen.lock().unwrap().log.push("exit".to_owned());
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.handles.fetch_add(1, Ordering::Relaxed);
        id.clone()
    }

    fn try_close(&self, _id: Id) -> bool {
        let is_last = self.handles.fetch_sub(1, Ordering::Relaxed) == 1;
        if is_last {
            self.seen.lock().unwrap().open -= 1;
        }
        is_last
    }
}

impl Recorder {
    fn run<T>(&self, act: impl FnOnce() -> T) -> T {
        tracing::subscriber::with_default(self.clone(), act)
    }

    /// The fields of the only span, which is closed.
    fn closed(&self) -> Fields {
        let seen = self.seen.lock().unwrap();
        assert_eq!((seen.spans.len(), seen.open), (1, 0));
        seen.spans[0].clone()
    }

    fn events(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        let events = seen.log.iter().filter(|line| line.contains(": "));
        events.cloned().collect()
    }
}

fn trace() -> Trace {
    Trace::new().ids(|| 0xabc)
}

fn linted(app: Application, trace: Trace) -> Client {
    Client::new(app.wrap(Lint::new()).wrap(trace).wrap(Lint::new()))
}

/// The fields of the span of one request.
fn fields_of(app: Application, trace: Trace, request: Request) -> Fields {
    let recorder = Recorder::default();
    recorder.run(|| {
        linted(app, trace)
            .without_gateway()
            .prepared(request)
            .send();
    });
    recorder.closed()
}

fn hello() -> Application {
    Application::new(|_: Request| "Hello")
}

#[test]
fn a_span_has_the_fields_of_the_conventions() {
    let peer = "192.0.2.7:4711".parse().unwrap();
    let mut request = Request::new(Method::GET, "/users/42?token=secret".parse().unwrap());
    request.set_connection(Connection::new(Scheme::Https).with_peer(peer));
    request.set_client("203.0.113.5".parse().unwrap(), None);
    *request.version_mut() = Version::HTTP_2;
    for (name, value) in [
        ("host", "example.org"),
        ("user-agent", "curl/8.0"),
        ("traceparent", PARENT),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let router = Router::new().get("/users/{id}", |_: Request| "A user");
    let fields = fields_of(router.build().unwrap(), trace(), request);
    let expected = [
        ("client.address", "203.0.113.5"),
        ("http.request.method", "GET"),
        ("http.response.body.size", "6"),
        ("http.response.status_code", "200"),
        ("http.route", "/users/{id}"),
        ("name", "HTTP request"),
        ("network.peer.address", "192.0.2.7"),
        ("network.peer.port", "4711"),
        ("network.protocol.version", "2"),
        ("otel.kind", "server"),
        ("otel.name", "GET /users/{id}"),
        ("parent_span_id", "b7ad6b7169203331"),
        ("server.address", "example.org"),
        ("server.port", "443"),
        ("span_id", "0000000000000abc"),
        ("trace_id", "0af7651916cd43dd8448eb211c80319c"),
        ("url.path", "/users/42"),
        ("url.scheme", "https"),
        ("user_agent.original", "curl/8.0"),
    ];
    let expected = expected.map(|(name, value)| (name, value.to_owned()));
    assert_eq!(fields, BTreeMap::from(expected));
}

#[test]
fn a_method_that_nobody_knows_names_no_span() {
    for (method, expected) in [
        ("PURGE", ["_OTHER", "PURGE", "HTTP"]),
        ("get", ["_OTHER", "get", "HTTP"]),
        ("PATCH", ["PATCH", "-", "PATCH"]),
    ] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let fields = fields_of(hello(), trace(), Request::new(method, "/".parse().unwrap()));
        let names = [
            "http.request.method",
            "http.request.method_original",
            "otel.name",
        ];
        let found = names.map(|name| fields.get(name).map_or("-", String::as_str));
        assert_eq!(found, expected);
    }
}

#[test]
fn what_a_client_sends_forges_no_line() {
    let mut request = Request::new(Method::GET, "/a\u{9b}1m?b\u{85}c".parse().unwrap());
    let agent = http::HeaderValue::from_bytes(b"a\tb\xc2\x9b\xff\xc3\xa9").unwrap();
    request.headers_mut().insert("user-agent", agent);
    let trace = trace().query(|query| Some(query.to_owned()));
    let fields = fields_of(hello(), trace, request);
    assert_eq!(fields["url.path"], "/a\\u{9b}1m");
    assert_eq!(fields["url.query"], "b\\u{85}c");
    assert_eq!(fields["user_agent.original"], "a\\tb\\u{9b}\u{fffd}é");
}

#[test]
fn a_query_is_shown_as_an_option_says() {
    let redacting = |query: &str| Some(query.split('=').next()?.to_owned() + "=REDACTED");
    let cases: [(Trace, &str, Option<&str>); 4] = [
        (trace(), "/?token=secret", None),
        (
            trace().query(redacting),
            "/?token=secret",
            Some("token=REDACTED"),
        ),
        (trace().query(redacting), "/", None),
        (trace().query(|_| None), "/?token=secret", None),
    ];
    for (trace, target, expected) in cases {
        let request = Request::new(Method::GET, target.parse().unwrap());
        let fields = fields_of(hello(), trace, request);
        assert_eq!(fields.get("url.query").map(String::as_str), expected);
    }
}

fn outcome(fields: &Fields) -> [&str; 3] {
    [
        "http.response.status_code",
        "error.type",
        "otel.status_code",
    ]
    .map(|name| fields.get(name).map_or("-", String::as_str))
}

struct Failing;

impl http_body::Body for Failing {
    type Data = bytes::Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> enfilade_core::NextFrame {
        Poll::Ready(Some(Err(BodyError::new("cable\ncut"))))
    }
}

#[test]
fn failures_are_told_and_those_of_clients_are_no_errors() {
    let refused = |status: u16| {
        Application::new(move |_: Request| {
            let status = StatusCode::from_u16(status).unwrap();
            HttpError::new(status).caused_by(std::io::Error::other("disk\nfull"))
        })
    };
    let bare = Application::new(|_: Request| StatusCode::BAD_GATEWAY);
    let failing = Application::new(|_: Request| Body::new(Failing));
    let both = Application::new(|_: Request| (StatusCode::BAD_GATEWAY, Body::new(Failing)));
    let body = "ERROR: the body could not be read to its end: cable\\ncut";
    let cases: [(Application, [&str; 3], &[&str]); 6] = [
        (refused(404), ["404", "-", "-"], &[]),
        (
            refused(500),
            ["500", "500", "ERROR"],
            &["ERROR: disk\\nfull"],
        ),
        (
            refused(503),
            ["503", "503", "ERROR"],
            &["ERROR: disk\\nfull"],
        ),
        (bare, ["502", "502", "ERROR"], &[]),
        (failing, ["200", "body", "ERROR"], &[body]),
        (both, ["502", "502", "ERROR"], &[body]),
    ];
    for (app, expected, events) in cases {
        let recorder = Recorder::default();
        recorder.run(|| linted(app, trace()).get("/").send());
        assert_eq!(outcome(&recorder.closed()), expected);
        assert_eq!(recorder.events(), events);
    }
}

#[test]
fn a_client_that_has_gone_leaves_a_closed_span() {
    let recorder = Recorder::default();
    recorder.run(|| {
        let app = Application::new(|_: Request| Body::from_iterator(["a", "b"])).wrap(trace());
        let mut body = pollster::block_on(app.call(Request::get("/"))).into_body();
        drop(pollster::block_on(body.frame()));
        assert_eq!(recorder.seen.lock().unwrap().open, 1);
        drop(body);
    });
    let fields = recorder.closed();
    assert_eq!(outcome(&fields), ["200", "cancelled", "-"]);
    assert_eq!(fields["http.response.body.size"], "1");
}

#[test]
fn a_request_without_a_response_is_reported() {
    let pending = Application::new(async |_: Request| std::future::pending::<&str>().await);
    let panics = Application::new(|request: Request| match request.path() {
        "/" => panic!("on purpose"),
        _ => "x",
    });
    let late = Application::new(async |request: Request| match request.path() {
        "/" => panic!("on purpose"),
        _ => "x",
    });
    let panicked = ["-", "panic", "ERROR"];
    let cancelled = ["-", "cancelled", "-"];
    for (app, expected) in [(pending, cancelled), (panics, panicked), (late, panicked)] {
        let recorder = Recorder::default();
        recorder.run(|| {
            let app = app.wrap(trace());
            let _ = catch_unwind(AssertUnwindSafe(|| {
                let mut response = std::pin::pin!(app.call(Request::get("/")).into_future());
                let mut context = Context::from_waker(Waker::noop());
                assert!(response.as_mut().poll(&mut context).is_pending());
            }));
        });
        let fields = recorder.closed();
        assert_eq!(outcome(&fields), expected);
        assert_eq!(fields["otel.name"], "GET");
    }
}

#[test]
fn application_and_body_run_inside_the_span() {
    fn say(what: &'static str) {
        tracing::info!(target: "test", "{what}");
    }
    let app = Application::new(async |_: Request| {
        say("called");
        let pieces = ["a", "b"].into_iter().inspect(|_| say("piece"));
        Body::from_iterator(pieces)
    });
    let recorder = Recorder::default();
    recorder.run(|| {
        say("before");
        Client::new(app.wrap(trace())).get("/").send();
        say("after");
    });
    let mut depth = 0;
    let mut told = Vec::new();
    for line in &recorder.seen.lock().unwrap().log {
        match line.as_str() {
            "enter" => depth += 1,
            "exit" => depth -= 1,
            line => told.push((line.to_owned(), depth > 0)),
        }
    }
    let expected = [
        ("INFO: before", false),
        ("INFO: called", true),
        ("INFO: piece", true),
        ("INFO: piece", true),
        ("INFO: after", false),
    ];
    let expected = expected.map(|(line, inside)| (line.to_owned(), inside));
    assert_eq!((told, depth), (expected.to_vec(), 0));
}

type Sent<'a> = &'a [(&'a str, &'a str)];

/// What the application gets of a trace.
fn passed(trace: Trace, sent: Sent<'_>) -> String {
    let app = Application::new(|request: Request| {
        let context = TraceContext::of(&request).map(TraceContext::traceparent);
        let header = |name: &str| {
            let lines = request.headers().get_all(name).iter();
            let lines = lines.map(|line| line.to_str().unwrap());
            lines.collect::<Vec<_>>().join("|")
        };
        let (traceparent, tracestate) = (header("traceparent"), header("tracestate"));
        let context = context.map_or(String::new(), |context| context.to_str().unwrap().into());
        assert_eq!(traceparent, context);
        format!("{traceparent} {tracestate}")
    });
    let request = linted(app, trace).get("/");
    let request = sent.iter().fold(request, |request, (name, value)| {
        request.header(name, value)
    });
    request.send().text().into_owned()
}

#[test]
fn a_trace_goes_on_with_another_span() {
    let parent = ("traceparent", PARENT);
    let bad = (
        "traceparent",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
    );
    let state = ("tracestate", "a=1");
    let more = ("tracestate", "b=2");
    let ours = "00-0af7651916cd43dd8448eb211c80319c-0000000000000abc-01";
    let new = "00-00000000000000000000000000000abc-0000000000000abc-02";
    let cases: [(Trace, Sent<'_>, [&str; 2]); 11] = [
        (trace(), &[], [new, ""]),
        (trace(), &[parent], [ours, ""]),
        (trace(), &[parent, state], [ours, "a=1"]),
        (trace(), &[parent, state, more], [ours, "a=1,b=2"]),
        (trace(), &[parent, ("tracestate", "A=1")], [ours, ""]),
        (trace(), &[parent, parent, state], [new, ""]),
        (trace(), &[bad, state], [new, ""]),
        (trace(), &[state], [new, ""]),
        (trace().restart_traces(true), &[parent, state], [new, ""]),
        (trace().start_traces(false), &[bad, state], ["", ""]),
        (trace().start_traces(false), &[parent, state], [ours, "a=1"]),
    ];
    for (trace, sent, [traceparent, tracestate]) in cases {
        assert_eq!(
            passed(trace, sent),
            format!("{traceparent} {tracestate}"),
            "{sent:?}"
        );
    }
}

#[test]
fn a_trace_that_is_recorded_is_sampled() {
    let recorder = Recorder::default();
    let passed = recorder.run(|| passed(trace(), &[]));
    assert_eq!(
        passed,
        "00-00000000000000000000000000000abc-0000000000000abc-03 "
    );
    assert_eq!(
        recorder.closed()["trace_id"],
        "00000000000000000000000000000abc"
    );
}

#[test]
fn no_id_is_zero() {
    let expected = "00-00000000000000000000000000000001-0000000000000001-02 ";
    assert_eq!(passed(Trace::new().ids(|| 0), &[]), expected);
    let expected = "00-00000000000000010000000000000000-0000000000000001-02 ";
    assert_eq!(passed(Trace::new().ids(|| 1 << 64), &[]), expected);
}

#[test]
fn a_system_with_ids_of_its_own_is_told() {
    let (sender, called) = std::sync::mpsc::channel();
    let trace = trace().on_span(move |span, request| {
        let context = TraceContext::of(request).unwrap();
        let parent = format!("{:016x}", context.parent_id().unwrap());
        assert_eq!(parent, "b7ad6b7169203331");
        sender.send(span.clone()).unwrap();
        let own = context.child(NonZeroU64::MAX);
        own.write_to(request.headers_mut());
    });
    let app = Application::new(|request: Request| {
        let traceparent = &request.headers()["traceparent"];
        traceparent.to_str().unwrap().to_owned()
    });
    let client = Client::new(app.wrap(trace));
    let ask = || client.get("/").header("traceparent", PARENT).send();
    let response = Recorder::default().run(ask);
    assert!(response.text().contains("-ffffffffffffffff-"));
    assert!(!called.recv().unwrap().is_disabled());
    // No subscriber listens, so it is not called.
    assert!(ask().text().contains("-0000000000000abc-"));
    assert!(called.try_recv().is_err());
}

#[test]
fn a_body_in_memory_stays_there_and_a_ready_reply_stays_ready() {
    let recorder = Recorder::default();
    recorder.run(|| {
        let reply = hello().wrap(trace()).call(Request::get("/"));
        let body = reply.as_ready().unwrap().body();
        assert_eq!(body.as_bytes().unwrap(), "Hello");
    });
    assert_eq!(outcome(&recorder.closed()), ["200", "cancelled", "-"]);
}

#[test]
fn is_described_with_its_options() {
    fn inner(_: Request) -> &'static str {
        "x"
    }
    let app = Application::new(inner);
    assert_eq!(
        app.clone().wrap(Trace::new()).describe().to_string(),
        "Trace (traces: continued or started, query: left out)\n└─ inner\n"
    );
    let edge = Trace::new().restart_traces(true).query(|_| None);
    assert_eq!(
        app.wrap(edge).describe().to_string(),
        "Trace (traces: restarted, query: shown)\n└─ inner\n"
    );
}

#[test]
fn keeps_the_laws() {
    let names = ["traceparent", "tracestate"].map(HeaderName::from_static);
    let check = Check::new(trace()).touches(names.clone());
    check.run();
    Recorder::default().run(|| check.run());
    let off = Trace::new().start_traces(false);
    laws::Check::new(off).touches(names).run();
}
