//! Reads the cases from their file.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::encode;
use crate::expect::Expect;
use crate::names::HEADER_TABLE_SIZE;
use crate::object::{Checked, Object, hex};

/// The file of the cases, relative to the folder of the manifest.
pub(crate) const FILE: &str = "tests/conformance/http2_raw.json";

#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// The behaviour.
    pub(crate) id: String,
    /// The RFC and the section.
    pub(crate) section: String,
    pub(crate) limits: Limits,
    /// Whether the preface and the SETTINGS are exchanged before the first step.
    pub(crate) has_preface: bool,
    pub(crate) settings: Vec<(u16, u32)>,
    pub(crate) steps: Vec<Step>,
    pub(crate) expect: Expect,
    pub(crate) departs: Option<Departs>,
}

/// What the server does instead of what the RFC says.
#[derive(Clone, Debug)]
pub(crate) struct Departs {
    pub(crate) expect: Expect,
    pub(crate) why: String,
}

/// Limits of the server; `None` is its default.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    pub(crate) max_concurrent_streams: Option<u32>,
    pub(crate) max_header_size: Option<usize>,
    pub(crate) max_headers: Option<usize>,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Send(Vec<u8>),
    /// Until a stream is over.
    AwaitEnd(u32),
    /// Until so much content has arrived on a stream.
    AwaitBytes(u32, usize),
}

pub(crate) fn load() -> Checked<Vec<Case>> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let text = std::fs::read_to_string(path).map_err(|error| format!("{FILE}: {error}"))?;
    parse(&text)
}

pub(crate) fn parse(text: &str) -> Checked<Vec<Case>> {
    let list: Vec<Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut ids = BTreeSet::new();
    let mut cases = Vec::new();
    for value in &list {
        let id = value["id"].as_str().unwrap_or_default();
        let case = case(value).map_err(|error| format!("{id}: {error}"))?;
        if !ids.insert(case.id.clone()) {
            return Err(format!("{id}: there are two cases of this id"));
        }
        cases.push(case);
    }
    Ok(cases)
}

fn case(value: &Value) -> Checked<Case> {
    let object = Object::new(
        value,
        &[
            "id", "section", "server", "preface", "settings", "send", "expect", "departs", "note",
        ],
    )?;
    let section = object.needs_text("section")?;
    if !["RFC 9113, ", "RFC 7541, ", "RFC 9110, ", "RFC 8441, "]
        .iter()
        .any(|rfc| section.starts_with(rfc))
    {
        return Err(format!("{section:?} is not a section of an RFC"));
    }
    object.text("note")?;
    let steps = object.list("send")?.ok_or("no \"send\"")?;
    Ok(Case {
        id: object.needs_text("id")?.to_owned(),
        section: section.to_owned(),
        limits: limits(object)?,
        has_preface: object.flag("preface")?.unwrap_or(true),
        settings: settings(object)?,
        steps: steps.iter().map(step).collect::<Checked<_>>()?,
        expect: Expect::parse(object.get("expect").ok_or("no \"expect\"")?)?,
        departs: object.get("departs").map(departs).transpose()?,
    })
}

fn limits(case: Object<'_>) -> Checked<Limits> {
    let Some(value) = case.get("server") else {
        return Ok(Limits::default());
    };
    let object = Object::new(
        value,
        &["max_concurrent_streams", "max_header_size", "max_headers"],
    )?;
    Ok(Limits {
        max_concurrent_streams: object.number("max_concurrent_streams")?,
        max_header_size: object.number("max_header_size")?,
        max_headers: object.number("max_headers")?,
    })
}

/// The settings of the case, after the one that stops the server from using a dynamic table, which the runner does not
/// read.
fn settings(case: Object<'_>) -> Checked<Vec<(u16, u32)>> {
    let settings = case.list("settings")?.into_iter().flatten();
    let no_table = std::iter::once(Ok((HEADER_TABLE_SIZE, 0)));
    no_table.chain(settings.map(encode::setting)).collect()
}

fn step(value: &Value) -> Checked<Step> {
    let within = |error| format!("{error} in {value}");
    if value.get("await").is_some() {
        return until(value).map_err(within);
    }
    if value.get("raw_hex").is_some() || value.get("raw_text").is_some() {
        let object = Object::new(value, &["raw_hex", "raw_text", "note"]).map_err(within)?;
        let mut bytes = hex(object.text("raw_hex")?.unwrap_or_default())?;
        bytes.extend(object.text("raw_text")?.unwrap_or_default().bytes());
        return Ok(Step::Send(bytes));
    }
    let object = Object::new(value, &encode::KEYS).map_err(within)?;
    encode::frame(object).map(Step::Send).map_err(within)
}

fn until(value: &Value) -> Checked<Step> {
    let object = Object::new(value, &["await", "stream", "bytes", "note"])?;
    let stream = object.number("stream")?.ok_or("no \"stream\"")?;
    match object.needs_text("await")? {
        "end" => Ok(Step::AwaitEnd(stream)),
        "content" => {
            let bytes = object.number("bytes")?.ok_or("no \"bytes\"")?;
            Ok(Step::AwaitBytes(stream, bytes))
        }
        other => Err(format!("unknown await {other:?}")),
    }
}

fn departs(value: &Value) -> Checked<Departs> {
    let object = Object::new(value, &["expect", "why"])?;
    Ok(Departs {
        expect: Expect::parse(object.get("expect").ok_or("no \"expect\"")?)?,
        why: object.needs_text("why")?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(key: &str, value: Value) -> Value {
        let mut case = json!({"id": "a", "section": "RFC 9113, 6.7", "send": [], "expect": {"served_after": true}});
        case[key] = value;
        case
    }

    fn error(cases: &[Value]) -> String {
        parse(&json!(cases).to_string()).unwrap_err()
    }

    #[test]
    fn a_case_with_an_unknown_key_is_an_error() {
        let good = with("note", json!("good"));
        assert_eq!(parse(&json!([good]).to_string()).unwrap().len(), 1);
        for (cases, reason) in [
            (
                vec![good.clone(), good],
                "a: there are two cases of this id",
            ),
            (vec![with("sent", json!([]))], "a: unknown key \"sent\""),
            (
                vec![with("section", json!("6.7"))],
                "a: \"6.7\" is not a section of an RFC",
            ),
            (
                vec![with("expect", json!({"served": true}))],
                "a: unknown key \"served\"",
            ),
            (
                vec![with("server", json!({"max": 1}))],
                "a: unknown key \"max\"",
            ),
            (
                vec![with("departs", json!({"expect": {"served_after": true}}))],
                "a: no \"why\"",
            ),
            (
                vec![with("send", json!([{"frame": "PONG"}]))],
                "a: unknown frame type \"PONG\"",
            ),
            (
                vec![with("send", json!([{"frame": "PING", "size": 8}]))],
                "a: unknown key \"size\"",
            ),
            (
                vec![with("send", json!([{"await": "ever", "stream": 1}]))],
                "a: unknown await \"ever\"",
            ),
            (
                vec![with("send", json!([{"raw_hex": "00", "stream": 1}]))],
                "a: unknown key \"stream\"",
            ),
        ] {
            let error = error(&cases);
            assert!(error.starts_with(reason), "{error}");
        }
    }
}
