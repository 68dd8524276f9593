//! Stands in for `constraint` without the feature `regex`: a segment that would need an expression is a mistake.

use std::convert::Infallible;

use super::foreign;
use super::part::Part;

/// Never made.
#[derive(Debug)]
pub(super) struct SegmentRegex(Infallible);

impl SegmentRegex {
    pub(super) fn new(parts: &[Part<'_>]) -> Result<SegmentRegex, String> {
        let ours = parts.iter().find_map(|part| match part {
            Part::Capture {
                name,
                constraint: Some(text),
            } => foreign::constraint(name, text),
            _ => None,
        });
        Err(match ours {
            Some(ours) => format!("the constraint is not known: write {ours}"),
            None => "a regular expression, or text beside a capture, needs the feature `regex`"
                .to_owned(),
        })
    }

    pub(super) fn is_match(&self, _: &str) -> bool {
        match self.0 {}
    }

    pub(super) fn captures<'a>(&self, _: &'a str) -> Vec<&'a str> {
        match self.0 {}
    }
}

impl AsRef<str> for SegmentRegex {
    fn as_ref(&self) -> &str {
        match self.0 {}
    }
}
