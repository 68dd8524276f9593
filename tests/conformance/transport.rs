//! The transports for cases, and what each of them cannot express.
//!
//! A transport is a file with a [`Transport`] and a line in [`TRANSPORTS`].

use std::sync::mpsc;
use std::thread::JoinHandle;

use enfilade::Application;
use serde_json::Value;

use crate::case::Case;
use crate::observed::{Log, ObservedResponse, Recorder};
use crate::request::{self, Wanted};
use crate::server::PATIENCE;
use crate::verdict::{Check, Trouble, fail, unsupported};
use crate::{http1, http2, in_process};

pub(crate) static TRANSPORTS: [Transport; 3] =
    [in_process::TRANSPORT, http1::TRANSPORT, http2::TRANSPORT];

/// A way from a client to an application.
pub(crate) struct Transport {
    pub(crate) name: &'static str,
    /// The text that replaces `HTTP/1.1` in expectations: see [`in_words_of`].
    pub(crate) protocol: &'static str,
    pub(crate) open: fn(Application, &Recorder) -> Check<Box<dyn Session>>,
    /// The parts of a case that this transport cannot express, and why.
    pub(crate) cannot: &'static [(Feature, &'static str)],
}

/// A client of one application.
pub(crate) trait Session {
    fn send(&mut self, wanted: &Wanted) -> Check<ObservedResponse>;

    /// Sends beside other requests: on a new connection, or as a new stream.
    fn start(&mut self, wanted: &Wanted) -> Check<Pending>;

    /// Sends on the connection of the last response; returns `None` if it is closed.
    fn send_after(&mut self, wanted: &Wanted) -> Check<Option<ObservedResponse>>;

    /// Returns the panics of the server.
    fn panics(&self) -> Log;
}

/// A response that is still to come.
pub(crate) struct Pending {
    response: mpsc::Receiver<Check<ObservedResponse>>,
    thread: JoinHandle<()>,
}

impl Pending {
    /// Waits for a response in a thread of the same name, so that its panics are recorded with those of this one.
    pub(crate) fn in_thread(
        send: impl FnOnce() -> Check<ObservedResponse> + Send + 'static,
    ) -> Check<Pending> {
        let (sender, response) = mpsc::channel();
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        let thread = std::thread::Builder::new().name(name);
        let thread = thread.spawn(move || {
            // If the receiver is dropped, the case is over.
            let _ = sender.send(send());
        });
        match thread {
            Ok(thread) => Ok(Pending { response, thread }),
            Err(error) => fail(format!("a thread for a request: {error}")),
        }
    }

    pub(crate) fn is_there(&self) -> bool {
        self.thread.is_finished()
    }

    pub(crate) fn response(&self) -> Check<ObservedResponse> {
        let response = self.response.recv_timeout(2 * PATIENCE);
        response.unwrap_or_else(|error| fail(format!("the request got no response: {error}")))
    }
}

/// Sends a request as often as it says, one after another or all at once.
pub(crate) fn send_each(
    session: &mut dyn Session,
    wanted: &Wanted,
) -> Check<Vec<ObservedResponse>> {
    if !wanted.is_concurrent {
        return wanted.each().map(|wanted| session.send(&wanted)).collect();
    }
    let started: Check<Vec<Pending>> = wanted.each().map(|wanted| session.start(&wanted)).collect();
    started?.iter().map(Pending::response).collect()
}

/// Tests whether a case has something.
pub(crate) type Feature = fn(&Said<'_>) -> bool;

/// The parts of a case.
pub(crate) struct Said<'a> {
    pub(crate) case: &'a Value,
    pub(crate) requests: Vec<Wanted>,
}

impl<'a> Said<'a> {
    pub(crate) fn new(case: &'a Case) -> Check<Said<'a>> {
        let case = &case.value;
        let steps = case["steps"].as_array().into_iter().flatten();
        let steps = steps.map(|step| &step["request"]);
        let requests = case.get("request").into_iter().chain(steps);
        Ok(Said {
            case,
            requests: requests.map(request::parse).collect::<Check<_>>()?,
        })
    }

    pub(crate) fn any_request(&self, has: impl Fn(&Wanted) -> bool) -> bool {
        self.requests.iter().any(has)
    }

    /// The applications: one, one for each step, or a list of them.
    pub(crate) fn any_app(&self, has: impl Fn(&Value) -> bool) -> bool {
        any_in(&self.case["app"], &has)
    }

    /// Whether the body must arrive before its source has ended, and the source was ready at once. A server has read
    /// such a body before a client can look.
    pub(crate) fn is_incremental_at_once(&self) -> bool {
        let waits = self.any_app(|app| app.get("chunk_delay_ms").is_some());
        mentions(self.case, "incremental") && !waits
    }
}

fn any_in(app: &Value, has: &impl Fn(&Value) -> bool) -> bool {
    let lists = ["by_step", "apps"].map(|key| app[key].as_array());
    let mut inside = lists.into_iter().flatten().flatten();
    has(app) || inside.any(|app| any_in(app, has))
}

/// Whether this key is anywhere in the value.
pub(crate) fn mentions(value: &Value, wanted: &str) -> bool {
    match value {
        Value::Object(object) => object
            .iter()
            .any(|(key, value)| key == wanted || mentions(value, wanted)),
        Value::Array(list) => list.iter().any(|value| mentions(value, wanted)),
        _ => false,
    }
}

/// The result of a case, and its transports.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) check: Check,
    /// The transports by name, each with the reason if it was excluded; empty if the case has no request.
    pub(crate) ways: Vec<(&'static str, Option<&'static str>)>,
}

impl From<Check> for Ran {
    fn from(check: Check) -> Ran {
        let ways = Vec::new();
        Ran { check, ways }
    }
}

/// Runs a case over every transport that can express it; it passes if it passes over all of them.
pub(crate) fn over_each(case: &Case, run: impl Fn(&Transport) -> Check) -> Ran {
    let said = match Said::new(case) {
        Ok(said) => said,
        Err(trouble) => return Err(trouble).into(),
    };
    let mut ways = Vec::new();
    let mut troubles = Vec::new();
    for transport in &TRANSPORTS {
        let cannot = transport.cannot.iter().find(|(feature, _)| feature(&said));
        ways.push((transport.name, cannot.map(|(_, reason)| *reason)));
        match cannot {
            Some(_) => {}
            None => match run(transport) {
                Ok(()) => {}
                Err(trouble @ (Trouble::Needs(_) | Trouble::NotRun(_) | Trouble::Refused(_))) => {
                    // There was no request.
                    return Err(trouble).into();
                }
                Err(trouble) => troubles.push(trouble.within(&format!("over {}", transport.name))),
            },
        }
    }
    let check = if ways.iter().all(|(_, reason)| reason.is_some()) {
        unsupported("no transport can say it")
    } else {
        joined(troubles)
    };
    Ran { check, ways }
}

/// Joins the failures; those that cannot be judged come first.
fn joined(troubles: Vec<Trouble>) -> Check {
    let mut reasons = Vec::new();
    for trouble in troubles {
        match trouble {
            Trouble::Failed(reason) => reasons.push(reason),
            other => return Err(other),
        }
    }
    match reasons.is_empty() {
        true => Ok(()),
        false => Err(Trouble::Failed(reasons.join(" | "))),
    }
}

/// Returns an expectation for requests over another protocol than HTTP/1.1.
///
/// This is the only place that changes an expectation: the protocol in a log and in an application's record must follow
/// the transport. Nothing else is changed.
pub(crate) fn in_words_of(protocol: &str, expect: &Value) -> Value {
    let Value::Object(object) = expect else {
        return expect.clone();
    };
    let changed = object.iter().map(|(key, value)| {
        let value = match (key.as_str(), value) {
            ("log" | "version" | "SERVER_PROTOCOL", value) => replaced(protocol, value),
            ("app_saw" | "cgi", value) => in_words_of(protocol, value),
            ("any_of", Value::Array(list)) => list
                .iter()
                .map(|alternative| in_words_of(protocol, alternative))
                .collect(),
            (_, value) => value.clone(),
        };
        (key.clone(), value)
    });
    Value::Object(changed.collect())
}

/// Replaces it in all texts, also in regular expressions.
fn replaced(protocol: &str, value: &Value) -> Value {
    match value {
        Value::String(text) => {
            let text = text.replace("HTTP/1.1", protocol);
            text.replace(r"HTTP/1\.1", &protocol.replace('.', r"\."))
                .into()
        }
        Value::Array(list) => list.iter().map(|value| replaced(protocol, value)).collect(),
        Value::Object(object) => object
            .iter()
            .map(|(key, value)| (key.clone(), replaced(protocol, value)))
            .collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::case::Level;
    use crate::verdict::needs;

    fn case(value: Value) -> Case {
        Case {
            id: "a/b".to_owned(),
            component: "a".to_owned(),
            kind: "exchange".to_owned(),
            level: Level::Must,
            value,
        }
    }

    #[test]
    fn a_case_passes_only_over_all_transports_and_a_failure_names_its_own() {
        let get = case(json!({"request": {"method": "GET", "target": "/"}}));
        let over = |name: &'static str, check: Check| {
            over_each(&get, |transport| match transport.name == name {
                true => check.clone(),
                false => Ok(()),
            })
        };
        for (check, expected, ways) in [
            (Ok(()), Ok(()), 3),
            (fail("x"), fail("over HTTP/2: x"), 3),
            (unsupported("x"), unsupported("over HTTP/2: x"), 3),
            (needs("x"), needs("x"), 0),
        ] {
            let ran = over("HTTP/2", check);
            assert_eq!((ran.check, ran.ways.len()), (expected, ways));
        }
    }

    #[test]
    fn a_case_that_a_transport_cannot_express_is_excluded_with_its_reason() {
        let get =
            |more: Value| json!({"method": "GET", "target": "/", "headers": [], "more": more});
        assert!(
            over_each(&case(json!({"request": get(json!(1))})), |_| Ok(()))
                .check
                .is_err()
        );
        for (value, out) in [
            (
                json!({"request": {"method": "GET", "target": "/", "version": "HTTP/1.0"}}),
                vec!["HTTP/2"],
            ),
            (json!({"app": {"status": 101}}), vec!["HTTP/2"]),
            (
                json!({"app": {"apps": [{"status": 404}, {"by_step": [{"status": 101}]}]}}),
                vec!["HTTP/2"],
            ),
            (
                json!({"app": {"by_step": [{"status": 200}, {"status": 101}]}}),
                vec!["HTTP/2"],
            ),
            (
                json!({"request": {"method": "GET", "target": "/", "headers": [["Connection", "x"]]}}),
                vec!["HTTP/2"],
            ),
            (
                json!({"request": {"method": "GET", "target": "/", "headers": [["TE", "trailers"]]}}),
                vec![],
            ),
            (
                json!({"request": {"method": "GET", "target": "/", "headers": [["TE", "gzip"]]}}),
                vec!["HTTP/2"],
            ),
            (
                json!({"config": {"server": "real socket"}}),
                vec!["in process"],
            ),
            (
                json!({"expect": {"body": {"incremental": true}}}),
                vec!["HTTP/1", "HTTP/2"],
            ),
        ] {
            let ran = over_each(&case(value.clone()), |_| Ok(()));
            let names = ran.ways.iter().filter(|(_, reason)| reason.is_some());
            let names: Vec<_> = names.map(|(name, _)| *name).collect();
            assert_eq!((ran.check, names), (Ok(()), out), "{value}");
        }
    }

    #[test]
    fn only_values_of_the_protocol_follow_it() {
        let expect = json!({
            "log": {"lines": 1, "equals": "GET / HTTP/1.1", "regex": r"HTTP/1\.1"},
            "app_saw": {"version": "HTTP/1.1", "cgi": {"SERVER_PROTOCOL": "HTTP/1.1", "HTTP_A": "HTTP/1.1"}},
            "headers": {"a": {"equals": "HTTP/1.1"}},
            "any_of": [{"log": {"contains": "HTTP/1.1"}}],
        });
        let expected = json!({
            "log": {"lines": 1, "equals": "GET / HTTP/2.0", "regex": r"HTTP/2\.0"},
            "app_saw": {"version": "HTTP/2.0", "cgi": {"SERVER_PROTOCOL": "HTTP/2.0", "HTTP_A": "HTTP/1.1"}},
            "headers": {"a": {"equals": "HTTP/1.1"}},
            "any_of": [{"log": {"contains": "HTTP/2.0"}}],
        });
        assert_eq!(in_words_of("HTTP/2.0", &expect), expected);
        assert_eq!(in_words_of("HTTP/1.1", &expect), expect);
    }
}
