//! One request to a stack, over every transport.

use std::time::Instant;

use enfilade::Application;
use serde_json::Value;

use crate::apps;
use crate::case::{Case, text};
use crate::clock::Clock;
use crate::expect::{Outcome, judge};
use crate::facts::Facts;
use crate::observed::{Log, Observed, Recorder};
use crate::request::{self, Looks, Wanted};
use crate::stack::{self, Watched};
use crate::transport::{Ran, Transport, in_words_of, over_each, send_each};
use crate::verdict::{Check, Trouble, needs, unsupported};

pub(crate) fn run(case: &Case) -> Ran {
    match prepare(case) {
        Ok(None) => over_each(case, |transport| over(transport, case)),
        // A refused stack is the same behind every gateway.
        Ok(Some(why)) => judge(&case.value["expect"], &Outcome::Refused(why)).into(),
        Err(trouble) => Err(trouble).into(),
    }
}

/// Checks whether the case can run, and returns the reason if its stack is refused.
fn prepare(case: &Case) -> Check<Option<String>> {
    case.has_only(&["app", "config", "request"])?;
    if let Some(coding) = stack::missing_coding(&case.value) {
        return needs(format!("compression with {coding}"));
    }
    let wanted = wanted(case)?;
    match build(case, &wanted, &Recorder::default(), &Log::default()) {
        Ok(_) => Ok(None),
        Err(Trouble::Refused(why)) => Ok(Some(why)),
        Err(trouble) => Err(trouble),
    }
}

fn wanted(case: &Case) -> Check<Wanted> {
    let mut wanted = request::parse(&case.value["request"])?;
    wanted.looks = Looks::of(&case.value["expect"]);
    Ok(wanted)
}

fn over(transport: &Transport, case: &Case) -> Check {
    let wanted = wanted(case)?;
    let (recorder, log) = (Recorder::default(), Log::default());
    let facts = Facts::default();
    let app = facts.around(build(case, &wanted, &recorder, &log)?);
    facts.tell(&wanted);
    let mut session = (transport.open)(app, &recorder)?;
    let begin = Instant::now();
    let responses = send_each(&mut *session, &wanted)?;
    let took = begin.elapsed();
    let second = match &wanted.then {
        Some(then) => session.send_after(then)?,
        None => None,
    };
    // If no wrapper of the stack writes a log, it is the messages of the server.
    let is_log_of_server = !has_middleware(&case.value["config"], "access_log");
    let observed = Observed {
        responses,
        second_status: second.map(|response| response.status),
        record: recorder,
        log: if is_log_of_server {
            session.panics()
        } else {
            log
        },
        took,
    };
    let expect = in_words_of(transport.protocol, &case.value["expect"]);
    judge(&expect, &Outcome::Observed(Box::new(observed)))
}

/// Whether the configuration has a middleware of this name.
fn has_middleware(config: &Value, name: &str) -> bool {
    let layers = config["stack"].as_array().into_iter().flatten();
    std::iter::once(config)
        .chain(layers)
        .any(|layer| text(layer, "middleware") == Some(name))
}

fn build(case: &Case, wanted: &Wanted, recorder: &Recorder, log: &Log) -> Check<Application> {
    let config = without_server(&case.value["config"])?;
    let inner = |spec: &Value| innermost(spec, wanted, recorder);
    let watched = Watched {
        log,
        clock: &Clock::default(),
    };
    stack::build(&config, &case.value["app"], watched, &inner)
}

fn innermost(spec: &Value, wanted: &Wanted, recorder: &Recorder) -> Check<Application> {
    let mut app = apps::named(spec, recorder)?;
    if let Some(then) = &wanted.then {
        app = apps::but_at(app, &then.target);
    }
    Ok(match &wanted.user {
        Some(user) => app.wrap(stack::authenticated(user)),
        None => app,
    })
}

/// Returns the configuration without its `server`, which concerns transports.
pub(crate) fn without_server(config: &Value) -> Check<Value> {
    let mut config = config.clone();
    let server = config
        .as_object_mut()
        .and_then(|config| config.remove("server"));
    match server.as_ref().map(Value::as_str) {
        // Every server of the tests has more than one worker, and fewer than four.
        None | Some(Some("gateway" | "real socket" | "real socket, 4 workers")) => Ok(config),
        Some(_) => unsupported(format!("the server {server:?}")),
    }
}
