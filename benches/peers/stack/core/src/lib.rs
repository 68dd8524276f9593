//! The requests for the stacks, and how each is measured in process: a program for each.
//!
//! All have the same five wrappers: a combined access log to nowhere by a separate thread, three headers, gzip, a 404
//! fallback, and a router with three routes and twenty more under `/api`.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// The address of the client, without a socket.
pub const PEER: &str = "192.0.2.7:4711";
/// The content of `/`.
pub const TEXT: &str = "Hello, world!";
/// The content of the fallback.
pub const MISSING: &str = "There is nothing here";
/// The headers of every response.
pub const HEADERS: [(&str, &str); 3] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
];
/// The resources under `/api`: each as a list, and one item by its ID.
pub const RESOURCES: [&str; 10] = [
    "authors", "books", "branches", "clerks", "editions", "guests", "loans", "orders", "rooms",
    "shelves",
];
/// The headers of a browser, without `Host`.
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

/// A request, and the response that it must get.
#[derive(Debug)]
pub struct Case {
    /// The name in the tables.
    pub name: &'static str,
    /// The target.
    pub path: &'static str,
    /// The headers of the request, without `Host`.
    pub headers: &'static [(&'static str, &'static str)],
    /// The status of the response.
    pub status: u16,
    /// Whether the response is compressed with gzip.
    pub is_compressed: bool,
}

const fn plain(name: &'static str, path: &'static str) -> Case {
    Case {
        name,
        path,
        headers: &[],
        status: 200,
        is_compressed: false,
    }
}

/// All cases.
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
        is_compressed: true,
        ..plain("gzip", "/data")
    },
    Case {
        headers: BROWSER,
        ..plain("browser", "/")
    },
];

impl Case {
    /// Returns the content of the response, before it is compressed.
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

/// Returns the content of `/users/{id}`, without a formatter, which would be measured too.
pub fn user(id: &str) -> String {
    ["user ", id].concat()
}

/// Returns the content of `/api/{resource}/{id}`.
pub fn one(resource: &str, id: &str) -> String {
    ["one of the ", resource, ": ", id].concat()
}

/// 30 KB of JSON, for `/data`.
pub fn data() -> String {
    sample::json(30_037)
}

/// The result for [`measure`]: the status, and the bytes of the body.
pub type StatusAndSize = (u16, usize);

const ROUND: Duration = Duration::from_millis(200);

/// Measures the responses of the case that the second argument names, and prints the nanoseconds of one.
///
/// With `none-` before the name, only makes the request of the case: the program's application is not called. If
/// `CALLS` is set, only makes that many calls: for callgrind.
pub fn measure(mut response: impl FnMut(&Case, bool) -> StatusAndSize) {
    let name = std::env::args().nth(2).unwrap_or_default();
    let (wanted, is_asked) = match name.strip_prefix("none-") {
        Some(case) => (case, false),
        None => (&*name, true),
    };
    let case = CASES.iter().find(|case| case.name == wanted);
    let case = case.unwrap_or_else(|| panic!("{name:?} is not one of the cases"));
    let mut call = || black_box(response(black_box(case), is_asked));
    if let Ok(calls) = std::env::var("CALLS") {
        let calls: u32 = calls.parse().expect("a number");
        (0..calls).for_each(|_| _ = call());
        return;
    }
    for _ in 0..50 {
        let (status, length) = call();
        let plain = case.content().len();
        let is_right = match (case.is_compressed, case.headers.is_empty()) {
            (true, _) => (1..plain / 2).contains(&length),
            (false, true) => length == plain,
            // Some compress whatever the client accepts, however short; then it gets longer.
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
