//! Case files, and parsing of their JSON.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::body::base64;
use crate::verdict::{Check, unsupported};

/// The weight of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Must,
    Should,
    /// Implementations choose differently: a failure is only listed.
    Policy,
}

#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) component: String,
    pub(crate) kind: String,
    pub(crate) level: Level,
    pub(crate) value: Value,
}

pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) cases: Vec<Case>,
}

/// The folder of the cases: `ENFILADE_CONFORMANCE`, or the folder of this file.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place where the runner is configured"
)]
pub(crate) fn folder() -> PathBuf {
    match std::env::var_os("ENFILADE_CONFORMANCE") {
        Some(folder) => folder.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance"),
    }
}

/// Files without cases for this runner: `fixtures.json` describes files, and `tests/http2_raw` reads
/// `http2_raw.json`.
const OTHERS: [&str; 2] = ["fixtures", "http2_raw"];

/// Reads all case files of a folder, by name.
pub(crate) fn load(folder: &Path) -> Result<Vec<File>, String> {
    let describe = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(describe)? {
        paths.push(entry.map_err(describe)?.path());
    }
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "json")
    });
    paths.retain(|path| {
        path.file_stem()
            .is_some_and(|stem| OTHERS.iter().all(|other| stem != *other))
    });
    paths.sort();
    paths.iter().map(|path| load_file(path)).collect()
}

fn load_file(path: &Path) -> Result<File, String> {
    let at = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = std::fs::read(path).map_err(|error| at(&error))?;
    let list: Vec<Value> = serde_json::from_slice(&text).map_err(|error| at(&error))?;
    let stem = path.file_stem().unwrap_or_default();
    let cases: Result<_, String> = list.into_iter().map(parse).collect();
    Ok(File {
        name: stem.to_string_lossy().into_owned(),
        cases: cases.map_err(|error| at(&error))?,
    })
}

pub(crate) fn parse(value: Value) -> Result<Case, String> {
    let field = |key: &str| {
        let found = text(&value, key).map(str::to_owned);
        found.ok_or_else(|| format!("a case without {key}: {value}"))
    };
    let level = match field("level")?.as_str() {
        "must" => Level::Must,
        "should" => Level::Should,
        "policy" => Level::Policy,
        other => return Err(format!("{other:?} is not a level")),
    };
    Ok(Case {
        id: field("id")?,
        component: field("component")?,
        kind: field("kind")?,
        level,
        value,
    })
}

/// The content of a file that `fixtures.json` describes.
pub(crate) fn fixture(path: &str) -> Check<Vec<u8>> {
    let mut entries = fixtures()?.into_iter();
    match entries.find(|entry| text(entry, "path") == Some(path)) {
        Some(entry) => content(&entry),
        None => unsupported(format!("there is no fixture {path:?}")),
    }
}

/// All that `fixtures.json` describes: files, links and directories.
pub(crate) fn fixtures() -> Check<Vec<Value>> {
    let file = folder().join("fixtures.json");
    let described = std::fs::read(&file).map_err(|error| error.to_string());
    let described = described
        .and_then(|text| serde_json::from_slice::<Value>(&text).map_err(|error| error.to_string()));
    let described =
        described.or_else(|error| unsupported(format!("{}: {error}", file.display())))?;
    let entries = described["tree"]["entries"].as_array();
    Ok(entries.cloned().unwrap_or_default())
}

/// The content of one of these files.
pub(crate) fn content(entry: &Value) -> Check<Vec<u8>> {
    match entry.get("content_b64") {
        Some(content) => base64(content),
        None => Ok(required(entry, "content")?.into()),
    }
}

/// Returns a text field.
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

/// Returns a text field that the case needs.
pub(crate) fn required<'a>(value: &'a Value, key: &str) -> Check<&'a str> {
    text(value, key).map_or_else(|| unsupported(format!("no text {key:?} in {value}")), Ok)
}

/// Returns a number field.
pub(crate) fn number(value: &Value, key: &str) -> Option<u64> {
    value.get(key)?.as_u64()
}

/// Returns a list of `[name, value]`; an empty list if the field is absent.
pub(crate) fn pairs<'a>(value: &'a Value, key: &str) -> Check<Vec<(&'a str, &'a str)>> {
    let list = value.get(key).and_then(Value::as_array);
    let pair = |pair: &'a Value| match (pair.get(0).and_then(Value::as_str), pair.get(1)) {
        (Some(name), Some(Value::String(value))) => Ok((name, value.as_str())),
        _ => unsupported(format!("{pair} in {key:?} is not a pair of texts")),
    };
    list.into_iter().flatten().map(pair).collect()
}

/// Returns a list of texts, or one text alone.
pub(crate) fn texts(value: &Value) -> Check<Vec<&str>> {
    match value {
        Value::String(text) => Ok(vec![text]),
        Value::Array(list) => list
            .iter()
            .map(|item| {
                item.as_str()
                    .map_or_else(|| unsupported(format!("{item} is not a text")), Ok)
            })
            .collect(),
        other => unsupported(format!("{other} is not a list of texts")),
    }
}

pub(crate) fn object(value: &Value) -> Check<&Map<String, Value>> {
    value
        .as_object()
        .map_or_else(|| unsupported(format!("{value} is not a object")), Ok)
}

/// The keys of every case.
const KEYS: [&str; 8] = [
    "id",
    "source",
    "component",
    "kind",
    "level",
    "environment",
    "expect",
    "note",
];

impl Case {
    /// Refuses a key that is neither one of every case nor one of this kind.
    pub(crate) fn has_only(&self, own: &[&str]) -> Check {
        known(&self.value, "the case", &[&KEYS, own].concat())
    }
}

/// The keys of requests, applications and layers whose value is a text.
const TEXTS: [&str; 33] = [
    "algorithm",
    "body_chunks_endless",
    "clock",
    "flush",
    "form_field",
    "format",
    "generator",
    "handler",
    "header",
    "header_bytes",
    "incoming",
    "key",
    "kind",
    "message",
    "method",
    "middleware",
    "mode",
    "mount",
    "name",
    "on_close",
    "payload",
    "predicate",
    "remote_addr",
    "remote_user",
    "scheme",
    "scope",
    "script_name",
    "server",
    "target",
    "note",
    "user_from",
    "version",
    "when",
];
/// The keys whose value is a number.
const NUMBERS: [&str; 18] = [
    "backlog",
    "body_error_after",
    "body_panic_after",
    "chunk_delay_ms",
    "concurrent",
    "limit",
    "max_age",
    "max_bytes",
    "min_size",
    "ms",
    "period_s",
    "refill_per_s",
    "remote_port",
    "repeat",
    "replay_bodies",
    "status",
    "times",
    "wait_ms",
];
/// The keys whose value is true or false.
const BOOLS: [&str; 3] = [
    "abort_after_first_chunk",
    "allow_credentials",
    "allow_private_network",
];

/// Refuses a value of the wrong type, which would be skipped as if it were absent.
pub(crate) fn typed(value: &Value, what: &str) -> Check {
    for (key, value) in value.as_object().into_iter().flatten() {
        let is = |keys: &[&str]| keys.contains(&key.as_str());
        let is_wrong = is(&TEXTS) && !value.is_string()
            || is(&NUMBERS) && !value.is_u64()
            || is(&BOOLS) && !value.is_boolean();
        if is_wrong && !value.is_null() {
            return unsupported(format!("{what} has {key:?}: {value}"));
        }
    }
    Ok(())
}

/// Refuses an unknown key, so that nothing in a case is skipped; a `null` has no effect.
pub(crate) fn known(value: &Value, what: &str, keys: &[&str]) -> Check {
    let Value::Object(object) = value else {
        return Ok(());
    };
    let unknown = object
        .iter()
        .find(|(key, value)| !value.is_null() && !keys.contains(&key.as_str()));
    match unknown {
        Some((key, value)) => unsupported(format!("{what} has {key:?}: {value}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_unknown_key_is_refused() {
        assert_eq!(known(&json!({"a": 1, "b": null}), "x", &["a"]), Ok(()));
        let refused = unsupported("x has \"b\": 2");
        assert_eq!(known(&json!({"a": 1, "b": 2}), "x", &["a"]), refused);
    }

    #[test]
    fn a_value_of_another_type_is_refused() {
        for (value, is_good) in [
            (
                json!({"method": "GET", "status": 1, "allow_credentials": true}),
                true,
            ),
            (json!({"method": null, "headers": 1}), true),
            (json!({"method": 1}), false),
            (json!({"status": "1"}), false),
            (json!({"status": -1}), false),
            (json!({"allow_credentials": 1}), false),
        ] {
            assert_eq!(typed(&value, "x").is_ok(), is_good, "{value}");
        }
    }

    #[test]
    fn a_fixture_is_text_or_bytes() {
        assert_eq!(fixture("root/five.txt"), Ok(b"HELLO".to_vec()));
        let png = fixture("root/pic.png").unwrap();
        assert!(png.starts_with(b"\x89PNG"));
        let unknown = unsupported("there is no fixture \"root/nothing\"");
        assert_eq!(fixture("root/nothing"), unknown);
    }

    #[test]
    fn pairs_keep_order_and_repeats() {
        let value = json!({"headers": [["B", "1"], ["A", "2"], ["B", "3"]]});
        let expected = vec![("B", "1"), ("A", "2"), ("B", "3")];
        assert_eq!(pairs(&value, "headers"), Ok(expected));
        assert!(pairs(&json!({"headers": [["B"]]}), "headers").is_err());
        assert_eq!(pairs(&value, "none"), Ok(vec![]));
    }
}
