//! What is done to the lines of a header map, on either side.

use std::fmt;

use http::header::Entry;
use http::{HeaderMap, HeaderName, HeaderValue};
use regex::bytes::{Regex, RegexBuilder};

use crate::error::Error;
use crate::error::ErrorKind;
use crate::headers::names::{belongs_to_gateway, parse_name, parse_prefix, parse_value};
use crate::rewriting::path_rule::{REGEX_SIZE, missing_group};

/// How a value comes into a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    Set,
    Append,
    Default,
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    Put(Put, HeaderName, HeaderValue),
    Remove(HeaderName),
    RemovePrefix(String),
    Rename { from: HeaderName, to: HeaderName },
    Replace(HeaderName, Replacement),
}

/// What is looked for in a value, and what it becomes.
#[derive(Clone, Debug)]
pub(super) struct Replacement {
    regex: Regex,
    /// With `$1` and `${name}` for groups.
    to: String,
}

impl Put {
    /// Whether a value is wanted at all.
    pub(super) fn wants(self, headers: &HeaderMap, name: &HeaderName) -> bool {
        self != Put::Default || !headers.contains_key(name)
    }

    pub(super) fn apply(self, headers: &mut HeaderMap, name: &HeaderName, value: HeaderValue) {
        match self {
            Put::Append => {
                headers.append(name, value);
            }
            Put::Set | Put::Default => {
                headers.insert(name, value);
            }
        }
    }

    pub(super) fn verb(self) -> &'static str {
        match self {
            Put::Set => "set",
            Put::Append => "append",
            Put::Default => "default",
        }
    }
}

impl Change {
    pub(super) fn put<N, V>(put: Put, name: N, value: V) -> Result<Change, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
        V: TryInto<HeaderValue> + fmt::Debug,
    {
        Ok(Change::Put(put, parse_name(name)?, parse_value(value)?))
    }

    pub(super) fn remove<N>(name: N) -> Result<Change, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
    {
        parse_name(name).map(Change::Remove)
    }

    pub(super) fn remove_prefix(prefix: &str) -> Result<Change, Error> {
        parse_prefix(prefix).map(Change::RemovePrefix)
    }

    pub(super) fn rename<N, M>(from: N, to: M) -> Result<Change, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
        M: TryInto<HeaderName> + fmt::Debug,
    {
        let (from, to) = (parse_name(from)?, parse_name(to)?);
        Ok(Change::Rename { from, to })
    }

    pub(super) fn replace<N>(name: N, pattern: &str, to: &str) -> Result<Change, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
    {
        let replacement = Replacement::new(pattern, to)?;
        Ok(Change::Replace(parse_name(name)?, replacement))
    }

    pub(super) fn apply(&self, headers: &mut HeaderMap) {
        match self {
            Change::Put(put, name, value) => {
                if put.wants(headers, name) {
                    put.apply(headers, name, value.clone());
                }
            }
            Change::Remove(name) => {
                headers.remove(name);
            }
            Change::RemovePrefix(prefix) => remove_prefix(headers, prefix),
            Change::Rename { from, to } => rename(headers, from, to),
            Change::Replace(name, replacement) => {
                if let Entry::Occupied(mut lines) = headers.entry(name) {
                    lines.iter_mut().for_each(|line| replacement.apply(line));
                }
            }
        }
    }

    /// What it does, and to which names.
    pub(super) fn summary(&self) -> (&'static str, String) {
        match self {
            Change::Put(put, name, _) => (put.verb(), name.to_string()),
            Change::Remove(name) => ("remove", name.to_string()),
            Change::RemovePrefix(prefix) => ("remove", format!("{prefix}*")),
            Change::Rename { from, to } => ("rename", format!("{from} to {to}")),
            Change::Replace(name, _) => ("replace in", name.to_string()),
        }
    }
}

fn remove_prefix(headers: &mut HeaderMap, prefix: &str) {
    let has_prefix = |name: &&HeaderName| name.as_str().starts_with(prefix);
    let names = headers.keys().filter(has_prefix);
    let names: Vec<HeaderName> = names
        .filter(|name| !belongs_to_gateway(name))
        .cloned()
        .collect();
    for name in names {
        headers.remove(name);
    }
}

fn rename(headers: &mut HeaderMap, from: &HeaderName, to: &HeaderName) {
    let Entry::Occupied(lines) = headers.entry(from) else {
        return;
    };
    let (_, lines) = lines.remove_entry_mult();
    let lines: Vec<HeaderValue> = lines.collect();
    headers.remove(to);
    for line in lines {
        headers.append(to, line);
    }
}

impl Replacement {
    fn new(pattern: &str, to: &str) -> Result<Replacement, Error> {
        let wrong = |kind, why: String| {
            let message = format!("{pattern:?} to {to:?} is not a replacement: {why}");
            Error::new(kind, message)
        };
        let regex = RegexBuilder::new(pattern).size_limit(REGEX_SIZE).build();
        let regex = regex.map_err(|error| wrong(ErrorKind::Rule, error.to_string()))?;
        if let Some(missing) = missing_group(to, regex.captures_len(), regex.capture_names()) {
            let why = format!("there is no group {missing:?}");
            return Err(wrong(ErrorKind::Rule, why));
        }
        if HeaderValue::from_str(to).is_err() {
            let why = "a byte is not allowed in a value".to_owned();
            return Err(wrong(ErrorKind::HeaderValue, why));
        }
        let to = to.to_owned();
        Ok(Replacement { regex, to })
    }

    fn apply(&self, line: &mut HeaderValue) {
        let changed = self.regex.replace_all(line.as_bytes(), self.to.as_bytes());
        let std::borrow::Cow::Owned(changed) = changed else {
            return;
        };
        let mut value = HeaderValue::from_maybe_shared(bytes::Bytes::from(changed))
            .expect("bytes of two values");
        value.set_sensitive(line.is_sensitive());
        *line = value;
    }
}
