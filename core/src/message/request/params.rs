//! Values that routers captured from the path.

use std::fmt;
use std::ops::Range;
use std::str::Utf8Error;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use smallvec::SmallVec;

/// The captures of a request: ranges of its path if nothing needed decoding, otherwise decoded text.
///
/// Two routers and four captures are stored in the request itself.
#[derive(Clone, Default)]
pub(super) struct Captures {
    /// The names of each router's captures, with the number of their values.
    names: SmallVec<[(Names, usize); 2]>,
    values: SmallVec<[Value; 4]>,
}

type Names = Arc<[Arc<str>]>;

#[derive(Clone, Debug)]
enum Value {
    /// A range of the full path, `script_name` included.
    Place(Range<usize>),
    Decoded(Box<str>),
}

/// A value that a router captured.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Captured {
    /// The part of [`path`](crate::Request::path) at these bytes, to be percent-decoded.
    Raw(Range<usize>),
    /// The same, known to need no decoding: it is not inspected.
    Plain(Range<usize>),
    /// Text that is decoded already, for routers that capture part of a segment.
    Decoded(Box<str>),
}

impl Captures {
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Adds the values for `names` that `find` reads from the path, which begins at `offset` in the full path.
    #[inline]
    pub(super) fn add<E>(
        &mut self,
        names: &Names,
        (full_path, offset): (&str, usize),
        find: impl FnOnce(&str, &mut CaptureSink<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let before = self.values.len();
        let mut capturing = CaptureSink {
            values: &mut self.values,
            limit: before + names.len(),
            full_path,
            offset,
        };
        let found = find(full_path.get(offset..).unwrap_or_default(), &mut capturing);
        match found {
            Ok(()) => self.names.push((names.clone(), self.values.len())),
            Err(_) => self.values.truncate(before),
        }
        found
    }

    /// Makes the values independent of the path, before the path changes.
    pub(super) fn detach(&mut self, full_path: &str) {
        for value in &mut self.values {
            if let Value::Place(range) = value {
                *value = Value::Decoded(full_path.get(range.clone()).unwrap_or_default().into());
            }
        }
    }

    /// The value of this name that the innermost router captured.
    fn get(&self, name: &str) -> Option<&Value> {
        let mut routers = self.names.iter().rev().peekable();
        while let Some((names, end)) = routers.next() {
            if let Some(at) = names.iter().position(|known| **known == *name) {
                let begin = routers.peek().map_or(0, |(_, end)| *end);
                return self.values.get(begin..*end)?.get(at);
            }
        }
        None
    }

    fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        let begins = [0]
            .into_iter()
            .chain(self.names.iter().map(|(_, end)| *end));
        self.names
            .iter()
            .zip(begins)
            .flat_map(|((names, end), begin)| {
                let values = self.values.get(begin..*end).unwrap_or_default();
                names.iter().map(|name| &**name).zip(values)
            })
    }
}

/// Takes the values that a router captures, one for each of its names.
///
/// See [`Request::capture_each`](crate::Request::capture_each).
#[derive(Debug)]
pub struct CaptureSink<'a> {
    values: &'a mut SmallVec<[Value; 4]>,
    /// The maximum number of values.
    limit: usize,
    full_path: &'a str,
    offset: usize,
}

impl CaptureSink<'_> {
    /// Adds the value of the next name; values beyond the names are ignored.
    ///
    /// # Errors
    ///
    /// If the value does not decode to UTF-8.
    #[inline]
    pub fn add(&mut self, value: Captured) -> Result<(), Utf8Error> {
        match value {
            Captured::Plain(range) => {
                self.push(Value::Place(
                    self.offset + range.start..self.offset + range.end,
                ));
                Ok(())
            }
            other => self.read(other),
        }
    }

    /// Adds a value that may need decoding, or is decoded.
    #[inline(never)]
    fn read(&mut self, value: Captured) -> Result<(), Utf8Error> {
        let range = match value {
            Captured::Plain(range) | Captured::Raw(range) => {
                self.offset + range.start..self.offset + range.end
            }
            Captured::Decoded(text) => {
                self.push(Value::Decoded(text));
                return Ok(());
            }
        };
        let raw = self.full_path.get(range.clone()).unwrap_or_default();
        self.push(if raw.as_bytes().contains(&b'%') {
            Value::Decoded(percent_decode_str(raw).decode_utf8()?.into())
        } else {
            Value::Place(range)
        });
        Ok(())
    }

    #[inline]
    fn push(&mut self, value: Value) {
        if self.values.len() < self.limit {
            self.values.push(value);
        }
    }
}

/// The values that routers captured from the path, percent-decoded.
///
/// Values of outer routers come first. If two have the same name, [`get`](Params::get) returns the innermost.
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
        self.captures.get(name).map(|value| self.text(value))
    }

    /// Names and values, in the order of the path.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let this = *self;
        let captures = self.captures.iter();
        captures.map(move |(name, value)| (name, this.text(value)))
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
