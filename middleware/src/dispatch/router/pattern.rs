//! Patterns of paths: what may be written, and what a request captures with it.

use std::str::Utf8Error;
use std::sync::Arc;

use enfilade_core::{Captured, Capturing, Request, path};

use super::segment::Segment;

/// A pattern that is well formed.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    /// As it was written.
    pub(super) text: Arc<str>,
    pub(super) segments: Vec<Segment>,
    /// The name of what takes the rest, where the pattern ends so.
    pub(super) rest: Option<Arc<str>>,
    /// The names of its captures, in order.
    names: Arc<[Arc<str>]>,
    /// How much text stands before each capture, where every capture is a whole segment.
    gaps: Option<Box<[usize]>>,
}

/// How a path is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As [`path::canonical`] writes it, without anything that is percent-encoded: text is as long as in the pattern.
    Plain,
    Raw,
}

/// Nothing was captured: a value does not decode, or a path that was taken for plain is not.
pub(super) struct NotCaptured;

impl From<Utf8Error> for NotCaptured {
    fn from(_: Utf8Error) -> NotCaptured {
        NotCaptured
    }
}

impl Pattern {
    /// Reads the pattern of a route.
    pub(super) fn route(text: &str) -> Result<Pattern, String> {
        Pattern::parse(text).map_err(|why| format!("{text:?} is not a route: {why}"))
    }

    /// Reads the prefix of a mount; `/` has no segments.
    pub(super) fn prefix(text: &str) -> Result<Pattern, String> {
        let wrong = |why: &str| format!("{text:?} is not a prefix: {why}");
        let mut pattern = Pattern::parse(text).map_err(|why| wrong(&why))?;
        if pattern.rest.is_some() {
            return Err(wrong("a mount takes the rest of the path by itself"));
        }
        if text == "/" {
            pattern.segments.clear();
        } else if text.ends_with('/') {
            return Err(wrong("write it without the slash at its end"));
        }
        Ok(pattern)
    }

    /// The prefix that is no prefix.
    pub(super) fn root() -> Pattern {
        Pattern::new("", Vec::new(), None)
    }

    /// This prefix with a pattern behind it.
    pub(super) fn join(&self, inner: &Pattern) -> Pattern {
        let text = format!("{}{}", self.text.trim_end_matches('/'), inner.text);
        let segments = self.segments.iter().chain(&inner.segments);
        Pattern::new(&text, segments.cloned().collect(), inner.rest.clone())
    }

    fn new(text: &str, segments: Vec<Segment>, rest: Option<Arc<str>>) -> Pattern {
        let names = segments.iter().flat_map(Segment::names).chain(&rest);
        Pattern {
            text: text.into(),
            names: names.cloned().collect(),
            gaps: rest.is_none().then(|| gaps(&segments)).flatten(),
            segments,
            rest,
        }
    }

    fn parse(text: &str) -> Result<Pattern, String> {
        let inside = text
            .strip_prefix('/')
            .ok_or("it does not begin with a slash")?;
        let (mut segments, mut rest) = (Vec::new(), None);
        for raw in split_segments(inside) {
            if rest.is_some() {
                return Err("nothing can follow what takes the rest".to_owned());
            }
            match Segment::parse(raw)? {
                Segment::Rest(name) => rest = Some(name),
                segment => segments.push(segment),
            }
        }
        let pattern = Pattern::new(text, segments, rest);
        let mut names: Vec<&str> = pattern.names().collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(format!("{:?} is captured twice", pair[0])),
            None => Ok(pattern),
        }
    }

    /// The names of its captures, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    /// Whether every segment is text.
    pub(super) fn is_static(&self) -> bool {
        self.segments
            .iter()
            .all(|segment| matches!(segment, Segment::Text(_)))
    }

    /// Whether some segment takes only some values.
    pub(super) fn is_constrained(&self) -> bool {
        self.segments
            .iter()
            .any(|segment| matches!(segment, Segment::Shaped(_)))
    }

    /// As the index has it, which tells only text from the rest.
    pub(super) fn shape(&self) -> String {
        let mut shape = String::new();
        for segment in &self.segments {
            shape.push('/');
            match segment {
                Segment::Text(text) => shape.push_str(text),
                Segment::Any(_) | Segment::Shaped(_) | Segment::Rest(_) => shape.push_str("{x}"),
            }
        }
        if shape.is_empty() {
            "/".to_owned()
        } else {
            shape
        }
    }

    /// Notes in the request what its path has for the captures.
    ///
    /// The raw path has the same segments as its canonical form, by which the pattern was found.
    ///
    /// # Errors
    ///
    /// Where a value does not decode, or is not plain in a path that was taken for it; nothing is noted then.
    #[inline]
    pub(super) fn capture(&self, request: &mut Request, form: Form) -> Result<(), NotCaptured> {
        if self.names.is_empty() {
            return Ok(());
        }
        request.capture_each(&self.names, |path, captures| match (&self.gaps, form) {
            (Some(gaps), Form::Plain) => find_plain(gaps, path, captures),
            _ => self.find_values(path, captures),
        })
    }

    fn find_values(&self, path: &str, captures: &mut Capturing<'_>) -> Result<(), NotCaptured> {
        let mut start = 1;
        for segment in &self.segments {
            let end = end_of_segment(path, start);
            match segment {
                Segment::Text(_) | Segment::Rest(_) => {}
                Segment::Any(_) => captures.add(Captured::Raw(start..end))?,
                Segment::Shaped(shaped) if shaped.takes_whole() => {
                    captures.add(Captured::Raw(start..end))?;
                }
                Segment::Shaped(shaped) => {
                    let decoded = path::decode(path.get(start..end).unwrap_or_default());
                    for text in shaped.captures(&decoded) {
                        captures.add(Captured::Decoded(text.into()))?;
                    }
                }
            }
            start = end + 1;
        }
        if self.rest.is_some() {
            captures.add(Captured::Raw(start.min(path.len())..path.len()))?;
        }
        Ok(())
    }
}

/// How many bytes of text stand before each capture of whole segments, slashes included; `None` where one is a part.
fn gaps(segments: &[Segment]) -> Option<Box<[usize]>> {
    let (mut gaps, mut gap) = (Vec::new(), 0);
    for segment in segments {
        gap += 1;
        match segment {
            Segment::Text(text) => gap += text.len(),
            Segment::Shaped(shaped) if !shaped.takes_whole() => return None,
            Segment::Any(_) | Segment::Shaped(_) | Segment::Rest(_) => {
                gaps.push(std::mem::take(&mut gap));
            }
        }
    }
    Some(gaps.into())
}

/// Finds the values in a path whose text is as the pattern has it, where they are plain too.
#[inline]
fn find_plain(gaps: &[usize], path: &str, captures: &mut Capturing<'_>) -> Result<(), NotCaptured> {
    let path = path.as_bytes();
    let mut end = 0;
    for gap in gaps {
        let start = end + gap;
        end = start + path::plain_length(path.get(start..).unwrap_or_default());
        match path.get(end) {
            None | Some(b'/') => captures.add(Captured::Plain(start..end))?,
            Some(_) => return Err(NotCaptured),
        }
    }
    Ok(())
}

/// Where the segment that begins at `start` ends.
fn end_of_segment(path: &str, start: usize) -> usize {
    let rest = path.as_bytes().get(start..).unwrap_or_default();
    start
        + rest
            .iter()
            .position(|&byte| byte == b'/')
            .unwrap_or(rest.len())
}

/// Splits at slashes that stand in no braces: a regular expression may have some.
fn split_segments(inside: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    inside.split(move |character| {
        match character {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        character == '/' && depth == 0
    })
}

/// How many bytes of the raw path its first segments take up, each with the slash before it; `None` where it has fewer.
pub(super) fn prefix_length(path: &str, segments: usize) -> Option<usize> {
    let mut length = 0;
    for _ in 0..segments {
        if length == path.len() {
            return None;
        }
        length = end_of_segment(path, length + 1);
    }
    Some(length)
}
