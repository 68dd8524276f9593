//! The innermost application of a case.

mod content;
mod cookies;
mod record;
mod session;
mod sets;

use std::time::Duration;

use enfilade::{Application, HttpError, Reply, Request, Response, Upgrade};
use futures_timer::Delay;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::Value;

use self::content::Made;
pub(crate) use self::content::{Content, KEYS as CONTENT_KEYS, content};
pub(crate) use self::record::list;
use self::record::{Reading, Unread, recording};
use self::sets::Sets;
use crate::case::{known, number, pairs, required, text, typed};
use crate::observed::Recorder;
use crate::verdict::{Check, refused, unsupported};

/// The keys of every application.
const KEYS: [&str; 4] = ["kind", "name", "note", "sets"];

/// The keys of a response that is always the same.
const FIXED_KEYS: [&str; 7] = [
    "status",
    "headers",
    "trailers",
    "on_close",
    "body_error_after",
    "body_panic_after",
    "chunk_delay_ms",
];

/// Makes the application of `spec`; `label` is its name in the record.
pub(crate) fn build(spec: &Value, label: Option<&str>, recorder: &Recorder) -> Check<Application> {
    let kind = text(spec, "kind").unwrap_or("echo");
    known(spec, "app", &[&KEYS[..], &own_keys(kind)?].concat())?;
    typed(spec, "app")?;
    let app = match kind {
        "echo" => Application::new(|_: Request| "echo"),
        "read_body" => Application::new(|mut request: Request| request.take_body()),
        "read_body_then" => fixed(&spec["then"], recorder)?,
        "read_body_map_error" => mapping(&spec["on_error"], recorder)?,
        "fail_if_called" | "none" => {
            Application::new(|_: Request| StatusCode::INTERNAL_SERVER_ERROR)
        }
        "fixed" => fixed(spec, recorder)?,
        "error" => failing(spec),
        "panic" => panicking(spec)?,
        "session_app" => session::of_path(),
        "sets_cookies" => cookies::setting(spec)?,
        _ => sleeping(spec, recorder)?,
    };
    let reading = match kind {
        "echo" | "read_body" | "read_body_then" => Reading::Whole,
        "read_body_map_error" => Reading::WholeOrError,
        _ => Reading::Left,
    };
    Ok(recording(app, reading, Sets::new(spec)?, label, recorder))
}

/// Returns the keys of an application of this kind, without those of every application.
fn own_keys(kind: &str) -> Check<Vec<&'static str>> {
    Ok(match kind {
        "echo" | "read_body" | "fail_if_called" | "none" => vec![],
        "read_body_then" => vec!["then"],
        "read_body_map_error" => vec!["on_error"],
        "fixed" => [&FIXED_KEYS[..], &CONTENT_KEYS].concat(),
        "error" => vec!["message"],
        "panic" => vec!["message", "payload", "when"],
        "sets_cookies" => cookies::KEYS.to_vec(),
        // What its paths do is in `session.rs`.
        "session_app" => vec!["routes"],
        "sleep" => vec!["ms", "then"],
        other => return unsupported(format!("an app of the kind {other:?}")),
    })
}

/// Makes the application of `spec`, with the name that it has there.
pub(crate) fn named(spec: &Value, recorder: &Recorder) -> Check<Application> {
    build(spec, text(spec, "name"), recorder)
}

/// Calls `app`, except for `target`: that request shows that a connection still works, and gets 200.
pub(crate) fn but_at(app: Application, target: &str) -> Application {
    let target = target.to_owned();
    Application::new(move |request: Request| match request.path() == target {
        true => Reply::new(StatusCode::OK),
        false => app.call(request),
    })
}

fn message(spec: &Value) -> String {
    text(spec, "message").unwrap_or("boom").to_owned()
}

fn failing(spec: &Value) -> Application {
    let message = message(spec);
    Application::new(move |_: Request| -> Result<(), HttpError> {
        Err(std::io::Error::other(message.clone()).into())
    })
}

/// Panics with a `payload`, in the call or after a first wait.
fn panicking(spec: &Value) -> Check<Application> {
    let payload = payload(spec)?;
    match text(spec, "when") {
        None => Ok(Application::new(move |_: Request| payload.panics())),
        Some("after first await") => Ok(Application::new(move |_: Request| {
            let payload = payload.clone();
            async move {
                pause(1).await;
                payload.panics();
            }
        })),
        Some(other) => unsupported(format!("a panic {other:?}")),
    }
}

/// The payload of a panic.
#[derive(Clone, Debug)]
enum Payload {
    Text(String),
    /// The payload of `panic!("boom")`.
    Literal(&'static str),
    Number,
    /// A value that panics again when it is dropped.
    Bomb,
}

fn payload(spec: &Value) -> Check<Payload> {
    match (text(spec, "payload"), text(spec, "message")) {
        (None | Some("String (formatted)"), _) => Ok(Payload::Text(message(spec))),
        (Some("&'static str"), _) => Ok(Payload::Literal(message(spec).leak())),
        (Some("a number"), None) => Ok(Payload::Number),
        (Some("panics when dropped"), None) => Ok(Payload::Bomb),
        (Some(other), _) => unsupported(format!("a panic with {other:?} as {spec}")),
    }
}

impl Payload {
    fn panics(&self) {
        match self {
            Payload::Text(message) => panic!("{message}"),
            Payload::Literal(message) => std::panic::panic_any(*message),
            Payload::Number => std::panic::panic_any(42_u8),
            Payload::Bomb => std::panic::panic_any(Bomb),
        }
    }
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("the payload of a panic panicked");
    }
}

/// Waits some milliseconds, then responds as `then` says.
fn sleeping(spec: &Value, recorder: &Recorder) -> Check<Application> {
    let Some(milliseconds) = number(spec, "ms") else {
        return unsupported(format!("sleep as {spec}"));
    };
    let then = fixed(&spec["then"], recorder)?;
    Ok(Application::new(move |request: Request| {
        let then = then.clone();
        async move {
            pause(milliseconds).await;
            then.call(request).await
        }
    }))
}

/// Waits, on any runtime.
async fn pause(milliseconds: u64) {
    Delay::new(Duration::from_millis(milliseconds)).await;
}

/// Returns the request's body, or the response of `on_error` if reading it fails.
fn mapping(on_error: &Value, recorder: &Recorder) -> Check<Application> {
    let on_error = fixed(on_error, recorder)?;
    Ok(Application::new(
        move |mut request: Request| match request.extensions().get::<Unread>() {
            Some(Unread) => on_error.call(request),
            None => Reply::new(request.take_body()),
        },
    ))
}

fn fixed(spec: &Value, recorder: &Recorder) -> Check<Application> {
    if required(spec, "kind")? != "fixed" {
        return unsupported(format!("{spec} is not a response: its kind is not fixed"));
    }
    known(
        spec,
        "app",
        &[&KEYS[..], &FIXED_KEYS, &CONTENT_KEYS].concat(),
    )?;
    typed(spec, "app")?;
    // The record always has whether the body is closed.
    if !matches!(text(spec, "on_close"), None | Some("record")) {
        return unsupported(format!("on_close {}", spec["on_close"]));
    }
    let status = number(spec, "status").unwrap_or(200);
    let Ok(Ok(status)) = u16::try_from(status).map(StatusCode::from_u16) else {
        return refused(format!("{status} is not a status"));
    };
    let headers = header_map(&pairs(spec, "headers")?)?;
    let trailers = header_map(&pairs(spec, "trailers")?)?;
    let (made, recorder) = (Made::new(spec)?, recorder.clone());
    Ok(Application::new(move |request: Request| {
        if let (StatusCode::SWITCHING_PROTOCOLS, Some(upgrade)) = (status, any_upgrade(&request)) {
            return upgrade.respond(async |_| Ok(()));
        }
        let mut body = made.body(&recorder);
        if !trailers.is_empty() {
            body = body.with_trailers(trailers.clone());
        }
        recorder.lock().bodies_made += 1;
        let recorder = recorder.clone();
        let mut response = Response::new(body.on_end(move |_| recorder.lock().bodies_closed += 1));
        *response.status_mut() = status;
        *response.headers_mut() = headers.clone();
        response
    }))
}

/// Returns the first upgrade that the client offers.
pub(crate) fn any_upgrade(request: &Request) -> Option<Upgrade> {
    request.upgrades().next()
}

pub(crate) fn header_map(pairs: &[(&str, &str)]) -> Check<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let parsed = HeaderName::try_from(*name).or_else(refused)?;
        headers.append(
            parsed,
            HeaderValue::from_bytes(value.as_bytes()).or_else(refused)?,
        );
    }
    Ok(headers)
}
