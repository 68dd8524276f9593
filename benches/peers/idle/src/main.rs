//! Measures the memory of idle connections: `idle ADDRESS PID COUNT [COUNT...]` sends one request on each of so many
//! connections, leaves them open, and prints the memory of the server's process.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";

/// Returns the resident memory of a process, in KiB.
fn resident(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("a process");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number
        .and_then(|number| number.parse().ok())
        .expect("a size")
}

fn ask(stream: &mut TcpStream) {
    stream.write_all(GET).expect("a server");
    let mut response = [0; 4096];
    let count = stream.read(&mut response).expect("a response");
    assert!(response[..count].starts_with(b"HTTP/1.1 200 OK\r\n"));
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, process, counts @ ..] = &arguments[..] else {
        panic!("idle ADDRESS PID COUNT...");
    };
    let mut open = Vec::new();
    // The memory that the first requests need stays.
    for _ in 0..100 {
        let mut stream = TcpStream::connect(address).expect("a server");
        ask(&mut stream);
        open.push(stream);
    }
    let before = (open.len() as u64, resident(process));
    for count in counts {
        let count: usize = count.parse().expect("a number");
        while open.len() < count {
            let mut stream = TcpStream::connect(address).expect("a server");
            ask(&mut stream);
            open.push(stream);
        }
        std::thread::sleep(Duration::from_millis(500));
        let (connections, kibibytes) = (open.len() as u64, resident(process));
        let each = (kibibytes - before.1) * 1024 / (connections - before.0);
        println!("{connections} connections: {kibibytes} KiB, {each} bytes for each");
    }
}
