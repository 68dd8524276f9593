//! The access log in use: rotated by other programs, on a full disk, and under load.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy does not count helpers of tests as tests"
)]

mod support {
    pub(crate) mod folder;
    pub(crate) mod process;
    pub(crate) mod running;
    #[expect(dead_code, reason = "other tests use the rest of it")]
    pub(crate) mod wire;
}

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use enfilade::middleware::{AccessLog, LogFile};
use enfilade::{Application, Request, Server};
use enfilade_testing::Client;

use self::support::folder::Folder;
use self::support::process::Process;
use self::support::running::Running;
use self::support::wire::{PATIENCE, Wire};

/// Waits until `holds` is true.
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
        assert_eq!(wire.send(head).response().status(), "200 OK");
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
fn a_full_disk_blocks_no_request() {
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

/// A writer that blocks until the other end is dropped.
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

/// The memory of this process, in bytes.
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
                    // All at once, so that the server has to keep up.
                    let head = format!(
                        "GET / HTTP/1.1\r\nHost: h\r\nUser-Agent: {}\r\n\r\n",
                        "x".repeat(2_000)
                    );
                    for _ in 0..times / 10 {
                        wire.send(head.repeat(10));
                        for _ in 0..10 {
                            assert_eq!(wire.response().text(), "Hello");
                            served.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
    };
    // A server needs this much anyway, and a full queue.
    ask(2_000);
    let before = memory();
    ask(REQUESTS);
    let grown = memory().saturating_sub(before);
    let all = CLIENTS * (REQUESTS + 2_000);
    assert_eq!(served.load(Ordering::Relaxed), all);
    // At most a full queue waits, while a batch is written.
    assert!((all - 5_000..all).contains(&dropped.count()));
    // The dropped lines would have taken 100 MB.
    assert!(grown < 16 * 1024 * 1024, "{grown} bytes more");
    drop(open);
}
