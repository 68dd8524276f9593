//! The keys of raw bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::passes_and_fails;

fn raw(bytes: &str) -> Value {
    json!({"component": "http1_raw", "kind": "raw", "config": {"server": "http/1.1 parser"},
        "raw_b64": STANDARD.encode(bytes)})
}

#[test]
fn bytes_just_end() {
    just_end(&json!({"class": "incomplete"}));
}

#[test]
fn bytes_that_just_end_are_rejected_or_waited_for() {
    just_end(&json!({"class": "reject", "status": [400, 408], "incomplete": true}));
}

fn just_end(right: &Value) {
    let case = raw("GET / HTTP/1.1\r\nHost: h\r\n");
    let wrong = [
        json!({"class": "accept", "requests": [{"method": "GET"}]}),
        json!({"class": "incomplete", "requires": "one response"}),
    ];
    passes_and_fails(&case, right, &wrong);
}

#[test]
fn headers_are_absent_from_requests_and_responses() {
    let case = raw("GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n\r\n");
    let absent = |request: &str, response: &str| {
        json!({"class": "accept", "requests": [{"headers_absent": [request]}],
            "responses": [{"status": 200, "headers_absent": [response]}]})
    };
    let wrong = [absent("X-A", "X-A"), absent("X-B", "Content-Length")];
    passes_and_fails(&case, &absent("X-B", "X-A"), &wrong);
}

#[test]
fn conditions_are_words() {
    let case = raw("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    let requires = |words: Value| json!({"class": "accept", "requires": words});
    let right = requires(json!(["connection closed", "one response"]));
    let wrong = [
        requires(json!("connection open")),
        requires(json!(["connection closed", "no response"])),
        requires(json!("no request reaches the application")),
    ];
    passes_and_fails(&case, &right, &wrong);
}

#[test]
fn an_interim_100_is_among_the_responses() {
    let case =
        raw("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
    let right = json!({"class": "accept", "interim_100": true, "requires": "no response"});
    passes_and_fails(
        &case,
        &right,
        &[json!({"class": "accept", "interim": null})],
    );
}
