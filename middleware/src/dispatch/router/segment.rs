//! One segment of a pattern, and the values that it matches.

use std::sync::Arc;

use enfilade_core::path;

use super::constraint::SegmentRegex;
use super::foreign;
use super::named::NamedConstraint;
use super::part::{Part, split_parts};

/// What a pattern has between two slashes.
#[derive(Clone, Debug)]
pub(super) enum Segment {
    /// Text, in canonical form.
    Text(Box<str>),
    /// `{name}`: matches every segment that is not empty.
    Any(Arc<str>),
    /// A segment that matches only some values: `{id:int}`, `{name}.{ext}`.
    Constrained(Arc<Constrained>),
    /// `{*name}`: matches the rest of the path.
    Rest(Arc<str>),
}

/// A segment with at least one capture, and text or a constraint.
#[derive(Debug)]
pub(super) struct Constrained {
    /// The segment as it was written, without the names: two segments with the same key match the same.
    pub(super) key: String,
    pub(super) constraint: Constraint,
    names: Vec<Arc<str>>,
    /// The text before the first capture, between two captures, and after the last.
    texts: Vec<String>,
}

/// Which values a segment matches.
#[derive(Debug)]
pub(super) enum Constraint {
    Named(NamedConstraint),
    Regex(SegmentRegex),
}

impl Segment {
    pub(super) fn parse(raw: &str) -> Result<Segment, String> {
        let parts = split_parts(raw)?;
        match parts[..] {
            [] => Ok(Segment::Text("".into())),
            [Part::Text(text)] => parse_text(text),
            [
                Part::Capture {
                    name,
                    constraint: None,
                },
            ] => match name.strip_prefix('*') {
                Some(name) => Ok(Segment::Rest(parse_name(name)?)),
                None => Ok(Segment::Any(parse_name(name)?)),
            },
            ref parts => {
                Constrained::new(parts).map(|segment| Segment::Constrained(segment.into()))
            }
        }
    }

    /// The names of its captures, in order.
    pub(super) fn names(&self) -> &[Arc<str>] {
        match self {
            Segment::Text(_) => &[],
            Segment::Any(name) | Segment::Rest(name) => std::slice::from_ref(name),
            Segment::Constrained(constrained) => &constrained.names,
        }
    }
}

impl Constrained {
    fn new(parts: &[Part<'_>]) -> Result<Constrained, String> {
        let (mut key, mut names, mut texts) = (String::new(), Vec::new(), vec![String::new()]);
        for part in parts {
            match part {
                Part::Text(text) => {
                    key.push_str(text);
                    texts
                        .iter_mut()
                        .last()
                        .into_iter()
                        .for_each(|last| last.push_str(text));
                }
                Part::Capture { name, constraint } => {
                    key.extend(["{", constraint.unwrap_or_default(), "}"]);
                    names.push(parse_name(name)?);
                    texts.push(String::new());
                }
            }
        }
        Ok(Constrained {
            key,
            constraint: Constraint::new(parts)?,
            names,
            texts,
        })
    }

    /// Whether this segment of a path in canonical form matches.
    pub(super) fn matches_encoded(&self, segment: &str) -> bool {
        path::decode_utf8(segment).is_some_and(|text| self.matches(&text))
    }

    /// Whether this decoded segment matches.
    pub(super) fn matches(&self, text: &str) -> bool {
        match &self.constraint {
            Constraint::Named(named) => named.is_match(text),
            Constraint::Regex(regex) => regex.is_match(text),
        }
    }

    /// Appends the text with these values for the captures.
    pub(super) fn assemble<'a, E>(
        &self,
        into: &mut String,
        value: &mut dyn FnMut(&str) -> Result<&'a str, E>,
    ) -> Result<(), E> {
        for (at, text) in self.texts.iter().enumerate() {
            if let Some(name) = at.checked_sub(1).and_then(|at| self.names.get(at)) {
                into.push_str(value(name)?);
            }
            into.push_str(text);
        }
        Ok(())
    }

    /// Whether its only capture is the whole segment.
    pub(super) fn captures_whole(&self) -> bool {
        self.names.len() == 1 && self.texts.iter().all(String::is_empty)
    }

    /// The captures of a decoded segment that matches.
    pub(super) fn captures<'a>(&self, text: &'a str) -> Vec<&'a str> {
        match &self.constraint {
            Constraint::Named(_) => vec![text],
            Constraint::Regex(regex) => regex.captures(text),
        }
    }
}

impl Constraint {
    fn new(parts: &[Part<'_>]) -> Result<Constraint, String> {
        let named = match parts {
            [
                Part::Capture {
                    constraint: Some(text),
                    ..
                },
            ] => NamedConstraint::new(text),
            _ => None,
        };
        named.map_or_else(
            || SegmentRegex::new(parts).map(Constraint::Regex),
            |named| Ok(Constraint::Named(named)),
        )
    }
}

fn parse_text(text: &str) -> Result<Segment, String> {
    if text.contains(['?', '#']) {
        return Err("a route is a path, without query or fragment".to_owned());
    }
    if let Some(ours) = foreign::capture(text) {
        return Err(format!(
            "{text:?} would match only itself: write {ours:?} to capture"
        ));
    }
    if path::decode(text) != text {
        return Err(format!(
            "{text:?} is percent-encoded: write the characters themselves"
        ));
    }
    if matches!(text, "." | "..") {
        return Err(format!(
            "no path has the segment {text:?}: write the path without it"
        ));
    }
    Ok(Segment::Text(path::encode_segment(text).into()))
}

fn parse_name(name: &str) -> Result<Arc<str>, String> {
    let mut bytes = name.bytes();
    let begins = bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_');
    let goes_on = bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (begins && goes_on)
        .then(|| name.into())
        .ok_or_else(|| format!("{name:?} is not a name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(pattern: &str, text: &str) -> Option<Vec<(String, String)>> {
        let Segment::Constrained(constrained) = Segment::parse(pattern).unwrap() else {
            panic!("{pattern} takes all")
        };
        if !constrained.matches_encoded(&path::encode_segment(text)) {
            return None;
        }
        let names = constrained.names.iter().map(ToString::to_string);
        let values = constrained.captures(text).into_iter().map(str::to_owned);
        Some(names.zip(values).collect())
    }

    #[test]
    fn constraints_match_whole_segments() {
        let cases: [(&str, &[&str], &[&str]); 6] = [
            ("{x:int}", &["0", "42", "-7"], &["", "-", "4a", "4 ", "٣"]),
            (
                "{x:uuid}",
                &["01890a5d-ac96-774b-bcce-b302099a8057"],
                &["01890a5d", "01890a5d-ac96-774b-bcce-b302099a805g"],
            ),
            (
                "{x:slug}",
                &["a", "a-b-1", "A"],
                &["", "-a", "a-", "a--b", "a_b"],
            ),
            ("{x:[a-z]{2}}", &["ab"], &["a", "abc", "AB", "ab\n"]),
            ("{x:a|bc}", &["a", "bc"], &["ab", "abc"]),
            ("{x:é+}", &["é", "éé"], &["e"]),
        ];
        for (pattern, matching, others) in cases {
            for text in matching {
                assert!(captured(pattern, text).is_some(), "{pattern} and {text}");
            }
            for text in others {
                assert!(captured(pattern, text).is_none(), "{pattern} and {text}");
            }
        }
    }

    #[test]
    fn parts_of_a_segment_are_captured() {
        let pairs = |list: &[(&str, &str)]| {
            Some(
                list.iter()
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(
            captured("{name}.{ext}", "a.tar.gz"),
            pairs(&[("name", "a"), ("ext", "tar.gz")])
        );
        assert_eq!(captured("{name}.{ext}", "noext"), None);
        assert_eq!(
            captured("v{major:int}.{minor:int}", "v1.20"),
            pairs(&[("major", "1"), ("minor", "20")])
        );
        assert_eq!(
            captured("{a:(x|y)}-{b:(?:z)}", "y-z"),
            pairs(&[("a", "y"), ("b", "z")])
        );
        assert_eq!(captured("{id:int}", "5"), pairs(&[("id", "5")]));
    }

    #[test]
    fn mistakes_say_what_is_wrong() {
        for (pattern, expected) in [
            ("{}", "\"\" is not a name"),
            ("{a b}", "\"a b\" is not a name"),
            ("{a", "\"{a\" has a brace without its partner"),
            ("a}", "\"a}\" has a brace without its partner"),
            ("a?b", "a route is a path, without query or fragment"),
            (
                ":id",
                "\":id\" would match only itself: write \"{id}\" to capture",
            ),
            (
                "{id:integer}",
                "\"integer\" is not a constraint and would match only itself: write {id:int}",
            ),
            (
                "caf%C3%A9",
                "\"caf%C3%A9\" is percent-encoded: write the characters themselves",
            ),
        ] {
            assert_eq!(Segment::parse(pattern).unwrap_err(), expected);
        }
        let error = Segment::parse("{x:[}").unwrap_err();
        assert!(
            error.starts_with("\"[\" is not a regular expression for a route: "),
            "{error}"
        );
        let large = Segment::parse("{x:[a-z]{1000}{1000}}").unwrap_err();
        assert!(large.contains("size limit"), "{large}");
    }
}
