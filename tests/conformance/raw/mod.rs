//! Cases of raw bytes on a connection.

mod request;

use std::time::Duration;

use serde_json::{Value, json};

use crate::apps;
use crate::body::{self, base64};
use crate::case::{Case, known, object, text, texts};
use crate::matchers::{self, Context};
use crate::observed::{ObservedResponse, Recorder, wait_until};
use crate::server::{self, PATIENCE};
use crate::socket::Connection;
use crate::verdict::{Check, all, any_of, ensure, fail, unsupported};

/// The time without bytes after which the server is considered done.
const QUIET: Duration = Duration::from_millis(700);
/// The timeout for a server to close.
const CLOSING: Duration = Duration::from_secs(3);
const PROBE: &[u8] = b"GET /probe HTTP/1.1\r\nHost: probe\r\n\r\n";

/// The result of the bytes.
#[derive(Debug, Default)]
struct Outcome {
    /// The requests that reached the application with their whole body.
    requests: Vec<Value>,
    responses: Vec<ObservedResponse>,
    interim: Vec<u16>,
    closed: bool,
    /// Whether another request on the same connection got a response.
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
    while let Some(response) = connection.response(false, patience)? {
        patience = if response.status < 400 {
            QUIET
        } else {
            CLOSING
        };
        match response.status {
            100 | 102..=199 => outcome.interim.push(response.status),
            _ => outcome.responses.push(response),
        }
    }
    outcome.requests = recorder.lock().saw.clone();
    outcome.closed = connection.closed;
    if !outcome.closed {
        connection.write(PROBE);
        // If there was no response yet, it is part of an incomplete message.
        let patience = if outcome.responses.is_empty() {
            QUIET
        } else {
            PATIENCE
        };
        let response = connection.response(false, patience)?;
        let is_probe = |saw: &Value| saw["target"] == json!("/probe");
        let arrived = || recorder.lock().saw.last().is_some_and(is_probe);
        outcome.persists =
            response.is_some_and(|response| response.status == 200) && wait_until(QUIET, arrived);
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
    }?;
    responses(expect, outcome)?;
    requires(&expect["requires"], outcome)
}

/// The keys of every class.
const KEYS: [&str; 4] = ["class", "note", "requires", "responses"];

fn has_only(expect: &Value, own: &[&str]) -> Check {
    known(expect, "expect", &[&KEYS, own].concat())
}

fn accept(expect: &Value, outcome: &Outcome) -> Check {
    let keys = ["requests", "connection_persists", "interim", "interim_100"];
    has_only(expect, &keys)?;
    match expect.get("requests") {
        None => {}
        Some(Value::Array(requests)) => arrived(requests, outcome)?,
        Some(other) => return unsupported(format!("the requests {other}")),
    }
    if let Some(wanted) = expect.get("connection_persists") {
        ensure(wanted.as_bool() == Some(outcome.persists), || {
            format!("connection_persists is not {wanted}: {}", summary(outcome))
        })?;
    }
    interim(expect, outcome)
}

/// Judges the interim responses: a list of statuses, or null; or whether a 100 is among them.
fn interim(expect: &Value, outcome: &Outcome) -> Check {
    let found = &outcome.interim;
    let said = |holds: bool, wanted: &Value| {
        ensure(holds, || {
            format!("the interim responses are {found:?} and not {wanted}")
        })
    };
    match expect.get("interim") {
        None => {}
        Some(wanted @ Value::Null) => said(found.is_empty(), wanted)?,
        Some(wanted @ Value::Array(_)) => said(*wanted == json!(found), wanted)?,
        Some(other) => return unsupported(format!("interim {other}")),
    }
    match expect.get("interim_100") {
        None => Ok(()),
        Some(wanted @ Value::Bool(is_sent)) => said(*is_sent == found.contains(&100), wanted),
        Some(other) => unsupported(format!("interim_100 {other}")),
    }
}

/// Judges the final responses, each by its status, its headers and its absent headers.
fn responses(expect: &Value, outcome: &Outcome) -> Check {
    let Some(list) = expect.get("responses") else {
        return Ok(());
    };
    let Value::Array(list) = list else {
        return unsupported(format!("the responses {list}"));
    };
    let counted = ensure(list.len() == outcome.responses.len(), || {
        format!("not {} responses but {}", list.len(), summary(outcome))
    });
    let each = list.iter().zip(&outcome.responses);
    let each = each.map(|(wanted, response)| judge_response(wanted, response));
    all(std::iter::once(counted).chain(each))
}

fn judge_response(wanted: &Value, response: &ObservedResponse) -> Check {
    known(
        wanted,
        "a response",
        &["status", "headers", "headers_absent", "body"],
    )?;
    if let Some(status) = wanted.get("status") {
        ensure(*status == json!(response.status), || {
            format!("the status is {} and not {status}", response.status)
        })?;
    }
    if let Some(headers) = wanted.get("headers") {
        all(object(headers)?.iter().map(|(name, matcher)| {
            matchers::header(matcher, &response.lines(name), &Context::default())
                .map_err(|trouble| trouble.within(&format!("header {name}")))
        }))?;
    }
    if let Some(matcher) = wanted.get("body") {
        body::body(matcher, response, &[])?;
    }
    request::absent(wanted, &response.headers)
}

/// Judges that exactly these requests came to the application, and got responses.
fn arrived(requests: &[Value], outcome: &Outcome) -> Check {
    ensure(requests.len() == outcome.requests.len(), || {
        format!(
            "not {} requests arrived but {}",
            requests.len(),
            summary(outcome)
        )
    })?;
    for (wanted, saw) in requests.iter().zip(&outcome.requests) {
        request::request(wanted, saw)?;
    }
    let good = outcome.responses.iter().take(requests.len());
    ensure(
        good.filter(|response| response.status == 200).count() == requests.len(),
        || format!("not every response was 200: {}", summary(outcome)),
    )
}

/// Judges conditions that the cases have in words: one, or a list of them.
fn requires(wanted: &Value, outcome: &Outcome) -> Check {
    match wanted {
        Value::Null => Ok(()),
        wanted => all(texts(wanted)?
            .into_iter()
            .map(|words| required(words, outcome))),
    }
}

fn required(words: &str, outcome: &Outcome) -> Check {
    let statuses: Vec<u16> = outcome
        .responses
        .iter()
        .map(|response| response.status)
        .collect();
    match words {
        "connection closed" => ensure(outcome.closed, || summary(outcome)),
        "connection open" => ensure(!outcome.closed, || summary(outcome)),
        "no response" => ensure(statuses.is_empty(), || summary(outcome)),
        "one response" => ensure(statuses.len() == 1, || summary(outcome)),
        "no request reaches the application" => {
            ensure(outcome.requests.is_empty(), || summary(outcome))
        }
        "body read as chunked (empty) and the connection closed after the response" => {
            let empty = |saw: &Value| saw["body"] == json!("");
            let one = outcome.requests.len() == 1 && outcome.requests.iter().all(empty);
            ensure(one && outcome.closed, || summary(outcome))
        }
        "bytes after the head are not parsed as HTTP if the upgrade is granted" => {
            let granted = outcome
                .responses
                .iter()
                .any(|response| response.status == 101);
            ensure(!granted || outcome.responses.len() == 1, || {
                summary(outcome)
            })
        }
        other => unsupported(format!("requires {other:?}")),
    }
}

fn reject(expect: &Value, outcome: &Outcome) -> Check {
    let keys = [
        "status",
        "or_close",
        "connection_closed_after",
        "incomplete",
    ];
    has_only(expect, &keys)?;
    let flags = ["or_close", "connection_closed_after", "incomplete"];
    if let Some(key) = flags
        .iter()
        .find(|key| !matches!(expect[**key], Value::Null | Value::Bool(_)))
    {
        return unsupported(format!("{key} is {}", expect[*key]));
    }
    let is_true = |key: &str| expect.get(key) == Some(&Value::Bool(true));
    let statuses = expect["status"].as_array();
    let allowed = |status: u16| statuses.is_some_and(|list| list.contains(&json!(status)));
    match &outcome.responses[..] {
        // The server may wait for the rest until the timeout.
        [] if is_true("incomplete") => Ok(()),
        [] => ensure(is_true("or_close") && outcome.closed, || summary(outcome)),
        [response, ..] => ensure(allowed(response.status), || summary(outcome)),
    }?;
    ensure(outcome.requests.is_empty(), || {
        format!("it reached the application: {}", summary(outcome))
    })?;
    if is_true("connection_closed_after") {
        ensure(outcome.closed && outcome.responses.len() <= 1, || {
            format!("the connection is not closed: {}", summary(outcome))
        })?;
    }
    Ok(())
}

/// Judges a message that just ends: a server may reject it, close, or wait for more until its own timeout.
fn incomplete(expect: &Value, outcome: &Outcome) -> Check {
    has_only(expect, &["status"])?;
    let statuses = match expect.get("status") {
        None => vec![json!(400), json!(408)],
        Some(Value::Array(list)) => list.clone(),
        Some(other) => return unsupported(format!("the status {other}")),
    };
    let mut responses = outcome.responses.iter();
    let good = responses.all(|response| statuses.contains(&json!(response.status)));
    ensure(good && outcome.requests.is_empty(), || summary(outcome))
}

fn summary(outcome: &Outcome) -> String {
    let requests: Vec<_> = outcome
        .requests
        .iter()
        .map(|saw| format!("{} {} {}", saw["method"], saw["target"], saw["body"]))
        .collect();
    let statuses: Vec<_> = outcome
        .responses
        .iter()
        .map(|response| response.status)
        .collect();
    let end = if outcome.closed { "closed" } else { "open" };
    format!("requests {requests:?}, responses {statuses:?}, connection {end}")
}

#[cfg(test)]
mod tests;
