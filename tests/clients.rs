//! Clients that disconnect, read nothing or little, or send what costs them nothing: how their requests end, and that
//! others are served meanwhile.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy does not count helpers of tests as tests"
)]

mod support {
    pub(crate) mod frames;
    pub(crate) mod running;
    #[expect(dead_code, reason = "other tests use the rest of it")]
    pub(crate) mod wire;
}

use std::io::Read;
use std::net::{Shutdown, SocketAddr};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;
use enfilade::middleware::ConcurrencyLimit;
use enfilade::{Application, Body, HttpError, Outcome, Request, Server, wsgi};

use self::support::frames::{Frames, Kind};
use self::support::running::Running;
use self::support::wire::{PATIENCE, Wire};

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const SHORT: Duration = Duration::from_millis(100);
const LARGE: usize = 20 << 20;

fn server() -> Server {
    Server::bind("127.0.0.1:0")
        .unwrap()
        .shutdown_deadline(Duration::from_secs(1))
}

/// `/` is a word, `/large` 20 MB in memory; the sender gets the outcome of each body.
fn app(ends: mpsc::Sender<Outcome>) -> Application {
    let large = Bytes::from(vec![b'x'; LARGE]);
    Application::new(move |request: Request| {
        let body = match request.path() {
            "/large" => Body::from(large.clone()),
            _ => Body::from("Hello"),
        };
        let ends = ends.clone();
        body.on_end(move |end| {
            // The test may have dropped the receiver.
            let _ = ends.send(end.outcome());
        })
    })
}

fn is_served(address: SocketAddr) -> bool {
    Wire::connect(address).send(GET).response().status() == "200 OK"
}

/// A handler that never ends, and the receiver of the message that it was dropped.
fn endless() -> (Application, mpsc::Receiver<()>, mpsc::Receiver<()>) {
    struct OnDrop(mpsc::Sender<()>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let (called, calls) = mpsc::channel();
    let (dropped, drops) = mpsc::channel();
    let app = Application::new(move |request: Request| {
        let guard = OnDrop(dropped.clone());
        called.send(()).unwrap();
        async move {
            let _held = (guard, request);
            std::future::pending::<()>().await;
        }
    });
    (app, calls, drops)
}

// Clients that disconnect.

#[test]
fn a_reset_drops_the_handler_whatever_is_unread() {
    let large = "x".repeat(1 << 20);
    let pipelined = GET.repeat(100);
    for request in [
        GET.to_owned(),
        format!(
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{large}",
            large.len()
        ),
        format!(
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n",
            1 << 20
        ),
        pipelined,
    ] {
        let (app, calls, drops) = endless();
        let running = Running::serve(server(), app);
        let mut wire = Wire::connect(running.address());
        wire.stream.set_nonblocking(true).unwrap();
        // The client does not read, so that not all of it fits.
        let _ = wire.try_send(&request);
        calls.recv_timeout(PATIENCE).unwrap();
        wire.reset();
        let line = request.lines().next().unwrap();
        assert_eq!(drops.recv_timeout(PATIENCE), Ok(()), "{line}");
    }
}

#[test]
fn a_client_that_closes_its_side_in_the_middle_of_a_request_ends_it() {
    for request in [
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ] {
        let (app, calls, drops) = endless();
        let running = Running::serve(server(), app);
        let mut wire = Wire::connect(running.address());
        wire.send(request);
        calls.recv_timeout(PATIENCE).unwrap();
        wire.stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(drops.recv_timeout(PATIENCE), Ok(()), "{request}");
    }
}

#[test]
fn a_client_that_closes_its_side_after_the_request_gets_the_response() {
    let app = Application::new(|mut request: Request| async move {
        // Longer than the server needs to notice a client that has disconnected.
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        let content = request.take_body().collect(1 << 20).await?;
        Ok::<_, HttpError>(content.len().to_string())
    });
    let running = Running::serve(server(), app);
    let waiting: Vec<_> = [
        (GET.to_owned(), &["0"][..]),
        (GET.repeat(2), &["0", "0"]),
        (
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc".to_owned(),
            &["3"],
        ),
        (
            format!(
                "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 300000\r\n\r\n{}",
                "x".repeat(300_000)
            ),
            &["300000"],
        ),
        (
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
                .to_owned(),
            &["3"],
        ),
    ]
    .into_iter()
    .map(|(request, expected)| {
        let mut wire = Wire::connect(running.address());
        wire.send(request).stream.shutdown(Shutdown::Write).unwrap();
        (wire, expected)
    })
    .collect();
    for (mut wire, expected) in waiting {
        for text in expected {
            assert_eq!(wire.response().text(), *text);
        }
        assert_eq!(wire.rest(), b"");
    }
}

/// The rejected head was offered to the closing connection again and again, for a second.
#[test]
fn rejecting_a_head_that_was_sent_ahead_takes_no_time() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (ends, _) = mpsc::channel();
    let server = server();
    let address = server.local_addr();
    let serving = runtime.spawn(server.serve_until(app(ends), std::future::pending()));
    let mut wires: Vec<Wire> = (0..4).map(|_| Wire::connect(address)).collect();
    for wire in &mut wires {
        wire.send(format!("{GET}GET /#a HTTP/1.1\r\nHost: h\r\n\r\n"));
    }
    for wire in &mut wires {
        assert_eq!(wire.response().text(), "Hello");
        assert!(wire.line().contains(" 400 "));
    }
    // The longest time that closing may take.
    std::thread::sleep(Duration::from_millis(1_200));
    let busy = runtime.metrics().worker_total_busy_duration(0);
    assert!(busy < Duration::from_millis(500), "{busy:?}");
    serving.abort();
}

// Clients that are slow.

/// A server with short limits; a body in memory is in hyper's hands at once.
fn impatient() -> Server {
    server()
        .keep_alive_timeout(SHORT)
        .header_read_timeout(SHORT)
        .write_timeout(Duration::from_secs(1))
}

#[test]
fn a_client_that_reads_steadily_gets_all_of_a_response_in_memory() {
    let (ends, _) = mpsc::channel();
    let running = Running::serve(impatient(), app(ends));
    let mut wire = Wire::connect(running.address());
    wire.send("GET /large HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    let began = Instant::now();
    let mut all = 0;
    let mut part = vec![0; LARGE / 20];
    while let Ok(count @ 1..) = wire.stream.read(&mut part) {
        all += count;
        std::thread::sleep(SHORT);
    }
    assert!(all > LARGE, "{all} bytes");
    // Far longer than the limits.
    assert!(began.elapsed() > SHORT * 10);
}

/// Linux allows writes only if a third of a socket's buffer is free, which took this client longer than the limit.
#[test]
fn a_client_that_reads_slowly_but_steadily_gets_all() {
    let (ends, _) = mpsc::channel();
    let running = Running::serve(impatient(), app(ends));
    let mut wire = Wire::connect(running.address());
    wire.send("GET /large HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    let mut all = 0;
    let mut part = vec![0; 20_000];
    let began = Instant::now();
    while began.elapsed() < SHORT * 50 {
        all += wire.stream.read(&mut part).unwrap();
        std::thread::sleep(SHORT);
    }
    while let Ok(count @ 1..) = wire.stream.read(&mut part) {
        all += count;
    }
    assert!(all > LARGE, "{all} bytes");
}

#[test]
fn a_client_that_opens_its_windows_steadily_gets_all_of_a_response_in_memory() {
    let (ends, _) = mpsc::channel();
    let running = Running::serve(impatient(), app(ends));
    let mut frames = Frames::connect(running.address(), 1 << 16);
    frames.get(1, "/large");
    let mut all = 0;
    let mut paused = 0;
    while all < LARGE {
        let frame = frames.next().unwrap();
        assert_ne!(frame.kind, Kind::GOAWAY, "{all} bytes");
        assert_ne!(frame.kind, Kind::RST_STREAM, "{all} bytes");
        if frame.kind == Kind::DATA && !frame.payload.is_empty() {
            all += frame.payload.len();
            frames.open(0, frame.payload.len());
            frames.open(1, frame.payload.len());
            if all / (1 << 20) > paused {
                paused += 1;
                std::thread::sleep(SHORT);
            }
        }
    }
}

#[test]
fn a_stream_without_a_window_is_reset_and_others_continue() {
    let (ends, outcomes) = mpsc::channel();
    let server = server().write_timeout(Duration::from_millis(500));
    let running = Running::serve(server, app(ends));
    let mut frames = Frames::connect(running.address(), 0);
    for stream in 0..50 {
        frames.get(2 * stream + 1, "/large");
    }
    let mut reset = 0;
    while reset < 50 {
        let frame = frames.next().unwrap();
        reset += usize::from(frame.kind == Kind::RST_STREAM);
        assert!(frame.payload.is_empty() || frame.kind != Kind::DATA);
    }
    for _ in 0..50 {
        assert_eq!(outcomes.recv_timeout(PATIENCE), Ok(Outcome::Dropped));
    }
    // The connection still works.
    frames.get(101, "/");
    frames.open(101, 100);
    assert_eq!(frames.content(101), b"Hello");
}

#[test]
fn a_stream_whose_client_reads_a_byte_now_and_then_is_reset() {
    let (ends, outcomes) = mpsc::channel();
    let server = server()
        .write_timeout(Duration::from_secs(1))
        .min_write_rate(1_000);
    let running = Running::serve(server, app(ends));
    let mut frames = Frames::connect(running.address(), 0);
    frames.get(1, "/large");
    let began = Instant::now();
    while outcomes.try_recv().is_err() {
        assert!(began.elapsed() < PATIENCE, "never reset");
        frames.open(1, 1);
        std::thread::sleep(SHORT);
    }
}

#[test]
fn a_client_just_above_the_minimum_rate_gets_all() {
    let app = Application::new(|_: Request| "x".repeat(6_000));
    let server = server()
        .write_timeout(Duration::from_secs(1))
        .min_write_rate(1_000);
    let running = Running::serve(server, app);
    let mut frames = Frames::connect(running.address(), 0);
    frames.get(1, "/");
    for _ in 0..30 {
        frames.open(1, 200);
        std::thread::sleep(SHORT);
    }
    assert_eq!(frames.content(1).len(), 6_000);
}

#[test]
fn streams_that_share_a_slow_connection_wait_for_their_turns() {
    const SIZE: usize = 50_000;
    let app = Application::new(|_: Request| "x".repeat(SIZE));
    let server = server().write_timeout(Duration::from_millis(400));
    let running = Running::serve(server, app);
    // Each stream may have all, and the connection opens slowly: a turn of all streams takes longer than the limit.
    let mut frames = Frames::connect(running.address(), 1 << 20);
    let streams = 20;
    for stream in 0..streams {
        frames.get(2 * stream + 1, "/");
    }
    let (mut all, mut opened, mut ended) = (0, 65_535, 0);
    while ended < streams {
        let frame = frames.next().unwrap();
        assert_ne!(frame.kind, Kind::RST_STREAM, "{all} bytes");
        assert_ne!(frame.kind, Kind::GOAWAY, "{all} bytes");
        if frame.kind == Kind::DATA {
            all += frame.payload.len();
            ended += u32::from(frame.flags & 1);
        }
        if all == opened {
            std::thread::sleep(SHORT / 2);
            frames.open(0, 20_000);
            opened += 20_000;
        }
    }
    assert_eq!(all, streams as usize * SIZE);
}

#[test]
fn pings_do_not_keep_a_connection_without_requests() {
    let (ends, _) = mpsc::channel();
    let running = Running::serve(server().keep_alive_timeout(SHORT * 3), app(ends));
    let mut frames = Frames::connect(running.address(), 1 << 16);
    frames.get(1, "/");
    assert_eq!(frames.content(1), b"Hello");
    let began = Instant::now();
    loop {
        assert!(began.elapsed() < PATIENCE, "kept for ever");
        if frames.try_send(Kind::PING, 0, 0, &[0; 8]).is_err() {
            break;
        }
        match frames.next() {
            Some(frame) if frame.kind != Kind::GOAWAY => std::thread::sleep(SHORT / 2),
            _ => break,
        }
    }
}

#[test]
fn window_updates_for_small_frames_are_not_a_flood() {
    let app = Application::new(|_: Request| Body::from_iterator(std::iter::repeat_n("x", 3_000)));
    let running = Running::serve(server().http2_max_control_frames(10), app);
    let mut frames = Frames::connect(running.address(), 1 << 16);
    frames.get(1, "/");
    let mut all = 0;
    while all < 3_000 {
        let frame = frames.next().unwrap();
        assert_ne!(frame.kind, Kind::GOAWAY, "{all} bytes");
        if frame.kind == Kind::DATA && !frame.payload.is_empty() {
            all += frame.payload.len();
            frames.open(0, frame.payload.len());
            frames.open(1, frame.payload.len());
        }
    }
}

#[test]
fn a_client_that_reads_nothing_returns_its_permit() {
    let (ends, _) = mpsc::channel();
    let app = app(ends).wrap(ConcurrencyLimit::new(2).backlog(10).wait(PATIENCE));
    let running = Running::serve(server().write_timeout(Duration::from_millis(500)), app);
    let mut frames = Frames::connect(running.address(), 0);
    frames.get(1, "/large");
    frames.get(3, "/large");
    assert!(is_served(running.address()));
}

#[test]
fn workers_do_not_wait_for_slow_clients_while_others_wait_for_a_worker() {
    let options = wsgi::Options::new().threads(4).client_timeout(SHORT);
    let app = options.application(|environ, start_response| {
        start_response("200 OK", &[])?;
        let count = if environ.request().path() == "/large" {
            10_000
        } else {
            1
        };
        Ok(std::iter::repeat_n("x".repeat(10_000), count))
    });
    let running = Running::serve(server(), app);
    let mut frames = Frames::connect(running.address(), 0);
    for stream in 0..8 {
        frames.get(2 * stream + 1, "/large");
    }
    std::thread::sleep(SHORT);
    for _ in 0..14 {
        assert!(is_served(running.address()));
    }
}

#[test]
fn an_unfinished_head_of_http_2_times_out_while_others_are_served() {
    let (app, calls, drops) = endless();
    let running = Running::serve(server().header_read_timeout(SHORT), app);
    let mut frames = Frames::connect(running.address(), 1 << 16);
    frames.get(1, "/");
    calls.recv_timeout(PATIENCE).unwrap();
    // HEADERS without END_HEADERS.
    frames.send(Kind::HEADERS, 0, 3, &[0x82]);
    while let Some(frame) = frames.next() {
        assert_ne!(frame.kind, Kind::DATA);
    }
    assert_eq!(drops.recv_timeout(PATIENCE), Ok(()));
}

#[test]
fn limits_without_end_are_limits() {
    let forever = Duration::MAX;
    let server = server()
        .header_read_timeout(forever)
        .keep_alive_timeout(forever)
        .body_read_timeout(forever)
        .write_timeout(forever)
        .http2_ping_interval(forever)
        .shutdown_deadline(forever)
        .min_body_rate(u64::MAX)
        .min_write_rate(u64::MAX)
        .max_headers(usize::MAX)
        .max_header_size(usize::MAX)
        .max_request_line(usize::MAX)
        .max_connections(usize::MAX)
        .max_connections_per_peer(usize::MAX)
        .max_concurrent_streams(u32::MAX)
        .max_reset_streams(usize::MAX)
        .http2_max_control_frames(u32::MAX);
    let app = Application::new(|mut request: Request| async move {
        let content = request.take_body().collect(1 << 20).await?;
        Ok::<_, HttpError>(content.len().to_string())
    });
    let running = Running::serve(server, app);
    let mut wire = Wire::connect(running.address());
    for _ in 0..2 {
        wire.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n");
        std::thread::sleep(SHORT);
        assert_eq!(wire.send("abc").response().text(), "3");
    }
    let mut frames = Frames::connect(running.address(), 1 << 16);
    frames.get(1, "/");
    assert_eq!(frames.content(1), b"0");
}

// Clients that send what costs them nothing.

#[test]
fn floods_of_frames_close_the_connection() {
    let settings = [0, 3, 0, 0, 0, 100];
    for (kind, flags, stream, payload) in [
        (Kind::PING, 0, 0, &[0; 8][..]),
        (Kind::SETTINGS, 0, 0, &settings),
        (Kind::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]),
        (Kind::PRIORITY, 0, 7, &[0, 0, 0, 0, 1]),
        (Kind::RST_STREAM, 0, 1, &[0, 0, 0, 8]),
        (Kind(99), 0, 0, &[]),
    ] {
        let refused = Arc::new(Mutex::new(Vec::new()));
        let told = refused.clone();
        let server = server().on_refusal(move |refusal| told.lock().unwrap().push(*refusal));
        let (ends, _) = mpsc::channel();
        let running = Running::serve(server, app(ends));
        let mut frames = Frames::connect(running.address(), 1 << 16);
        frames.get(1, "/");
        assert_eq!(frames.content(1), b"Hello");
        for _ in 0..900 {
            frames.send(kind, flags, stream, payload);
        }
        frames.get(3, "/");
        assert_eq!(frames.content(3), b"Hello", "{kind:?}");
        let began = Instant::now();
        while frames.try_send(kind, flags, stream, payload).is_ok() {
            assert!(began.elapsed() < PATIENCE, "{kind:?} for ever");
        }
        let refused = refused.lock().unwrap();
        let [refusal] = &refused[..] else {
            panic!("{kind:?}: {refused:?}");
        };
        assert_eq!(refusal.reason(), "too many frames that request nothing");
        assert!(is_served(running.address()));
    }
}

#[test]
fn a_busy_client_is_not_a_flood() {
    let (ends, _) = mpsc::channel();
    let running = Running::serve(server().http2_max_control_frames(10), app(ends));
    let mut frames = Frames::connect(running.address(), 1 << 16);
    for stream in 0..2_000 {
        let stream = 2 * stream + 1;
        frames.get(stream, "/");
        assert_eq!(frames.content(stream), b"Hello");
        frames.open(0, 5);
        frames.open(stream, 5);
    }
    // Windows that the client opens by a kilobyte.
    frames.get(4_001, "/large");
    let mut all = 0;
    while all < LARGE {
        let frame = frames.next().unwrap();
        assert_ne!(frame.kind, Kind::GOAWAY, "{all} bytes");
        if frame.kind == Kind::DATA {
            all += frame.payload.len();
            for part in frame.payload.chunks(1024) {
                frames.open(0, part.len());
                frames.open(4_001, part.len());
            }
        }
    }
}

#[test]
fn a_chunked_body_without_content_closes_the_connection() {
    let app = Application::new(|mut request: Request| async move {
        let content = request.take_body().collect(1 << 20).await?;
        Ok::<_, HttpError>(content.len().to_string())
    });
    let running = Running::serve(server(), app);
    let head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut wire = Wire::connect(running.address());
    wire.send(head);
    let began = Instant::now();
    while wire.try_send("0".repeat(10_000)).is_ok() {
        assert!(began.elapsed() < PATIENCE, "zeros for ever");
    }
    // The smallest possible chunks.
    let mut wire = Wire::connect(running.address());
    wire.send(head);
    for _ in 0..100 {
        wire.send("1\r\na\r\n".repeat(1_000));
    }
    assert_eq!(wire.send("0\r\n\r\n").response().text(), "100000");
}

/// The first bytes of a body that came with its head used to count twice, as overhead without content.
#[test]
fn chunked_bodies_on_a_kept_connection_are_not_taken_for_overhead() {
    let app = Application::new(async |mut request: Request| {
        let content = request.take_body().collect(10 << 20).await?;
        Ok::<_, HttpError>(content.len().to_string())
    });
    let running = Running::serve(server(), app);
    let head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = format!("c350\r\n{}\r\n", "x".repeat(50_000));
    let request = format!("{head}{}0\r\n\r\n", chunk.repeat(60));
    let mut wire = Wire::connect(running.address());
    for _ in 0..30 {
        assert_eq!(wire.send(&request).response().text(), "3000000");
    }
}

// A server that stops.

#[test]
fn silent_clients_do_not_hold_up_a_shutdown() {
    let (ends, _) = mpsc::channel();
    let mut running = Running::serve(server().shutdown_deadline(PATIENCE), app(ends));
    let mut kept = Wire::connect(running.address());
    kept.send(GET).response();
    // Half a head, half a preface, and an HTTP/2 client that does not acknowledge PINGs.
    let mut half = Wire::connect(running.address());
    half.send("GET / HTTP/1.1\r\nHo");
    let mut preface = Wire::connect(running.address());
    preface.send("PRI * HTTP/2.0");
    let mut frames = Frames::connect(running.address(), 1 << 16);
    frames.get(1, "/");
    assert_eq!(frames.content(1), b"Hello");
    std::thread::sleep(SHORT);
    let began = Instant::now();
    running.stop();
    running.join();
    assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
}

// Requests that the server rejects by itself.

#[test]
fn every_refusal_is_reported() {
    let (refused, refusals) = mpsc::channel();
    let refused = Mutex::new(refused);
    let server = server()
        .header_read_timeout(SHORT)
        .max_connections(4)
        .max_request_line(100)
        .max_header_size(1_000)
        .max_headers(5)
        .on_refusal(move |refusal| refused.lock().unwrap().send(*refusal).unwrap());
    let (ends, _) = mpsc::channel();
    let running = Running::serve(server, app(ends));
    let long = "a".repeat(1_000);
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("nonsense\r\n\r\n".to_owned(), 400),
        ("GET /#a HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), 400),
        ("GET evil.test HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHo".to_owned(), 408),
        (format!("GET /{long} HTTP/1.1\r\nHost: h\r\n\r\n"), 414),
        (
            format!("GET / HTTP/1.1\r\nHost: h\r\na: {long}\r\n\r\n"),
            431,
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "a: b\r\n".repeat(10)),
            431,
        ),
        (
            "CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n".to_owned(),
            501,
        ),
        (
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n".to_owned(),
            501,
        ),
    ] {
        let mut wire = Wire::connect(running.address());
        let local = wire.stream.local_addr().unwrap();
        let _ = wire.try_send(&request);
        let start = request.get(..20.min(request.len())).unwrap();
        assert!(wire.line().contains(&format!(" {status} ")), "{start}");
        let refusal = refusals.recv_timeout(PATIENCE).unwrap();
        assert_eq!(
            refusal.status().map(|status| status.as_u16()),
            Some(status),
            "{start}"
        );
        assert_eq!(refusal.peer(), Some(local));
        wire.rest();
    }
    let kept: Vec<Wire> = (0..4)
        .map(|_| {
            let mut wire = Wire::connect(running.address());
            wire.send(GET).response();
            wire
        })
        .collect();
    let mut wire = Wire::connect(running.address());
    assert!(wire.line().contains(" 503 "));
    let refusal = refusals.recv_timeout(PATIENCE).unwrap();
    assert_eq!(refusal.status().map(|status| status.as_u16()), Some(503));
    drop(kept);
    assert!(refusals.try_recv().is_err());
}
