//! Ordered rules that make one path of another, for rewrites and redirects.

use enfilade_core::{Request, path};
use regex::{Captures, Regex, RegexBuilder};

use crate::{Error, ErrorKind};

/// How large a compiled regular expression may be, in bytes.
pub(crate) const REGEX_SIZE: usize = 256 * 1024;

/// What a rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Path,
    PathAndQuery,
}

/// A regular expression, and what becomes of what it matches.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    subject: Subject,
    regex: Regex,
    /// With `$1` and `${name}` for groups.
    to: String,
}

impl Rule {
    pub(crate) fn new(subject: Subject, pattern: &str, to: &str) -> Result<Rule, Error> {
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
            None => Ok(Rule {
                subject,
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

    /// What becomes of this path and query, in canonical form, where the rule matches.
    fn apply(&self, path: &str, query: Option<&str>) -> Option<String> {
        let whole;
        let subject = match (self.subject, query) {
            (Subject::PathAndQuery, Some(query)) => {
                whole = format!("{path}?{query}");
                &whole
            }
            _ => path,
        };
        let found: Captures<'_> = self.regex.captures(subject)?;
        let mut made = String::new();
        found.expand(&self.to, &mut made);
        // The query stays where the rule looks at the path alone and says nothing of it.
        if let (Subject::Path, Some(query), false) = (self.subject, query, self.to.contains('?')) {
            made.extend(["?", query]);
        }
        Some(made)
    }
}

/// What the first rule that matches makes of the path that is left.
pub(crate) fn first(rules: &[Rule], path: &str, query: Option<&str>) -> Option<String> {
    rules.iter().find_map(|rule| rule.apply(path, query))
}

/// The path that is left in the form that rules see, and the query.
pub(crate) fn subject(request: &Request) -> (String, Option<&str>) {
    (
        path::canonical(request.path()).into_owned(),
        request.query(),
    )
}

/// The first group that a replacement names and an expression with these names of groups does not have.
pub(crate) fn missing_group<'t, 'n>(
    to: &'t str,
    groups: usize,
    names: impl Iterator<Item = Option<&'n str>> + Clone,
) -> Option<&'t str> {
    let is_known = |group: &str| match group.parse::<usize>() {
        Ok(number) => number < groups,
        Err(_) => names.clone().flatten().any(|known| known == group),
    };
    named_groups(to).find(|group| !is_known(group))
}

/// The groups that a replacement names.
fn named_groups(to: &str) -> impl Iterator<Item = &str> {
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    // `$$` is a dollar.
    to.split("$$")
        .flat_map(|part| part.split('$').skip(1))
        .map(move |after| match after.strip_prefix('{') {
            Some(inner) => inner.split('}').next().unwrap_or(inner),
            None => after
                .find(|character| !is_name(character))
                .and_then(|end| after.get(..end))
                .unwrap_or(after),
        })
}
