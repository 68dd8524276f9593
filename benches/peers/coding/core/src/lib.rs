//! What the coders are given, and how each of them is measured: a process for each, as cargo would give all of them in
//! one program the same backend of `flate2`.
//!
//! A candidate is called with the name of a case. It checks its answer, measures one round, and prints nanoseconds, bytes
//! and allocations an answer.

use std::fmt::Write;
use std::time::{Duration, Instant};

use bytes::Bytes;

/// The cases: a name, and what asks for gzip.
pub const CASES: [&str; 5] = [
    "1 KB JSON",
    "30 KB JSON",
    "100 KB JavaScript",
    "1 MB stream",
    "13 bytes",
];
/// What a browser sends; only the first two of it where `FEW_HEADERS` is set.
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

/// What is to be answered: its media type, its content, and whether it comes as a stream.
#[derive(Clone)]
pub struct Content {
    pub media_type: &'static str,
    pub bytes: Bytes,
    pub is_stream: bool,
}

impl Content {
    /// The content of a case; panics where there is no such case.
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

    /// Its chunks.
    pub fn chunks(&self) -> impl Iterator<Item = Bytes> + use<> {
        let bytes = self.bytes.clone();
        (0..bytes.len())
            .step_by(CHUNK)
            .map(move |at| bytes.slice(at..bytes.len().min(at + CHUNK)))
    }
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn word(&mut self) -> String {
        let parts = [
            "an", "ber", "cor", "dun", "el", "fen", "gar", "hol", "in", "jo", "kal", "lor", "men",
            "nor", "os", "per",
        ];
        (0..2 + self.below(2))
            .map(|_| parts[self.below(16) as usize])
            .collect()
    }
}

/// A list of orders, as an interface would give it.
fn json(length: usize) -> String {
    let mut numbers = Numbers(1);
    let mut text = String::from("[");
    while text.len() < length {
        let (first, last) = (numbers.word(), numbers.word());
        let _ = write!(
            text,
            "{{\"id\":{},\"name\":\"{first} {last}\",\"email\":\"{first}.{last}@example.org\",\"price\":{}.{:02},\"created\":\"2026-{:02}-{:02}T{:02}:{:02}:00Z\",\"tags\":[\"{}\",\"{}\"],\"active\":{}}},",
            numbers.below(1_000_000),
            numbers.below(500),
            numbers.below(100),
            1 + numbers.below(12),
            1 + numbers.below(28),
            numbers.below(24),
            numbers.below(60),
            numbers.word(),
            numbers.word(),
            numbers.below(2) == 0,
        );
    }
    text.truncate(length - 1);
    text + "]"
}

/// Functions that call each other, as a bundler would write them.
fn script(length: usize) -> String {
    let mut numbers = Numbers(2);
    let mut text = String::from("\"use strict\";");
    while text.len() < length {
        let (name, other, field, value) = (
            numbers.word(),
            numbers.word(),
            numbers.word(),
            numbers.word(),
        );
        let _ = match numbers.below(4) {
            0 => write!(
                text,
                "function {name}(e,t){{return e.{field}?t({other}(e.{field},{})):void 0!==e.{value}&&t(e.{value})}}",
                numbers.below(4096)
            ),
            1 => write!(
                text,
                "var {name}=function(){{var e=this.{field}||[];return e.map(function(t){{return t.{value}+{}}}).filter(Boolean)}};",
                numbers.below(4096)
            ),
            2 => write!(
                text,
                "{other}.prototype.{name}=async e=>{{const t=await fetch(`/{field}/${{e.{value}}}`);if(!t.ok)throw new Error(\"{field} {value}\");return t.json()}};"
            ),
            _ => write!(
                text,
                "Object.defineProperty(exports,\"{name}\",{{enumerable:!0,get:function(){{return {other}.{field}}}}});"
            ),
        };
    }
    text.truncate(length);
    text
}

/// Measures `answer`, which gives the bytes of one answer, and prints the round.
///
/// Where `CALLS` is set it only makes so many calls: for callgrind.
pub fn measure(mut answer: impl FnMut() -> usize) {
    if let Ok(calls) = std::env::var("CALLS") {
        let calls: u32 = calls.parse().expect("a number");
        for _ in 0..calls {
            std::hint::black_box(answer());
        }
        return;
    }
    let bytes = answer();
    for _ in 0..3 {
        answer();
    }
    let mut counted = 0;
    let allocations = allocation_counter::measure(|| counted = answer()).count_total;
    assert_eq!(counted, bytes, "the same content, the same answer");
    let (start, mut calls) = (Instant::now(), 0_u32);
    while start.elapsed() < ROUND {
        for _ in 0..8 {
            answer();
            calls += 1;
        }
    }
    let nanoseconds = start.elapsed().as_nanos() as f64 / f64::from(calls);
    println!("{nanoseconds} {bytes} {allocations}");
}
