//! Warnings of the doctor.

use std::borrow::Cow;
use std::fmt;

use super::PathStep;

/// A wrong order of two components, a mistake in one component, or an unused accepted name.
///
/// [`Display`](fmt::Display) writes it as a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    outer: Option<String>,
    inner: String,
    reason: Cow<'static, str>,
    path: Vec<String>,
}

impl Warning {
    /// A warning about the last component of a path, inside another one or alone.
    pub(super) fn new(
        outer: Option<&PathStep>,
        reason: Cow<'static, str>,
        way: &[PathStep],
    ) -> Warning {
        Warning {
            outer: outer.map(|outer| outer.name.clone()),
            inner: way.last().map(|last| last.name.clone()).unwrap_or_default(),
            reason,
            path: way.iter().map(ToString::to_string).collect(),
        }
    }

    /// A warning about an accepted name that no warning has.
    pub(super) fn unused(name: &str) -> Warning {
        Warning {
            outer: None,
            inner: "Doctor".to_owned(),
            reason: format!("no warning is named {name:?}: no longer accept it").into(),
            path: Vec::new(),
        }
    }

    /// The name by which it is [accepted](crate::Doctor::accept), such as `AccessLog is inside Compression`.
    ///
    /// If it is about one component alone, the reason is part of the name. The [`Display`](fmt::Display) text begins
    /// with the name.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.outer {
            Some(outer) => format!("{} is inside {outer}", self.inner),
            None => format!("{}: {}", self.inner, self.reason),
        }
    }

    pub(super) fn is_named(&self, name: &str) -> bool {
        self.name().eq_ignore_ascii_case(name)
    }

    /// The name of the outer component; `None` if the warning is about one component alone.
    #[must_use]
    pub fn outer(&self) -> Option<&str> {
        self.outer.as_deref()
    }

    /// The name of the component inside it, or of the only component.
    #[must_use]
    pub fn inner(&self) -> &str {
        &self.inner
    }

    /// Why it is wrong.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The components from the outermost to the inner one of the two, with their labels, if any.
    ///
    /// It is the path in the description's tree.
    #[must_use]
    pub fn path(&self) -> &[String] {
        &self.path
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())?;
        if self.outer.is_some() {
            write!(f, ": {}", self.reason)?;
        }
        match &self.path[..] {
            [] => Ok(()),
            path => write!(f, " ({})", path.join(" > ")),
        }
    }
}
