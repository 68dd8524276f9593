//! The built-in server over HTTP/2, by prior knowledge.
#![expect(
    clippy::unwrap_used,
    reason = "clippy does not count helpers of tests as tests"
)]

mod support {
    pub(crate) mod gated;
    pub(crate) mod http2;
    pub(crate) mod running;
}

use std::future::poll_fn;
use std::io::{Error, Write};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use bytes::Bytes;
use enfilade::middleware::Decompression;
use enfilade::{Application, Body, BodyEnd, HttpError, IntoHandler, Outcome, Request, Server};
use h2::Reason;
use http::{HeaderMap, Method, StatusCode};
use tokio::sync::Semaphore;

use self::support::gated::gated;
use self::support::http2::{Client, PATIENCE, Parts, get};
use self::support::running::Running;

const TARGET: &str = "http://h/";

fn start<M>(server: Server, app: impl IntoHandler<M>) -> (Running, Client) {
    let running = Running::serve(server.shutdown_deadline(Duration::from_secs(1)), app);
    let client = Client::connect(running.address());
    (running, client)
}

/// Serves `app` and connects to it.
fn serve<M>(app: impl IntoHandler<M>) -> (Running, Client) {
    start(Server::bind("127.0.0.1:0").unwrap(), app)
}

/// `/` responds with `Hello`, and any other path calls `app`.
fn beside_hello(app: Application) -> Application {
    let hello = Application::new(|_: Request| "Hello");
    Application::new(move |request: Request| match request.path() {
        "/" => hello.call(request),
        _ => app.call(request),
    })
}

fn trailers() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "6".parse().unwrap());
    trailers
}

// Streams.

#[test]
fn streams_get_responses_as_they_are_ready() {
    let gate = Arc::new(Semaphore::new(0));
    let (called, calls) = mpsc::channel();
    let app = gated(&gate, move || called.send(()).unwrap());
    let (_running, client) = serve(app);
    let slow: Vec<_> = (0..3).map(|_| client.ask(get("http://h/slow"))).collect();
    for _ in &slow {
        calls.recv_timeout(PATIENCE).unwrap();
    }
    let fast = (200, "at once".to_owned());
    assert_eq!(client.text(TARGET), fast);
    gate.add_permits(1);
    for slow in slow {
        let response = client.response(slow);
        assert_eq!(client.content(response), ("done".to_owned(), Ok(None)));
    }
}

#[test]
fn a_panic_is_a_500_on_its_stream() {
    fn boom() -> &'static str {
        panic!("boom")
    }
    let at_once = Application::new(|_: Request| boom());
    let later = Application::new(|_: Request| async { boom() });
    for app in [at_once, later] {
        let (_running, client) = serve(beside_hello(app));
        let error = (500, "Internal Server Error".to_owned());
        assert_eq!(client.text("http://h/panic"), error);
        assert_eq!(client.text(TARGET), (200, "Hello".to_owned()));
    }
}

#[test]
fn a_stopped_server_finishes_streams_and_accepts_no_more() {
    let gate = Arc::new(Semaphore::new(0));
    let (called, calls) = mpsc::channel();
    let app = gated(&gate, move || called.send(()).unwrap());
    let server = Server::bind("127.0.0.1:0").unwrap();
    let mut running = Running::serve(server.shutdown_deadline(PATIENCE), app);
    let client = Client::connect(running.address());
    let slow = client.ask(get("http://h/slow"));
    calls.recv_timeout(PATIENCE).unwrap();
    running.stop();
    // Until the client knows about the shutdown, its requests still get a response.
    let start = std::time::Instant::now();
    let is_taken = || {
        let sent = client.try_begin(get("http://h/late"));
        sent.and_then(|sent| client.try_response(sent)).is_ok()
    };
    while is_taken() {
        assert!(
            start.elapsed() < PATIENCE,
            "the server still takes requests"
        );
    }
    gate.add_permits(1);
    let response = client.response(slow);
    assert_eq!(client.content(response), ("done".to_owned(), Ok(None)));
    running.join();
}

// Bodies of responses.

#[test]
fn trailers_are_sent_without_a_te_header() {
    let app = Application::new(|_: Request| {
        Body::from_iterator(["one", "two"]).with_trailers(trailers())
    });
    let (_running, client) = serve(app);
    let response = client.response(client.ask(get(TARGET)));
    assert_eq!(response.headers.get("content-length"), None);
    let expected = ("onetwo".to_owned(), Ok(Some(trailers())));
    assert_eq!(client.content(response), expected);
}

#[test]
fn the_response_to_head_is_that_to_get_without_the_body() {
    let (_running, client) = serve(Application::new(|_: Request| "Hello"));
    let mut get_headers = client.response(client.ask(get(TARGET))).headers;
    let response = client.response(client.ask(get(TARGET).method(Method::HEAD)));
    let mut headers = response.headers.clone();
    assert_eq!(headers["content-length"], "5");
    // A second may have passed.
    assert!(headers.remove("date").is_some() && get_headers.remove("date").is_some());
    assert_eq!(headers, get_headers);
    assert_eq!(client.content(response), (String::new(), Ok(None)));
}

/// A body of two parts, and then what `end` does.
fn two_parts(end: fn() -> Option<Result<Bytes, Error>>) -> Application {
    Application::new(move |_: Request| {
        let mut parts = ["one", "two"].into_iter();
        Body::new(Parts(move || match parts.next() {
            Some(part) => Some(Ok(part.into())),
            None => end(),
        }))
    })
}

#[test]
fn a_body_that_fails_is_a_reset_after_its_first_parts() {
    let app = two_parts(|| Some(Err(Error::other("boom"))));
    let (_running, client) = serve(beside_hello(app));
    let response = client.response(client.ask(get("http://h/fails")));
    assert_eq!(response.status, 200);
    let expected = ("onetwo".to_owned(), Err(Reason::INTERNAL_ERROR));
    assert_eq!(client.content(response), expected);
    assert_eq!(client.text(TARGET), (200, "Hello".to_owned()));
}

#[test]
fn a_body_that_panics_is_a_reset_after_its_first_parts() {
    fn boom() -> Option<Result<Bytes, Error>> {
        panic!("boom")
    }
    let (_running, client) = serve(beside_hello(two_parts(boom)));
    let response = client.response(client.ask(get("http://h/panics")));
    assert_eq!(response.status, 200);
    let expected = ("onetwo".to_owned(), Err(Reason::INTERNAL_ERROR));
    assert_eq!(client.content(response), expected);
    assert_eq!(client.text(TARGET), (200, "Hello".to_owned()));
}

#[test]
fn a_body_is_dropped_when_its_stream_is_reset() {
    let (sender, ends) = mpsc::channel::<BodyEnd>();
    let endless = Application::new(move |_: Request| {
        let sender = sender.clone();
        let body = Body::from_iterator(std::iter::repeat_with(|| "x".repeat(1000)));
        body.on_end(move |end| sender.send(end).unwrap())
    });
    let (_running, client) = serve(beside_hello(endless));
    let mut response = client.response(client.ask(get("http://h/endless")));
    client.part(&mut response).unwrap().unwrap();
    assert!(ends.try_recv().is_err());
    drop(response);
    let end = ends.recv_timeout(PATIENCE).unwrap();
    assert_eq!(end.outcome(), Outcome::Dropped);
    assert_eq!(client.text(TARGET), (200, "Hello".to_owned()));
}

// Bodies of requests.

#[test]
fn a_bomb_is_a_413_and_its_stream_alone_is_stopped() {
    let whole = Application::new(|mut request: Request| async move {
        let content = request.take_body().collect(64 << 20).await?;
        Ok::<_, HttpError>(content)
    });
    let (_running, client) = serve(beside_hello(whole.wrap(Decompression::new())));
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&vec![0; 32 << 20]).unwrap();
    let bomb = Bytes::from(encoder.finish().unwrap());
    let request = get("http://h/bomb").header("content-encoding", "gzip");
    let mut sent = client.begin(request.method(Method::POST));
    // The other half never arrives.
    sent.content
        .send_data(bomb.slice(..bomb.len() / 2), false)
        .unwrap();
    let (response, mut content) = client.early_response(sent);
    assert_eq!(response.status, 413);
    assert_eq!(client.content(response).0, "Payload Too Large");
    // An early response is not an error (RFC 9113, section 8.1).
    let reset = client.wait(poll_fn(|context| content.poll_reset(context)));
    assert_eq!(reset.unwrap(), Reason::NO_ERROR);
    assert_eq!(client.text(TARGET), (200, "Hello".to_owned()));
}

#[test]
fn a_large_body_is_streamed_both_ways() {
    const PARTS: usize = 64;
    let echo = Application::new(|mut request: Request| request.take_body());
    let (_running, client) = serve(echo);
    let sent = client.begin(get(TARGET).method(Method::POST));
    let (mut response, mut content) = client.early_response(sent);
    let part = Bytes::from(vec![b'x'; 16 * 1024]);
    for _ in 0..PARTS {
        content.send_data(part.clone(), false).unwrap();
        // Each is back before the next one is sent.
        let mut back = 0;
        while back < part.len() {
            back += client.part(&mut response).unwrap().unwrap().len();
        }
        assert_eq!(back, part.len());
    }
    content.send_trailers(trailers()).unwrap();
    assert_eq!(
        client.content(response),
        (String::new(), Ok(Some(trailers())))
    );
}

#[test]
fn an_unread_body_is_held_back() {
    const FAR_MORE: usize = 64 << 20;
    let gate = Arc::new(Semaphore::new(0));
    let (called, calls) = mpsc::channel();
    let app = gated(&gate, move || called.send(()).unwrap());
    let (_running, client) = serve(app);
    let mut sent = client.begin(get("http://h/slow").method(Method::POST));
    calls.recv_timeout(PATIENCE).unwrap();
    sent.content.reserve_capacity(FAR_MORE);
    std::thread::sleep(Duration::from_millis(50));
    assert!(sent.content.capacity() <= 1 << 20);
    gate.add_permits(1);
    let response = client.response(sent);
    assert_eq!(client.content(response).0, "done");
}

// Heads.

#[test]
fn connection_specific_headers_never_go_out() {
    let app = Application::new(|_: Request| {
        let headers = [
            ("connection", "close"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "close"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "x"),
            ("te", "trailers"),
            ("x-a", "1"),
        ];
        (StatusCode::OK, headers, "Hello")
    });
    let (_running, client) = serve(app);
    let response = client.response(client.ask(get(TARGET)));
    let mut names: Vec<_> = response
        .headers
        .keys()
        .map(http::HeaderName::as_str)
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["content-length", "content-type", "date", "x-a"]);
}

#[test]
fn a_request_needs_one_host() {
    let host = Application::new(|request: Request| {
        let field = request
            .environ()
            .get("HTTP_HOST")
            .unwrap_or_default()
            .into_owned();
        format!("{} {field}", request.host().unwrap_or_default())
    });
    let (_running, client) = serve(host);
    for (target, hosts, expected) in [
        ("http://h:8/", &[][..], (200, "h:8 h:8")),
        ("http://h:8/", &["h:8"], (200, "h:8 h:8")),
        // The environ has the target's authority, which wins (RFC 9112, section 3.2.2).
        ("http://h:8/", &["H:8"], (200, "h:8 h:8")),
        ("/", &["h:8"], (200, "h:8 h:8")),
        ("/", &[], (400, "Missing authority")),
        ("/", &["h", "h"], (400, "More than one Host header")),
        ("/", &["a b"], (400, "Invalid Host header")),
        (
            "http://h:8/",
            &["other"],
            (400, "Host differs from the authority"),
        ),
    ] {
        let request = hosts
            .iter()
            .fold(get(target), |request, host| request.header("host", *host));
        let response = client.response(client.ask(request));
        let (status, expected) = expected;
        assert_eq!(response.status, status, "{target} {hosts:?}");
        assert_eq!(client.content(response).0, expected, "{target} {hosts:?}");
    }
}

#[test]
fn a_1xx_from_the_application_is_a_500() {
    for status in [100, 101, 103] {
        let status = StatusCode::from_u16(status).unwrap();
        let app = Application::new(move |_: Request| (status, [("upgrade", "x")], ""));
        let (_running, client) = serve(beside_hello(app));
        let error = (500, "Internal Server Error".to_owned());
        assert_eq!(client.text("http://h/upgrade"), error);
        assert_eq!(client.text(TARGET), (200, "Hello".to_owned()));
    }
}

#[test]
fn the_number_of_headers_can_be_set() {
    let server = Server::bind("127.0.0.1:0").unwrap().max_headers(3);
    let (_running, client) = start(server, Application::new(|_: Request| "Hello"));
    for (count, status) in [(2, 200), (3, 200), (4, 431)] {
        let fields = 0..count;
        let request = fields.fold(get(TARGET), |request, at| {
            request.header(format!("x-{at}"), "1")
        });
        assert_eq!(
            client.response(client.ask(request)).status,
            status,
            "{count}"
        );
    }
}
