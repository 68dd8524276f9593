//! Changes of a header map, for requests and responses.

use std::fmt;
use std::sync::Arc;

use http::header::Entry;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::error::Error;
use crate::headers::names::{belongs_to_gateway, parse_name, parse_value};

/// How a value is added to a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PutMode {
    Set,
    Append,
    Default,
}

#[derive(Clone)]
pub(super) enum Change {
    Put(PutMode, HeaderName, HeaderValue),
    Remove(HeaderName),
    RemovePrefix(String),
    Rename {
        from: HeaderName,
        to: HeaderName,
    },
    /// Changes each value of a header, as the verb says.
    #[cfg_attr(
        not(feature = "regex"),
        expect(dead_code, reason = "only a regular expression needs it")
    )]
    Each(
        &'static str,
        HeaderName,
        Arc<dyn Fn(&mut HeaderValue) + Send + Sync>,
    ),
}

impl PutMode {
    /// Whether a value is needed at all.
    pub(super) fn wants(self, headers: &HeaderMap, name: &HeaderName) -> bool {
        self != PutMode::Default || !headers.contains_key(name)
    }

    pub(super) fn apply(self, headers: &mut HeaderMap, name: &HeaderName, value: HeaderValue) {
        match self {
            PutMode::Append => {
                headers.append(name, value);
            }
            PutMode::Set | PutMode::Default => {
                headers.insert(name, value);
            }
        }
    }

    pub(super) fn verb(self) -> &'static str {
        match self {
            PutMode::Set => "set",
            PutMode::Append => "append",
            PutMode::Default => "default",
        }
    }
}

impl Change {
    pub(super) fn put<N, V>(put: PutMode, name: N, value: V) -> Result<Change, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
        V: TryInto<HeaderValue> + fmt::Debug,
    {
        Ok(Change::Put(put, parse_name(name)?, parse_value(value)?))
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
            Change::Each(_, name, change) => {
                if let Entry::Occupied(mut values) = headers.entry(name) {
                    values.iter_mut().for_each(|value| change(value));
                }
            }
        }
    }

    /// Its verb, and the names that it changes.
    pub(super) fn summary(&self) -> (&'static str, String) {
        match self {
            Change::Put(put, name, _) => (put.verb(), name.to_string()),
            Change::Remove(name) => ("remove", name.to_string()),
            Change::RemovePrefix(prefix) => ("remove", format!("{prefix}*")),
            Change::Rename { from, to } => ("rename", format!("{from} to {to}")),
            Change::Each(verb, name, _) => (verb, name.to_string()),
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
