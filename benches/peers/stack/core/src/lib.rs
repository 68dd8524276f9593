//! What the stacks are asked and how each is measured in process: a program for each.
//!
//! All have the same five wrappers: a combined access log to nowhere by a thread of its own, three headers, gzip, a 404
//! fallback, and a router with three routes and twenty more under `/api`.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Who asks, where there is no socket.
pub const PEER: &str = "192.0.2.7:4711";
/// What is answered at `/`.
pub const TEXT: &str = "Hello, world!";
/// What the fallback answers.
pub const MISSING: &str = "There is nothing here";
/// What every answer has.
pub const HEADERS: [(&str, &str); 3] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
];
/// What is under `/api`: each as a list, and one of it by its id.
pub const RESOURCES: [&str; 10] = [
    "authors", "books", "branches", "clerks", "editions", "guests", "loans", "orders", "rooms",
    "shelves",
];
/// What a browser sends beside `Host`.
const BROWSER: &[(&str, &str)] = &[
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
    ),
    (
        "accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8",
    ),
    ("accept-language", "en-GB,en;q=0.9,de;q=0.8"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    (
        "sec-ch-ua",
        "\"Chromium\";v=\"138\", \"Not=A?Brand\";v=\"8\"",
    ),
    ("sec-ch-ua-mobile", "?0"),
    ("sec-ch-ua-platform", "\"Linux\""),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-site", "none"),
    ("sec-fetch-user", "?1"),
    ("upgrade-insecure-requests", "1"),
    ("referer", "https://www.example.org/library/shelves/3"),
    (
        "cookie",
        "session=0123456789abcdef0123456789abcdef; theme=dark",
    ),
];

/// What is asked, and what has to be answered.
#[derive(Debug)]
pub struct Case {
    /// For the tables.
    pub name: &'static str,
    /// The target.
    pub path: &'static str,
    /// What is sent beside `Host`.
    pub headers: &'static [(&'static str, &'static str)],
    /// The status of the answer.
    pub status: u16,
    /// Whether it comes in gzip.
    pub is_coded: bool,
}

const fn plain(name: &'static str, path: &'static str) -> Case {
    Case {
        name,
        path,
        headers: &[],
        status: 200,
        is_coded: false,
    }
}

/// All of them.
pub const CASES: [Case; 7] = [
    plain("root", "/"),
    plain("user", "/users/42"),
    plain("api", "/api/orders/17"),
    Case {
        status: 404,
        ..plain("missing", "/nowhere/at/all")
    },
    plain("data", "/data"),
    Case {
        headers: &[("accept-encoding", "gzip")],
        is_coded: true,
        ..plain("gzip", "/data")
    },
    Case {
        headers: BROWSER,
        ..plain("browser", "/")
    },
];

impl Case {
    /// The content of the answer, before it is coded.
    pub fn content(&self) -> String {
        match self.path {
            "/" => TEXT.to_owned(),
            "/users/42" => user("42"),
            "/api/orders/17" => one("orders", "17"),
            "/data" => data(),
            _ => MISSING.to_owned(),
        }
    }
}

/// What is answered at `/users/{id}`; put together without a formatter, which would be measured too.
pub fn user(id: &str) -> String {
    ["user ", id].concat()
}

/// What is answered at `/api/{resource}/{id}`.
pub fn one(resource: &str, id: &str) -> String {
    ["one of the ", resource, ": ", id].concat()
}

/// 30 KB of JSON, for `/data`.
pub fn data() -> String {
    sample::json(30_037)
}

/// What [`measure`] is to be called with: the status, and the bytes of the body.
pub type StatusAndSize = (u16, usize);

const ROUND: Duration = Duration::from_millis(200);

/// Measures the answers to the case that the second argument names, and prints the nanoseconds of one.
///
/// `none-` before a case stands for making its request alone, which the program does where it is not asked. Where
/// `CALLS` is set it only makes so many calls: for callgrind.
pub fn measure(mut response: impl FnMut(&Case, bool) -> StatusAndSize) {
    let name = std::env::args().nth(2).unwrap_or_default();
    let (wanted, is_asked) = match name.strip_prefix("none-") {
        Some(case) => (case, false),
        None => (&*name, true),
    };
    let case = CASES.iter().find(|case| case.name == wanted);
    let case = case.unwrap_or_else(|| panic!("{name:?} is none of the cases"));
    let mut call = || black_box(response(black_box(case), is_asked));
    if let Ok(calls) = std::env::var("CALLS") {
        let calls: u32 = calls.parse().expect("a number");
        (0..calls).for_each(|_| _ = call());
        return;
    }
    for _ in 0..50 {
        let (status, length) = call();
        let plain = case.content().len();
        let is_right = match (case.is_coded, case.headers.is_empty()) {
            (true, _) => (1..plain / 2).contains(&length),
            (false, true) => length == plain,
            // Some code whatever the client takes, be it ever so short, and it gets longer.
            (false, false) => (plain..plain + 32).contains(&length),
        };
        assert!(
            !is_asked || (status == case.status && is_right),
            "{status} {length}"
        );
    }
    let (start, mut calls) = (Instant::now(), 0_u32);
    while start.elapsed() < ROUND {
        (0..8).for_each(|_| _ = call());
        calls += 8;
    }
    let nanoseconds = start.elapsed().as_nanos() as f64 / f64::from(calls);
    println!("{nanoseconds:.0}");
}
