//! Cases of raw bytes on a connection.

use std::time::Duration;

use serde_json::{Value, json};

use crate::apps;
use crate::body::base64;
use crate::case::{Case, known, pairs, text};
use crate::expect::saw_headers;
use crate::observed::{Answer, Recorder, wait_until};
use crate::server::{self, PATIENCE};
use crate::socket::Connection;
use crate::verdict::{Check, any_of, ensure, fail, unsupported};

/// How long nothing may come before the server is held to be done.
const QUIET: Duration = Duration::from_millis(700);
/// How long a server may take to close.
const CLOSING: Duration = Duration::from_secs(3);
const PROBE: &[u8] = b"GET /probe HTTP/1.1\r\nHost: probe\r\n\r\n";

/// What came of the bytes.
#[derive(Debug, Default)]
struct Outcome {
    /// The requests that reached the application with their whole body.
    requests: Vec<Value>,
    answers: Vec<Answer>,
    interim: Vec<u16>,
    closed: bool,
    /// Whether another request was answered on the same connection.
    persists: bool,
    panics: Vec<String>,
}

pub(crate) fn run(case: &Case) -> Check {
    case.has_only(&["config", "raw_b64", "raw_preview", "smuggling"])?;
    let config = json!({"server": "http/1.1 parser"});
    if case.value["config"] != config {
        return unsupported(format!("the configuration {}", case.value["config"]));
    }
    let outcome = perform(&base64(&case.value["raw_b64"])?)?;
    if let [panic, ..] = &outcome.panics[..] {
        return fail(format!("the server panicked: {panic}"));
    }
    judge(&case.value["expect"], &outcome)
}

fn perform(bytes: &[u8]) -> Check<Outcome> {
    let recorder = Recorder::default();
    let app = apps::build(&json!({"kind": "echo"}), None, &recorder)?;
    let server = server::serve(app)?;
    let mut connection = Connection::open(server.address)?;
    connection.write(bytes);
    let mut outcome = Outcome::default();
    let mut patience = PATIENCE;
    while let Some(answer) = connection.answer(false, patience)? {
        patience = if answer.status < 400 { QUIET } else { CLOSING };
        match answer.status {
            100 | 102..=199 => outcome.interim.push(answer.status),
            _ => outcome.answers.push(answer),
        }
    }
    outcome.requests = recorder.lock().saw.clone();
    outcome.closed = connection.closed;
    if !outcome.closed {
        connection.write(PROBE);
        let answer = connection.answer(false, PATIENCE)?;
        let is_probe = |saw: &Value| saw["target"] == json!("/probe");
        let arrived = || recorder.lock().saw.last().is_some_and(is_probe);
        outcome.persists =
            answer.is_some_and(|answer| answer.status == 200) && wait_until(QUIET, arrived);
    }
    outcome.panics = server.panics.lines();
    Ok(outcome)
}

fn judge(expect: &Value, outcome: &Outcome) -> Check {
    if let Some(list) = expect.get("any_of").and_then(Value::as_array) {
        known(expect, "expect", &["any_of"])?;
        return any_of(list, |alternative| judge(alternative, outcome));
    }
    match text(expect, "class") {
        Some("accept") => accept(expect, outcome),
        Some("reject") => reject(expect, outcome),
        Some("incomplete") => incomplete(expect, outcome),
        _ => unsupported(format!("expect is {expect}")),
    }
}

fn accept(expect: &Value, outcome: &Outcome) -> Check {
    let keys = [
        "class",
        "requests",
        "requires",
        "connection_persists",
        "interim",
    ];
    known(expect, "expect", &keys)?;
    if let Some(requests) = expect.get("requests").and_then(Value::as_array) {
        arrived(requests, outcome)?;
    }
    if let Some(wanted) = expect.get("connection_persists") {
        ensure(wanted.as_bool() == Some(outcome.persists), || {
            format!("connection_persists is not {wanted}: {}", summary(outcome))
        })?;
    }
    // Nothing but a null is known here: there is no interim answer.
    if let Some(interim) = expect.get("interim") {
        ensure(interim.is_null() && outcome.interim.is_empty(), || {
            format!("interim is not {interim}: {:?}", outcome.interim)
        })?;
    }
    text(expect, "requires").map_or(Ok(()), |words| requires(words, outcome))
}

/// These requests and no others came to the application, and were answered.
fn arrived(requests: &[Value], outcome: &Outcome) -> Check {
    ensure(requests.len() == outcome.requests.len(), || {
        format!(
            "not {} requests arrived but {}",
            requests.len(),
            summary(outcome)
        )
    })?;
    for (wanted, saw) in requests.iter().zip(&outcome.requests) {
        request(wanted, saw)?;
    }
    let good = outcome.answers.iter().take(requests.len());
    ensure(
        good.filter(|answer| answer.status == 200).count() == requests.len(),
        || format!("not all was answered 200: {}", summary(outcome)),
    )
}

/// Conditions that the cases put in words.
fn requires(words: &str, outcome: &Outcome) -> Check {
    match words {
        "body read as chunked (empty) and the connection closed after the response" => {
            let empty = |saw: &Value| saw["body"] == json!("");
            let one = outcome.requests.len() == 1 && outcome.requests.iter().all(empty);
            ensure(one && outcome.closed, || summary(outcome))
        }
        "bytes after the head are not parsed as HTTP if the upgrade is granted" => {
            let granted = outcome.answers.iter().any(|answer| answer.status == 101);
            ensure(!granted || outcome.answers.len() == 1, || summary(outcome))
        }
        other => unsupported(format!("requires {other:?}")),
    }
}

/// What a case says of a request, and where that is recorded.
const FIELDS: [(&str, &str); 5] = [
    ("method", "method"),
    ("target", "target"),
    ("version", "version"),
    ("body", "body"),
    ("effective_host", "host"),
];

fn request(wanted: &Value, saw: &Value) -> Check {
    let mut keys = vec!["headers", "headers_include", "header_bytes", "body_b64"];
    keys.extend(FIELDS.map(|(key, _)| key));
    known(wanted, "a request", &keys)?;
    for (key, recorded) in FIELDS {
        if let Some(wanted) = wanted.get(key) {
            let found = &saw[recorded];
            ensure(wanted == found, || {
                format!("{key} is {found} and not {wanted}")
            })?;
        }
    }
    if let Some(wanted) = wanted.get("body_b64") {
        let wanted = base64(wanted)?;
        let text = String::from_utf8_lossy(&wanted);
        ensure(saw["body"] == json!(text), || {
            format!("the body is {}", saw["body"])
        })?;
    }
    request_headers(wanted, saw)
}

fn request_headers(wanted: &Value, saw: &Value) -> Check {
    let bytes = wanted.get("header_bytes").and_then(Value::as_object);
    for (name, wanted) in bytes.into_iter().flatten() {
        let found = &saw["header_bytes"][name];
        ensure(wanted == found, || {
            format!("the bytes of {name} are {found}")
        })?;
    }
    // Those that are given as bytes are not given as text.
    let mut found = saw_headers(saw);
    found.retain(|(name, _)| bytes.is_none_or(|bytes| !bytes.contains_key(name)));
    if wanted.get("headers").is_some() {
        // A map of headers keeps the order of a name's lines and not that of the names.
        let mut wanted = owned(pairs(wanted, "headers")?);
        wanted.sort();
        found.sort();
        ensure(wanted == found, || {
            format!("the headers are {found:?} and not {wanted:?}")
        })?;
    }
    let included = owned(pairs(wanted, "headers_include")?);
    let missing = included.iter().find(|line| !found.contains(line));
    ensure(missing.is_none(), || format!("no {missing:?} in {found:?}"))
}

fn owned(pairs: Vec<(&str, &str)>) -> Vec<(String, String)> {
    let line = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    pairs.into_iter().map(line).collect()
}

fn reject(expect: &Value, outcome: &Outcome) -> Check {
    known(
        expect,
        "expect",
        &["class", "status", "or_close", "connection_closed_after"],
    )?;
    let is_true = |key: &str| expect.get(key) == Some(&Value::Bool(true));
    let statuses = expect["status"].as_array();
    let allowed = |status: u16| statuses.is_some_and(|list| list.contains(&json!(status)));
    match &outcome.answers[..] {
        [] => ensure(is_true("or_close") && outcome.closed, || summary(outcome)),
        [answer, ..] => ensure(allowed(answer.status), || summary(outcome)),
    }?;
    ensure(outcome.requests.is_empty(), || {
        format!("it reached the application: {}", summary(outcome))
    })?;
    if is_true("connection_closed_after") {
        ensure(outcome.closed && outcome.answers.len() <= 1, || {
            format!("the connection is not closed: {}", summary(outcome))
        })?;
    }
    Ok(())
}

/// The message just ends: a server may say so, close, or wait for more until its own time is up.
fn incomplete(expect: &Value, outcome: &Outcome) -> Check {
    known(expect, "expect", &["class", "status"])?;
    let good = outcome
        .answers
        .iter()
        .all(|answer| matches!(answer.status, 400 | 408));
    ensure(good && outcome.requests.is_empty(), || summary(outcome))
}

fn summary(outcome: &Outcome) -> String {
    let requests: Vec<_> = outcome
        .requests
        .iter()
        .map(|saw| format!("{} {} {}", saw["method"], saw["target"], saw["body"]))
        .collect();
    let statuses: Vec<_> = outcome.answers.iter().map(|answer| answer.status).collect();
    let end = if outcome.closed { "closed" } else { "open" };
    format!("requests {requests:?}, answers {statuses:?}, connection {end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(statuses: &[u16], requests: &[Value], closed: bool) -> Outcome {
        let answer = |status: &u16| Answer {
            status: *status,
            ..Answer::default()
        };
        Outcome {
            requests: requests.to_vec(),
            answers: statuses.iter().map(answer).collect(),
            closed,
            persists: !closed,
            ..Outcome::default()
        }
    }

    #[test]
    fn every_expectation_can_pass_and_fail() {
        let saw = json!({
            "method": "GET", "target": "/", "version": "HTTP/1.1", "body": "b", "host": "h",
            "header_lines": [["host", "h"], ["x", "\u{fffd}"]],
            "header_bytes": {"host": "68", "x": "ff"},
        });
        let served = outcome(&[200], std::slice::from_ref(&saw), false);
        let refused = outcome(&[400], &[], true);
        let dropped = outcome(&[], &[], true);
        let silent = outcome(&[], &[], false);
        let wants = |request: Value| json!({"class": "accept", "requests": [request]});
        let reject = json!({"class": "reject", "status": [400], "connection_closed_after": true});
        let or_close = json!({"class": "reject", "status": [400], "or_close": true});
        let once = json!({"class": "accept", "connection_persists": false});
        let other_host = wants(json!({"effective_host": "other"}));
        let either = json!({"any_of": [reject, wants(json!({"method": "GET"}))]});
        for (expect, passes, fails) in [
            (
                wants(json!({"method": "GET", "body": "b"})),
                &served,
                &refused,
            ),
            (
                wants(json!({"headers_include": [["host", "h"]]})),
                &served,
                &silent,
            ),
            (
                wants(json!({"headers": [["host", "h"]], "header_bytes": {"x": "ff"}})),
                &served,
                &dropped,
            ),
            (reject.clone(), &refused, &served),
            (reject.clone(), &refused, &dropped),
            (or_close, &dropped, &silent),
            (once, &refused, &served),
            (either, &served, &silent),
            (json!({"class": "incomplete"}), &refused, &served),
        ] {
            assert_eq!(judge(&expect, passes), Ok(()), "{expect}");
            assert!(judge(&expect, fails).is_err(), "{expect}");
        }
        assert!(judge(&other_host, &served).is_err());
        let more = wants(json!({"headers": [["host", "h"]]}));
        assert!(judge(&more, &served).is_err());
        let served_too = outcome(&[400, 200], &[], true);
        assert!(judge(&reject, &served_too).is_err());
    }

    #[test]
    fn an_unknown_condition_is_never_passed_over() {
        let served = outcome(&[200], &[], true);
        for expect in [
            json!({"class": "accept", "requires": "good manners"}),
            json!({"class": "accept", "mood": "good"}),
            json!({"class": "perhaps"}),
        ] {
            let result = judge(&expect, &served);
            let unknown = matches!(result, Err(crate::verdict::Trouble::Unsupported(_)));
            assert!(unknown, "{expect}: {result:?}");
        }
    }
}
