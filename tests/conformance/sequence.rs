//! Several requests to one stack, with values of earlier responses in later requests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use enfilade::{Application, Request};
use serde_json::Value;

use crate::apps;
use crate::case::{Case, known, object};
use crate::clock::Clock;
use crate::exchange::without_server;
use crate::expect::{Outcome, judge};
use crate::facts::Facts;
use crate::observed::{Log, Observed, ObservedResponse, Recorder, wait_until};
use crate::request::{self, Looks, Wanted};
use crate::stack::{self, Watched};
use crate::transport::{Pending, Ran, Session, Transport, in_words_of, over_each, send_each};
use crate::verdict::{Check, fail, unsupported};

type Captured = BTreeMap<String, String>;

/// The common parts of the steps.
struct Stack {
    recorder: Recorder,
    log: Log,
    clock: Clock,
    facts: Facts,
    protocol: &'static str,
}

pub(crate) fn run(case: &Case) -> Ran {
    let checked = case
        .has_only(&["app", "config", "steps"])
        .and_then(|()| known(&case.value["expect"], "expect", &["see"]));
    match checked {
        Ok(()) => over_each(case, |transport| over(transport, case)),
        Err(trouble) => Err(trouble).into(),
    }
}

fn over(transport: &Transport, case: &Case) -> Check {
    let (recorder, log, clock) = (Recorder::default(), Log::default(), Clock::default());
    let step = Arc::new(AtomicUsize::new(0));
    let app = stack::build(
        &without_server(&case.value["config"])?,
        &case.value["app"],
        Watched {
            log: &log,
            clock: &clock,
        },
        &|spec| by_step(spec, &recorder, &step),
    )?;
    let stack = Stack {
        recorder,
        log,
        clock,
        facts: Facts::default(),
        protocol: transport.protocol,
    };
    let mut session = (transport.open)(stack.facts.around(app), &stack.recorder)?;
    let mut captured = Captured::new();
    let mut background = Vec::new();
    let Some(steps) = case.value["steps"].as_array() else {
        return unsupported("a sequence without steps");
    };
    let is_timed = |step: &Value| step.get("at_s").or(step.get("advance_clock_s")).is_some();
    let is_controlled = case.value["config"]
        .to_string()
        .contains(r#""clock":"controlled""#);
    if steps.iter().any(is_timed) && !is_controlled {
        return unsupported("steps with a time, of which no clock is told");
    }
    for (at, spec) in steps.iter().enumerate() {
        step.store(at, Ordering::Relaxed);
        let begun = run_step(spec, &mut *session, &stack, &mut captured)
            .map_err(|trouble| trouble.within(&format!("step {at}")))?;
        background.extend(begun.map(|begun| (at, begun)));
    }
    background.into_iter().try_for_each(|(at, begun)| {
        let checked = begun.end(&stack);
        checked.map_err(|trouble| trouble.within(&format!("step {at}")))
    })
}

/// A step that runs while the later ones run, and its expectation at the end.
struct Background {
    response: Pending,
    expect: Value,
    begin: Instant,
}

impl Background {
    /// Starts it, and waits until it has reached the application, is over, or waits for something.
    fn begin(
        session: &mut dyn Session,
        wanted: &Wanted,
        stack: &Stack,
        expect: Value,
    ) -> Check<Background> {
        // The record of an application does not distinguish requests.
        let keys = ["status", "headers", "body", "within_ms", "any_of", "note"];
        known(&expect, "expect of a step in the background", &keys)?;
        if wanted.times != 1 {
            return unsupported("several requests in the background, which are several steps");
        }
        let calls = stack.recorder.lock().called.len();
        let (begin, response) = (Instant::now(), session.start(wanted)?);
        wait_until(SETTLING, || {
            stack.recorder.lock().called.len() > calls || response.is_there()
        });
        Ok(Background {
            response,
            expect,
            begin,
        })
    }

    fn end(self, stack: &Stack) -> Check {
        let responses = vec![self.response.response()?];
        judged(&self.expect, responses, self.begin.elapsed(), stack)
    }
}

/// The timeout for a step in the background to reach the application.
const SETTLING: Duration = Duration::from_millis(300);

fn run_step(
    spec: &Value,
    session: &mut dyn Session,
    stack: &Stack,
    captured: &mut Captured,
) -> Check<Option<Background>> {
    let keys = ["at_s", "advance_clock_s", "background"];
    let keys = [&keys[..], &["request", "expect", "capture", "note"]].concat();
    // A secret that is another one from the second step on is made with the stack.
    let keys = [&keys[..], &["config_change"]].concat();
    known(spec, "step", &keys)?;
    stack.clock.tell(spec)?;
    let mut wanted = request::parse(&substitute(&spec["request"], captured)?)?;
    wanted.looks = Looks::of(&spec["expect"]);
    if wanted.then.is_some() {
        return unsupported("then_request in a sequence, where it is one more step");
    }
    stack.facts.tell(&wanted);
    match (spec.get("background"), spec.get("capture")) {
        (None, _) => {}
        (Some(Value::Bool(true)), None) => {
            let expect = substitute(&spec["expect"], captured)?;
            return Background::begin(session, &wanted, stack, expect).map(Some);
        }
        (Some(other), _) => return unsupported(format!("background is {other} in {spec}")),
    }
    let begin = Instant::now();
    let responses = send_each(session, &wanted)?;
    let took = begin.elapsed();
    if let Some(capture) = spec.get("capture") {
        take(capture, responses.last(), captured)?;
    }
    let expect = substitute(&spec["expect"], captured)?;
    judged(&expect, responses, took, stack).map(|()| None)
}

fn judged(
    expect: &Value,
    responses: Vec<ObservedResponse>,
    took: Duration,
    stack: &Stack,
) -> Check {
    let observed = Observed {
        responses,
        second_status: None,
        record: stack.recorder.clone(),
        log: stack.log.clone(),
        took,
    };
    let expect = in_words_of(stack.protocol, expect);
    judge(&expect, &Outcome::Observed(Box::new(observed)))
}

/// An application that responds to each step in its own way.
fn by_step(spec: &Value, recorder: &Recorder, step: &Arc<AtomicUsize>) -> Check<Application> {
    let list = match spec.get("by_step") {
        None => return apps::named(spec, recorder),
        Some(Value::Array(list)) => list,
        Some(other) => return unsupported(format!("by_step {other}")),
    };
    known(spec, "app", &["by_step"])?;
    let apps: Vec<Application> = list
        .iter()
        .map(|spec| apps::named(spec, recorder))
        .collect::<Check<_>>()?;
    let (Some(last), step) = (apps.last().cloned(), step.clone()) else {
        return unsupported("by_step without an application");
    };
    Ok(Application::new(move |request: Request| {
        let at = step.load(Ordering::Relaxed);
        apps.get(at).unwrap_or(&last).call(request)
    }))
}

/// Keeps the values that a step captures from its response.
fn take(capture: &Value, response: Option<&ObservedResponse>, captured: &mut Captured) -> Check {
    for (name, source) in object(capture)? {
        let kind = source.as_str().and_then(|source| source.split_once(':'));
        let (Some(response), Some((kind, wanted))) = (response, kind) else {
            return unsupported(format!("capture {source}"));
        };
        let value = match kind {
            "header" => response.lines(wanted).first().copied(),
            "cookie" => cookie(&response.lines("set-cookie"), wanted),
            _ => return unsupported(format!("capture {source}")),
        };
        match value {
            Some(value) => captured.insert(name.clone(), value.to_owned()),
            None => return fail(format!("there is no {kind} {wanted} to capture")),
        };
    }
    Ok(())
}

/// The value of the cookie of this name that a response sets.
fn cookie<'a>(lines: &[&'a str], name: &str) -> Option<&'a str> {
    let mut pairs = lines
        .iter()
        .filter_map(|line| line.split(';').next()?.split_once('='));
    pairs
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value)
}

/// Replaces `{{name}}` and `{{name|filter}}` by captured values.
fn substitute(value: &Value, captured: &Captured) -> Check<Value> {
    Ok(match value {
        Value::String(text) => Value::String(substitute_text(text, captured)?),
        Value::Array(list) => {
            let items = list.iter().map(|item| substitute(item, captured));
            Value::Array(items.collect::<Check<_>>()?)
        }
        Value::Object(object) => {
            let fields = object
                .iter()
                .map(|(key, value)| Ok((key.clone(), substitute(value, captured)?)));
            Value::Object(fields.collect::<Check<_>>()?)
        }
        other => other.clone(),
    })
}

fn substitute_text(text: &str, captured: &Captured) -> Check<String> {
    let Some((before, rest)) = text.split_once("{{") else {
        return Ok(text.to_owned());
    };
    let Some((expression, after)) = rest.split_once("}}") else {
        return unsupported(format!("{text:?} has an open {{{{"));
    };
    let mut parts = expression.split('|');
    let name = parts.next().unwrap_or_default();
    let Some(value) = captured.get(name) else {
        return unsupported(format!("nothing was captured as {name:?}"));
    };
    let value = parts.try_fold(value.clone(), |value, filter| filtered(&value, filter))?;
    Ok(format!(
        "{before}{value}{}",
        substitute_text(after, captured)?
    ))
}

fn filtered(value: &str, filter: &str) -> Check<String> {
    Ok(match filter {
        "strip_weak" => value.strip_prefix("W/").unwrap_or(value).to_owned(),
        "first_10" => value.chars().take(10).collect(),
        "flip_last_char" => {
            let mut characters: Vec<char> = value.chars().collect();
            if let Some(last) = characters.last_mut() {
                *last = if *last == 'a' { 'b' } else { 'a' };
            }
            characters.into_iter().collect()
        }
        other => return unsupported(format!("the filter {other:?}")),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::transport::TRANSPORTS;

    #[test]
    fn captured_values_are_put_in_their_places() {
        let captured = Captured::from([("t".to_owned(), "W/\"abcdefghijk\"".to_owned())]);
        for (text, expected) in [
            ("none", Some("none")),
            ("a {{t}} b", Some("a W/\"abcdefghijk\" b")),
            ("{{t|strip_weak}}", Some("\"abcdefghijk\"")),
            ("{{t|strip_weak|first_10}}", Some("\"abcdefghi")),
            ("{{t|first_10|flip_last_char}}", Some("W/\"abcdefa")),
            ("{{t}}{{t|first_10}}", Some("W/\"abcdefghijk\"W/\"abcdefg")),
            ("{{u}}", None),
            ("{{t", None),
            ("{{t|upper}}", None),
        ] {
            let found = substitute(&json!([{"a": text}]), &captured).ok();
            let expected = expected.map(|expected| json!([{"a": expected}]));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn a_sequence_passes_or_fails_by_its_steps() {
        let case = |second: &str| {
            let value = json!({
                "config": {"middleware": "headers", "response": [["set", "x-a", "1"]]},
                "app": {"by_step": [{"kind": "echo"}, {"kind": "fixed", "status": 404}]},
                "steps": [
                    {"request": {"method": "GET", "target": "/"}, "capture": {"v": "header:x-a"},
                     "expect": {"status": 200}},
                    {"request": {"method": "GET", "target": "/{{v}}"},
                     "expect": {"status": 404, "headers": {"x-a": {"equals": second}},
                                "app_saw": {"path_info": "/1"}}},
                ],
                "expect": {"see": "steps[].expect"},
            });
            Case {
                id: "x".to_owned(),
                component: "headers".to_owned(),
                kind: "sequence".to_owned(),
                level: crate::case::Level::Must,
                value,
            }
        };
        assert_eq!(run(&case("{{v}}")).check, Ok(()));
        let failed = "step 1: header x-a: \"1\" is not equals \"2\"";
        let names = TRANSPORTS.iter().map(|transport| transport.name);
        let failed: Vec<_> = names.map(|name| format!("over {name}: {failed}")).collect();
        assert_eq!(run(&case("2")).check, fail(failed.join(" | ")));
    }
}
