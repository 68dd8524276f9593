//! Patterns of paths, such as `/assets/**`.

use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

use enfilade_core::{Request, path};

use crate::error::Error;
use crate::error::ErrorKind;

/// The maximum number of patterns that the alternatives of one may expand to.
const MAX_ALTERNATIVES: usize = 1_000;

/// A pattern of canonical paths.
///
/// `*` and `?` match within a segment: any text, or one character. `**` as a whole segment matches any number of
/// segments, at the end of the pattern at least one. `[…]` matches one of several characters, `[!…]` any other one, and
/// `{…,…}` one of several patterns. A backslash escapes the next character. Upper and lower case differ. Write
/// characters decoded: `é`, not `%C3%A9`.
#[derive(Clone, Debug)]
pub(crate) struct PathGlob {
    text: String,
    alternatives: Vec<Vec<GlobSegment>>,
}

impl PathGlob {
    /// Fails if the pattern is malformed, or begins with neither a slash nor `**/` and so would match nothing.
    pub(crate) fn new(pattern: &str) -> Result<PathGlob, Error> {
        let refused = |why: &str| {
            let message = format!("{pattern:?} is not a pattern of paths: {why}");
            Error::new(ErrorKind::Rule, message)
        };
        if !(pattern.starts_with('/') || pattern.starts_with("**/")) {
            return Err(refused("it begins with neither / nor **/"));
        }
        let mut characters = pattern.chars().peekable();
        let sequences = read_sequences(&mut characters, Nesting::Outside).map_err(refused)?;
        let alternatives: Vec<_> = sequences.into_iter().map(into_segments).collect();
        if alternatives.iter().flatten().any(GlobSegment::is_dots) {
            return Err(refused("no path has the segment . or .."));
        }
        Ok(PathGlob {
            text: pattern.to_owned(),
            alternatives,
        })
    }

    /// Whether the pattern matches the path below mounts.
    pub(crate) fn matches(&self, request: &Request) -> bool {
        match request.path() {
            // RFC 3986, section 6.2.3: an empty path, as in a mount, is `/`.
            "" => self.matches_path("/"),
            path => self.matches_path(path),
        }
    }

    /// Whether the pattern matches this canonical path.
    fn matches_path(&self, path: &str) -> bool {
        let mut alternatives = self.alternatives.iter();
        alternatives.any(|segments| match_segments(segments, path))
    }
}

impl fmt::Display for PathGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A segment of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum GlobSegment {
    /// `**`: any number of segments.
    Many,
    /// A segment that these characters match.
    One(Vec<Character>),
}

impl GlobSegment {
    /// Whether it is `.` or `..`, which are resolved in a canonical path.
    fn is_dots(&self) -> bool {
        let GlobSegment::One(characters) = self else {
            return false;
        };
        let mut all = characters.iter();
        (1..=2).contains(&characters.len()) && all.all(|one| *one == Character::Exactly('.'))
    }
}

/// A character of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Character {
    /// `*`: any number of characters except slashes.
    Many,
    /// `**`, which differs from `*` only as a whole segment.
    ManyMany,
    /// `?`: any character except a slash.
    Any,
    /// `/`, which only this matches.
    Slash,
    Exactly(char),
    /// `[…]`, or `[!…]`, which matches if no range does.
    Class {
        ranges: Vec<(char, char)>,
        is_negated: bool,
    },
}

impl Character {
    fn matches(&self, found: PathCharacter) -> bool {
        match self {
            Character::Many | Character::ManyMany | Character::Slash => false,
            Character::Any => true,
            Character::Exactly(wanted) => found.text() == Some(*wanted),
            Character::Class { ranges, is_negated } => {
                let is_in = |character| {
                    let mut ranges = ranges.iter();
                    ranges.any(|(first, last)| (*first..=*last).contains(&character))
                };
                found.text().is_some_and(is_in) != *is_negated
            }
        }
    }
}

/// A character of a canonical path: plain or encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PathCharacter {
    Plain(char),
    Encoded(char),
    /// An encoded byte that is not UTF-8.
    Byte,
}

impl PathCharacter {
    /// The plain character that this one is. A character that is encoded although it could be plain, such as `%40`, is
    /// different (RFC 3986, section 2.2).
    fn text(self) -> Option<char> {
        let is_plain = |character: char| {
            u8::try_from(character).is_ok_and(|byte| path::unreserved_prefix(&[byte]) == 1)
        };
        match self {
            PathCharacter::Plain(character) => Some(character),
            PathCharacter::Encoded(character) => Some(character).filter(|found| !is_plain(*found)),
            PathCharacter::Byte => None,
        }
    }
}

/// The characters of a segment of a canonical path.
#[derive(Clone, Debug)]
struct PathCharacters<'a>(&'a str);

impl Iterator for PathCharacters<'_> {
    type Item = PathCharacter;

    fn next(&mut self) -> Option<PathCharacter> {
        let mut plain = self.0.chars();
        let first = plain.next()?;
        if first != '%' {
            self.0 = plain.as_str();
            return Some(PathCharacter::Plain(first));
        }
        // A character is encoded as one to four bytes.
        let found = (1..=4).find_map(|bytes| {
            let (encoded, rest) = self.0.split_at_checked(3 * bytes)?;
            let decoded = path::decode_utf8(encoded)?;
            let mut characters = decoded.chars();
            let character = characters.next().filter(|_| characters.next().is_none())?;
            Some((PathCharacter::Encoded(character), rest))
        });
        let rest = self.0.get(3..).unwrap_or_default();
        let (character, rest) = found.unwrap_or((PathCharacter::Byte, rest));
        self.0 = rest;
        Some(character)
    }
}

/// Compares segment by segment. If they differ, the last `**` takes one more segment. An earlier `**` never needs to
/// take more, because the last one can take the same segments.
fn match_segments(mut pattern: &[GlobSegment], path: &str) -> bool {
    let mut rest = Some(path);
    let mut again = None;
    loop {
        match (pattern.split_first(), rest) {
            (None, None) => return true,
            // At the end it takes the rest, and at least one segment.
            (Some((GlobSegment::Many, [])), _) => return rest.is_some(),
            (Some((GlobSegment::Many, after)), _) => {
                pattern = after;
                again = Some((after, rest));
                continue;
            }
            (Some((GlobSegment::One(wanted), after)), Some(path)) => {
                let (segment, next) = first_segment(path);
                if match_characters(wanted, segment) {
                    (pattern, rest) = (after, next);
                    continue;
                }
            }
            _ => {}
        }
        let Some((after, Some(path))) = again else {
            return false;
        };
        let (_, next) = first_segment(path);
        (pattern, rest) = (after, next);
        again = Some((after, next));
    }
}

/// Splits off the first segment; the rest begins after the slash.
fn first_segment(path: &str) -> (&str, Option<&str>) {
    path.split_once('/')
        .map_or((path, None), |(segment, rest)| (segment, Some(rest)))
}

/// The same within a segment, with `*` instead of `**`.
fn match_characters(mut pattern: &[Character], segment: &str) -> bool {
    let mut rest = PathCharacters(segment);
    let mut again: Option<(&[Character], PathCharacters<'_>)> = None;
    loop {
        let mut next = rest.clone();
        match (pattern.split_first(), next.next()) {
            (None, None) => return true,
            (Some((Character::Many | Character::ManyMany, after)), _) => {
                pattern = after;
                again = Some((after, rest.clone()));
                continue;
            }
            (Some((wanted, after)), Some(character)) if wanted.matches(character) => {
                (pattern, rest) = (after, next);
                continue;
            }
            _ => {}
        }
        let Some((after, place)) = &mut again else {
            return false;
        };
        if place.next().is_none() {
            return false;
        }
        (pattern, rest) = (after, place.clone());
    }
}

/// Splits at slashes.
fn into_segments(sequence: Vec<Character>) -> Vec<GlobSegment> {
    let segments = sequence.split(|character| *character == Character::Slash);
    let segments = segments.map(|characters| match characters {
        [Character::ManyMany] => GlobSegment::Many,
        _ => GlobSegment::One(characters.to_vec()),
    });
    segments.collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nesting {
    Outside,
    InBraces,
}

/// Parses all sequences of characters that a pattern expands to, up to its end or the end of an alternative in braces.
fn read_sequences(
    pattern: &mut Peekable<Chars<'_>>,
    nesting: Nesting,
) -> Result<Vec<Vec<Character>>, &'static str> {
    let mut sequences = vec![Vec::new()];
    loop {
        let next = match (pattern.peek().copied(), nesting) {
            (None, Nesting::Outside) => return Ok(sequences),
            (None, Nesting::InBraces) => return Err("a { has no }"),
            (Some(',' | '}'), Nesting::InBraces) => return Ok(sequences),
            (Some('}'), Nesting::Outside) => return Err("a } has no {"),
            (Some(next), _) => next,
        };
        pattern.next();
        let character = match next {
            '{' => {
                sequences = joined(&sequences, &read_alternatives(pattern)?)?;
                continue;
            }
            '[' => read_class(pattern)?,
            '\\' => match pattern.next().ok_or("nothing follows the last \\")? {
                '/' => Character::Slash,
                other => Character::Exactly(other),
            },
            '*' if pattern.next_if_eq(&'*').is_some() => Character::ManyMany,
            '*' => Character::Many,
            '?' => Character::Any,
            '/' => Character::Slash,
            other => Character::Exactly(other),
        };
        for sequence in &mut sequences {
            sequence.push(character.clone());
        }
    }
}

/// Parses the alternatives between a `{` and its `}`.
fn read_alternatives(
    pattern: &mut Peekable<Chars<'_>>,
) -> Result<Vec<Vec<Character>>, &'static str> {
    let mut alternatives = Vec::new();
    loop {
        alternatives.extend(read_sequences(pattern, Nesting::InBraces)?);
        if pattern.next() == Some('}') {
            return Ok(alternatives);
        }
    }
}

/// Joins each of the first sequences with each of the others.
fn joined(
    sequences: &[Vec<Character>],
    endings: &[Vec<Character>],
) -> Result<Vec<Vec<Character>>, &'static str> {
    if sequences.len() * endings.len() > MAX_ALTERNATIVES {
        return Err("its braces stand for more than 1,000 patterns");
    }
    let joined = sequences.iter().flat_map(|sequence| {
        let endings = endings.iter();
        endings.map(|ending| [&sequence[..], &ending[..]].concat())
    });
    Ok(joined.collect())
}

/// Parses the ranges between a `[` and its `]`; a `]` at the start is an ordinary character.
fn read_class(pattern: &mut Peekable<Chars<'_>>) -> Result<Character, &'static str> {
    let is_negated = pattern.next_if(|next| matches!(next, '!' | '^')).is_some();
    let mut ranges = Vec::new();
    loop {
        let first = match pattern.next().ok_or("a [ has no ]")? {
            ']' if !ranges.is_empty() => return Ok(Character::Class { ranges, is_negated }),
            first => first,
        };
        let mut ahead = pattern.clone();
        let last = match (ahead.next(), ahead.next()) {
            (Some('-'), Some(last)) if last != ']' => {
                *pattern = ahead;
                last
            }
            _ => first,
        };
        if last < first {
            return Err("a range of characters has its last one first");
        }
        ranges.push((first, last));
    }
}

#[cfg(test)]
mod tests;
