//! Judges the lines of a log.

use serde_json::Value;

use crate::case::{number, object};
use crate::matchers;
use crate::observed::Log;
use crate::verdict::{Check, all, any_of, ensure, fail, unsupported};

/// Judges how many `lines` there are, and the matchers of each.
pub(super) fn log(wanted: &Value, log: &Log) -> Check {
    let count = match wanted.get("lines") {
        None => None,
        Some(_) => match number(wanted, "lines").map(usize::try_from) {
            Some(Ok(count)) => Some(count),
            _ => return unsupported(format!("the lines of {wanted}")),
        },
    };
    let found = log.settled(count.unwrap_or(0));
    let matchers = object(wanted)?.iter().filter(|(key, _)| *key != "lines");
    let matched = matchers.map(|(key, matcher)| match &found[..] {
        // The matcher is parsed in any case, so that an unknown one is never skipped.
        [] => match line(key, matcher, "") {
            Err(trouble) if !is_failure(&trouble) => Err(trouble),
            _ if key.starts_with("not_") || count == Some(0) => Ok(()),
            _ => fail(format!("the log is empty and not {key} {matcher}")),
        },
        lines => all(lines.iter().map(|found| line(key, matcher, found))),
    });
    let counted = ensure(count.is_none_or(|count| found.len() == count), || {
        let lines = found.len();
        format!("the log has {lines} lines and not {count:?}: {found:?}")
    });
    all(std::iter::once(counted).chain(matched))
}

fn is_failure(trouble: &crate::verdict::Trouble) -> bool {
    matches!(trouble, crate::verdict::Trouble::Failed(_))
}

/// Judges one line; with `any_of`, by a list of objects of matchers, one of which is enough.
fn line(key: &str, matcher: &Value, found: &str) -> Check {
    match (key, matcher) {
        ("any_of", Value::Array(list)) => any_of(list, |alternative| {
            let matchers = object(alternative)?.iter();
            all(matchers.map(|(key, matcher)| line(key, matcher, found)))
        }),
        _ => matchers::text(key, matcher, found)
            .unwrap_or_else(|| unsupported(format!("the log matcher {key:?}"))),
    }
}
