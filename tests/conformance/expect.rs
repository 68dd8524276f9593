//! Judges what was observed by what a case expects.

use serde_json::Value;

use crate::body;
use crate::case::{known, number, object, text, texts};
use crate::matchers::{self, Context};
use crate::observed::{Answer, Observed, lines};
use crate::verdict::{Check, any_of, ensure, fail, unsupported};

const KEYS: [&str; 16] = [
    "any_of",
    "app_body_closed",
    "app_called",
    "app_saw",
    "body",
    "config_error",
    "headers",
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

/// An exchange, or why the stack for it could not be built.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Refused(String),
    Answered(Box<Observed>),
}

pub(crate) fn judge(expect: &Value, outcome: &Outcome) -> Check {
    known(expect, "expect", &KEYS)?;
    if let Some(list) = expect.get("any_of").and_then(Value::as_array) {
        any_of(list, |alternative| judge(alternative, outcome))?;
    }
    let wants_error = expect.get("config_error") == Some(&Value::Bool(true));
    match outcome {
        Outcome::Refused(_) if wants_error || expect.get("any_of").is_some() => Ok(()),
        Outcome::Refused(why) => fail(format!("the stack could not be built: {why}")),
        Outcome::Answered(_) if wants_error => fail("the stack was built, and should not be"),
        Outcome::Answered(observed) => object(expect)?
            .iter()
            .try_for_each(|(key, wanted)| judge_one(key, wanted, observed)),
    }
}

fn judge_one(key: &str, wanted: &Value, observed: &Observed) -> Check {
    let each = |judge: &dyn Fn(&Answer) -> Check| observed.answers.iter().try_for_each(judge);
    match key {
        "any_of" | "config_error" | "note" => Ok(()),
        "status" => each(&|answer| status(wanted, answer.status)),
        "second_response_status" => match observed.second_status {
            Some(second) => status(wanted, second),
            None => fail("there is no second response"),
        },
        "second_response" => second_response(wanted, observed.second_status),
        "headers" => each(&|answer| headers(wanted, answer, observed)),
        "body" => each(&|answer| body::body(wanted, answer, &observed.answers)),
        "trailers" => each(&|answer| map(wanted, &answer.trailers, &Context::default())),
        "app_called" => called(wanted, observed),
        "app_saw" => app_saw(wanted, observed),
        "app_body_closed" => ensure(
            wanted.as_bool() == Some(observed.record.all_closed()),
            || format!("that the application's body is closed is not {wanted}"),
        ),
        "log" => log(wanted, observed),
        "stream" => each(&|answer| stream(wanted, answer)),
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

/// What becomes of one more request on the same connection: one of a list of statuses, or the end of the connection.
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

fn headers(wanted: &Value, answer: &Answer, observed: &Observed) -> Check {
    let record = observed.record.lock();
    for (name, matcher) in object(wanted)? {
        if name == "pair" {
            not_both(matcher, answer)?;
            continue;
        }
        let joined = |answer: &Answer| answer.lines(name).join(", ");
        let context = Context {
            body_length: answer.body.len(),
            saw: record.saw.last(),
            repeats: observed.answers.iter().map(joined).collect(),
        };
        one_header(name, matcher, &answer.headers, &context)?;
    }
    Ok(())
}

/// Two lines that must not come together.
fn not_both(wanted: &Value, answer: &Answer) -> Check {
    known(wanted, "pair", &["not_both"])?;
    let pairs = crate::case::pairs(wanted, "not_both")?;
    let comes = |(name, value): &(&str, &str)| answer.lines(name).contains(value);
    ensure(!pairs.iter().all(comes), || {
        format!("all of {} come together", wanted["not_both"])
    })
}

fn map(wanted: &Value, found: &[(String, String)], context: &Context<'_>) -> Check {
    object(wanted)?
        .iter()
        .try_for_each(|(name, matcher)| one_header(name, matcher, found, context))
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

/// Whether it was called at all, or which applications were and in which order.
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
    for (key, matcher) in object(wanted)? {
        let check = match key.as_str() {
            "headers" => map(matcher, &saw_headers(saw), &Context::default()),
            "header_joined" => cgi_headers(matcher, saw),
            "cgi" => object(matcher)?.iter().try_for_each(|(name, matcher)| {
                matchers::value(matcher, saw["cgi"].get(name).unwrap_or(&Value::Null))
            }),
            // The applications of a router are called by their routes.
            "route" => matchers::value(matcher, &saw["app"]),
            key => match saw.get(key) {
                Some(found) => matchers::value(matcher, found),
                None => unsupported(format!("the application does not record {key:?}")),
            },
        };
        check.map_err(|trouble| trouble.within(&format!("app_saw.{key}")))?;
    }
    Ok(())
}

/// The header lines that the application saw.
pub(crate) fn saw_headers(saw: &Value) -> Vec<(String, String)> {
    serde_json::from_value(saw["header_lines"].clone()).unwrap_or_default()
}

/// Headers as CGI joins them.
fn cgi_headers(wanted: &Value, saw: &Value) -> Check {
    object(wanted)?.iter().try_for_each(|(name, matcher)| {
        let variable = format!("HTTP_{}", name.to_ascii_uppercase().replace('-', "_"));
        matchers::value(matcher, saw["cgi"].get(&variable).unwrap_or(&Value::Null))
    })
}

fn log(wanted: &Value, observed: &Observed) -> Check {
    let count = number(wanted, "lines").and_then(|count| usize::try_from(count).ok());
    let found = observed.log.settled(count.unwrap_or(0));
    if let Some(count) = count {
        ensure(found.len() == count, || {
            format!(
                "the log has {} lines and not {count}: {found:?}",
                found.len()
            )
        })?;
    }
    for (key, matcher) in object(wanted)?.iter().filter(|(key, _)| *key != "lines") {
        if found.is_empty() && !key.starts_with("not_") && count != Some(0) {
            return fail(format!("the log is empty and not {key} {matcher}"));
        }
        for line in found
            .iter()
            .map(String::as_str)
            .chain(found.is_empty().then_some(""))
        {
            match matchers::text(key, matcher, line) {
                Some(check) => check?,
                None => return unsupported(format!("the log matcher {key:?}")),
            }
        }
    }
    Ok(())
}

fn stream(wanted: &Value, answer: &Answer) -> Check {
    known(wanted, "stream", &["ends"])?;
    match text(wanted, "ends") {
        Some("error") => ensure(answer.broken.is_some(), || {
            "the body came to a proper end and should break off".to_owned()
        }),
        _ => unsupported(format!("stream {wanted}")),
    }
}

fn status_counts(wanted: &Value, observed: &Observed) -> Check {
    object(wanted)?.iter().try_for_each(|(status, count)| {
        let same = |answer: &&Answer| answer.status.to_string() == *status;
        let found = observed.answers.iter().filter(same).count() as u64;
        ensure(count.as_u64() == Some(found), || {
            format!("{found} answers and not {count} have the status {status}")
        })
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::observed::{Log, Recorder};
    use crate::verdict::Trouble;

    fn observed() -> Observed {
        let record = Recorder::default();
        record.lock().saw.push(json!({
            "app": "GET /a",
            "method": "GET",
            "header_lines": [["x-a", "1"], ["x-a", "2"]],
            "cgi": {"HTTP_X_A": "1, 2"},
        }));
        record.lock().called = vec![Some("a".to_owned()), Some("b".to_owned())];
        record.lock().bodies_made = 1;
        record.lock().bodies_closed = 1;
        let mut log = Log::default();
        log.write_all(b"one\n").unwrap();
        Observed {
            answers: vec![Answer {
                status: 200,
                headers: vec![("a".into(), "b".into())],
                body: b"abc".to_vec(),
                trailers: vec![("t".into(), "1".into())],
                broken: Some("broken".into()),
                first_before_end: false,
            }],
            second_status: Some(404),
            record,
            log,
            took: Duration::from_millis(20),
        }
    }

    #[test]
    fn every_expectation_can_pass_and_fail() {
        let answered = Outcome::Answered(Box::new(observed()));
        for (passes, fails) in [
            (json!({"status": 200}), json!({"status": 201})),
            (
                json!({"status": {"any_of": [404, 200]}}),
                json!({"status": {"any_of": [404]}}),
            ),
            (
                json!({"second_response_status": 404}),
                json!({"second_response_status": 200}),
            ),
            (
                json!({"headers": {"a": {"equals": "b"}}}),
                json!({"headers": {"a": {"absent": true}}}),
            ),
            (
                json!({"headers": {"pair": {"not_both": [["a", "b"], ["c", "d"]]}}}),
                json!({"headers": {"pair": {"not_both": [["a", "b"], ["a", "b"]]}}}),
            ),
            (
                json!({"second_response": {"any_of": [200, 404]}}),
                json!({"second_response": {"any_of": ["connection closed"]}}),
            ),
            (
                json!({"body": {"equals": "abc"}}),
                json!({"body": {"empty": true}}),
            ),
            (
                json!({"trailers": {"t": {"equals": "1"}}}),
                json!({"trailers": {"t": {"equals": "2"}}}),
            ),
            (json!({"app_called": true}), json!({"app_called": false})),
            (
                json!({"app_called": ["a", "b"]}),
                json!({"app_called": ["b", "a"]}),
            ),
            (
                json!({"app_called": ["a", "b"]}),
                json!({"app_called": ["a"]}),
            ),
            (
                json!({"app_saw": {"route": "GET /a"}}),
                json!({"app_saw": {"route": "GET /b"}}),
            ),
            (
                json!({"app_saw": {"method": "GET"}}),
                json!({"app_saw": {"method": "PUT"}}),
            ),
            (
                json!({"app_saw": {"headers": {"x-a": {"lines_equal": ["1", "2"]}}}}),
                json!({"app_saw": {"headers": {"x-a": {"lines_equal": ["1, 2"]}}}}),
            ),
            (
                json!({"app_saw": {"header_joined": {"x-a": "1, 2"}}}),
                json!({"app_saw": {"header_joined": {"x-a": "1"}}}),
            ),
            (
                json!({"app_saw": {"cgi": {"HTTP_PROXY": {"absent": true}}}}),
                json!({"app_saw": {"cgi": {"HTTP_X_A": {"absent": true}}}}),
            ),
            (
                json!({"app_body_closed": true}),
                json!({"app_body_closed": false}),
            ),
            (
                json!({"log": {"lines": 1, "equals": "one"}}),
                json!({"log": {"lines": 2}}),
            ),
            (
                json!({"log": {"regex": "^o"}}),
                json!({"log": {"regex": "^t"}}),
            ),
            (
                json!({"log": {"not_contains": "x"}}),
                json!({"log": {"not_contains": "n"}}),
            ),
            (
                json!({"status_counts": {"200": 1}}),
                json!({"status_counts": {"200": 2}}),
            ),
            (json!({"within_ms": 20}), json!({"within_ms": 19})),
            (
                json!({"any_of": [{"status": 1}, {"status": 200}]}),
                json!({"any_of": [{"status": 1}]}),
            ),
            (
                json!({"any_of": [{"status": 200}], "body": {"equals": "abc"}}),
                json!({"any_of": [{"status": 200}], "body": {"equals": "a"}}),
            ),
            (
                json!({"stream": {"ends": "error"}}),
                json!({"config_error": true}),
            ),
        ] {
            assert_eq!(judge(&passes, &answered), Ok(()), "{passes}");
            let failed = judge(&fails, &answered);
            assert!(
                matches!(failed, Err(Trouble::Failed(_))),
                "{fails}: {failed:?}"
            );
        }
    }

    #[test]
    fn a_stack_that_cannot_be_built_is_a_failure_unless_it_is_expected() {
        let refused = Outcome::Refused("why".to_owned());
        let expected = json!({"config_error": true});
        assert_eq!(judge(&expected, &refused), Ok(()));
        let either = json!({"any_of": [{"status": 500}, {"config_error": true}]});
        assert_eq!(judge(&either, &refused), Ok(()));
        let neither = json!({"any_of": [{"status": 500}]});
        assert!(judge(&neither, &refused).is_err());
        let failed = fail("the stack could not be built: why");
        assert_eq!(judge(&json!({"status": 200}), &refused), failed);
    }

    #[test]
    fn an_unknown_expectation_is_never_passed_over() {
        let answered = Outcome::Answered(Box::new(observed()));
        for expect in [
            json!({"status": 200, "mood": "good"}),
            json!({"status": "200"}),
            json!({"status": {"if_etag_strong": 200}}),
            json!({"app_called": "a"}),
            json!({"app_called": ["a", 1]}),
            json!({"app_saw": {"mood": "good"}}),
            json!({"log": {"mood": "good"}}),
            json!({"stream": {"ends": "well"}}),
            json!({"headers": {"a": {"mood": "good"}}}),
        ] {
            let result = judge(&expect, &answered);
            assert!(
                matches!(result, Err(Trouble::Unsupported(_))),
                "{expect}: {result:?}"
            );
        }
    }
}
