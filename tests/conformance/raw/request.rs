//! Judges a request that reached the application.

use serde_json::{Value, json};

use crate::body::base64;
use crate::case::{known, pairs, texts};
use crate::expect::saw_headers;
use crate::observed::lines;
use crate::verdict::{Check, ensure};

/// The keys of a request in a case, and where their values are recorded.
const FIELDS: [(&str, &str); 5] = [
    ("method", "method"),
    ("target", "target"),
    ("version", "version"),
    ("body", "body"),
    ("effective_host", "host"),
];

pub(super) fn request(wanted: &Value, saw: &Value) -> Check {
    let mut keys = vec!["headers", "headers_include", "headers_absent"];
    keys.extend(["header_bytes", "body_b64"]);
    keys.extend(FIELDS.map(|(key, _)| key));
    known(wanted, "a request", &keys)?;
    for (key, recorded) in FIELDS {
        if let Some(wanted) = wanted.get(key) {
            let found = &saw[recorded];
            ensure(wanted == found, || {
                format!("{key} is {found} and not {wanted}")
            })?;
        }
    }
    if let Some(wanted) = wanted.get("body_b64") {
        let wanted = base64(wanted)?;
        let text = String::from_utf8_lossy(&wanted);
        ensure(saw["body"] == json!(text), || {
            format!("the body is {}", saw["body"])
        })?;
    }
    request_headers(wanted, saw)
}

fn request_headers(wanted: &Value, saw: &Value) -> Check {
    let bytes = wanted.get("header_bytes").and_then(Value::as_object);
    for (name, wanted) in bytes.into_iter().flatten() {
        let found = &saw["header_bytes"][name];
        ensure(wanted == found, || {
            format!("the bytes of {name} are {found}")
        })?;
    }
    // Values that are given as bytes are not given as text.
    let mut found = saw_headers(saw);
    found.retain(|(name, _)| bytes.is_none_or(|bytes| !bytes.contains_key(name)));
    if wanted.get("headers").is_some() {
        // A map of headers keeps the order of a name's fields, but not that of the names.
        let mut wanted = owned(pairs(wanted, "headers")?);
        wanted.sort();
        found.sort();
        ensure(wanted == found, || {
            format!("the headers are {found:?} and not {wanted:?}")
        })?;
    }
    let included = owned(pairs(wanted, "headers_include")?);
    let missing = included.iter().find(|line| !found.contains(line));
    ensure(missing.is_none(), || format!("no {missing:?} in {found:?}"))?;
    absent(wanted, &saw_headers(saw))
}

/// Judges that none of `headers_absent` is present.
pub(super) fn absent(wanted: &Value, found: &[(String, String)]) -> Check {
    let Some(names) = wanted.get("headers_absent") else {
        return Ok(());
    };
    let names = texts(names)?;
    let present = names
        .into_iter()
        .find(|name| !lines(found, &name.to_ascii_lowercase()).is_empty());
    ensure(present.is_none(), || {
        format!("{present:?} is there: {found:?}")
    })
}

fn owned(pairs: Vec<(&str, &str)>) -> Vec<(String, String)> {
    let line = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    pairs.into_iter().map(line).collect()
}
