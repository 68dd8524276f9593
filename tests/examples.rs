//! The examples, run as programs, respond as documented; `optional_examples.rs` has those of optional features.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy does not count helpers of tests as tests"
)]

mod support {
    pub(crate) mod example;
    pub(crate) mod process;
    #[expect(dead_code, reason = "other tests use the rest of it")]
    pub(crate) mod wire;
}

use std::io::Read;
use std::path::Path;

use self::support::example::{ask, start, stop};
use self::support::wire::{Wire, WireResponse};

const EXAMPLES: [&str; 15] = [
    "api",
    "forms",
    "site",
    "hello",
    "login",
    "wsgi",
    "pipeline",
    "component",
    "dispatch",
    "state",
    "debug_errors",
    "fastcgi",
    "tls",
    "tower",
    "upgrade",
];

/// Programs with several parts, and their limits in lines.
const LONGER: [(&str, usize); 4] = [("api", 180), ("forms", 140), ("login", 210), ("site", 260)];

#[test]
fn every_example_has_fewer_than_60_lines_without_its_docs() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let paths = std::fs::read_dir(folder).unwrap();
    let paths = paths.map(|entry| entry.unwrap().path());
    let mut found = Vec::new();
    for path in paths.filter(|path| path.extension().is_some_and(|name| name == "rs")) {
        let text = std::fs::read_to_string(&path).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with("//!")).count();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let longer = LONGER.iter().find(|(longer, _)| *longer == name);
        let limit = longer.map_or(60, |(_, limit)| *limit);
        assert!(lines < limit, "{} has {lines} lines", path.display());
        found.push(name.to_owned());
    }
    found.sort();
    let mut expected = EXAMPLES;
    expected.sort_unstable();
    assert_eq!(found, expected, "an example without a test");
}

#[test]
fn state() {
    let process = start("state");
    let mut wire = Wire::connect(process.address);
    for (line, more, status, text, visit) in [
        (
            "POST /notes",
            "Content-Length: 5\r\n",
            "201 Created",
            "Note 1\n",
            "1",
        ),
        (
            "POST /notes",
            "Content-Length: 6\r\n",
            "201 Created",
            "Note 2\n",
            "2",
        ),
        ("GET /notes", "", "200 OK", "roses\ntulips\n", "3"),
    ] {
        let body = match visit {
            "1" => "roses",
            "2" => "tulips",
            _ => "",
        };
        wire.send(format!("{line} HTTP/1.1\r\nHost: h\r\n{more}\r\n{body}"));
        let response = wire.response();
        assert_eq!((response.status(), response.text()), (status, text));
        assert_eq!(response.header("x-visit").as_deref(), Some(visit));
    }
    stop(process);
}

#[test]
fn upgrade() {
    let process = start("upgrade");
    let mut wire = Wire::connect(process.address);
    let response = ask(&mut wire, "GET /", "Accept: text/plain\r\n");
    assert_eq!(response.status(), "426 Upgrade Required");
    assert_eq!(response.header("upgrade").unwrap(), "lines");
    wire.send(
        "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: lines\r\n\r\nhello\r\nbye\r\n",
    );
    assert!(wire.head().status().starts_with("101"));
    for line in ["HELLO", "BYE"] {
        assert_eq!(wire.line().trim_end(), line);
    }
    // It sends its last line.
    let lines = stop(process);
    assert_eq!(wire.rest(), b"The server stops.\n");
    assert!(lines[0].contains("\"GET / HTTP/1.1\" 426 "), "{lines:?}");
    assert!(lines[1].contains("\"GET / HTTP/1.1\" 101 30"), "{lines:?}");
}

#[test]
fn hello() {
    let process = start("hello");
    let mut wire = Wire::connect(process.address);
    for line in ["GET /", "GET /anything?at=all", "POST /"] {
        let response = ask(&mut wire, line, "");
        assert_eq!(
            (response.status(), response.text()),
            ("200 OK", "Hello, World!\n")
        );
        assert_eq!(
            response.header("content-type").unwrap(),
            "text/plain; charset=utf-8"
        );
    }
    assert_eq!(stop(process), [""; 0]);
}

#[cfg(feature = "wsgi")]
#[test]
fn wsgi() {
    let process = start("wsgi");
    let mut wire = Wire::connect(process.address);
    for (line, status, text) in [
        ("GET /", "200 OK", "<h1>Welcome to WSGI!</h1>"),
        ("GET /cellar", "404 Not Found", "Page not found"),
    ] {
        let response = ask(&mut wire, line, "");
        assert_eq!((response.status(), response.text()), (status, text));
        assert_eq!(
            response.header("content-type").unwrap(),
            "text/html; charset=utf-8"
        );
    }
    assert_eq!(stop(process), [""; 0]);
}

#[test]
fn dispatch() {
    let process = start("dispatch");
    let mut wire = Wire::connect(process.address);
    for (line, status, text) in [
        ("GET /shop", "200 OK", "Try /shop/items/1\n"),
        ("GET /shop/items/7", "200 OK", "Item 7\n"),
        ("GET /shop/items/x", "404 Not Found", "Nothing here\n"),
        ("GET //wiki//enfilade", "200 OK", "A draft about doors\n"),
        ("GET /wiki/other", "200 OK", "The page /other\n"),
        ("GET /nowhere", "404 Not Found", "Nothing here\n"),
    ] {
        let response = ask(&mut wire, line, "");
        assert_eq!(
            (response.status(), response.text()),
            (status, text),
            "{line}"
        );
    }
    let moved = ask(&mut wire, "GET /article12.html?page=2", "");
    assert_eq!(moved.status(), "308 Permanent Redirect");
    assert_eq!(moved.header("location").unwrap(), "/wiki/12?page=2");
    drop(stop(process));
}

#[test]
fn debug_errors() {
    let process = start("debug_errors");
    let mut wire = Wire::connect(process.address);
    for (line, status, begin) in [
        ("GET /shelves/1", "200 OK", "Travel"),
        ("GET /lend/Ada/7", "200 OK", "Ada has book 7\n"),
        (
            "GET /lend/Ada/x",
            "500 Internal Server Error",
            "500 Internal Server Error\n\n  no book was lent to \"Ada\"\n\nErrors\n",
        ),
        (
            "GET /shelves/7",
            "500 Internal Server Error",
            "500 Internal Server Error\n\n  panicked: index out of bounds: the len is 3 but the index is 7\n  \
             at examples/debug_errors.rs:",
        ),
        ("GET /cellar", "404 Not Found", ""),
    ] {
        let response = ask(&mut wire, line, "");
        assert_eq!(response.status(), status, "{line}");
        assert!(response.text().starts_with(begin), "{}", response.text());
    }
    drop(stop(process));
}

#[test]
fn component() {
    let process = start("component");
    let mut wire = Wire::connect(process.address);
    let refused = "Please do not touch\n";
    for (line, status, text, is_timed) in [
        ("GET /house", "200 OK", "The house\n", true),
        ("GET /garden", "200 OK", "The garden\n", true),
        // The timer is outside the guard in the house, and inside it in the garden.
        ("POST /house", "403 Forbidden", refused, true),
        ("POST /garden", "403 Forbidden", refused, false),
        ("GET /street", "404 Not Found", "", false),
    ] {
        let response = ask(&mut wire, line, "");
        assert_eq!(
            (response.status(), response.text()),
            (status, text),
            "{line}"
        );
        let timing = response.header("server-timing");
        assert_eq!(timing.is_some(), is_timed, "{line}: {timing:?}");
        if let Some(timing) = timing {
            let milliseconds = timing.strip_prefix("app;dur=").unwrap();
            assert!(milliseconds.parse::<f64>().unwrap() >= 0.0);
        }
    }
    assert_eq!(stop(process), [""; 0]);
}

const SHELF: &str = "A book on shelf 3; the entrance is /library/\n";

/// A request to the pipeline, and the expected response.
struct Case {
    line: &'static str,
    status: &'static str,
    text: String,
    allow: Option<&'static str>,
    vary: Option<&'static str>,
}

fn case(line: &'static str, status: &'static str, text: &str) -> Case {
    Case {
        line,
        status,
        text: text.to_owned(),
        allow: None,
        vary: None,
    }
}

fn pipeline_cases() -> Vec<Case> {
    let not_allowed = |line, allow| Case {
        allow: Some(allow),
        ..case(line, "405 Method Not Allowed", "Method Not Allowed")
    };
    vec![
        case("GET /", "200 OK", "Welcome to the house\n"),
        case("POST /guests/Ada", "201 Created", "Good evening, Ada\n"),
        case("GET /library", "200 OK", "The library at /library\n"),
        case("GET /library/", "200 OK", "The library at /library\n"),
        Case {
            vary: Some("accept-encoding"),
            ..case("GET /library/shelves/3", "200 OK", &SHELF.repeat(50))
        },
        case(
            "GET /cellar?x",
            "404 Not Found",
            "There is no /cellar here\n",
        ),
        case(
            "GET /library/cellar",
            "404 Not Found",
            "There is no /library/cellar here\n",
        ),
        not_allowed("POST /", "GET, HEAD, OPTIONS"),
        not_allowed("DELETE /guests/Ada", "POST, OPTIONS"),
        not_allowed("PUT /library/shelves/3", "GET, HEAD, OPTIONS"),
    ]
}

/// The header fields, without `Date`.
fn without_date(response: &WireResponse) -> Vec<&str> {
    let lines = response.lines[1..].iter().map(String::as_str);
    lines.filter(|line| !line.starts_with("date: ")).collect()
}

fn assert_injected(response: &WireResponse, case: &str) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-cache"),
    ] {
        assert_eq!(
            response.header(name).as_deref(),
            Some(value),
            "{case}: {name}"
        );
    }
}

fn gunzip(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut decoder = flate2::read::GzDecoder::new(bytes);
    decoder.read_to_string(&mut text).unwrap();
    assert!(decoder.into_inner().is_empty());
    text
}

/// Whether `line` is the combined format's line of a request, at any time.
fn assert_logged(line: &str, request: &str, response: &WireResponse) {
    let (before, rest) = line.split_once('[').unwrap();
    let (time, after) = rest.split_once(']').unwrap();
    assert_eq!(before, "127.0.0.1 - - ", "{line}");
    let shape: String = time
        .chars()
        .map(|character| {
            if character.is_ascii_digit() {
                '0'
            } else {
                character
            }
        })
        .collect();
    let month = shape.get(3..6).unwrap();
    assert!(month.chars().all(char::is_alphabetic), "{line}");
    assert_eq!(
        shape.replace(month, "Mmm"),
        "00/Mmm/0000:00:00:00 +0000",
        "{line}"
    );
    let bytes = match response.body.len() {
        0 => "-".to_owned(),
        count => count.to_string(),
    };
    let status = response.status().split(' ').next().unwrap();
    assert_eq!(
        after,
        format!(" \"{request} HTTP/1.1\" {status} {bytes} \"-\" \"test/1\""),
        "{line}"
    );
}

#[test]
fn pipeline() {
    let process = start("pipeline");
    let mut wire = Wire::connect(process.address);
    let mut asked: Vec<(String, WireResponse)> = Vec::new();
    for case in pipeline_cases() {
        let line = case.line;
        let plain = ask(&mut wire, line, "");
        assert_eq!((plain.status(), plain.text()), (case.status, &*case.text));
        assert_eq!(plain.header("allow").as_deref(), case.allow, "{line}");
        assert_eq!(plain.header("vary").as_deref(), case.vary, "{line}");
        assert_eq!(plain.header("content-encoding"), None, "{line}");
        assert_injected(&plain, line);

        let compressed = ask(&mut wire, line, "Accept-Encoding: gzip\r\n");
        assert_eq!(compressed.status(), case.status);
        assert_eq!(compressed.header("allow").as_deref(), case.allow, "{line}");
        assert_eq!(compressed.header("vary").as_deref(), case.vary, "{line}");
        assert_injected(&compressed, line);
        match compressed.header("content-encoding").as_deref() {
            Some("gzip") => {
                assert!(compressed.body.len() < plain.body.len(), "{line}");
                assert_eq!(gunzip(&compressed.body), case.text, "{line}");
            }
            other => {
                assert_eq!((other, compressed.text()), (None, &*case.text), "{line}");
                assert_eq!(case.vary, None, "{line}");
            }
        }
        if let Some(target) = line.strip_prefix("GET ") {
            let line = format!("HEAD {target}");
            let head = ask(&mut wire, &line, "");
            assert_eq!(head.status(), case.status);
            assert_eq!(without_date(&head), without_date(&plain), "{line}");
            asked.push((line, head));
        }
        // In the order of the requests, which is that of the log.
        let at = asked.len() - usize::from(line.starts_with("GET "));
        let both = [(line.to_owned(), plain), (line.to_owned(), compressed)];
        asked.splice(at..at, both);
    }
    let lines = stop(process);
    assert_eq!(lines.len(), asked.len(), "{lines:#?}");
    for (line, (request, response)) in lines.iter().zip(&asked) {
        assert_logged(line, request, response);
    }
}
