mod directives;
mod json;
mod options;
mod properties;

use std::io;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use enfilade_core::{
    Body, Connection, HttpError, IntoResponse, Pipeline, RemoteUser, Response, Scheme,
};
use enfilade_testing::{Client, Lint};
use http::{HeaderName, HeaderValue, Method, Version};

use super::*;
use crate::error::ErrorKind;

const HEAD: &str = "192.0.2.7 - - [06/Nov/1994:08:49:37 +0000]";

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        // Not `lines`, which would hide a carriage return.
        text.split_terminator('\n').map(str::to_owned).collect()
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn fixed(log: AccessLog) -> AccessLog {
    log.clock(|| OffsetDateTime::from_unix_timestamp(784_111_777).unwrap())
}

fn request(method: &str, target: &str, headers: &[(&str, &[u8])]) -> Request {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let mut request = Request::new(method, target.parse().unwrap());
    let peer = "192.0.2.7:4711".parse().unwrap();
    let local = "192.0.2.1:8080".parse().unwrap();
    request.set_connection(Connection::default().with_peer(peer).with_local(local));
    let host = HeaderValue::from_static("example.com:8080");
    request.headers_mut().insert("host", host);
    for (name, value) in headers {
        let name = HeaderName::try_from(*name).unwrap();
        let value = HeaderValue::from_bytes(value).unwrap();
        request.headers_mut().append(name, value);
    }
    request
}

fn respond(status: u16, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

/// The lines that are written if a gateway sends the responses of `app` to these requests.
///
/// A checker of the contract is on both sides of the log.
fn lines_of(log: AccessLog, app: &Application, requests: Vec<Request>) -> Vec<String> {
    let memory = Memory::default();
    let log = fixed(log).writer(memory.clone());
    let app = app.clone().wrap(Lint::new()).wrap(log).wrap(Lint::new());
    // What our gateways refuse may come through another's.
    let is_odd = |request: &Request| !request.uri().to_string().is_ascii() || request.path() == "*";
    let client = match requests.iter().any(is_odd) {
        true => Client::new(app).without_gateway(),
        false => Client::new(app),
    };
    for request in requests {
        client.prepared(request).without_host().send();
    }
    drop(client);
    memory.lines()
}

fn line_of(log: AccessLog, app: &Application, request: Request) -> String {
    let mut lines = lines_of(log, app, vec![request]);
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines.remove(0)
}

fn foobar() -> Application {
    Application::new(|_: Request| "foobar")
}

struct Chunks(Vec<Result<&'static str, &'static str>>);

impl http_body::Body for Chunks {
    type Data = bytes::Bytes;
    type Error = enfilade_core::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
        let next = (!self.0.is_empty()).then(|| self.0.remove(0));
        Poll::Ready(next.map(|chunk| {
            let data = chunk.map(|text| http_body::Frame::data(text.into()));
            data.map_err(Into::into)
        }))
    }
}

#[test]
fn the_bytes_are_those_that_were_taken() {
    type Make = fn() -> Response;
    let cases: [(&str, Make, &str); 7] = [
        ("GET", || respond(200, "foobar"), "200 6 +"),
        ("GET", || respond(200, ""), "200 - +"),
        ("DELETE", || respond(404, "nope"), "404 4 +"),
        ("HEAD", || respond(200, "foobar"), "200 - +"),
        ("GET", || respond(304, ""), "304 - +"),
        (
            "GET",
            || respond(200, Body::from_iterator(["ab", "", "cde"])),
            "200 5 +",
        ),
        (
            "GET",
            || respond(200, Body::new(Chunks(vec![Ok("abc"), Err("cut")]))),
            "200 3 X",
        ),
    ];
    for (method, make, expected) in cases {
        for app in [
            Application::new(move |_: Request| make()),
            Application::new(move |_: Request| async move { make() }),
        ] {
            let log = AccessLog::format("%>s %b %X").unwrap();
            assert_eq!(line_of(log, &app, request(method, "/", &[])), expected);
        }
    }
}

#[test]
fn a_body_that_nobody_waits_for_has_a_line() {
    let memory = Memory::default();
    let log = AccessLog::format("%>s %b %X").unwrap();
    let app = Application::new(|_: Request| Body::from_iterator(["abc", "def"]))
        .wrap(log.writer(memory.clone()));
    let mut body = pollster::block_on(app.call(Request::get("/"))).into_body();
    pollster::block_on(body.frame()).unwrap().unwrap();
    drop(body);
    drop(pollster::block_on(app.call(Request::get("/"))));
    drop(app);
    assert_eq!(memory.lines(), ["200 3 X", "200 - X"]);
}

#[test]
fn a_body_that_outlives_the_application_has_a_line() {
    let memory = Memory::default();
    let log = AccessLog::common().writer(memory.clone());
    let app = foobar().wrap(log);
    let response = pollster::block_on(app.call(Request::get("/")));
    drop(app);
    assert!(memory.lines().is_empty());
    drop(response);
    assert_eq!(memory.lines().len(), 1);
}

#[test]
fn a_request_that_is_given_up_has_a_line() {
    let memory = Memory::default();
    let log = AccessLog::common().writer(memory.clone());
    let app = Application::new(|_: Request| std::future::pending::<()>()).wrap(fixed(log));
    let mut future = app.call(request("GET", "/", &[])).into_future();
    let mut context = Context::from_waker(std::task::Waker::noop());
    assert!(Pin::new(&mut future).poll(&mut context).is_pending());
    drop(future);
    drop(app);
    assert_eq!(memory.lines(), [format!("{HEAD} \"GET / HTTP/1.1\" 499 -")]);
}

#[test]
fn a_client_without_an_address_has_a_place_in_every_line() {
    let on_unix_socket = || {
        let mut request = request("GET", "/", &[]);
        request.set_connection(Connection::default());
        request
    };
    for (log, expected) in [
        (
            AccessLog::common(),
            "0.0.0.0 - - [06/Nov/1994:08:49:37 +0000] \"GET / HTTP/1.1\" 200 6",
        ),
        (
            AccessLog::format("%h|%a|%{c}a|%u").unwrap(),
            "0.0.0.0|0.0.0.0|0.0.0.0|-",
        ),
        (
            AccessLog::json_of([("client", "%h"), ("both", "%h %u")]).unwrap(),
            r#"{"client":null,"both":"- -"}"#,
        ),
    ] {
        assert_eq!(line_of(log, &foobar(), on_unix_socket()), expected);
    }
}

#[test]
fn a_panic_is_logged_as_the_500_that_the_gateway_sends() {
    fn boom() -> &'static str {
        panic!("boom")
    }
    for app in [
        Application::new(|_: Request| boom()),
        Application::new(|_: Request| async { boom() }),
    ] {
        let line = line_of(AccessLog::common(), &app, request("GET", "/", &[]));
        assert_eq!(line, format!("{HEAD} \"GET / HTTP/1.1\" 500 -"));
    }
}

#[test]
fn the_user_is_the_one_that_is_known_furthest_in() {
    let cases = [
        (None, None, "-"),
        (Some("outer"), None, "outer"),
        (None, Some("inner"), "inner"),
        (Some("outer"), Some("inner"), "inner"),
        (Some("foo bar"), None, r"foo\x20bar"),
        // goaccess took the bracket for that of the time.
        (Some("a[b"), None, r"a\x5bb"),
        (Some("a\n\"b\""), None, r#"a\x0a\"b\""#),
        (Some(""), None, "-"),
    ];
    for (outer, inner, expected) in cases {
        let app = Application::new(move |_: Request| {
            let mut response = "foobar".into_response();
            if let Some(inner) = inner {
                response.extensions_mut().insert(RemoteUser::new(inner));
            }
            response
        });
        let mut sent = request("GET", "/", &[]);
        if let Some(outer) = outer {
            sent.extensions_mut().insert(RemoteUser::new(outer));
        }
        let line = line_of(AccessLog::common(), &app, sent);
        let expected = HEAD.replace("- - ", &format!("- {expected} "));
        assert_eq!(line, format!("{expected} \"GET / HTTP/1.1\" 200 6"));
    }
}

#[test]
fn no_byte_from_a_peer_forges_a_line_or_a_field() {
    let log = || AccessLog::format(r#""%u" "%r" "%{x-in}i" "%{x-out}o""#).unwrap();
    for byte in 0..=u8::MAX {
        // A lone byte, one that may begin a sequence, and one inside a sequence that could be UTF-8.
        for value in [vec![byte], vec![b'a', byte, b'"'], vec![0xc2, byte, b'\\']] {
            let Ok(header) = HeaderValue::from_bytes(&value) else {
                assert!(byte < b' ' || byte == 0x7f);
                continue;
            };
            // No application may send white space at the edge of a value.
            let out = HeaderValue::from_bytes(value.trim_ascii()).unwrap();
            let app = Application::new(move |_: Request| {
                let mut response = "foobar".into_response();
                response.headers_mut().insert("x-out", out.clone());
                response
            });
            let mut sent = request("GET", "/", &[]);
            sent.headers_mut().insert("x-in", header);
            let user = RemoteUser::new(String::from_utf8_lossy(&value));
            sent.extensions_mut().insert(user);
            let line = line_of(log(), &app, sent);
            assert!(!line.chars().any(char::is_control), "{line}");
            let plain = line.replace(r"\\", "").replace(r#"\""#, "");
            assert_eq!(plain.matches('"').count(), 8, "{line}");
        }
    }
}

#[test]
fn no_header_says_who_the_client_is() {
    let headers: [(&str, &[u8]); 2] = [
        ("x-forwarded-for", b"203.0.113.0"),
        ("forwarded", b"for=203.0.113.0"),
    ];
    let line = line_of(
        AccessLog::common(),
        &foobar(),
        request("GET", "/", &headers),
    );
    assert_eq!(line, format!("{HEAD} \"GET / HTTP/1.1\" 200 6"));
}

#[test]
fn times_are_written_in_the_offset_that_is_asked_for() {
    let log = AccessLog::format("%t").unwrap();
    let log = log.utc_offset(UtcOffset::from_hms(5, 30, 0).unwrap());
    assert_eq!(
        line_of(log, &foobar(), request("GET", "/", &[])),
        "[06/Nov/1994:14:19:37 +0530]"
    );
}

#[test]
fn every_request_has_one_line() {
    let requests = (0..3).map(|_| request("GET", "/", &[])).collect();
    let lines = lines_of(AccessLog::common(), &foobar(), requests);
    assert_eq!(lines, vec![format!("{HEAD} \"GET / HTTP/1.1\" 200 6"); 3]);
}

#[test]
fn what_is_excluded_has_no_line() {
    let targets = [
        "/health",
        "/%68ealth?x",
        "/health/",
        "/healthy",
        "/caf%c3%A9",
        "/a%2fb",
        "/a/b",
        "/noise",
    ];
    let log = AccessLog::format("%U").unwrap();
    let log = log.exclude_path("/health").exclude_path("/café");
    let log = log
        .exclude_path("/a/b")
        .filter(|request| request.path() != "/noise");
    let requests = targets.map(|target| request("GET", target, &[]));
    assert_eq!(
        lines_of(log, &foobar(), requests.into()),
        ["/health/", "/healthy", "/a%2fb"]
    );
}

#[test]
fn applications_with_one_log_share_its_writer() {
    let memory = Memory::default();
    let log = AccessLog::format("%U").unwrap().writer(memory.clone());
    let pipeline = Pipeline::new().with(log);
    let (first, second) = (
        foobar().wrap(pipeline.clone()),
        foobar().wrap(pipeline.clone()),
    );
    drop(pollster::block_on(first.call(Request::get("/1"))));
    drop(pollster::block_on(second.call(Request::get("/2"))));
    drop(first);
    assert_eq!(memory.lines(), ["/1", "/2"]);
    drop(pollster::block_on(second.call(Request::get("/3"))));
    drop(second);
    assert_eq!(memory.lines(), ["/1", "/2", "/3"]);
}

#[test]
fn a_blocked_writer_holds_no_request_up() {
    struct Blocked(std::sync::mpsc::Receiver<()>, Memory);
    impl Write for Blocked {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // It goes on when the other end is dropped.
            assert!(self.0.recv().is_err());
            self.1.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let memory = Memory::default();
    let (open, closed) = std::sync::mpsc::channel();
    let log = AccessLog::common().writer(Blocked(closed, memory.clone()));
    let dropped = log.dropped();
    let app = foobar().wrap(log);
    for _ in 0..30_000 {
        drop(pollster::block_on(app.call(Request::get("/"))));
    }
    let lost = dropped.count();
    drop(open);
    drop(app);
    let lines = memory.lines();
    // What waits, and is being written, is a full queue.
    let kept = 1024 * 1024 / (lines[0].len() as u64 + 1);
    assert_eq!(lost, 30_000 - kept);
    let told = lines.iter().filter_map(|line| {
        let count = line.strip_prefix("# ")?.strip_suffix(" lines dropped")?;
        count.parse::<u64>().ok()
    });
    assert_eq!(told.sum::<u64>(), lost);
    let written = lines.iter().filter(|line| !line.starts_with('#'));
    assert_eq!(written.count() as u64, kept);
}

#[test]
fn a_body_in_memory_stays_there_and_a_ready_reply_stays_ready() {
    let log = AccessLog::common().writer(Memory::default());
    let reply = foobar().wrap(log).call(Request::get("/"));
    assert!(reply.is_ready());
    let response = pollster::block_on(reply);
    assert_eq!(response.body().as_bytes().unwrap(), "foobar");
}

#[test]
fn is_described_with_its_format() {
    fn inner(_: Request) -> &'static str {
        "x"
    }
    let log = AccessLog::combined().exclude_path("/health");
    let app = Application::new(inner).wrap(log);
    assert_eq!(
        app.describe().to_string(),
        "AccessLog (format: combined, exclude: [/health])\n└─ inner\n"
    );
}

#[test]
fn what_is_sent_is_not_touched() {
    let mut trailers = http::HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("9"));
    let sent = trailers.clone();
    let app = Application::new(move |_: Request| {
        let mut response = respond(
            200,
            Body::from_list(["ab", "cd"]).with_trailers(sent.clone()),
        );
        let value = HeaderValue::from_static("1");
        response.headers_mut().insert("x-a", value);
        response.extensions_mut().insert(7_u8);
        response
    });
    let log = AccessLog::common().writer(Memory::default());
    let logged = app.clone().wrap(log);
    let [bare, logged] =
        [app, logged].map(|app| Client::new(app.wrap(Lint::new())).get("/").send());
    assert_eq!(logged.text(), "abcd");
    assert_eq!(logged.headers(), bare.headers());
    assert_eq!(logged.trailers(), Some(&trailers));
    assert_eq!(logged.extensions().get(), Some(&7_u8));
}

#[test]
fn keeps_the_laws() {
    enfilade_testing::laws::check(AccessLog::combined().writer(std::io::sink()));
    let all = AccessLog::json_of([("a", "%I %O %{route}x %{id}x"), ("b", "%^FB")]).unwrap();
    let all = all.redact_query("a").without_health_checks().sample(0.5);
    enfilade_testing::laws::check(all.client_gone_as_499().writer(std::io::sink()));
}
