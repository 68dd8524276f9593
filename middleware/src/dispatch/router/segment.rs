//! One segment of a pattern, and the values that it takes.

use std::sync::Arc;

use enfilade_core::path;
use regex::{Regex, RegexBuilder};

use super::foreign;

/// How large a compiled regular expression may be, in bytes.
const REGEX_SIZE: usize = 64 * 1024;

/// The expression that takes what `{name}` takes.
pub(super) const ANYTHING: &str = "^(?s:.+)$";

/// What stands between two slashes of a pattern.
#[derive(Clone, Debug)]
pub(super) enum Segment {
    /// Text, in canonical form.
    Text(Box<str>),
    /// `{name}`: one segment, whatever it is.
    Any(Arc<str>),
    /// Something that takes only some values: `{id:int}`, `{name}.{ext}`.
    Shaped(Arc<Shaped>),
    /// `{*name}`: all that is left.
    Rest(Arc<str>),
}

/// A segment with at least one capture, and text or a constraint.
#[derive(Debug)]
pub(super) struct Shaped {
    /// As it was written, without the names: two segments with the same are the same.
    pub(super) key: String,
    /// The regular expression that takes all of it.
    pub(super) expression: String,
    names: Vec<Arc<str>>,
    /// What stands before the first capture, between two, and behind the last.
    texts: Vec<String>,
    takes: Takes,
}

#[derive(Debug)]
enum Takes {
    /// The whole segment, where this says so.
    Kind(Kind),
    /// What this matches from end to end; group `n + 1` is capture `n`.
    Regex(Regex),
}

/// A constraint that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Int,
    Uuid,
    Slug,
}

impl Kind {
    fn named(name: &str) -> Option<Kind> {
        Some(match name {
            "int" => Kind::Int,
            "uuid" => Kind::Uuid,
            "slug" => Kind::Slug,
            _ => return None,
        })
    }

    fn as_regex(self) -> &'static str {
        match self {
            Kind::Int => "-?[0-9]+",
            Kind::Uuid => "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
            Kind::Slug => "[0-9A-Za-z]+(?:-[0-9A-Za-z]+)*",
        }
    }

    fn takes(self, text: &str) -> bool {
        let all =
            |text: &str, is: fn(&u8) -> bool| !text.is_empty() && text.as_bytes().iter().all(is);
        match self {
            Kind::Int => all(text.strip_prefix('-').unwrap_or(text), u8::is_ascii_digit),
            Kind::Uuid => {
                let parts = text
                    .split('-')
                    .map(|part| all(part, u8::is_ascii_hexdigit).then_some(part.len()));
                parts.eq([8, 4, 4, 4, 12].map(Some))
            }
            Kind::Slug => text
                .split('-')
                .all(|part| all(part, u8::is_ascii_alphanumeric)),
        }
    }
}

/// A part of a segment, as it was written.
enum Part<'a> {
    Text(&'a str),
    Capture {
        name: &'a str,
        constraint: Option<&'a str>,
    },
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
            ref parts => Shaped::new(parts).map(|shaped| Segment::Shaped(Arc::new(shaped))),
        }
    }

    /// The names of its captures, in order.
    pub(super) fn names(&self) -> &[Arc<str>] {
        match self {
            Segment::Text(_) => &[],
            Segment::Any(name) | Segment::Rest(name) => std::slice::from_ref(name),
            Segment::Shaped(shaped) => &shaped.names,
        }
    }
}

/// A segment while its parts are read.
struct Written {
    key: String,
    names: Vec<Arc<str>>,
    texts: Vec<String>,
}

impl Written {
    /// Adds a part to what is captured, and to the expression that takes all of it.
    fn add(&mut self, part: &Part<'_>, expression: &mut String) -> Result<(), String> {
        match part {
            Part::Text(text) => {
                self.key.push_str(text);
                self.texts
                    .iter_mut()
                    .last()
                    .into_iter()
                    .for_each(|last| last.push_str(text));
                expression.push_str(&regex::escape(text));
            }
            Part::Capture { name, constraint } => {
                self.names.push(parse_name(name)?);
                self.texts.push(String::new());
                let inner = match constraint {
                    None => ".+?",
                    Some(text) => constraint_of(name, text)?,
                };
                // Alone first: what is wrong is told of it, and its brackets cannot close ours.
                compile(inner)?;
                self.key.extend(["{", constraint.unwrap_or_default(), "}"]);
                expression.push_str(&format!("(?<c{}>{inner})", self.names.len()));
            }
        }
        Ok(())
    }
}

impl Shaped {
    fn new(parts: &[Part<'_>]) -> Result<Shaped, String> {
        let mut written = Written {
            key: String::new(),
            names: Vec::new(),
            texts: vec![String::new()],
        };
        let mut expression = String::from("^(?s:");
        for part in parts {
            written.add(part, &mut expression)?;
        }
        expression.push_str(")$");
        let kind = match parts {
            [
                Part::Capture {
                    constraint: Some(text),
                    ..
                },
            ] => Kind::named(text),
            _ => None,
        };
        let takes = match kind {
            Some(kind) => Takes::Kind(kind),
            None => Takes::Regex(compile(&expression)?),
        };
        let Written { key, names, texts } = written;
        Ok(Shaped {
            key,
            expression,
            names,
            texts,
            takes,
        })
    }
    /// Whether it takes this segment of a path in canonical form.
    pub(super) fn takes_coded(&self, segment: &str) -> bool {
        path::decode_utf8(segment).is_some_and(|text| self.takes(&text))
    }

    pub(super) fn takes(&self, text: &str) -> bool {
        match &self.takes {
            Takes::Kind(kind) => kind.takes(text),
            Takes::Regex(regex) => regex.is_match(text),
        }
    }

    /// Appends the text that has these values for the captures.
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

    /// Whether its one capture is all of the segment.
    pub(super) fn takes_whole(&self) -> bool {
        self.names.len() == 1 && self.texts.iter().all(String::is_empty)
    }

    /// The captures of decoded text that this takes.
    pub(super) fn captures<'a>(&'a self, text: &'a str) -> impl Iterator<Item = &'a str> {
        let found = match &self.takes {
            Takes::Kind(_) => None,
            Takes::Regex(regex) => regex.captures(text),
        };
        (1..=self.names.len()).map(move |number| {
            let group = found
                .as_ref()
                .and_then(|found| found.name(&format!("c{number}")));
            group.map_or(text, |group| group.as_str())
        })
    }
}

/// The expression of a constraint.
fn constraint_of<'a>(name: &str, text: &'a str) -> Result<&'a str, String> {
    match (Kind::named(text), foreign::constraint(name, text)) {
        (Some(kind), _) => Ok(kind.as_regex()),
        (None, Some(ours)) => Err(format!(
            "{text:?} is no constraint and would match itself alone; write {ours}"
        )),
        (None, None) => Ok(text),
    }
}

fn compile(expression: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(expression).size_limit(REGEX_SIZE).build();
    built
        .map_err(|error| format!("{expression:?} is not a regular expression for a route: {error}"))
}

fn parse_text(text: &str) -> Result<Segment, String> {
    if text.contains(['?', '#']) {
        return Err("a route is a path, without query or fragment".to_owned());
    }
    if let Some(ours) = foreign::capture(text) {
        return Err(format!(
            "{text:?} would match itself alone; write {ours:?} to capture"
        ));
    }
    if path::decode(text) != text {
        return Err(format!(
            "{text:?} is percent-encoded; write the characters themselves"
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

/// Splits a segment into text and captures; braces inside a constraint may nest.
fn split_parts(raw: &str) -> Result<Vec<Part<'_>>, String> {
    let unbalanced = || format!("{raw:?} has a brace without its partner");
    let mut parts = Vec::new();
    let mut rest = raw;
    while !rest.is_empty() {
        let Some((text, after)) = rest.split_once('{') else {
            parts.push(Part::Text(rest));
            break;
        };
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        let end = closing_brace(after).ok_or_else(unbalanced)?;
        let (inside, behind) = after.split_at_checked(end).ok_or_else(unbalanced)?;
        parts.push(match inside.split_once(':') {
            Some((name, constraint)) => Part::Capture {
                name,
                constraint: Some(constraint),
            },
            None => Part::Capture {
                name: inside,
                constraint: None,
            },
        });
        rest = behind.strip_prefix('}').unwrap_or(behind);
    }
    match parts
        .iter()
        .any(|part| matches!(part, Part::Text(text) if text.contains('}')))
    {
        true => Err(unbalanced()),
        false => Ok(parts),
    }
}

/// Where the brace that was opened before `text` is closed.
fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 1_usize;
    text.bytes().position(|byte| {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        depth == 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(pattern: &str, text: &str) -> Option<Vec<(String, String)>> {
        let Segment::Shaped(shaped) = Segment::parse(pattern).unwrap() else {
            panic!("{pattern} takes all")
        };
        if !shaped.takes_coded(&path::encode_segment(text)) {
            return None;
        }
        let names = shaped.names.iter().map(ToString::to_string);
        let values = shaped.captures(text).map(str::to_owned);
        Some(names.zip(values).collect())
    }

    #[test]
    fn constraints_take_whole_segments() {
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
        for (pattern, takes, refuses) in cases {
            for text in takes {
                assert!(captured(pattern, text).is_some(), "{pattern} and {text}");
            }
            for text in refuses {
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
                "\":id\" would match itself alone; write \"{id}\" to capture",
            ),
            (
                "{id:integer}",
                "\"integer\" is no constraint and would match itself alone; write {id:int}",
            ),
            (
                "caf%C3%A9",
                "\"caf%C3%A9\" is percent-encoded; write the characters themselves",
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
