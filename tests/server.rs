//! The built-in server as a client sees it, byte by byte.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy does not count helpers of tests as tests"
)]

mod support {
    pub(crate) mod running;
    pub(crate) mod wire;
}

#[cfg(feature = "wsgi")]
use std::io::BufRead as _;
use std::io::{ErrorKind, Write};
use std::net::{Shutdown, TcpListener};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use enfilade::middleware::{CatchPanic, Decompression, RequestId, Router};
#[cfg(feature = "wsgi")]
use enfilade::wsgi;
use enfilade::{
    Application, Body, BodyEnd, BoxError, HttpError, IntoHandler, Outcome, Reply, Request, Server,
};
use http::{HeaderMap, StatusCode};
use http_body::Frame;

use self::support::running::Running;
use self::support::wire::{PATIENCE, Wire};

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

/// Serves `app` on a free port.
fn start<M>(app: impl IntoHandler<M>) -> Running {
    let server = Server::bind("127.0.0.1:0").unwrap();
    Running::serve(server.shutdown_deadline(Duration::from_secs(1)), app)
}

/// Serves `app` and connects to it.
fn serve<M>(app: impl IntoHandler<M>) -> (Running, Wire) {
    let running = start(app);
    let wire = Wire::connect(running.address());
    (running, wire)
}

fn hello() -> Application {
    Application::new(|_: Request| "Hello")
}

fn echo() -> Application {
    Application::new(|mut request: Request| request.take_body())
}

/// An application that returns the request's body after it has read all of it.
fn echo_whole() -> Application {
    Application::new(|mut request: Request| async move {
        let content = request.take_body().collect(64 << 20).await?;
        Ok::<_, HttpError>(content)
    })
}

/// An application that returns the request's path.
fn paths() -> Application {
    Application::new(|request: Request| request.path().to_owned())
}

/// A body of the results of `next`, however it computes them.
struct Source<F>(F);

impl<F> http_body::Body for Source<F>
where
    F: FnMut() -> Poll<Option<Result<&'static str, BoxError>>> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        (self.0)().map(|item| item.map(|item| item.map(|text| Frame::data(text.into()))))
    }
}

/// A body of two parts, and then what `end` does.
fn two_parts(
    end: fn() -> Poll<Option<Result<&'static str, BoxError>>>,
) -> impl Fn(Request) -> Body + Send + Sync + 'static {
    move |_| {
        let mut parts = ["one", "two"].into_iter();
        Body::new(Source(move || match parts.next() {
            Some(part) => Poll::Ready(Some(Ok(part))),
            None => end(),
        }))
    }
}

// Connections.

#[test]
fn a_connection_is_kept() {
    let (_running, mut wire) = serve(paths());
    for path in ["/a", "/b", "/c"] {
        let response = wire.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        let response = response.response();
        assert_eq!((response.status(), response.text()), ("200 OK", path));
        assert_eq!(response.header("connection"), None);
    }
    wire.send("GET /d HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    let response = wire.response();
    assert_eq!(response.text(), "/d");
    assert_eq!(response.header("connection").unwrap(), "close");
    assert_eq!(wire.rest(), b"");
}

#[test]
fn a_connection_may_have_one_request_and_names_capitals() {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let running = Running::serve(server.keep_alive(false).title_case_headers(true), hello());
    let mut wire = Wire::connect(running.address());
    wire.send(GET.repeat(2));
    let response = wire.response();
    assert_eq!(response.text(), "Hello");
    assert!(
        response
            .lines
            .iter()
            .any(|line| line == "Content-Length: 5"),
        "{:?}",
        response.lines
    );
    assert_eq!(response.header("connection").unwrap(), "close");
    assert_eq!(wire.rest(), b"");
}

#[test]
fn pipelined_requests_get_responses_in_order() {
    let slow_first = Application::new(|request: Request| async move {
        if request.path() == "/slow" {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        request.path().to_owned()
    });
    let (_running, mut wire) = serve(slow_first);
    wire.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\nGET /fast HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(wire.response().text(), "/slow");
    assert_eq!(wire.response().text(), "/fast");
}

#[test]
fn http_1_0_keeps_a_connection_only_if_requested() {
    let (running, mut wire) = serve(hello());
    let response = wire.send("GET / HTTP/1.0\r\n\r\n").response();
    assert_eq!(response.lines[0], "HTTP/1.0 200 OK");
    assert_eq!(response.text(), "Hello");
    assert_eq!(wire.rest(), b"");

    let mut wire = Wire::connect(running.address());
    for _ in 0..2 {
        let response = wire.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        let response = response.response();
        assert_eq!(response.text(), "Hello");
        assert_eq!(response.header("connection").unwrap(), "keep-alive");
    }
}

#[test]
fn a_slow_head_times_out() {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let running = Running::serve(
        server.header_read_timeout(Duration::from_millis(100)),
        hello(),
    );
    let mut wire = Wire::connect(running.address());
    wire.send("GET / HTTP/1.1\r\nHo");
    let expected = "HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(wire.rest_without_date(), expected);
    // A client that sends nothing gets no response.
    let mut wire = Wire::connect(running.address());
    assert_eq!(wire.rest_without_date(), "");
}

// Heads.

#[test]
fn responses_have_the_date() {
    let (_running, mut wire) = serve(hello());
    let date = wire.send(GET).response().header("date").unwrap();
    // RFC 9110, section 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT".
    let shape: String = date
        .chars()
        .map(|character| match character {
            '0'..='9' => '0',
            'A'..='Z' => 'A',
            'a'..='z' => 'a',
            other => other,
        })
        .collect();
    assert_eq!(shape, "Aaa, 00 Aaa 0000 00:00:00 AAA", "{date}");
    assert!(date.ends_with(" GMT"), "{date}");
}

#[test]
fn the_response_to_head_is_that_to_get_without_the_body() {
    let app = Router::new()
        .get("/text", |_: Request| "Hello")
        .get("/stream", |_: Request| Body::from_iterator(["a", "b"]))
        .build()
        .unwrap();
    let (_running, mut wire) = serve(app);
    wire.send("HEAD /text HTTP/1.1\r\nHost: h\r\n\r\n");
    let head = wire.head();
    wire.send("GET /text HTTP/1.1\r\nHost: h\r\n\r\n");
    let get = wire.response();
    assert_eq!(get.text(), "Hello");
    let without_date = |lines: &[String]| -> Vec<String> {
        let kept = lines.iter().filter(|line| !line.starts_with("date: "));
        kept.cloned().collect()
    };
    assert_eq!(without_date(&head.lines), without_date(&get.lines));
    assert_eq!(head.header("content-length").unwrap(), "5");

    wire.send("HEAD /stream HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(wire.head().header("content-length"), None);
    wire.send("GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(wire.response().text(), "ab");
}

#[test]
fn what_is_not_http_is_refused() {
    let host = "Host: h\r\n";
    let many: String = (0..101).map(|at| format!("X-{at}: 1\r\n")).collect();
    let cases = [
        ("SSH-2.0-x\r\n\r\n".to_owned(), "400 Bad Request"),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "400 Bad Request"),
        (
            format!("GET / HTTP/1.1\r\n{host}{host}\r\n"),
            "400 Bad Request",
        ),
        (
            format!("GET / HTTP/1.0\r\nConnection: keep-alive\r\n{host}{host}\r\n"),
            "400 Bad Request",
        ),
        (
            format!("GET / HTTP/1.1\r\n{host}X Y: 1\r\n\r\n"),
            "400 Bad Request",
        ),
        (
            format!("GET / HTTP/1.1\r\n{host}X: a\0b\r\n\r\n"),
            "400 Bad Request",
        ),
        ("GET /\r\n\r\n".to_owned(), "400 Bad Request"),
        (format!("GET / HTTP/1.2\r\n{host}\r\n"), "400 Bad Request"),
        (
            format!("GET / HTTP/1.1\r\n{host}X : 1\r\n\r\n"),
            "400 Bad Request",
        ),
        (
            format!("GET / HTTP/1.1\r\n{host}X: 1\r\n 2\r\n\r\n"),
            "400 Bad Request",
        ),
        (
            format!("POST / HTTP/1.1\r\n{host}Content-Length: x\r\n\r\n"),
            "400 Bad Request",
        ),
        (
            format!("POST / HTTP/1.1\r\n{host}Content-Length: +1\r\n\r\n"),
            "400 Bad Request",
        ),
        (
            format!("POST / HTTP/1.1\r\n{host}Content-Length: 1\r\nContent-Length: 2\r\n\r\n"),
            "400 Bad Request",
        ),
        (
            format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: gzip\r\n\r\n"),
            "400 Bad Request",
        ),
        (
            format!("POST / HTTP/1.0\r\n{host}Transfer-Encoding: chunked\r\n\r\n"),
            "400 Bad Request",
        ),
        (
            format!("GET / HTTP/1.1\r\n{many}{host}\r\n"),
            "431 Request Header Fields Too Large",
        ),
        (
            format!("GET /{} HTTP/1.1\r\n{host}\r\n", "x".repeat(70_000)),
            "414 URI Too Long",
        ),
        (
            format!(
                "GET / HTTP/1.1\r\n{host}X: {}\r\n\r\n",
                "x".repeat(1_000_000)
            ),
            "431 Request Header Fields Too Large",
        ),
    ];
    let running = start(hello());
    for (request, status) in cases {
        let case: String = request.chars().take(60).collect();
        let mut wire = Wire::connect(running.address());
        // A server may reject it before it has read all of it.
        let _ = wire.try_send(&request);
        let response = wire.head();
        assert_eq!(response.status(), status, "{case:?}");
        assert_eq!(response.header("connection").unwrap(), "close", "{case:?}");
        let rest = wire.rest();
        let length = response.header("content-length").unwrap();
        assert_eq!(rest.len().to_string(), length, "{case:?}");
    }
}

#[test]
fn a_request_with_two_lengths_is_the_last_one() {
    let (_running, mut wire) = serve(echo());
    // RFC 9112, section 6.3: the chunks count, and the connection is closed because the message may be an attack.
    wire.send(
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 30\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    wire.send("3\r\nabc\r\n0\r\n\r\nGET /forged HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(wire.response().text(), "abc");
    assert_eq!(wire.rest(), b"");
}

#[test]
fn a_tunnel_is_refused() {
    let (_running, mut wire) = serve(hello());
    wire.send("CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n");
    // If the application returned 200, the connection was closed without a response.
    let response = wire.response();
    assert_eq!(response.status(), "501 Not Implemented");
    assert_eq!(response.header("connection").as_deref(), Some("close"));
    assert_eq!(wire.rest(), b"");
}

#[test]
fn the_number_of_headers_can_be_set() {
    let server = Server::bind("127.0.0.1:0").unwrap().max_headers(3);
    let running = Running::serve(server, hello());
    for (lines, status) in [
        ("A: 1\r\nB: 2\r\n", "200 OK"),
        (
            "A: 1\r\nB: 2\r\nC: 3\r\n",
            "431 Request Header Fields Too Large",
        ),
    ] {
        let mut wire = Wire::connect(running.address());
        wire.send(format!("GET / HTTP/1.1\r\nHost: h\r\n{lines}\r\n"));
        assert_eq!(wire.head().status(), status);
    }
}

// Bodies of responses.

#[test]
fn a_known_length_is_sent_and_an_unknown_one_is_chunked() {
    let app = Router::new()
        .get("/text", |_: Request| "Hello")
        .get("/list", |_: Request| Body::from_list(["Hel", "lo"]))
        .get("/nothing", |_: Request| "")
        .get("/none", |_: Request| StatusCode::NO_CONTENT)
        .get("/stream", |_: Request| Body::from_iterator(["Hel", "lo"]))
        .build()
        .unwrap();
    let (running, mut wire) = serve(app);
    for (path, length, coding, text) in [
        ("/text", Some("5"), None, "Hello"),
        ("/list", Some("5"), None, "Hello"),
        ("/nothing", Some("0"), None, ""),
        ("/stream", None, Some("chunked"), "Hello"),
    ] {
        wire.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        let response = wire.response();
        assert_eq!(
            response.header("content-length").as_deref(),
            length,
            "{path}"
        );
        assert_eq!(
            response.header("transfer-encoding").as_deref(),
            coding,
            "{path}"
        );
        assert_eq!(response.text(), text, "{path}");
    }
    // RFC 9112, section 6.1: HTTP/1.0 has no chunks, so the end of the connection is the end of the body.
    for connection in ["", "Connection: keep-alive\r\n"] {
        let mut wire = Wire::connect(running.address());
        wire.send(format!("GET /stream HTTP/1.0\r\n{connection}\r\n"));
        let head = wire.head();
        assert_eq!(head.header("content-length"), None);
        assert_eq!(head.header("transfer-encoding"), None);
        // It announced keep-alive, and then closed the connection.
        assert_eq!(head.header("connection"), None);
        assert_eq!(wire.rest(), b"Hello");
    }
    wire.send("GET /none HTTP/1.1\r\nHost: h\r\n\r\n");
    let none = wire.head();
    assert_eq!(none.header("content-length"), None);
    assert_eq!(none.header("transfer-encoding"), None);
    // No byte of a body was sent: the next response begins in the right place.
    wire.send("GET /text HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(wire.response().text(), "Hello");
}

#[test]
fn a_body_that_fails_has_no_end() {
    for end in [
        (|| Poll::Ready(Some(Err("the disk is gone".into())))) as fn() -> _,
        || panic!("in a body"),
    ] {
        let (running, mut wire) = serve(Application::new(two_parts(end)));
        wire.send(GET);
        let sent = wire.rest();
        let sent = String::from_utf8(sent).unwrap();
        // The parts before the failure may be sent or not; the body must not look complete.
        assert!(!sent.ends_with("0\r\n\r\n"), "{sent}");
        assert!(!sent.contains("disk"), "{sent}");
        let mut wire = Wire::connect(running.address());
        wire.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(wire.head().status(), "200 OK");
    }
}

// Panics.

#[test]
fn a_panic_is_a_500_and_the_connection_continues() {
    fn boom() -> &'static str {
        panic!("boom")
    }
    let app = Application::new(|request: Request| match request.path() {
        "/now" => Reply::new(boom()),
        "/later" => Reply::from_future(async { boom() }),
        _ => Reply::new("Hello"),
    });
    let (_running, mut wire) = serve(app);
    for path in ["/now", "/later"] {
        wire.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        let response = wire.response();
        assert_eq!(response.status(), "500 Internal Server Error");
        assert_eq!(response.text(), "Internal Server Error");
        assert_eq!(wire.send(GET).response().text(), "Hello");
    }
}

#[test]
fn the_server_says_which_request_panicked() {
    fn boom<T>() -> T {
        panic!("boom")
    }
    let panics = |request: Request| match request.path() {
        "/call" => Reply::new(boom::<&str>()),
        "/future" => Reply::from_future(async { boom::<&str>() }),
        "/body" => Reply::new(Body::from_iterator(std::iter::once_with(boom::<&str>))),
        "/known" => Reply::new((
            [("content-length", "4")],
            Body::from_iterator(std::iter::once_with(boom::<&str>)),
        )),
        _ => Reply::new("Hello"),
    };
    let inside = Application::new(panics).wrap(RequestId::new());
    let caught = inside.clone().wrap(CatchPanic::new());
    let app = Router::new()
        .mount("/with", inside)
        .mount("/without", Application::new(panics))
        .mount("/caught", caught);
    let (sender, told) = mpsc::channel();
    let server = Server::bind("127.0.0.1:0").unwrap().on_panic(move |id| {
        sender.send(id.map(|id| id.as_str().to_owned())).unwrap();
    });
    let running = Running::serve(server, app.build().unwrap());
    for (path, is_told) in [
        ("/with/call", true),
        ("/with/future", true),
        ("/with/body", true),
        ("/with/known", true),
        ("/with/", false),
        ("/without/call", true),
        ("/without/body", true),
        ("/caught/call", false),
        ("/caught/body", true),
    ] {
        let mut wire = Wire::connect(running.address());
        let id = "an-id-that-is-long-enough";
        let line = "Connection: close\r\nHost: h";
        wire.send(format!(
            "GET {path} HTTP/1.1\r\n{line}\r\nX-Request-Id: {id}\r\n\r\n"
        ));
        wire.rest();
        let id = (!path.starts_with("/without")).then(|| id.to_owned());
        let expected: Vec<_> = is_told.then_some(id).into_iter().collect();
        assert_eq!(told.try_iter().collect::<Vec<_>>(), expected, "{path}");
    }
}

// Clients that disconnect.

/// Whether the value was dropped.
struct Dropped(Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_body_is_dropped_when_the_client_disconnects() {
    type Make = fn(Dropped) -> Body;
    let endless: Make = |dropped| {
        Body::from_iterator(std::iter::repeat_with(move || {
            let _ = &dropped;
            "x".repeat(1000)
        }))
    };
    let silent: Make = |dropped| {
        Body::new(Source(move || {
            let _ = &dropped;
            Poll::Pending
        }))
    };
    for make in [endless, silent] {
        let dropped = Arc::new(AtomicBool::new(false));
        let (sender, ends) = mpsc::channel::<BodyEnd>();
        let source = dropped.clone();
        let app = Application::new(move |_: Request| {
            let sender = sender.clone();
            make(Dropped(source.clone())).on_end(move |end| sender.send(end).unwrap())
        });
        let (_running, mut wire) = serve(app);
        assert_eq!(wire.send(GET).head().status(), "200 OK");
        assert!(ends.try_recv().is_err());
        wire.reset();
        let end = ends.recv_timeout(PATIENCE).unwrap();
        assert_eq!(end.outcome(), Outcome::Dropped);
        assert!(dropped.load(Ordering::SeqCst));
    }
}

#[test]
fn a_call_is_dropped_when_the_client_disconnects() {
    let (called, calls) = mpsc::channel();
    let dropped = Arc::new(AtomicBool::new(false));
    let held = dropped.clone();
    let app = Application::new(move |_: Request| {
        let guard = Dropped(held.clone());
        called.send(()).unwrap();
        async move {
            std::future::pending::<()>().await;
            drop(guard);
        }
    });
    let (_running, mut wire) = serve(app);
    wire.send(GET);
    calls.recv_timeout(PATIENCE).unwrap();
    wire.reset();
    wait_for("the call to be dropped", || dropped.load(Ordering::SeqCst));
}

/// Waits for a condition that becomes true soon.
fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

// Bodies of requests.

#[test]
fn the_body_of_a_request_is_streamed() {
    let (_running, mut wire) = serve(echo());
    wire.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(wire.head().header("transfer-encoding").unwrap(), "chunked");
    for part in ["one", "two", "three"] {
        wire.send(format!("{:x}\r\n{part}\r\n", part.len()));
        assert_eq!(wire.chunk(), part.as_bytes());
    }
    wire.send("0\r\n\r\n");
    assert_eq!(wire.chunk(), b"");
    assert_eq!(wire.line(), "");
    // The connection still works afterwards.
    wire.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nfour");
    assert_eq!(wire.response().text(), "four");
}

#[test]
fn an_aborted_body_is_an_error_and_not_an_end() {
    let (sender, results) = mpsc::channel();
    let app = Application::new(move |mut request: Request| {
        let sender = sender.clone();
        async move {
            let collected = request.take_body().collect(100).await;
            sender
                .send(collected.map_err(|error| error.to_string()))
                .unwrap();
        }
    });
    for request in [
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nx\r\n",
    ] {
        let (_running, mut wire) = serve(app.clone());
        wire.send(request);
        wire.stream.shutdown(Shutdown::Write).unwrap();
        match results.recv_timeout(PATIENCE) {
            Ok(result) => assert!(result.is_err(), "{request:?}: {result:?}"),
            Err(error) => panic!("{request:?}: {error}"),
        }
    }
}

#[test]
fn an_unread_body_is_not_the_next_request() {
    let forged = "GET /forged HTTP/1.1\r\nHost: h\r\n\r\n";
    let length = format!("Content-Length: {}\r\n\r\n{forged}", forged.len());
    let chunked = format!(
        "Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{forged}\r\n0\r\n\r\n",
        forged.len()
    );
    // Longer than what a server would read and discard.
    let long = format!(
        "Content-Length: {}\r\n\r\n{}",
        forged.len() * 20_000,
        forged.repeat(20_000)
    );
    let running = start(paths());
    for body in [length, chunked, long] {
        let mut wire = Wire::connect(running.address());
        let _ = wire.try_send(format!("POST /real HTTP/1.1\r\nHost: h\r\n{body}"));
        let _ = wire.try_send("GET /next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        let responses = String::from_utf8(wire.rest()).unwrap();
        assert!(!responses.contains("/forged"), "{responses}");
        assert!(responses.contains("\r\n\r\n/real"), "{responses}");
    }
}

#[test]
fn the_rest_of_a_body_after_its_response_is_not_a_head() {
    let app = Application::new(|mut request: Request| {
        // It was parsed as a request line, and one of so many bytes is a 414.
        let body = request.take_body();
        tokio::spawn(body.collect(usize::MAX));
        "answered"
    });
    let (_running, mut wire) = serve(app);
    wire.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n");
    assert_eq!(wire.response().status(), "200 OK");
    for _ in 0..20 {
        wire.send("x".repeat(10_000));
    }
    wire.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(wire.response().status(), "200 OK");
}

/// A compressed body of zeros, of which the first part alone is over the limit.
fn bomb() -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&vec![0; 32 << 20]).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_bomb_is_a_413_and_is_not_read_on() {
    let (_running, mut wire) = serve(echo_whole().wrap(Decompression::new()));
    let bomb = bomb();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        bomb.len()
    );
    // The other half never arrives.
    wire.send(head).send(&bomb[..bomb.len() / 2]);
    let response = wire.response();
    assert_eq!(response.status(), "413 Payload Too Large");
    assert_eq!(wire.rest(), b"");
}

#[test]
fn an_invalid_compressed_body_gets_its_status_and_the_connection_continues() {
    let (_running, mut wire) = serve(echo_whole().wrap(Decompression::new()));
    for (coding, body, status) in [
        ("gzip", "garbage", "400 Bad Request"),
        ("superzip", "x", "415 Unsupported Media Type"),
        ("identity", "x", "200 OK"),
    ] {
        let length = body.len();
        wire.send(format!(
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Encoding: {coding}\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
        assert_eq!(wire.response().status(), status);
    }
}

#[test]
fn a_client_that_waits_for_100_gets_it_when_its_body_is_read() {
    let head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    let reads = Application::new(|mut request: Request| async move {
        request.take_body().collect(100).await.unwrap()
    });
    let (_running, mut wire) = serve(reads);
    assert_eq!(wire.send(head).head().lines, ["HTTP/1.1 100 Continue"]);
    assert_eq!(wire.send("roses").response().text(), "roses");

    let refuses = Application::new(|_: Request| StatusCode::FORBIDDEN);
    let (_running, mut wire) = serve(refuses);
    assert_eq!(wire.send(head).head().status(), "403 Forbidden");
    // The client may or may not send the body now, so nothing more can be read from this connection.
    assert_eq!(wire.rest(), b"");
}

// Addresses.

#[test]
fn listens_on_ipv6() {
    // The standard library shows whether this machine has IPv6: the server must agree.
    match (TcpListener::bind("[::1]:0"), Server::bind("[::1]:0")) {
        (Ok(_), Ok(server)) => {
            assert!(server.local_addr().is_ipv6());
            let app = Application::new(|request: Request| {
                let connection = request.connection();
                let (peer, local) = (connection.peer().unwrap(), connection.local().unwrap());
                format!("{} {}", peer.ip(), local.ip())
            });
            let running = Running::serve(server, app);
            let mut wire = Wire::connect(running.address());
            assert_eq!(wire.send(GET).response().text(), "::1 ::1");
        }
        (Err(expected), Err(found)) => assert_eq!(found.kind(), expected.kind()),
        (expected, found) => panic!("{expected:?}, but {found:?}"),
    }
}

#[test]
fn an_unavailable_address_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = Server::bind(address.as_str()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    let text = error.to_string();
    let start = format!("cannot listen on \"{address}\": ");
    assert!(text.starts_with(&start), "{text}");
}

// WSGI callables.

#[cfg(feature = "wsgi")]
#[test]
fn a_wsgi_callable_says_its_own_reason() {
    let app = wsgi::application(|environ, start_response| {
        let text = format!(
            "{} {}",
            environ.get("SERVER_PROTOCOL").unwrap(),
            environ.get("HTTP_HOST").unwrap()
        );
        start_response("200 Froody", &[("X-Towel", "yes")])?;
        Ok([text])
    });
    let (_running, mut wire) = serve(app);
    let response = wire.send(GET).response();
    assert_eq!(response.lines[0], "HTTP/1.1 200 Froody");
    assert_eq!(response.header("x-towel").unwrap(), "yes");
    assert_eq!(response.text(), "HTTP/1.1 h");
}

#[cfg(feature = "wsgi")]
#[test]
fn a_wsgi_callable_reads_its_input_as_it_arrives() {
    let app = wsgi::application(|mut environ, start_response| {
        start_response("200 OK", &[])?;
        Ok(std::iter::from_fn(move || {
            let mut line = String::new();
            match environ.input().read_line(&mut line) {
                Ok(0) => None,
                Ok(_) => Some(Ok(line)),
                Err(error) => Some(Err(error)),
            }
        }))
    });
    let (_running, mut wire) = serve(app);
    wire.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\n\r\none\n");
    assert_eq!(wire.head().status(), "200 OK");
    assert_eq!(wire.chunk(), b"one\n");
    wire.send("two\n");
    assert_eq!(wire.chunk(), b"two\n");
    wire.send("end\n");
    assert_eq!(wire.chunk(), b"end\n");
    assert_eq!(wire.chunk(), b"");
}

// Trailers.

#[test]
fn trailers_are_sent_to_a_client_that_accepts_them() {
    let with_trailers = |body: fn() -> Body| {
        move |_: Request| {
            let mut trailers = HeaderMap::new();
            trailers.insert("x-checksum", "42".parse().unwrap());
            trailers.insert("x-not-named", "1".parse().unwrap());
            ([("trailer", "x-checksum")], body().with_trailers(trailers))
        }
    };
    let app = Router::new()
        .get("/stream", with_trailers(|| Body::from_iterator(["one"])))
        .get("/text", with_trailers(|| Body::from("one")))
        .build()
        .unwrap();
    let (running, mut wire) = serve(app);
    for path in ["/stream", "/text"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n");
        wire.send(format!("{request}TE: trailers\r\nConnection: TE\r\n\r\n"));
        let head = wire.head();
        // No trailer ever arrived: the name was taken for that of a hop-by-hop header, and a known length won.
        assert_eq!(head.header("trailer").unwrap(), "x-checksum");
        assert_eq!(head.header("content-length"), None);
        assert_eq!(wire.chunk(), b"one");
        assert_eq!(wire.chunk(), b"");
        assert_eq!(wire.line(), "x-checksum: 42");
        assert_eq!(wire.line(), "");
        // RFC 9110, section 6.5.1: trailers are not sent to a client that does not announce `TE: trailers`.
        wire.send(format!("{request}Connection: close\r\n\r\n"));
        let rest = String::from_utf8(wire.rest()).unwrap();
        assert!(!rest.contains("x-checksum: "), "{rest}");
        wire = Wire::connect(running.address());
    }
}

#[test]
fn the_servers_hook_gets_the_cause_of_an_error() {
    let app = Application::new(|request: Request| match request.path() {
        "/cause" => Err(HttpError::from(std::io::Error::other("the disk is full"))),
        "/busy" => Err(HttpError::new(StatusCode::SERVICE_UNAVAILABLE)),
        "/missing" => Err(HttpError::new(StatusCode::NOT_FOUND).caused_by("no such row")),
        "/panic" => panic!("boom"),
        _ => Ok("Hello"),
    });
    let (sender, told) = mpsc::channel();
    let server = Server::bind("127.0.0.1:0").unwrap();
    let server = server.on_error(move |error, id| {
        let cause = error.source().map(ToString::to_string);
        let id = id.map(|id| id.as_str().to_owned());
        sender.send((error.status().as_u16(), cause, id)).unwrap();
    });
    let running = Running::serve(server, app.wrap(RequestId::new()));
    let id = "an-id-that-is-long-enough";
    for (path, expected) in [
        ("/cause", Some((500, Some("the disk is full")))),
        ("/busy", Some((503, None))),
        ("/missing", None),
        // Panics go to the other hook.
        ("/panic", None),
        ("/", None),
    ] {
        let mut wire = Wire::connect(running.address());
        let head = format!("GET {path} HTTP/1.1\r\nConnection: close\r\nHost: h");
        wire.send(format!("{head}\r\nX-Request-Id: {id}\r\n\r\n"));
        wire.rest();
        let expected =
            expected.map(|(status, cause)| (status, cause.map(str::to_owned), Some(id.to_owned())));
        assert_eq!(
            told.try_iter().collect::<Vec<_>>(),
            Vec::from_iter(expected),
            "{path}"
        );
    }
}

#[test]
fn a_router_is_built_where_it_is_served() {
    let bind = || Server::bind("127.0.0.1:0").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let wrong = || Router::new().get("users", |_: Request| "users");
    let mistake = wrong().build().unwrap_err().to_string();
    let forever = bind().serve_forever(wrong()).unwrap_err();
    let now = runtime.block_on(bind().serve(wrong())).unwrap_err();
    let until = runtime.block_on(bind().serve_until(wrong(), std::future::pending()));
    for error in [forever, now, until.unwrap_err()] {
        assert_eq!(error.to_string(), mistake);
    }
    let (server, router) = (bind(), Router::new().get("/", |_: Request| "Hello"));
    let stopped = runtime.block_on(server.serve_until(router, std::future::ready(())));
    assert!(stopped.is_ok());
}
