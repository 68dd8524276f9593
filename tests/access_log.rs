//! The access log in use: rotated by others, on a disk that is full, under load, and read by an analyser.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, which lints do not count as tests"
)]

mod support {
    pub(crate) mod process;
    pub(crate) mod running;
    #[expect(dead_code, reason = "others need more of it")]
    pub(crate) mod wire;
}

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use enfilade::middleware::{AccessLog, LogFile};
use enfilade::{Application, Body, Connection, RemoteUser, Request, Server};
use enfilade_testing::Client;
use http::{HeaderValue, Method, StatusCode};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use self::support::process::Process;
use self::support::running::Running;
use self::support::wire::{PATIENCE, Wire};

/// A folder that is removed with its content.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Waits until something is so.
fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_hangup_opens_the_file_anew() {
    let folder = Folder::new("hangup");
    let (path, moved) = (folder.0.join("access.log"), folder.0.join("moved.log"));
    let mut process = Process::example("logging_server", &[path.to_str().unwrap()]);
    let mut wire = Wire::connect(process.address);
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    let mut get = |target: &str| {
        let head = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(wire.send(head).answer().status(), "200 OK");
    };
    get("/1");
    wait_until("a line", || read(&path) == "GET /1 HTTP/1.1 200\n");
    fs::rename(&path, &moved).unwrap();
    get("/2");
    wait_until("a line where it was moved", || {
        read(&moved) == "GET /1 HTTP/1.1 200\nGET /2 HTTP/1.1 200\n"
    });
    process.signal("HUP");
    process.wait_for_line("opened anew");
    assert!(path.exists());
    get("/3");
    wait_until("a line in the new file", || {
        read(&path) == "GET /3 HTTP/1.1 200\n"
    });
    process.signal("TERM");
    let (status, _) = process.end();
    assert!(status.success(), "{status}");
    assert_eq!(read(&moved).lines().count(), 2);
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_is_full_stops_nobody() {
    #[derive(Clone, Default)]
    struct Told(Arc<Mutex<Vec<u8>>>);
    impl Write for Told {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let told = Told::default();
    let file = LogFile::open("/dev/full").unwrap();
    let log = AccessLog::combined().writer(file).error_log(told.clone());
    let dropped = log.dropped();
    let client = Client::new(Application::new(|_: Request| "x").wrap(log));
    for _ in 0..1_000 {
        assert_eq!(client.get("/").send().status(), 200);
    }
    drop(client);
    assert_eq!(dropped.count(), 1_000);
    let told = String::from_utf8(told.0.lock().unwrap().clone()).unwrap();
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.ends_with(" lines lost: No space left on device (os error 28)\n"));
}

/// A writer that takes nothing until the other end is dropped.
struct Blocked(mpsc::Receiver<()>);

impl Write for Blocked {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How much memory this process has, in bytes.
#[cfg(target_os = "linux")]
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.unwrap().split_whitespace().nth(1);
    kilobytes.unwrap().parse::<u64>().unwrap() * 1024
}

#[cfg(target_os = "linux")]
#[test]
fn a_writer_that_blocks_costs_neither_time_nor_memory() {
    const CLIENTS: u64 = 4;
    const REQUESTS: u64 = 10_000;
    let (open, closed) = mpsc::channel();
    let log = AccessLog::combined().writer(Blocked(closed));
    let (dropped, served) = (log.dropped(), Arc::new(AtomicU64::new(0)));
    let app = Application::new(|_: Request| "Hello").wrap(log);
    let server = Server::bind("127.0.0.1:0").unwrap();
    let running = Running::serve(server, app);
    let ask = |times: u64| {
        std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    let mut wire = Wire::connect(running.address());
                    // All at once, so that it is the server that has to keep up.
                    let head = format!(
                        "GET / HTTP/1.1\r\nHost: h\r\nUser-Agent: {}\r\n\r\n",
                        "x".repeat(2_000)
                    );
                    for _ in 0..times / 10 {
                        wire.send(head.repeat(10));
                        for _ in 0..10 {
                            assert_eq!(wire.answer().text(), "Hello");
                            served.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
    };
    // What a server needs in any case, and a full queue.
    ask(2_000);
    let before = memory();
    ask(REQUESTS);
    let grown = memory().saturating_sub(before);
    let all = CLIENTS * (REQUESTS + 2_000);
    assert_eq!(served.load(Ordering::Relaxed), all);
    // At most a full queue waits, and a batch is being written.
    assert!((all - 5_000..all).contains(&dropped.count()));
    // The lines that were dropped would have been 100 MB.
    assert!(grown < 16 * 1024 * 1024, "{grown} bytes more");
    drop(open);
}

/// A request as it might come from anywhere, with the status of its answer.
fn any_request() -> impl Strategy<Value = (String, String, Vec<u8>, Vec<u8>, String, u16)> {
    let method = prop::sample::select(vec!["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS"]);
    let target = "/[a-z0-9/._~!$'()*+,;=:@%\"é-]{0,40}(\\?[a-zA-Z0-9&=%+\"é]{0,30})?";
    let agent = prop_oneof![
        Just("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0".to_owned()),
        Just("curl/8.0".to_owned()),
        "[ -~é\u{9b}\u{2028}日]{1,60}",
        "[\"\\\\ ]{1,20}",
    ];
    let referer = prop_oneof![
        Just(Vec::new()),
        "https?://[a-z]{1,10}/[ -~]{0,30}".prop_map(String::into_bytes),
        prop::collection::vec(0x80..=0xff_u8, 1..20),
    ];
    let user = prop_oneof![4 => Just(String::new()), 1 => "[ -~é]{1,12}"];
    let status = prop::sample::select(vec![200_u16, 204, 206, 301, 304, 400, 404, 499, 500, 503]);
    let method = method.prop_map(str::to_owned);
    let agent = agent.prop_map(String::into_bytes);
    (method, target, agent, referer, user, status)
}

/// An analyser that knows nothing of this crate reads every line as what it is.
#[test]
fn goaccess_reads_a_thousand_lines() {
    let folder = Folder::new("goaccess");
    let path = folder.0.join("access.log");
    let app = Application::new(|request: Request| {
        let status = request.extensions().get::<StatusCode>().copied();
        (status.unwrap(), "x".repeat(request.uri().path().len()))
    });
    let log = AccessLog::combined().writer(LogFile::open(&path).unwrap());
    let client = Client::new(app.wrap(log)).without_gateway();
    let (mut runner, strategy) = (TestRunner::deterministic(), any_request());
    let mut sent = 0;
    while sent < 1_000 {
        let (method, target, agent, referer, user, status) =
            strategy.new_tree(&mut runner).unwrap().current();
        let (Ok(uri), Ok(agent)) = (target.parse(), HeaderValue::from_bytes(&agent)) else {
            continue;
        };
        let mut request = Request::new(Method::from_bytes(method.as_bytes()).unwrap(), uri);
        let peer = match sent % 3 {
            0 => format!("[2001:db8::{sent:x}]:1"),
            _ => format!("198.51.100.{}:1", sent % 256),
        };
        request.set_connection(Connection::default().with_peer(peer.parse().unwrap()));
        request.headers_mut().insert("user-agent", agent);
        if let Some(referer) = HeaderValue::from_bytes(&referer)
            .ok()
            .filter(|value| !value.is_empty())
        {
            request.headers_mut().insert("referer", referer);
        }
        if !user.is_empty() {
            request.extensions_mut().insert(RemoteUser::new(user));
        }
        let status = StatusCode::from_u16(status).unwrap();
        request.extensions_mut().insert(status);
        client.prepared(request).send();
        sent += 1;
    }
    drop(client);
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1_000);
    assert_goaccess_reads(&path, "COMBINED", 1_000);
}

/// Ends in every way that an exchange can end.
fn any_ending(request: Request) -> enfilade::Reply {
    match request.path() {
        "/never" => enfilade::Reply::from_future(std::future::pending::<()>()),
        // Without a word on standard error, for which a backtrace would be made.
        "/panics" => std::panic::resume_unwind(Box::new("on purpose")),
        "/stream" => enfilade::Reply::new(Body::from_iterator(["ab", "cd"])),
        "/nothing" => enfilade::Reply::new(StatusCode::NO_CONTENT),
        _ => enfilade::Reply::new("whole"),
    }
}

#[test]
fn goaccess_reads_every_shape() {
    let folder = Folder::new("goaccess-shapes");
    let logs = [
        ("COMBINED", AccessLog::combined()),
        ("COMMON", AccessLog::common()),
        ("VCOMBINED", AccessLog::vhost_combined()),
    ];
    let peers = [
        "192.0.2.7:1",
        "[2001:db8::1]:1",
        "[::ffff:192.0.2.8]:1",
        "none",
    ];
    let hosts = ["example.org:81", "[::1]:8080", "example.org.", "", "none"];
    let requests = [
        ("GET", "/whole?a=b"),
        ("POST", "/never"),
        ("HEAD", "/nothing"),
        ("GET", "/stream"),
        ("DELETE", "/panics"),
        ("OPTIONS", "*"),
        ("GET", "http://example.org/x"),
        ("BREW", "/pot"),
    ];
    for (name, log) in logs {
        let path = folder.0.join(name);
        let log = log.writer(LogFile::open(&path).unwrap());
        let app = Application::new(any_ending).wrap(log);
        let mut sent = 0;
        for (peer, host) in peers
            .into_iter()
            .flat_map(|peer| hosts.map(|host| (peer, host)))
        {
            for (method, target) in requests {
                let method = Method::from_bytes(method.as_bytes()).unwrap();
                let mut request = Request::new(method, target.parse().unwrap());
                if let Ok(peer) = peer.parse() {
                    request.set_connection(Connection::default().with_peer(peer));
                }
                if host != "none" {
                    request.headers_mut().insert("host", host.parse().unwrap());
                }
                // Each response is dropped before its end, a pending one before its head.
                let call = std::panic::AssertUnwindSafe(|| drop(app.call(request)));
                let _ = std::panic::catch_unwind(call);
                sent += 1;
            }
        }
        drop(app);
        let mut text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), sent, "{text}");
        // What a log says of lines that it lost is none of a request.
        text.push_str("# 12 lines dropped\n");
        fs::write(&path, text).unwrap();
        assert_goaccess_reads(&path, name, sent);
    }
}

/// Has an analyser that knows nothing of this crate read so many lines in this format.
fn assert_goaccess_reads(path: &Path, format: &str, lines: usize) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/log-analyser");
    let output = Command::new(script).arg(path).arg(format).output().unwrap();
    let (text, trouble) = [&output.stdout, &output.stderr]
        .map(|text| String::from_utf8_lossy(text))
        .into();
    assert!(output.status.success(), "no goaccess? {trouble}");
    let report: serde_json::Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}{trouble}"));
    let general = &report["general"];
    for (name, expected) in [
        ("total_requests", lines),
        ("valid_requests", lines),
        ("failed_requests", 0),
    ] {
        assert_eq!(general[name], expected, "{format}, {name}: {general}");
    }
}
