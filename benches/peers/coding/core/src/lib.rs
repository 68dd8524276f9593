//! The cases for compression and how each candidate is measured. Each is a separate process, because cargo would build
//! one backend of `flate2` for all of them in one program.
//!
//! A candidate is called with the name of a case. It checks its response, measures one round, and prints nanoseconds,
//! bytes and allocations per response.

use std::time::{Duration, Instant};

use bytes::Bytes;
use sample::{json, script};

/// The cases: a name, and whether the request accepts gzip.
pub const CASES: [&str; 5] = [
    "1 KB JSON",
    "30 KB JSON",
    "100 KB JavaScript",
    "1 MB stream",
    "13 bytes",
];
/// The headers of a browser; only the first two if `FEW_HEADERS` is set.
pub fn headers() -> &'static [(&'static str, &'static str)] {
    let few = std::env::var_os("FEW_HEADERS").is_some();
    if few { &BROWSER[..2] } else { &BROWSER }
}

const BROWSER: [(&str, &str); 12] = [
    ("host", "localhost:8000"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    ),
    (
        "accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ),
    ("accept-language", "en-GB,en;q=0.8,fr;q=0.5,de;q=0.3"),
    ("connection", "keep-alive"),
    ("upgrade-insecure-requests", "1"),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-site", "none"),
    ("sec-fetch-user", "?1"),
    ("priority", "u=0, i"),
];
/// The size of a chunk of a stream.
pub const CHUNK: usize = 16 * 1024;
const ROUND: Duration = Duration::from_millis(150);

/// The response: its media type, its content, and whether it is a stream.
#[derive(Clone)]
pub struct Content {
    pub media_type: &'static str,
    pub bytes: Bytes,
    pub is_stream: bool,
}

impl Content {
    /// Returns the content of a case; panics if there is no such case.
    pub fn of(case: &str) -> Content {
        let (media_type, bytes) = match case {
            "1 KB JSON" => ("application/json", json(1_024)),
            "30 KB JSON" => ("application/json", json(30_037)),
            "100 KB JavaScript" => ("text/javascript", script(100_000)),
            "1 MB stream" => ("application/json", json(1_000_000)),
            "13 bytes" => ("text/plain", "Hello, world!".into()),
            _ => panic!("no such case: {case}"),
        };
        Content {
            media_type,
            bytes: bytes.into(),
            is_stream: case.ends_with("stream"),
        }
    }

    /// Splits the content into chunks.
    pub fn chunks(&self) -> impl Iterator<Item = Bytes> + use<> {
        let bytes = self.bytes.clone();
        (0..bytes.len())
            .step_by(CHUNK)
            .map(move |at| bytes.slice(at..bytes.len().min(at + CHUNK)))
    }
}

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
    let bytes = response();
    for _ in 0..3 {
        response();
    }
    let mut counted = 0;
    let allocations = allocation_counter::measure(|| counted = response()).count_total;
    assert_eq!(counted, bytes, "the same content, the same response");
    let (start, mut calls) = (Instant::now(), 0_u32);
    while start.elapsed() < ROUND {
        for _ in 0..8 {
            response();
            calls += 1;
        }
    }
    let nanoseconds = start.elapsed().as_nanos() as f64 / f64::from(calls);
    println!("{nanoseconds} {bytes} {allocations}");
}
