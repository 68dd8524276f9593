//! The limits of the built-in server: what a client beyond a limit gets, and that others are served meanwhile.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy does not count helpers of tests as tests"
)]

mod support {
    #[cfg(feature = "http2")]
    #[expect(dead_code, reason = "other tests use the rest of it")]
    pub(crate) mod http2;
    pub(crate) mod running;
    pub(crate) mod stopped;
    #[expect(dead_code, reason = "other tests use the rest of it")]
    pub(crate) mod wire;
}

use std::io::{ErrorKind, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
#[cfg(feature = "http2")]
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;
use enfilade::{Application, Body, HttpError, Outcome, Request, Server};

#[cfg(feature = "http2")]
use self::support::http2;
use self::support::running::Running;
use self::support::stopped::Stopped;
use self::support::wire::{PATIENCE, Wire};

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const SHORT: Duration = Duration::from_millis(100);
/// How long a test sleeps between two looks, so that other tasks run.
#[cfg(feature = "http2")]
const LOOK: Duration = Duration::from_millis(1);

fn server() -> Server {
    Server::bind("127.0.0.1:0")
        .unwrap()
        .shutdown_deadline(Duration::from_secs(1))
}

fn hello() -> Application {
    Application::new(|_: Request| "Hello")
}

/// Responds with the length of the body when all of it has arrived.
fn length() -> Application {
    Application::new(|mut request: Request| async move {
        let content = request.take_body().collect(1 << 20).await?;
        Ok::<_, HttpError>(content.len().to_string())
    })
}

fn is_served(address: SocketAddr) -> bool {
    Wire::connect(address).send(GET).response().status() == "200 OK"
}

fn closed(status: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
}

/// Whether there is nothing new to read, not even the end of the connection.
fn is_silent(wire: &Wire) -> bool {
    wire.stream.set_nonblocking(true).unwrap();
    let peeked = wire.stream.peek(&mut [0]);
    wire.stream.set_nonblocking(false).unwrap();
    peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

fn text(wire: &mut Wire) -> String {
    wire.rest_without_date()
}

#[test]
fn many_slow_heads_block_no_other_client() {
    let server = server().header_read_timeout(SHORT * 5);
    let stopped = Stopped::serve(server, hello());
    let mut slow: Vec<Wire> = (0..300)
        .map(|_| {
            let mut wire = Wire::connect(stopped.address());
            wire.send("GET / HTTP/1.1\r\nHost: h\r\nx-a: ");
            wire
        })
        .collect();
    // A byte now and then does not extend the timeout.
    for _ in 0..6 {
        for wire in &mut slow {
            // The connection may be closed already.
            let _ = wire.try_send("a");
        }
        assert!(is_served(stopped.address()));
        stopped.advance(SHORT);
    }
    stopped.advance_while(|| {
        for mut wire in slow {
            // A client that is in the middle of a write when the server closes may get a reset.
            let mut rest = Vec::new();
            match std::io::Read::read_to_end(&mut wire.stream, &mut rest) {
                Ok(_) => {
                    let rest = String::from_utf8(rest).unwrap();
                    let lines = rest.split_inclusive("\r\n");
                    let rest: String = lines.filter(|line| !line.starts_with("date: ")).collect();
                    assert_eq!(rest, closed("408 Request Timeout"));
                }
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
            }
        }
    });
}

#[test]
fn the_timeout_of_a_head_begins_with_its_first_byte() {
    let server = server().header_read_timeout(Duration::from_millis(400));
    let stopped = Stopped::serve(server.keep_alive_timeout(Duration::from_secs(60)), hello());
    let mut wire = Wire::connect(stopped.address());
    assert_eq!(wire.send(GET).response().status(), "200 OK");
    // A kept connection may wait longer than a head may take.
    stopped.advance(Duration::from_secs(59));
    assert_eq!(wire.send(GET).response().status(), "200 OK");
    stopped.advance(Duration::from_secs(59));
    wire.send("GET / HT");
    stopped.advance(Duration::from_millis(399));
    assert!(is_silent(&wire));
    stopped.advance(Duration::from_millis(2));
    assert!(!is_silent(&wire));
    let (text, _) = stopped.advance_while(|| text(&mut wire));
    assert_eq!(text, closed("408 Request Timeout"));
}

#[test]
fn an_idle_connection_is_closed() {
    let stopped = Stopped::serve(server().keep_alive_timeout(SHORT), hello());
    let mut wire = Wire::connect(stopped.address());
    assert_eq!(wire.send(GET).response().status(), "200 OK");
    stopped.advance(SHORT - Duration::from_millis(1));
    assert!(is_silent(&wire));
    stopped.advance(Duration::from_millis(2));
    assert!(!is_silent(&wire));
    assert_eq!(text(&mut wire), "");
}

#[cfg(feature = "http2")]
#[test]
fn an_idle_connection_of_http_2_is_closed() {
    let stopped = Stopped::serve(server().keep_alive_timeout(SHORT), hello());
    let client = http2::Client::connect(stopped.address());
    assert_eq!(client.text("http://h/"), (200, "Hello".to_owned()));
    // A connection with a request is not idle, so there is no request until it must be closed.
    stopped.advance(SHORT * 2);
    let began = Instant::now();
    while client.try_begin(http2::get("http://h/")).is_ok() {
        assert!(began.elapsed() < PATIENCE, "still open");
        std::thread::sleep(LOOK);
    }
}

/// A handler that takes far longer than a connection may be idle, and a future that waits until it is called.
fn late() -> (Stopped, impl Fn()) {
    let (sender, calls) = mpsc::channel();
    let app = Application::new(move |_: Request| {
        sender.send(()).unwrap();
        async {
            tokio::time::sleep(SHORT * 500).await;
            "late"
        }
    });
    let server = server()
        .keep_alive_timeout(SHORT)
        .header_read_timeout(SHORT);
    let is_called = move || calls.recv_timeout(PATIENCE).unwrap();
    (Stopped::serve(server, app), is_called)
}

fn pass(stopped: &Stopped, times: u32) {
    for _ in 0..times {
        stopped.advance(SHORT);
    }
}

#[test]
fn a_slow_response_is_not_idle() {
    let (stopped, is_called) = late();
    let mut wire = Wire::connect(stopped.address());
    wire.send(GET);
    is_called();
    pass(&stopped, 501);
    assert_eq!(wire.response().text(), "late");
}

#[cfg(feature = "http2")]
#[test]
fn a_slow_response_over_http_2_is_not_idle() {
    let (stopped, is_called) = late();
    let client = http2::Client::connect(stopped.address());
    let sent = client.ask(http2::get("http://h/"));
    is_called();
    pass(&stopped, 501);
    let response = client.response(sent);
    assert_eq!(response.status, 200);
    assert_eq!(client.content(response).0, "late");
}

#[test]
fn a_body_that_does_not_come_is_a_408() {
    let stopped = Stopped::serve(server().body_read_timeout(SHORT), length());
    let mut wire = Wire::connect(stopped.address());
    wire.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
    stopped.advance(SHORT - Duration::from_millis(1));
    assert!(is_silent(&wire));
    stopped.advance(Duration::from_millis(2));
    assert_eq!(wire.response().status(), "408 Request Timeout");
    let (text, _) = stopped.advance_while(|| text(&mut wire));
    assert_eq!(text, "");
}

#[cfg(feature = "http2")]
#[test]
fn a_body_that_does_not_come_over_http_2_is_a_408() {
    let stopped = Stopped::serve(server().body_read_timeout(SHORT), length());
    let client = http2::Client::connect(stopped.address());
    let mut sent = client.begin(http2::get("http://h/").method("POST"));
    sent.content
        .send_data(Bytes::from_static(b"abc"), false)
        .unwrap();
    let (response, _) = stopped.advance_while(|| client.response(sent));
    assert_eq!(response.status, 408);
}

#[test]
fn a_body_that_comes_too_slowly_is_a_408() {
    let server = server().body_read_timeout(PATIENCE).min_body_rate(1_000);
    let stopped = Stopped::serve(server, length());
    let mut wire = Wire::connect(stopped.address());
    wire.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut gone = Duration::ZERO;
    while is_silent(&wire) {
        wire.send("1\r\na\r\n");
        stopped.advance(SHORT);
        gone += SHORT;
        assert!(gone < PATIENCE, "never cut off");
    }
    assert_eq!(wire.response().status(), "408 Request Timeout");
    // Every client has five seconds at the beginning.
    assert!((5..6).contains(&gone.as_secs()), "{gone:?}");
}

#[test]
fn a_client_that_reads_nothing_stops_the_producer_and_is_closed() {
    let produced = Arc::new(AtomicU64::new(0));
    let outcome = Arc::new(std::sync::Mutex::new(None));
    let app = Application::new({
        let (produced, outcome) = (produced.clone(), outcome.clone());
        move |request: Request| {
            if request.path() != "/flood" {
                return Body::from("Hello");
            }
            let (produced, outcome) = (produced.clone(), outcome.clone());
            let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
            let chunks = std::iter::from_fn(move || {
                produced.fetch_add(chunk.len() as u64, Ordering::Relaxed);
                Some(chunk.clone())
            });
            Body::from_iterator(chunks)
                .on_end(move |end| *outcome.lock().unwrap() = Some(end.outcome()))
        }
    });
    let stopped = Stopped::serve(server().write_timeout(Duration::from_millis(500)), app);
    let mut slow: Vec<Wire> = Vec::new();
    for _ in 0..4 {
        let mut wire = Wire::connect(stopped.address());
        wire.send("GET /flood HTTP/1.1\r\nHost: h\r\n\r\n");
        slow.push(wire);
    }
    assert!(is_served(stopped.address()));
    let began = Instant::now();
    while outcome.lock().unwrap().is_none() {
        assert!(began.elapsed() < PATIENCE, "never cut off");
        stopped.advance(SHORT);
    }
    assert_eq!(*outcome.lock().unwrap(), Some(Outcome::Dropped));
    // The data in the sockets of both sides, and in hyper's buffer.
    let each = produced.load(Ordering::Relaxed) / 4;
    assert!(each < 16 << 20, "{each} bytes for each client");
    assert!(is_served(stopped.address()));
}

/// Asserts that a server serves two clients at a time.
fn assert_two_are_served(server: Server) {
    let refused = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let running = Running::serve(server, hello());
    let mut wires = [
        Wire::connect(running.address()),
        Wire::connect(running.address()),
    ];
    for wire in &mut wires {
        assert_eq!(wire.send(GET).response().status(), "200 OK");
    }
    let mut third = Wire::connect(running.address());
    third.send(GET);
    assert_eq!(text(&mut third), refused);
    wires[0].stream.shutdown(Shutdown::Both).unwrap();
    let began = Instant::now();
    // It learns of the end a moment later.
    while text(Wire::connect(running.address()).send("GET / HTTP/1.0\r\n\r\n")) == refused {
        assert!(began.elapsed() < PATIENCE, "its place is never free");
    }
    assert_eq!(wires[1].send(GET).response().status(), "200 OK");
}

#[test]
fn connections_are_limited() {
    assert_two_are_served(server().max_connections(2));
}

#[test]
fn connections_of_a_peer_are_limited() {
    assert_two_are_served(server().max_connections_per_peer(2));
}

#[test]
fn long_lines_and_heads_are_refused() {
    let server = server().max_request_line(100).max_header_size(1_000);
    let running = Running::serve(server, hello());
    let ask = |head: String| {
        let mut wire = Wire::connect(running.address());
        // The server need not read to the end of what is too long.
        let _ = wire.try_send(head);
        wire.line()
    };
    let a = |count| "a".repeat(count);
    for (head, expected) in [
        (
            format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", a(85)),
            "200 OK",
        ),
        (
            format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", a(95)),
            "414 URI Too Long",
        ),
        (format!("GET /{}", a(200_000)), "414 URI Too Long"),
        (
            format!("GET / HTTP/1.1\r\nHost: h\r\nx: {}\r\n\r\n", a(900)),
            "200 OK",
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: h\r\nx: {}\r\n\r\n", a(1_000)),
            "431 Request Header Fields Too Large",
        ),
    ] {
        let start = head.get(..20).unwrap().to_owned();
        assert_eq!(ask(head), format!("HTTP/1.1 {expected}"), "{start}");
    }
}

#[cfg(feature = "http2")]
#[test]
fn a_client_that_resets_its_streams_at_once_is_closed() {
    let (calls, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let app = Application::new({
        let (calls, most) = (calls.clone(), most.clone());
        move |request: Request| {
            let (calls, most) = (calls.clone(), most.clone());
            async move {
                if request.path() != "/slow" {
                    return "Hello";
                }
                most.fetch_max(calls.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                let _end = OnDrop(calls);
                std::future::pending::<&str>().await
            }
        }
    });
    let running = Running::serve(server(), app);
    let mut client = http2::Client::connect(running.address());
    let mut asked = 0;
    let error = loop {
        match client.try_begin(http2::get("http://h/slow")) {
            Ok(mut sent) => {
                sent.content.send_reset(h2::Reason::CANCEL);
                // The connection's own task has to write it.
                std::thread::yield_now();
            }
            // `h2` has reset a stream before it wrote its head, and so reset one that the server does not know.
            Err(error) if error.reason() == Some(h2::Reason::PROTOCOL_ERROR) => {
                client = http2::Client::connect(running.address());
            }
            Err(error) => break error,
        }
        asked += 1;
        assert!(asked < 1_000_000, "asked {asked} times");
    };
    // The socket may be closed before the server's message was read. The frames are counted too, and hyper has no
    // message of its own for that.
    let calm = [h2::Reason::ENHANCE_YOUR_CALM, h2::Reason::NO_ERROR];
    let is_told = error.reason().is_some_and(|reason| calm.contains(&reason));
    assert!(is_told || error.is_io(), "{error}");
    assert!(
        most.load(Ordering::Relaxed) <= 200 + 20,
        "{most:?} at a time"
    );
    assert!(is_served(running.address()));
    let began = Instant::now();
    while calls.load(Ordering::Relaxed) > 0 {
        assert!(began.elapsed() < PATIENCE, "{calls:?} calls go on");
        std::thread::sleep(LOOK);
    }
}

#[cfg(feature = "http2")]
struct OnDrop(Arc<AtomicUsize>);

#[cfg(feature = "http2")]
impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(feature = "http2")]
#[test]
fn an_application_learns_that_its_server_stops() {
    let (sender, calls) = mpsc::channel();
    let app = Application::new(move |request: Request| {
        sender.send(()).unwrap();
        async move {
            request.connection().shutting_down().await;
            "goodbye"
        }
    });
    let mut running = Running::serve(server().shutdown_deadline(PATIENCE), app);
    let mut wire = Wire::connect(running.address());
    wire.send(GET);
    let client = http2::Client::connect(running.address());
    let sent = client.ask(http2::get("http://h/"));
    for _ in 0..2 {
        calls.recv_timeout(PATIENCE).unwrap();
    }
    let began = Instant::now();
    running.stop();
    assert_eq!(wire.response().text(), "goodbye");
    let response = client.response(sent);
    assert_eq!(client.content(response).0, "goodbye");
    running.join();
    assert!(began.elapsed() < PATIENCE / 2);
}

/// A socket whose other end is closed is not an error.
#[test]
fn a_client_that_disconnects_at_once_is_not_an_error() {
    let running = Running::serve(server(), hello());
    for _ in 0..50 {
        drop(TcpStream::connect(running.address()).unwrap());
        let mut stream = TcpStream::connect(running.address()).unwrap();
        let _ = stream.write_all(b"GET / HT");
    }
    assert!(is_served(running.address()));
}
