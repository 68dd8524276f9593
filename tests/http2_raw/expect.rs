//! The expectation of a case, and whether it is met.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::names;
use crate::object::{Checked, Object, hex};
use crate::observed::{Observed, Stream};

/// One of several outcomes.
#[derive(Clone, Debug)]
pub(crate) struct Expect(Vec<Outcome>);

/// The whole expectation. A field that is `None` is not judged.
#[derive(Clone, Debug, Default)]
struct Outcome {
    connection_error: Option<Vec<u32>>,
    may_close_at_once: bool,
    connection_end: bool,
    served_after: bool,
    streams: BTreeMap<u32, Wanted>,
    ping_ack: Option<Vec<Vec<u8>>>,
    settings_ack: Option<usize>,
    app_called: Option<usize>,
}

#[derive(Clone, Debug, Default)]
struct Wanted {
    status: Option<u16>,
    body: Option<String>,
    bytes: Option<usize>,
    stream_error: Option<Vec<u32>>,
}

impl Expect {
    pub(crate) fn parse(value: &Value) -> Checked<Expect> {
        let outcomes = match value.get("any_of") {
            None => vec![Outcome::parse(value)?],
            Some(_) => {
                let list = Object::new(value, &["any_of"])?.list("any_of")?;
                list.into_iter()
                    .flatten()
                    .map(Outcome::parse)
                    .collect::<Checked<_>>()?
            }
        };
        Ok(Expect(outcomes))
    }

    /// Returns the server's choices that the RFC does not name first, such as a generic code; an error has the reason.
    pub(crate) fn judge(&self, observed: &Observed) -> Checked<Vec<String>> {
        let mut reasons = Vec::new();
        for outcome in &self.0 {
            match outcome.judge(observed) {
                Ok(mut remarks) => {
                    if outcome.ends() && !self.0[0].ends() {
                        remarks.push("the end of the connection for a stream error".to_owned());
                    }
                    return Ok(remarks);
                }
                Err(reason) => reasons.push(reason),
            }
        }
        Err(reasons.join("; or "))
    }

    /// Whether all streams of an outcome are finished as expected; the end of the connection shows by itself.
    pub(crate) fn has_come(&self, observed: &Observed) -> bool {
        let mut outcomes = self.0.iter().filter(|outcome| !outcome.ends());
        outcomes.any(|outcome| {
            let mut streams = outcome.streams.iter();
            streams.all(|(id, wanted)| wanted.has_come(&observed.stream(*id)))
        })
    }

    /// Whether only the end of the connection may come.
    pub(crate) fn is_about_the_end(&self) -> bool {
        self.0.iter().all(Outcome::ends)
    }
}

impl Outcome {
    fn parse(value: &Value) -> Checked<Outcome> {
        let object = Object::new(
            value,
            &[
                "connection_error",
                "or_closed",
                "connection_end",
                "served_after",
                "streams",
                "ping_ack",
                "settings_ack",
                "app_called",
            ],
        )?;
        let acks = object.list("ping_ack")?;
        let acks = acks.map(|acks| acks.iter().map(payload).collect::<Checked<_>>());
        let outcome = Outcome {
            connection_error: codes(object, "connection_error")?,
            may_close_at_once: object.flag("or_closed")?.unwrap_or(false),
            connection_end: object.flag("connection_end")?.unwrap_or(false),
            served_after: object.flag("served_after")?.unwrap_or(false),
            streams: streams(object)?,
            ping_ack: acks.transpose()?,
            settings_ack: object.number("settings_ack")?,
            app_called: object.number("app_called")?,
        };
        if outcome.ends() == outcome.served_after {
            let keys = "\"connection_error\", \"connection_end\" and \"served_after\"";
            return Err(format!("an expectation has one of {keys}: {value}"));
        }
        Ok(outcome)
    }

    fn ends(&self) -> bool {
        self.connection_error.is_some() || self.connection_end
    }

    fn judge(&self, observed: &Observed) -> Checked<Vec<String>> {
        let mut remarks = Vec::new();
        if self.ends() && !observed.has_ended {
            return Err("the connection goes on".to_owned());
        }
        match (&self.connection_error, observed.goaway) {
            (Some(codes), Some(code)) => remarks.extend(is_among(code, codes)?),
            (Some(_), None) if !self.may_close_at_once => return Err("no GOAWAY".to_owned()),
            (None, Some(code @ 1..)) => {
                return Err(format!("GOAWAY with {}", names::code_name(code)));
            }
            _ => {}
        }
        if self.served_after && !observed.is_served_after {
            return Err("the connection serves no more requests".to_owned());
        }
        for (id, wanted) in &self.streams {
            let judged = wanted.judge(&observed.stream(*id));
            remarks.extend(judged.map_err(|reason| format!("stream {id}: {reason}"))?);
        }
        equal("ping_ack", self.ping_ack.as_ref(), &observed.ping_acks)?;
        equal(
            "settings_ack",
            self.settings_ack.as_ref(),
            &observed.settings_acks,
        )?;
        equal("app_called", self.app_called.as_ref(), &observed.calls)?;
        Ok(remarks)
    }
}

impl Wanted {
    fn parse(value: &Value) -> Checked<Wanted> {
        let object = Object::new(value, &["status", "body", "bytes", "stream_error"])?;
        let wanted = Wanted {
            status: object.number("status")?,
            body: object.text("body")?.map(str::to_owned),
            bytes: object.number("bytes")?,
            stream_error: codes(object, "stream_error")?,
        };
        if wanted.stream_error.is_some() == wanted.status.is_some() {
            let error = "a stream has one of \"status\" and \"stream_error\"";
            return Err(format!("{error}: {value}"));
        }
        Ok(wanted)
    }

    /// Whether there is nothing to wait for.
    fn has_come(&self, stream: &Stream) -> bool {
        match (&self.stream_error, self.bytes) {
            (Some(_), _) => stream.reset.is_some(),
            (None, Some(bytes)) if bytes <= stream.content.len() => true,
            (None, _) => stream.is_over(),
        }
    }

    fn judge(&self, stream: &Stream) -> Checked<Option<String>> {
        if let Some(codes) = &self.stream_error {
            let code = stream.reset.ok_or("no RST_STREAM")?;
            return is_among(code, codes);
        }
        // A reset after the end says that the rest of the request is not needed (RFC 9113, section 8.1).
        if let Some(code) = stream.reset.filter(|_| !stream.is_complete) {
            return Err(format!("reset with {}", names::code_name(code)));
        }
        equal("status", self.status.as_ref(), &stream.status.unwrap_or(0))?;
        match self.bytes {
            // The window may allow no more.
            Some(bytes) => equal("bytes", Some(&bytes), &stream.content.len())?,
            None if !stream.is_complete => return Err("no end".to_owned()),
            None => {}
        }
        let body = String::from_utf8_lossy(&stream.content);
        equal("body", self.body.as_deref(), &*body)?;
        Ok(None)
    }
}

fn streams(object: Object<'_>) -> Checked<BTreeMap<u32, Wanted>> {
    let Some(value) = object.get("streams") else {
        return Ok(BTreeMap::new());
    };
    let map = value
        .as_object()
        .ok_or_else(|| format!("{value} is not an object"))?;
    let parse = |(id, wanted): (&String, &Value)| {
        let id = id.parse().map_err(|_| format!("{id:?} is not a stream"))?;
        Ok((id, Wanted::parse(wanted)?))
    };
    map.iter().map(parse).collect()
}

fn codes(object: Object<'_>, key: &str) -> Checked<Option<Vec<u32>>> {
    let Some(list) = object.list(key)? else {
        return Ok(None);
    };
    let code = |value: &Value| {
        let code = value.as_str().and_then(names::code);
        code.ok_or_else(|| format!("unknown error code {value}"))
    };
    let codes: Vec<u32> = list.iter().map(code).collect::<Checked<_>>()?;
    match codes.is_empty() {
        true => Err(format!("{key:?} has no codes")),
        false => Ok(Some(codes)),
    }
}

fn payload(value: &Value) -> Checked<Vec<u8>> {
    hex(value
        .as_str()
        .ok_or_else(|| format!("{value} is not a text"))?)
}

/// The first code is the one that the RFC names.
fn is_among(code: u32, codes: &[u32]) -> Checked<Option<String>> {
    let name = names::code_name(code);
    let named: Vec<_> = codes.iter().copied().map(names::code_name).collect();
    match codes.iter().position(|known| *known == code) {
        None => Err(format!("{name} instead of {}", named.join(" or "))),
        Some(0) => Ok(None),
        Some(_) => Ok(Some(format!("{name} for {}", named[0]))),
    }
}

fn equal<T: PartialEq + std::fmt::Debug + ?Sized>(
    what: &str,
    expected: Option<&T>,
    found: &T,
) -> Checked<()> {
    match expected {
        Some(expected) if expected != found => {
            Err(format!("{what} is {found:?} instead of {expected:?}"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answered() -> Observed {
        let stream = Stream {
            status: Some(200),
            content: b"Hello".to_vec(),
            is_complete: true,
            reset: None,
        };
        Observed {
            streams: BTreeMap::from([(1, stream)]),
            settings_acks: 1,
            ping_acks: vec![vec![0; 8]],
            is_served_after: true,
            calls: 1,
            ..Observed::default()
        }
    }

    fn reset(code: u32) -> Observed {
        let stream = Stream {
            reset: Some(code),
            ..Stream::default()
        };
        Observed {
            streams: BTreeMap::from([(1, stream)]),
            is_served_after: true,
            ..Observed::default()
        }
    }

    fn closed(goaway: Option<u32>) -> Observed {
        Observed {
            goaway,
            has_ended: true,
            ..Observed::default()
        }
    }

    fn judged(expect: &Value, observed: &Observed) -> Checked<Vec<String>> {
        Expect::parse(expect).unwrap().judge(observed)
    }

    #[test]
    fn met_expectations_pass() {
        let error = json!({"connection_error": ["FRAME_SIZE_ERROR", "PROTOCOL_ERROR"]});
        let generic = "PROTOCOL_ERROR for FRAME_SIZE_ERROR".to_owned();
        let end = "the end of the connection for a stream error".to_owned();
        for (expect, observed, remarks) in [
            (
                json!({"streams": {"1": {"status": 200, "body": "Hello"}}, "settings_ack": 1,
                    "ping_ack": ["0000000000000000"], "app_called": 1, "served_after": true}),
                answered(),
                vec![],
            ),
            (
                json!({"streams": {"1": {"stream_error": ["CANCEL"]}}, "served_after": true}),
                reset(8),
                vec![],
            ),
            (error.clone(), closed(Some(6)), vec![]),
            (error, closed(Some(1)), vec![generic]),
            (
                json!({"any_of": [{"served_after": true}, {"connection_error": ["CANCEL"]}]}),
                closed(Some(8)),
                vec![end],
            ),
            (
                json!({"connection_error": ["PROTOCOL_ERROR"], "or_closed": true}),
                closed(None),
                vec![],
            ),
            (json!({"connection_end": true}), closed(Some(0)), vec![]),
            (
                json!({"any_of": [{"connection_error": ["CANCEL"]}, {"served_after": true}]}),
                answered(),
                vec![],
            ),
        ] {
            assert_eq!(judged(&expect, &observed), Ok(remarks), "{expect}");
        }
    }

    #[test]
    fn unmet_expectations_fail() {
        let served = |rest: Value| {
            let mut expect = rest;
            expect["served_after"] = json!(true);
            expect
        };
        let stream = |wanted: Value| served(json!({"streams": {"1": wanted}}));
        let mut incomplete = answered();
        incomplete.streams.get_mut(&1).unwrap().is_complete = false;
        let mut unserved = answered();
        unserved.is_served_after = false;
        for (expect, observed, reason) in [
            (
                stream(json!({"status": 400})),
                answered(),
                "stream 1: status is 200 instead of 400",
            ),
            (
                stream(json!({"status": 200, "body": "x"})),
                answered(),
                "stream 1: body is \"Hello\" instead of \"x\"",
            ),
            (
                stream(json!({"status": 200, "bytes": 1})),
                answered(),
                "stream 1: bytes is 5 instead of 1",
            ),
            (
                stream(json!({"status": 200})),
                incomplete,
                "stream 1: no end",
            ),
            (
                stream(json!({"status": 200})),
                reset(1),
                "stream 1: reset with PROTOCOL_ERROR",
            ),
            (
                stream(json!({"stream_error": ["CANCEL"]})),
                answered(),
                "stream 1: no RST_STREAM",
            ),
            (
                stream(json!({"stream_error": ["CANCEL"]})),
                reset(1),
                "stream 1: PROTOCOL_ERROR instead of CANCEL",
            ),
            (
                served(json!({})),
                unserved,
                "the connection serves no more requests",
            ),
            (
                served(json!({})),
                closed(Some(1)),
                "GOAWAY with PROTOCOL_ERROR",
            ),
            (
                served(json!({"settings_ack": 2})),
                answered(),
                "settings_ack is 1 instead of 2",
            ),
            (
                served(json!({"ping_ack": []})),
                answered(),
                "ping_ack is [[0, 0, 0, 0, 0, 0, 0, 0]] instead of []",
            ),
            (
                served(json!({"app_called": 0})),
                answered(),
                "app_called is 1 instead of 0",
            ),
            (
                json!({"connection_error": ["CANCEL"]}),
                answered(),
                "the connection goes on",
            ),
            (
                json!({"connection_error": ["CANCEL"]}),
                closed(Some(1)),
                "PROTOCOL_ERROR instead of CANCEL",
            ),
            (
                json!({"connection_error": ["CANCEL"]}),
                closed(None),
                "no GOAWAY",
            ),
            (
                json!({"connection_end": true}),
                closed(Some(1)),
                "GOAWAY with PROTOCOL_ERROR",
            ),
            (
                json!({"any_of": [{"connection_error": ["CANCEL"]}, {"connection_end": true}]}),
                answered(),
                "the connection goes on; or the connection goes on",
            ),
        ] {
            assert_eq!(
                judged(&expect, &observed),
                Err(reason.to_owned()),
                "{expect}"
            );
        }
    }

    #[test]
    fn a_response_is_awaited_even_if_the_end_is_allowed() {
        let expect = json!({"any_of": [
            {"connection_error": ["CANCEL"]},
            {"streams": {"1": {"stream_error": ["CANCEL"]}}, "served_after": true},
            {"streams": {"1": {"status": 200}}, "served_after": true},
        ]});
        let expect = Expect::parse(&expect).unwrap();
        assert!(!expect.has_come(&Observed::default()));
        assert!(expect.has_come(&answered()));
        assert!(expect.has_come(&reset(8)));
    }

    #[test]
    fn an_unknown_expectation_is_an_error() {
        for (expect, reason) in [
            (
                json!({"served_after": true, "goaway": 1}),
                "unknown key \"goaway\"",
            ),
            (json!({}), "an expectation has one of"),
            (
                json!({"served_after": true, "connection_end": true}),
                "an expectation has one of",
            ),
            (
                json!({"connection_error": ["WRONG"]}),
                "unknown error code \"WRONG\"",
            ),
            (
                json!({"connection_error": []}),
                "\"connection_error\" has no codes",
            ),
            (
                json!({"served_after": true, "streams": {"x": {}}}),
                "\"x\" is not a stream",
            ),
            (
                json!({"served_after": true, "streams": {"1": {}}}),
                "a stream has one of",
            ),
            (
                json!({"served_after": true, "streams": {"1": {"code": 1}}}),
                "unknown key \"code\"",
            ),
            (
                json!({"any_of": [], "served_after": true}),
                "unknown key \"served_after\"",
            ),
            (
                json!({"served_after": "yes"}),
                "\"served_after\" is \"yes\"",
            ),
        ] {
            let error = Expect::parse(&expect).unwrap_err();
            assert!(error.starts_with(reason), "{error}");
        }
    }
}
