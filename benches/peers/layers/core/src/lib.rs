//! Measures wrappers that each set a header: a program for each toolkit, `KIND DEPTH`.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// The content of the response inside all wrappers.
pub const TEXT: &str = "Hello, world!";
/// The value of each header.
pub const VALUE: &str = "nosniff";
const ROUND: Duration = Duration::from_millis(50);

/// Returns the name of the header that the wrapper with this number sets.
pub fn name(number: usize) -> String {
    format!("x-header-{number:03}")
}

/// Returns the arguments of the program.
pub fn arguments() -> (String, usize) {
    let mut arguments = std::env::args().skip(1);
    let kind = arguments.next().expect("a kind");
    let depth = arguments.next().expect("a depth");
    (kind, depth.parse().expect("a number"))
}

/// Measures `response`, which returns how many of the headers a response has, and prints its nanoseconds.
///
/// If `CALLS` is set, only makes that many calls: for valgrind.
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
