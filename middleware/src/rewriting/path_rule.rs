//! Ordered rules that map a path to another, for rewrites and redirects.

use enfilade_core::Request;
use regex::{Captures, Regex, RegexBuilder};

use crate::error::Error;
use crate::error::ErrorKind;

/// The maximum size of a compiled regular expression, in bytes.
pub(crate) const REGEX_SIZE: usize = 256 * 1024;

/// The part of a request that a rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RuleInput {
    Path,
    PathAndQuery,
}

/// A regular expression, and the replacement of its match.
#[derive(Clone, Debug)]
pub(crate) struct PathRule {
    input: RuleInput,
    regex: Regex,
    /// With `$1` and `${name}` for groups.
    to: String,
    /// The same, parsed.
    parts: Vec<ReplacementPart>,
}

/// A part of a replacement.
#[derive(Clone, Debug)]
enum ReplacementPart {
    Text(String),
    /// The match of the group with this number.
    Group(usize),
}

impl PathRule {
    pub(crate) fn new(input: RuleInput, pattern: &str, to: &str) -> Result<PathRule, Error> {
        let wrong = |why: String| {
            Error::new(
                ErrorKind::Rule,
                format!("{pattern:?} to {to:?} is not a rule: {why}"),
            )
        };
        let regex = RegexBuilder::new(pattern).size_limit(REGEX_SIZE).build();
        let regex = regex.map_err(|error| wrong(error.to_string()))?;
        match missing_group(to, regex.captures_len(), regex.capture_names()) {
            Some(missing) => Err(wrong(format!("there is no group {missing:?}"))),
            None => Ok(PathRule {
                input,
                parts: pieces(to).map(|piece| piece.read(&regex)).collect(),
                regex,
                to: to.to_owned(),
            }),
        }
    }

    pub(crate) fn pattern(&self) -> &str {
        self.regex.as_str()
    }

    pub(crate) fn to(&self) -> &str {
        &self.to
    }

    /// Returns the new path and query, in canonical form, if the rule matches.
    fn apply(&self, path: &str, query: Option<&str>) -> Option<String> {
        let whole;
        let input = match (self.input, query) {
            (RuleInput::PathAndQuery, Some(query)) => {
                whole = format!("{path}?{query}");
                &whole
            }
            _ => path,
        };
        let found: Captures<'_> = self.regex.captures(input)?;
        let mut made = self.expand(&found, input.find('?'));
        // The query stays if the rule matches only the path and its replacement has no query.
        if let (RuleInput::Path, Some(query), false) = (self.input, query, self.to.contains('?')) {
            made.extend(["?", query]);
        }
        Some(made)
    }
}

impl PathRule {
    /// Expands the replacement, for a subject whose query begins at `query_at`.
    fn expand(&self, found: &Captures<'_>, query_at: Option<usize>) -> String {
        let mut made = String::new();
        for part in &self.parts {
            let group = match part {
                ReplacementPart::Text(text) => {
                    made.push_str(text);
                    continue;
                }
                ReplacementPart::Group(number) => found.get(*number),
            };
            let Some(group) = group else { continue };
            let is_of_query = query_at.is_some_and(|at| group.start() > at);
            match (is_of_query, made.contains('?')) {
                (false, true) => push_encoded(&mut made, group.as_str(), END_IN_QUERY),
                (true, false) => push_encoded(&mut made, group.as_str(), END_IN_PATH),
                // Encoded if a path's text lands in the query, or the other way round.
                _ => made.push_str(group.as_str()),
            }
        }
        made
    }
}

/// Characters that are plain in a path, but would end a value or mean a space in a query.
const END_IN_QUERY: &str = "&=+;";
/// Characters that are plain in a query, but would end a path.
const END_IN_PATH: &str = "?";

/// Appends text, and percent-encodes these characters.
fn push_encoded(made: &mut String, text: &str, encoded: &str) {
    for character in text.chars() {
        match character {
            _ if encoded.contains(character) => {
                made.extend(["%", &format!("{:02X}", u32::from(character))]);
            }
            _ => made.push(character),
        }
    }
}

/// Returns the result of the first rule that matches the path below mounts.
pub(crate) fn first_match(rules: &[PathRule], path: &str, query: Option<&str>) -> Option<String> {
    rules.iter().find_map(|rule| rule.apply(path, query))
}

/// The path below mounts, as rules see it.
pub(crate) fn rule_path(request: &Request) -> &str {
    match request.path() {
        // RFC 3986, section 6.2.3: an empty path, as in a mount, is `/`.
        "" if !request.script_name().is_empty() => "/",
        path => path,
    }
}

/// Returns the first group that a replacement names and the expression does not have.
pub(crate) fn missing_group<'t, 'n>(
    to: &'t str,
    groups: usize,
    names: impl Iterator<Item = Option<&'n str>> + Clone,
) -> Option<&'t str> {
    let is_known = |group: &str| match group.parse::<usize>() {
        Ok(number) => number < groups,
        Err(_) => names.clone().flatten().any(|known| known == group),
    };
    let mut named = pieces(to).filter_map(|piece| match piece {
        ReplacementToken::Text(_) => None,
        ReplacementToken::Group(name) => Some(name),
    });
    named.find(|group| !is_known(group))
}

/// A part of a replacement as written.
enum ReplacementToken<'t> {
    Text(&'t str),
    /// The number or the name of a group.
    Group(&'t str),
}

impl ReplacementToken<'_> {
    /// Resolves the number of a group, which the expression has.
    fn read(&self, regex: &Regex) -> ReplacementPart {
        match *self {
            ReplacementToken::Text(text) => ReplacementPart::Text(text.to_owned()),
            ReplacementToken::Group(group) => {
                let named = || regex.capture_names().position(|name| name == Some(group));
                let number = group.parse().ok().or_else(named);
                ReplacementPart::Group(number.expect("a group that was looked for"))
            }
        }
    }
}

/// Splits a replacement into its parts.
fn pieces(to: &str) -> impl Iterator<Item = ReplacementToken<'_>> {
    // `$$` is a dollar.
    to.split("$$").enumerate().flat_map(|(at, text)| {
        let dollar = (at > 0).then_some(ReplacementToken::Text("$"));
        let mut texts = text.split('$');
        let first = texts.next().map(ReplacementToken::Text);
        let groups = texts.flat_map(|after| {
            let (group, text) = group_before(after);
            [ReplacementToken::Group(group), ReplacementToken::Text(text)]
        });
        dollar.into_iter().chain(first).chain(groups)
    })
}

/// Splits off the group after a dollar sign; returns the rest too.
fn group_before(after: &str) -> (&str, &str) {
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    match after.strip_prefix('{') {
        Some(inner) => inner.split_once('}').unwrap_or((inner, "")),
        None => {
            let end = after.find(|character| !is_name(character));
            let end = end.unwrap_or(after.len());
            after.split_at_checked(end).unwrap_or((after, ""))
        }
    }
}
