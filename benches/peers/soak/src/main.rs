//! Mixed load with clients that disconnect, are slow, or misuse their windows: `soak ADDRESS PID MINUTES`. Every ten
//! seconds it prints the memory of the server's process, and how many responses were whole. It fails if a response was
//! not whole whose client read to the end. In the first fifth of the time there are only good clients; the latencies of
//! that time are compared with the later ones.

mod http2;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use self::http2::Connection;

/// How many good clients there are for each version of HTTP, and how many bad ones.
const CLIENTS: usize = 8;
const ABUSERS: usize = 8;
/// A pause, so that the clients leave the processor to the server.
const PAUSE: Duration = Duration::from_millis(2);

/// Returns the resident memory of a process, in KiB.
fn resident(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("a process");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number
        .and_then(|number| number.parse().ok())
        .expect("a size")
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a server");
    let patience = Some(Duration::from_secs(20));
    stream.set_read_timeout(patience).expect("a socket");
    stream.set_nodelay(true).expect("a socket");
    stream
}

/// Sends a request and reads to the end; returns whether the response was whole.
fn ask(address: &str, target: &str, more: &str) -> bool {
    let mut stream = connect(address);
    let request = format!("GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{more}\r\n");
    let mut response = Vec::new();
    let asked = stream.write_all(request.as_bytes());
    asked
        .and_then(|()| stream.read_to_end(&mut response))
        .is_ok()
        && response.starts_with(b"HTTP/1.1 ")
        && response.windows(4).any(|window| window == b"\r\n\r\n")
        && (response.ends_with(b"0\r\n\r\n") || is_measured(&response))
}

/// Returns whether there is as much content as the head says.
fn is_measured(response: &[u8]) -> bool {
    let end = response.windows(4).position(|window| window == b"\r\n\r\n");
    let Some(end) = end else {
        return false;
    };
    let head = String::from_utf8_lossy(&response[..end]).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    length.and_then(|length| length.parse().ok()) == Some(response.len() - end - 4)
}

/// Does something that a client should not do, and disconnects.
fn misbehave(address: &str) {
    let mut stream = connect(address);
    let sent: &[u8] = match fastrand::u8(0..5) {
        0 => b"",
        1 => b"GET /data HTTP/1.1\r\nHost",
        2 => b"POST /users/42 HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nabc",
        3 => b"GET /data HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\n",
        _ => b"\0\x16\x03nonsense\r\n\r\n",
    };
    let _ = stream.write_all(sent);
    if fastrand::bool() {
        let brief = Some(Duration::from_millis(20));
        stream.set_read_timeout(brief).expect("a socket");
        let _ = stream.read(&mut [0; 100]);
    }
}

/// Reads a response a kilobyte at a time, and disconnects at some point.
fn read_slowly(address: &str) {
    let mut stream = connect(address);
    let request = b"GET /data HTTP/1.1\r\nHost: h\r\n\r\n";
    let mut part = [0; 1024];
    // Many responses, so that the buffers of the system are full.
    for _ in 0..fastrand::usize(1..200) {
        let _ = stream.write_all(request);
    }
    for _ in 0..fastrand::u32(1..100) {
        if stream.read(&mut part).is_err() {
            return;
        }
        std::thread::sleep(PAUSE * 10);
    }
}

/// Requests much and opens no window, opens it by a byte now and then, or resets all streams.
fn play_with_windows(address: &str) {
    let mut connection = Connection::open(address, 0);
    let streams = (0..50).map(|stream| 2 * stream + 1);
    for stream in streams.clone() {
        if connection.get(stream, "/data").is_err() {
            return;
        }
    }
    for turn in 0..fastrand::u32(1..100) {
        let stream = 2 * fastrand::u32(0..50) + 1;
        let is_sent = match turn % 4 {
            0 => connection.ping(),
            1 | 2 => connection.open_window(stream, 1),
            _ => connection.reset(stream),
        };
        if is_sent.is_err() {
            return;
        }
        std::thread::sleep(PAUSE * 50);
    }
}

/// How long each response took, in microseconds, before the bad clients began and after.
#[derive(Default)]
struct Latencies([Mutex<Vec<u64>>; 2]);

impl Latencies {
    fn note(&self, is_quiet: bool, began: Instant) {
        let all = &self.0[usize::from(!is_quiet)];
        let taken = u64::try_from(began.elapsed().as_micros()).expect("a short time");
        all.lock().expect("no panic").push(taken);
    }

    /// Returns the median and the 99th percentile of both times.
    fn report(&self, name: &str) {
        let [quiet, later] = &self.0;
        for (time, all) in [("quiet", quiet), ("later", later)] {
            let mut all = all.lock().expect("no panic").clone();
            all.sort_unstable();
            let at = |part: usize| all.get(all.len() * part / 100).copied().unwrap_or_default();
            println!(
                "{name}, {time}: p50 {} us, p99 {} us of {}",
                at(50),
                at(99),
                all.len()
            );
        }
    }
}

#[derive(Default)]
struct Shared {
    whole: AtomicU64,
    broken: AtomicU64,
    is_quiet: AtomicBool,
    http1: Latencies,
    http2: Latencies,
}

impl Shared {
    fn count(&self, is_whole: bool) {
        let count = if is_whole { &self.whole } else { &self.broken };
        count.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(PAUSE);
    }

    fn is_quiet(&self) -> bool {
        self.is_quiet.load(Ordering::Relaxed)
    }

    fn ask_over_http1(&self, address: &str) {
        loop {
            let (is_quiet, began) = (self.is_quiet(), Instant::now());
            let is_whole = match fastrand::u8(0..6) {
                0 => ask(address, "/", ""),
                1 => ask(address, "/users/42", ""),
                2 => ask(address, "/api/orders/17", ""),
                3 => ask(address, "/nowhere", ""),
                4 => ask(address, "/data", ""),
                _ => ask(address, "/data", "Accept-Encoding: gzip\r\n"),
            };
            self.http1.note(is_quiet, began);
            self.count(is_whole);
        }
    }

    fn ask_over_http2(&self, address: &str) {
        loop {
            let mut connection = Connection::open(address, 1 << 20);
            for stream in 0..1_000 {
                let path = ["/", "/users/42", "/data"][fastrand::usize(0..3)];
                let (is_quiet, began) = (self.is_quiet(), Instant::now());
                let is_whole = connection.is_whole(2 * stream + 1, path);
                self.http2.note(is_quiet, began);
                self.count(is_whole);
            }
        }
    }

    fn abuse(&self, address: &str) {
        loop {
            match fastrand::u8(0..3) {
                _ if self.is_quiet() => std::thread::sleep(PAUSE * 100),
                0 => misbehave(address),
                1 => read_slowly(address),
                _ => play_with_windows(address),
            }
            std::thread::sleep(PAUSE);
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, process, minutes] = &arguments[..] else {
        panic!("soak ADDRESS PID MINUTES");
    };
    let time = Duration::from_secs(60 * minutes.parse::<u64>().expect("a number of minutes"));
    let shared = Arc::new(Shared::default());
    shared.is_quiet.store(true, Ordering::Relaxed);
    let start = |count, run: fn(&Shared, &str)| {
        for _ in 0..count {
            let (shared, address) = (shared.clone(), address.clone());
            std::thread::spawn(move || run(&shared, &address));
        }
    };
    start(CLIENTS, Shared::ask_over_http1);
    start(CLIENTS, Shared::ask_over_http2);
    start(ABUSERS, Shared::abuse);
    let began = Instant::now();
    while began.elapsed() < time {
        std::thread::sleep(Duration::from_secs(10));
        shared
            .is_quiet
            .store(began.elapsed() < time / 5, Ordering::Relaxed);
        let broken = shared.broken.load(Ordering::Relaxed);
        println!(
            "{:4} s: {} KiB, {} whole, {broken} broken",
            began.elapsed().as_secs(),
            resident(process),
            shared.whole.load(Ordering::Relaxed)
        );
        assert_eq!(broken, 0, "a response that was not whole");
    }
    shared.http1.report("HTTP/1");
    shared.http2.report("HTTP/2");
}
