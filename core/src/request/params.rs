//! What routers captured from the path.

use std::fmt;
use std::ops::Range;
use std::str::Utf8Error;
use std::sync::Arc;

use percent_encoding::percent_decode_str;

/// The captures of a request: places in its path where nothing needed decoding, decoded text otherwise.
#[derive(Clone, Default)]
pub(super) struct Captures(Vec<(Arc<str>, Value)>);

#[derive(Clone)]
enum Value {
    /// A part of the full path, `script_name` included.
    Place(Range<usize>),
    Decoded(Box<str>),
}

impl Captures {
    pub(super) fn add(
        &mut self,
        name: &Arc<str>,
        full_path: &str,
        range: Range<usize>,
    ) -> Result<(), Utf8Error> {
        let raw = full_path.get(range.clone()).unwrap_or_default();
        let value = if raw.contains('%') {
            Value::Decoded(percent_decode_str(raw).decode_utf8()?.into())
        } else {
            Value::Place(range)
        };
        self.0.push((name.clone(), value));
        Ok(())
    }

    pub(super) fn add_text(&mut self, name: &Arc<str>, value: &str) {
        self.0.push((name.clone(), Value::Decoded(value.into())));
    }

    /// Makes the values independent of the path, which is about to change.
    pub(super) fn detach(&mut self, full_path: &str) {
        for (_, value) in &mut self.0 {
            if let Value::Place(range) = value {
                *value = Value::Decoded(full_path.get(range.clone()).unwrap_or_default().into());
            }
        }
    }
}

/// What routers captured from the path, percent-decoded.
///
/// Those of outer routers come first; where two have the same name, the innermost is found.
#[derive(Clone, Copy)]
pub struct Params<'a> {
    captures: &'a Captures,
    full_path: &'a str,
}

impl<'a> Params<'a> {
    pub(super) fn new(captures: &'a Captures, full_path: &'a str) -> Params<'a> {
        Params {
            captures,
            full_path,
        }
    }

    /// The value captured under `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a str> {
        let found = self.captures.0.iter().rev().find(|(key, _)| **key == *name);
        found.map(|(_, value)| self.text(value))
    }

    /// Names and values in the order of the path.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let this = *self;
        self.captures
            .0
            .iter()
            .map(move |(name, value)| (&**name, this.text(value)))
    }

    fn text(&self, value: &'a Value) -> &'a str {
        match value {
            Value::Place(range) => self.full_path.get(range.clone()).unwrap_or_default(),
            Value::Decoded(text) => text,
        }
    }
}

impl fmt::Debug for Params<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
