//! How wrappers that each set a header are measured: a program for each toolkit, `KIND DEPTH`.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// What is answered inside all of them.
pub const TEXT: &str = "Hello, world!";
/// What each header is.
pub const VALUE: &str = "nosniff";
const ROUND: Duration = Duration::from_millis(50);

/// The name of the header that the wrapper with this number sets.
pub fn name(number: usize) -> String {
    format!("x-header-{number:03}")
}

/// What the program was called with.
pub fn arguments() -> (String, usize) {
    let mut arguments = std::env::args().skip(1);
    let kind = arguments.next().expect("a kind");
    let depth = arguments.next().expect("a depth");
    (kind, depth.parse().expect("a number"))
}

/// Measures `answer`, which gives how many of the headers an answer has, and prints the nanoseconds of one.
///
/// Where `CALLS` is set it only makes so many calls: for valgrind.
pub fn measure(headers: usize, mut response: impl FnMut() -> usize) {
    if let Ok(calls) = std::env::var("CALLS") {
        let calls: u32 = calls.parse().expect("a number");
        (0..calls).for_each(|_| _ = black_box(response()));
        return;
    }
    for _ in 0..50 {
        assert_eq!(response(), headers, "all of the headers");
    }
    let (start, mut calls) = (Instant::now(), 0_u32);
    while start.elapsed() < ROUND {
        (0..8).for_each(|_| _ = black_box(response()));
        calls += 8;
    }
    let nanoseconds = start.elapsed().as_nanos() as f64 / f64::from(calls);
    println!("{nanoseconds:.0}");
}
