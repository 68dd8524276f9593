//! Files as bodies: over sockets, and through wrappers that read, measure and change bodies.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy does not count helpers of tests as tests"
)]

mod support {
    pub(crate) mod folder;
    #[expect(dead_code, reason = "other tests use the rest of it")]
    pub(crate) mod http2;
    pub(crate) mod running;
    #[expect(dead_code, reason = "other tests use the rest of it")]
    pub(crate) mod wire;
}

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use bytes::Bytes;
use enfilade::middleware::{
    BodyLimit, Compression, DiskTree, FileSource, Files, Inspect, Profile, RequestId, Timeout,
};
use enfilade::{
    Application, Body, HttpError, Outcome, ReadAt, Request, Segment, Server, SourceRead,
};
use enfilade_testing::{Client, Lint};
use http::StatusCode;

use self::support::folder::Folder;
use self::support::running::Running;
use self::support::wire::{PATIENCE, Wire};

const LENGTH: usize = 1_000_003;

fn content() -> Vec<u8> {
    (0..LENGTH).map(|at| b'a' + (at % 23) as u8).collect()
}

/// A folder with one file of [`LENGTH`] bytes.
fn folder(name: &str) -> (Folder, PathBuf) {
    let folder = Folder::new(name);
    let path = folder.0.join("file");
    std::fs::write(&path, content()).unwrap();
    (folder, path)
}

/// `/` is the file, `/part` bytes 5 to 10 of it, and `/parts` two ranges with text between them.
fn app(path: &Path) -> Application {
    let path = path.to_owned();
    Application::new(move |request: Request| {
        let path = path.clone();
        async move {
            let body = Body::from(FileSource::open(path).await?);
            Ok::<_, HttpError>(match request.path() {
                "/part" => (StatusCode::PARTIAL_CONTENT, body.slice(5..10)?),
                "/parts" => {
                    let mut parts = vec![Segment::from("--x\r\n")];
                    parts.extend(body.segments(..300_000)?);
                    parts.push("\r\n--x\r\n".into());
                    parts.extend(body.segments(1_000_000..)?);
                    parts.push("\r\n--x--\r\n".into());
                    (StatusCode::PARTIAL_CONTENT, body.with_segments(parts))
                }
                _ => (StatusCode::OK, body),
            })
        }
    })
}

fn parts() -> Vec<u8> {
    let content = content();
    let all = [
        b"--x\r\n",
        &content[..300_000],
        b"\r\n--x\r\n",
        &content[1_000_000..],
        b"\r\n--x--\r\n",
    ];
    all.concat()
}

fn serve(app: impl Into<Application>) -> (Running, Wire) {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let running = Running::serve(server.shutdown_deadline(Duration::from_secs(1)), app.into());
    let wire = Wire::connect(running.address());
    (running, wire)
}

#[test]
fn files_and_their_parts_are_sent_over_http_1() {
    let (_folder, path) = folder("files-http-1");
    let (_running, mut wire) = serve(app(&path));
    for (target, status, expected) in [
        ("/", "200 OK", content()),
        ("/part", "206 Partial Content", content()[5..10].to_vec()),
        ("/parts", "206 Partial Content", parts()),
    ] {
        for version in ["1.1", "1.0"] {
            wire.send(format!(
                "GET {target} HTTP/{version}\r\nHost: h\r\nConnection: keep-alive\r\n\r\n"
            ));
            let response = wire.response();
            let length = expected.len().to_string();
            assert_eq!(response.status(), status);
            assert_eq!(response.header("content-length"), Some(length));
            assert!(response.body == expected, "{target} {version}");
        }
    }
    wire.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    let head = wire.head();
    assert_eq!(head.header("content-length").as_deref(), Some("1000003"));
    // No byte of the file was sent with it.
    wire.send("GET /part HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(wire.response().body, content()[5..10]);
}

#[test]
fn files_and_their_parts_are_sent_over_http_2() {
    let (_folder, path) = folder("files-http-2");
    let (running, _) = serve(app(&path));
    let client = support::http2::Client::connect(running.address());
    for (target, expected) in [
        ("http://h/", content()),
        ("http://h/part", content()[5..10].to_vec()),
        ("http://h/parts", parts()),
    ] {
        let response = client.response(client.ask(support::http2::get(target)));
        let length = expected.len().to_string();
        assert_eq!(response.headers["content-length"], length);
        let (found, end) = client.content(response);
        assert_eq!(end, Ok(None));
        assert!(found.into_bytes() == expected);
    }
}

/// Zeros, which a test counts while they are referenced.
struct Counted {
    held: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    reads: Arc<AtomicUsize>,
    /// The offset from which on the file is missing.
    end: u64,
}

struct Held(Vec<u8>, Arc<AtomicUsize>);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Counted {
    fn new(end: u64) -> Arc<Counted> {
        let (held, most, reads) = Default::default();
        Arc::new(Counted {
            held,
            most,
            reads,
            end,
        })
    }
}

impl ReadAt for Counted {
    fn read_at(&self, offset: u64, limit: usize) -> SourceRead {
        if offset >= self.end {
            return SourceRead::failed("the disk is gone");
        }
        self.reads.fetch_add(1, Ordering::SeqCst);
        let held = self.held.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(held, Ordering::SeqCst);
        let left = usize::try_from(self.end - offset).unwrap_or(usize::MAX);
        let bytes = Held(vec![0; limit.min(left)], self.held.clone());
        SourceRead::new(Bytes::from_owner(bytes))
    }
}

fn of(source: &Arc<Counted>, length: u64) -> Application {
    let source = source.clone();
    Application::new(move |_: Request| {
        Body::from_segments([Segment::new(source.clone(), 0..length)])
    })
}

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

#[test]
fn a_client_that_is_slower_than_the_source_holds_two_buffers() {
    let length = 32 << 20;
    let source = Counted::new(u64::MAX);
    let (_running, mut wire) = serve(of(&source, length));
    wire.send(GET);
    assert_eq!(wire.response().body.len() as u64, length);
    assert_eq!(source.reads.load(Ordering::SeqCst), 128);
    let most = source.most.load(Ordering::SeqCst);
    // hyper's buffer (400 KiB at most), and the next buffer of the body.
    assert!((2..=3).contains(&most), "{most}");
}

#[test]
fn a_client_that_disconnects_stops_the_reading() {
    let source = Counted::new(u64::MAX);
    let (sender, ends) = mpsc::channel();
    let inner = of(&source, 1 << 40);
    let app = Application::new(move |request: Request| {
        let sender = sender.clone();
        inner.call(request).update(move |response| {
            let body = std::mem::take(response.body_mut());
            *response.body_mut() = body.on_end(move |end| sender.send(end.outcome()).unwrap());
        })
    });
    let (_running, mut wire) = serve(app);
    wire.send(GET);
    assert_eq!(wire.head().status(), "200 OK");
    wire.reset();
    assert_eq!(ends.recv_timeout(PATIENCE), Ok(Outcome::Dropped));
    let reads = source.reads.load(Ordering::SeqCst);
    assert!(reads < 1000, "{reads}");
}

#[test]
fn a_source_that_fails_aborts_the_response() {
    let source = Counted::new(1 << 20);
    let (running, mut wire) = serve(of(&source, 2 << 20));
    wire.send(GET);
    let head = wire.head();
    assert_eq!(head.header("content-length").as_deref(), Some("2097152"));
    let rest = wire.rest();
    assert!(rest.len() <= 1 << 20, "{}", rest.len());
    let client = support::http2::Client::connect(running.address());
    let response = client.response(client.ask(support::http2::get("http://h/")));
    let (rest, end) = client.content(response);
    assert_eq!(end, Err(h2::Reason::INTERNAL_ERROR));
    assert!(rest.len() <= 1 << 20, "{}", rest.len());
}

#[test]
fn wrappers_that_read_measure_and_change_bodies_keep_the_bytes() {
    let (_folder, path) = folder("files-wrappers");
    let wrapped = app(&path)
        .wrap(Lint::new())
        .wrap(Timeout::new(Duration::from_secs(60)))
        .wrap(Compression::new())
        .wrap(Inspect::new().on_error(|_, failure| assert_eq!(failure.to_string(), "")))
        .wrap(RequestId::new())
        .wrap(Profile::new())
        .wrap(Lint::new());
    let client = Client::new(wrapped);
    for (target, expected) in [
        ("/", content()),
        ("/part", content()[5..10].to_vec()),
        ("/parts", parts()),
    ] {
        let response = client.get(target).send();
        let length = expected.len().to_string();
        assert_eq!(
            response.header("content-length"),
            Some(&*length),
            "{target}"
        );
        assert!(*response.bytes() == expected, "{target}");
        let head = client.head(target).send();
        assert_eq!(head.header("content-length"), Some(&*length), "{target}");
        assert!(head.bytes().is_empty());
    }
    let typed = app(&path).wrap(enfilade::middleware::ContentType::new("text/plain").unwrap());
    let client = Client::new(typed.wrap(Compression::new()).wrap(Lint::new()));
    let coded = client.get("/").header("accept-encoding", "gzip").send();
    assert_eq!(coded.header("content-encoding"), Some("gzip"));
    assert_eq!(coded.header("content-length"), None);
    let mut plain = Vec::new();
    let mut decoder = flate2::read::GzDecoder::new(&coded.bytes()[..]);
    decoder.read_to_end(&mut plain).unwrap();
    assert!(plain == content());
}

#[test]
fn a_request_may_have_a_file_as_its_body() {
    let (_folder, path) = folder("files-request");
    let echo = Application::new(async |mut request: Request| {
        Ok::<_, HttpError>(request.take_body().collect(LENGTH).await?)
    });
    for (limit, status) in [(LENGTH as u64, 200), (LENGTH as u64 - 1, 413)] {
        let client = Client::new(echo.clone().wrap(BodyLimit::new(limit)).wrap(Lint::new()));
        let file = pollster::block_on(FileSource::open(&path)).unwrap();
        let response = client.post("/").body(file).send();
        assert_eq!(response.status(), status);
        assert!(status != 200 || *response.bytes() == content());
    }
}

#[test]
fn a_file_that_shrinks_breaks_its_response_off() {
    let folder = Folder::new("files-shrinks");
    let path = folder.0.join("long");
    let file = std::fs::File::create(&path).unwrap();
    // More than sockets hold.
    let length = 64 << 20;
    file.set_len(length).unwrap();
    let tree = DiskTree::open(&folder.0).unwrap();
    let (_running, mut wire) = serve(Application::new(Files::new(tree)));
    wire.send("GET /long HTTP/1.1\r\nHost: h\r\n\r\n");
    let head = wire.head();
    assert_eq!(head.status(), "200 OK");
    assert_eq!(head.header("content-length"), Some(length.to_string()));
    file.set_len(20).unwrap();
    // The connection ends, and nothing stands for the bytes that are missing.
    assert!((wire.rest().len() as u64) < length);
}
