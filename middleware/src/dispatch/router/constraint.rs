//! Constraints by regular expression: all of the router that needs the crate `regex`.

use std::fmt::Write;

use regex::{Captures, Regex, RegexBuilder};

use super::foreign;
use super::named::NamedConstraint;
use super::part::Part;

/// The limit for a compiled regular expression, in bytes.
const SIZE_LIMIT: usize = 64 * 1024;

/// A regular expression that matches a segment from end to end; group `c1` is the first capture.
#[derive(Debug)]
pub(super) struct SegmentRegex(Regex);

impl SegmentRegex {
    /// The expression for a segment with these parts.
    pub(super) fn new(parts: &[Part<'_>]) -> Result<SegmentRegex, String> {
        let mut expression = String::from("^(?s:");
        let mut captures = 0;
        for part in parts {
            match part {
                Part::Text(text) => expression.push_str(&regex::escape(text)),
                Part::Capture { name, constraint } => {
                    captures += 1;
                    let inner = constraint.map_or(Ok(".+?"), |text| inner(name, text))?;
                    // Alone first: the error names this expression, and its brackets cannot close ours.
                    compile(inner)?;
                    let _ = write!(expression, "(?<c{captures}>{inner})");
                }
            }
        }
        expression.push_str(")$");
        compile(&expression).map(SegmentRegex)
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// The captures of a text that matches, in order.
    pub(super) fn captures<'a>(&self, text: &'a str) -> Vec<&'a str> {
        let found = self.0.captures(text);
        let group = |captures: &Captures<'a>, number: usize| {
            captures
                .name(&format!("c{number}"))
                .map(|group| group.as_str())
        };
        (1..=self.0.captures_len())
            .map_while(|number| group(found.as_ref()?, number))
            .collect()
    }
}

impl AsRef<str> for SegmentRegex {
    fn as_ref(&self) -> &str {
        self.0.as_str()
    }
}

/// The expression of one constraint.
fn inner<'a>(name: &str, text: &'a str) -> Result<&'a str, String> {
    match (NamedConstraint::new(text), foreign::constraint(name, text)) {
        (Some(named), _) => Ok(named.expression()),
        (None, Some(ours)) => Err(format!(
            "{text:?} is not a constraint and would match only itself: write {ours}"
        )),
        (None, None) => Ok(text),
    }
}

fn compile(expression: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(expression).size_limit(SIZE_LIMIT).build();
    built
        .map_err(|error| format!("{expression:?} is not a regular expression for a route: {error}"))
}
