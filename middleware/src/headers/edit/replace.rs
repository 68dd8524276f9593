//! Rules that rewrite values with a regular expression. Nothing else here needs the crate `regex`.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use regex::bytes::{Regex, RegexBuilder};

use super::Headers;
use super::change::Change;
use super::rules::Message;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::headers::names::parse_name;
use crate::rewriting::path_rule::{REGEX_SIZE, missing_group};

/// Rules with regular expressions.
#[expect(private_bounds, reason = "only requests and responses have headers")]
impl<T: Message> Headers<T> {
    /// Replaces every match of a regular expression in the values of a header, each field value by itself.
    ///
    /// The pattern is one of the `regex` crate, and not anchored; `$1` and `${name}` stand for groups, `$$` for a dollar.
    /// A value is bytes, and need not be UTF-8.
    ///
    /// # Errors
    ///
    /// As for [`set`](Headers::set); also if the pattern is not well formed, if it compiles to more than 256 KiB, or if
    /// `to` names a group that the pattern does not have.
    pub fn replace<N>(self, name: N, pattern: &str, to: &str) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
    {
        let replacement = Replacement::new(pattern, to)?;
        let change = Arc::new(move |value: &mut HeaderValue| replacement.apply(value));
        Ok(self.change(Change::Each("replace in", parse_name(name)?, change)))
    }
}

/// The pattern for a value, and its replacement.
struct Replacement {
    regex: Regex,
    /// With `$1` and `${name}` for groups.
    to: String,
}

impl Replacement {
    fn new(pattern: &str, to: &str) -> Result<Replacement, Error> {
        let wrong = |kind, why: String| {
            let message = format!("{pattern:?} to {to:?} is not a replacement: {why}");
            Error::new(kind, message)
        };
        let regex = RegexBuilder::new(pattern).size_limit(REGEX_SIZE).build();
        let regex = regex.map_err(|error| wrong(ErrorKind::Rule, error.to_string()))?;
        if let Some(missing) = missing_group(to, regex.captures_len(), regex.capture_names()) {
            let why = format!("there is no group {missing:?}");
            return Err(wrong(ErrorKind::Rule, why));
        }
        if HeaderValue::from_str(to).is_err() {
            let why = "a byte is not allowed in a value".to_owned();
            return Err(wrong(ErrorKind::HeaderValue, why));
        }
        let to = to.to_owned();
        Ok(Replacement { regex, to })
    }

    fn apply(&self, value: &mut HeaderValue) {
        let changed = self.regex.replace_all(value.as_bytes(), self.to.as_bytes());
        let Cow::Owned(changed) = changed else {
            return;
        };
        let mut new = HeaderValue::from_maybe_shared(bytes::Bytes::from(changed))
            .expect("bytes of two values");
        new.set_sensitive(value.is_sensitive());
        *value = new;
    }
}
