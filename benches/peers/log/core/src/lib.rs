//! The request for the loggers, and how each is measured. Each is a separate process; without a log, their responses
//! are the same.
//!
//! A candidate is called with a format, or `none`. It measures one round, and prints nanoseconds and allocations per
//! response.

use std::time::{Duration, Instant};

/// The address of the client.
pub const PEER: &str = "192.0.2.7:4711";
/// The content of the response.
pub const TEXT: &str = "Hello, world!";
/// The headers of a browser.
pub const HEADERS: [(&str, &str); 8] = [
    ("host", "localhost:8000"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    ),
    (
        "accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ),
    ("accept-language", "en-GB,en;q=0.8,fr;q=0.5,de;q=0.3"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("referer", "https://www.example.org/library/shelves/3"),
    ("connection", "keep-alive"),
    ("upgrade-insecure-requests", "1"),
];
const ROUND: Duration = Duration::from_millis(100);

/// Measures `response`, which returns the number of bytes of one response, and prints the round.
///
/// If `CALLS` is set, only makes that many calls: for callgrind.
pub fn measure(mut response: impl FnMut() -> usize) {
    if let Ok(calls) = std::env::var("CALLS") {
        let calls: u32 = calls.parse().expect("a number");
        for _ in 0..calls {
            std::hint::black_box(response());
        }
        return;
    }
    for _ in 0..10 {
        assert_eq!(response(), TEXT.len());
    }
    let allocations = allocation_counter::measure(|| {
        response();
    });
    let (start, mut calls) = (Instant::now(), 0_u32);
    while start.elapsed() < ROUND {
        for _ in 0..8 {
            response();
            calls += 1;
        }
    }
    let nanoseconds = start.elapsed().as_nanos() as f64 / f64::from(calls);
    println!("{nanoseconds} {}", allocations.count_total);
}
