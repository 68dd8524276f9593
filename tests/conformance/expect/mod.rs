//! Judges an observed exchange by the expectations of a case.

mod log;

use serde_json::Value;

use crate::body;
use crate::case::{known, object, text, texts};
use crate::matchers::{self, Context};
use crate::observed::{Observed, ObservedResponse, lines};
use crate::quotas;
use crate::verdict::{Check, all, any_of, ensure, fail, unsupported};

const KEYS: [&str; 18] = [
    "any_of",
    "app_body_closed",
    "app_called",
    "app_saw",
    "body",
    "by_algorithm",
    "config_error",
    "headers",
    "interim_100",
    "log",
    "note",
    "second_response",
    "second_response_status",
    "status",
    "status_counts",
    "stream",
    "trailers",
    "within_ms",
];

/// An exchange, or why its stack could not be built.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Refused(String),
    Observed(Box<Observed>),
}

pub(crate) fn judge(expect: &Value, outcome: &Outcome) -> Check {
    known(expect, "expect", &KEYS)?;
    let alternatives = alternatives(expect, outcome);
    let wants_error = expect.get("config_error") == Some(&Value::Bool(true));
    match outcome {
        Outcome::Refused(_) if wants_error => Ok(()),
        Outcome::Refused(_) if expect.get("any_of").is_some() => alternatives,
        Outcome::Refused(why) => fail(format!("the stack could not be built: {why}")),
        Outcome::Observed(_) if wants_error => fail("the stack was built, and should not be"),
        Outcome::Observed(observed) => {
            let keys = object(expect)?.iter();
            let judged = keys.map(|(key, wanted)| judge_one(key, wanted, observed));
            all(std::iter::once(alternatives).chain(judged))
        }
    }
}

/// A list of whole expectations, one of which is enough; and expectations by the algorithm of a rate limit.
fn alternatives(expect: &Value, outcome: &Outcome) -> Check {
    match expect.get("any_of") {
        None => {}
        Some(Value::Array(list)) => any_of(list, |alternative| judge(alternative, outcome))?,
        Some(other) => return unsupported(format!("any_of {other}")),
    }
    match expect.get("by_algorithm") {
        None => Ok(()),
        Some(each) => judge(quotas::of_ours(each)?, outcome),
    }
}

fn judge_one(key: &str, wanted: &Value, observed: &Observed) -> Check {
    let each =
        |judge: &dyn Fn(&ObservedResponse) -> Check| all(observed.responses.iter().map(judge));
    match key {
        "any_of" | "by_algorithm" | "note" => Ok(()),
        "config_error" => match wanted {
            Value::Bool(_) => Ok(()),
            other => unsupported(format!("config_error {other}")),
        },
        "status" => each(&|response| status(wanted, response.status)),
        "second_response_status" => match observed.second_status {
            Some(second) => status(wanted, second),
            None => fail("there is no second response"),
        },
        "second_response" => second_response(wanted, observed.second_status),
        "headers" => each(&|response| headers(wanted, response, observed)),
        "body" => each(&|response| body::body(wanted, response, &observed.responses)),
        "trailers" => each(&|response| map(wanted, &response.trailers, &Context::default())),
        "app_called" => called(wanted, observed),
        "app_saw" => app_saw(wanted, observed),
        "app_body_closed" => ensure(
            wanted.as_bool() == Some(observed.record.all_closed()),
            || format!("app_body_closed is not {wanted}"),
        ),
        "interim_100" => match wanted {
            Value::Bool(wanted) => each(&|response| {
                let interim = &response.interim;
                ensure(*wanted == interim.contains(&100), || {
                    format!("the interim responses are {interim:?}, and interim_100 is {wanted}")
                })
            }),
            other => unsupported(format!("interim_100 {other}")),
        },
        "log" => log::log(wanted, &observed.log),
        "stream" => each(&|response| stream(wanted, response)),
        "status_counts" => status_counts(wanted, observed),
        "within_ms" => match wanted.as_u64() {
            Some(limit) => ensure(observed.took.as_millis() <= u128::from(limit), || {
                format!("it took {:?} and not {limit} ms", observed.took)
            }),
            None => unsupported(format!("within_ms {wanted}")),
        },
        _ => unsupported(format!("expect has {key:?}")),
    }
}

fn status(wanted: &Value, found: u16) -> Check {
    let told = |holds: bool| ensure(holds, || format!("the status is {found} and not {wanted}"));
    if let Some(wanted) = wanted.as_u64() {
        return told(wanted == u64::from(found));
    }
    known(wanted, "status", &["any_of"])?;
    match wanted.get("any_of").and_then(Value::as_array) {
        Some(list) => told(
            list.iter()
                .any(|status| status.as_u64() == Some(found.into())),
        ),
        None => unsupported(format!("the status {wanted}")),
    }
}

/// Judges one more request on the same connection: one of a list of statuses, or the end of the connection.
fn second_response(wanted: &Value, found: Option<u16>) -> Check {
    known(wanted, "second_response", &["any_of"])?;
    let Some(list) = wanted["any_of"].as_array() else {
        return unsupported(format!("second_response {wanted}"));
    };
    let found = found.map_or(Value::from("connection closed"), Value::from);
    ensure(list.contains(&found), || {
        format!("the second response is {found} and not {wanted}")
    })
}

fn headers(wanted: &Value, response: &ObservedResponse, observed: &Observed) -> Check {
    let record = observed.record.lock();
    let each = object(wanted)?.iter().map(|(name, matcher)| {
        if name == "pair" {
            return not_both(matcher, response);
        }
        let joined = |response: &ObservedResponse| response.lines(name).join(", ");
        let context = Context {
            body_length: response.body.len(),
            saw: record.saw.last(),
            repeats: observed.responses.iter().map(joined).collect(),
        };
        one_header(name, matcher, &response.headers, &context)
    });
    all(each)
}

/// Judges two fields that must not occur together.
fn not_both(wanted: &Value, response: &ObservedResponse) -> Check {
    known(wanted, "pair", &["not_both"])?;
    let pairs = crate::case::pairs(wanted, "not_both")?;
    let comes = |(name, value): &(&str, &str)| response.lines(name).contains(value);
    ensure(!pairs.iter().all(comes), || {
        format!("all of {} come together", wanted["not_both"])
    })
}

fn map(wanted: &Value, found: &[(String, String)], context: &Context<'_>) -> Check {
    let each = object(wanted)?.iter();
    all(each.map(|(name, matcher)| one_header(name, matcher, found, context)))
}

fn one_header(
    name: &str,
    matcher: &Value,
    found: &[(String, String)],
    context: &Context<'_>,
) -> Check {
    matchers::header(matcher, &lines(found, name), context)
        .map_err(|trouble| trouble.within(&format!("header {name}")))
}

/// Judges whether the application was called at all, or which applications were and in which order.
fn called(wanted: &Value, observed: &Observed) -> Check {
    let called = &observed.record.lock().called;
    match wanted {
        Value::Bool(wanted) => ensure(*wanted != called.is_empty(), || {
            let calls = called.len();
            format!("the application was called {calls} times, and app_called is {wanted}")
        }),
        Value::Array(_) => {
            let wanted: Vec<_> = texts(wanted)?.into_iter().map(Some).collect();
            let called: Vec<_> = called.iter().map(Option::as_deref).collect();
            ensure(called == wanted, || {
                format!("the applications called are {called:?} and not {wanted:?}")
            })
        }
        _ => unsupported(format!("app_called {wanted}")),
    }
}

fn app_saw(wanted: &Value, observed: &Observed) -> Check {
    let record = observed.record.lock();
    let Some(saw) = record.saw.last() else {
        return fail("the application was not called");
    };
    let each = object(wanted)?.iter().map(|(key, matcher)| {
        let check = saw_one(key, matcher, saw);
        check.map_err(|trouble| trouble.within(&format!("app_saw.{key}")))
    });
    all(each)
}

fn saw_one(key: &str, matcher: &Value, saw: &Value) -> Check {
    match key {
        "headers" => map(matcher, &saw_headers(saw), &Context::default()),
        "header_joined" => cgi_headers(matcher, saw),
        "cgi" | "environment" => {
            let variables = object(matcher)?.iter();
            all(variables.map(|(name, matcher)| {
                matchers::value(matcher, saw[key].get(name).unwrap_or(&Value::Null))
            }))
        }
        // The applications of a router have the names of their routes.
        "route" => matchers::value(matcher, &saw["app"]),
        key => match saw.get(key) {
            Some(found) => matchers::value(matcher, found),
            None => unsupported(format!("the application does not record {key:?}")),
        },
    }
}

/// Judges the header fields that the application saw.
pub(crate) fn saw_headers(saw: &Value) -> Vec<(String, String)> {
    serde_json::from_value(saw["header_lines"].clone()).unwrap_or_default()
}

/// Headers as CGI joins them.
fn cgi_headers(wanted: &Value, saw: &Value) -> Check {
    let each = object(wanted)?.iter().map(|(name, matcher)| {
        let variable = format!("HTTP_{}", name.to_ascii_uppercase().replace('-', "_"));
        matchers::value(matcher, saw["cgi"].get(&variable).unwrap_or(&Value::Null))
    });
    all(each)
}

fn stream(wanted: &Value, response: &ObservedResponse) -> Check {
    known(wanted, "stream", &["ends"])?;
    match text(wanted, "ends") {
        Some("error") => ensure(response.broken.is_some(), || {
            "the body came to a proper end and should break off".to_owned()
        }),
        _ => unsupported(format!("stream {wanted}")),
    }
}

fn status_counts(wanted: &Value, observed: &Observed) -> Check {
    object(wanted)?.iter().try_for_each(|(status, count)| {
        let same = |response: &&ObservedResponse| response.status.to_string() == *status;
        let found = observed.responses.iter().filter(same).count() as u64;
        ensure(count.as_u64() == Some(found), || {
            format!("{found} responses and not {count} have the status {status}")
        })
    })
}

#[cfg(test)]
mod tests;
