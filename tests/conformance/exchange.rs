//! Exchanges in this process, through the rules of a gateway.

use std::time::Instant;

use enfilade::{Application, Connection, Request};
use enfilade_testing::{Client, RequestBuilder};
use http::Uri;
use serde_json::Value;

use crate::apps;
use crate::case::{Case, known, text};
use crate::expect::{Outcome, judge};
use crate::observed::{Answer, Log, Observed, Recorder};
use crate::request::{self, Wanted};
use crate::verdict::{Check, Trouble, needs, unsupported};
use crate::{socket, stack};

const KEYS: [&str; 10] = [
    "id",
    "source",
    "component",
    "kind",
    "level",
    "config",
    "app",
    "request",
    "expect",
    "note",
];

pub(crate) fn run(case: &Case) -> Check {
    known(&case.value, "the case", &KEYS)?;
    if let Some(coding) = stack::missing_coding(&case.value) {
        return needs(format!("compression with {coding}"));
    }
    let [config, app, request] = ["config", "app", "request"].map(|key| &case.value[key]);
    let outcome = perform(config, app, request)?;
    judge(&case.value["expect"], &outcome)
}

fn perform(config: &Value, app: &Value, request: &Value) -> Check<Outcome> {
    let wanted = request::parse(request)?;
    let (recorder, log) = (Recorder::default(), Log::default());
    let (config, over_socket) = split_server(config)?;
    let inner = |spec: &Value| innermost(spec, &wanted, &recorder);
    let app = match stack::build(&config, app, &recorder, &log, &inner) {
        Ok(app) => app,
        Err(Trouble::Refused(why)) => return Ok(Outcome::Refused(why)),
        Err(trouble) => return Err(trouble),
    };
    let begin = Instant::now();
    let (answers, second_status, log) = if over_socket {
        socket::exchange(app, &wanted)?
    } else {
        let answers = in_process(&Client::new(app), &wanted, &recorder)?;
        (answers, None, log)
    };
    Ok(Outcome::Answered(Box::new(Observed {
        answers,
        second_status,
        record: recorder,
        log,
        took: begin.elapsed(),
    })))
}

fn innermost(spec: &Value, wanted: &Wanted, recorder: &Recorder) -> Check<Application> {
    let mut app = apps::build(spec, text(spec, "app"), recorder)?;
    if let Some(then) = &wanted.then {
        app = apps::but_at(app, &then.target);
    }
    Ok(match &wanted.user {
        Some(user) => app.wrap(stack::authenticated(user)),
        None => app,
    })
}

/// The configuration without its `server`, and whether that asks for a real one.
fn split_server(config: &Value) -> Check<(Value, bool)> {
    let mut config = config.clone();
    let server = config
        .as_object_mut()
        .and_then(|config| config.remove("server"));
    match server.as_ref().map(Value::as_str) {
        None => Ok((config, false)),
        Some(Some("gateway" | "real socket")) => Ok((config, true)),
        Some(_) => unsupported(format!("the server {server:?}")),
    }
}

/// Sends the request as often as it says.
pub(crate) fn in_process(
    client: &Client,
    wanted: &Wanted,
    recorder: &Recorder,
) -> Check<Vec<Answer>> {
    if wanted.then.is_some() {
        return unsupported("then_request without a real socket");
    }
    (0..wanted.repeat)
        .map(|_| pollster::block_on(send(prepare(client, wanted)?, wanted.abort, recorder)))
        .collect()
}

fn prepare(client: &Client, wanted: &Wanted) -> Check<RequestBuilder> {
    let uri = Uri::try_from(&wanted.target);
    let uri = uri.or_else(|error| unsupported(format!("the target in this process: {error}")))?;
    let mut request = Request::new(wanted.method.clone(), uri);
    request.prepend_script_name(&wanted.script_name);
    let mut connection = Connection::new(wanted.scheme);
    if let Some(peer) = wanted.peer {
        connection = connection.with_peer(peer);
    }
    let mut builder = client
        .prepared(request)
        .version(wanted.version)
        .connection(connection)
        .body(wanted.content.body());
    for (name, value) in &wanted.headers {
        builder = builder.header(name, value);
    }
    Ok(builder)
}

/// Reads the answer to its end, or to its first bytes and drops it.
async fn send(builder: RequestBuilder, abort: bool, recorder: &Recorder) -> Check<Answer> {
    let (head, mut body) = builder.send_head_async().await.into_parts();
    let mut answer = Answer {
        status: head.status.as_u16(),
        headers: apps::list(&head.headers),
        ..Answer::default()
    };
    while let Some(frame) = body.frame().await {
        match frame.map(http_body::Frame::into_data) {
            Ok(Ok(data)) => {
                if answer.body.is_empty() {
                    answer.first_before_end = recorder.lock().sources_ended == 0;
                }
                answer.body.extend_from_slice(&data);
            }
            Ok(Err(frame)) => {
                let trailers = frame.into_trailers().unwrap_or_default();
                answer.trailers = apps::list(&trailers);
            }
            Err(error) => answer.broken = Some(error.to_string()),
        }
        if abort {
            break;
        }
    }
    Ok(answer)
}
