//! Mixed load with clients that go away: `soak ADDRESS PID MINUTES`. Every ten seconds it prints what the server's process
//! takes, and how many answers were whole; it fails where one that nobody gave up was not.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const CLIENTS: usize = 16;
/// So that the clients do not fight with the server for the processor.
const PAUSE: Duration = Duration::from_millis(2);

/// Resident memory of a process, in KiB.
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
    stream
}

/// Asks and reads to the end; whether the answer was whole.
fn ask(address: &str, target: &str, more: &str) -> bool {
    let mut stream = connect(address);
    let request = format!("GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{more}\r\n");
    let mut answer = Vec::new();
    let asked = stream.write_all(request.as_bytes());
    asked.and_then(|()| stream.read_to_end(&mut answer)).is_ok()
        && answer.starts_with(b"HTTP/1.1 ")
        && answer.windows(4).any(|window| window == b"\r\n\r\n")
        && (answer.ends_with(b"0\r\n\r\n") || is_measured(&answer))
}

/// Whether there is as much content as the head says.
fn is_measured(answer: &[u8]) -> bool {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
    let Some(end) = end else {
        return false;
    };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    length.and_then(|length| length.parse().ok()) == Some(answer.len() - end - 4)
}

/// Does something that a client should not do, and goes away.
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

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, process, minutes] = &arguments[..] else {
        panic!("soak ADDRESS PID MINUTES");
    };
    let minutes: u64 = minutes.parse().expect("a number of minutes");
    let (whole, broken) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    for _ in 0..CLIENTS {
        let (address, whole, broken) = (address.clone(), whole.clone(), broken.clone());
        std::thread::spawn(move || {
            loop {
                let is_whole = match fastrand::u8(0..8) {
                    0 => ask(&address, "/", ""),
                    1 => ask(&address, "/users/42", ""),
                    2 => ask(&address, "/api/orders/17", ""),
                    3 => ask(&address, "/nowhere", ""),
                    4 => ask(&address, "/data", ""),
                    5 => ask(&address, "/data", "Accept-Encoding: gzip\r\n"),
                    _ => {
                        misbehave(&address);
                        continue;
                    }
                };
                let count = if is_whole { &whole } else { &broken };
                count.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(PAUSE);
            }
        });
    }
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(60 * minutes) {
        std::thread::sleep(Duration::from_secs(10));
        let (whole, broken) = (
            whole.load(Ordering::Relaxed),
            broken.load(Ordering::Relaxed),
        );
        println!(
            "{:4} s: {} KiB, {whole} whole, {broken} broken",
            began.elapsed().as_secs(),
            resident(process)
        );
        assert_eq!(broken, 0, "an answer that was not whole");
    }
}
