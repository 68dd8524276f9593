//! Patterns of paths: their syntax, and the values that they capture from a request.

use std::str::Utf8Error;
use std::sync::Arc;

use enfilade_core::{CaptureSink, Captured, Request, path};

use super::segment::Segment;

/// A pattern that is well formed.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    /// As it was written.
    pub(super) text: Arc<str>,
    pub(super) segments: Vec<Segment>,
    /// The name of the capture of the rest, if the pattern ends with one.
    pub(super) rest: Option<Arc<str>>,
    /// The names of its captures, in order.
    names: Arc<[Arc<str>]>,
    /// The lengths of the text before each capture and after the last, if every capture is a whole segment.
    gaps: Option<Box<[usize]>>,
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

    /// The empty prefix.
    pub(super) fn root() -> Pattern {
        Pattern::new("", Vec::new(), None)
    }

    /// A pattern below this prefix.
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

    /// The only path that matches, in canonical form, if every segment is text.
    pub(super) fn static_path(&self) -> Option<String> {
        let is_text = |segment| matches!(segment, &Segment::Text(_));
        if self.rest.is_some() || !self.segments.iter().all(is_text) {
            return None;
        }
        let texts = self.segments.iter().map(|segment| match segment {
            Segment::Text(text) => format!("/{text}"),
            _ => String::new(),
        });
        Some(texts.collect())
    }

    /// Stores the values of the captures in the request.
    ///
    /// `plain` is the length of what the pattern matches, if the path has no encoded characters so far.
    ///
    /// # Errors
    ///
    /// If a value does not decode to UTF-8; nothing is stored then.
    #[inline]
    pub(super) fn capture(
        &self,
        request: &mut Request,
        plain: Option<usize>,
    ) -> Result<(), Utf8Error> {
        if self.names.is_empty() {
            return Ok(());
        }
        request.capture_each(&self.names, |path, captures| match (&self.gaps, plain) {
            (Some(gaps), Some(length)) => {
                find_plain(gaps, path.get(..length).unwrap_or_default(), captures)
            }
            _ => self.find_values(path, captures),
        })
    }

    fn find_values(&self, path: &str, captures: &mut CaptureSink<'_>) -> Result<(), Utf8Error> {
        let mut start = 1;
        for segment in &self.segments {
            let end = end_of_segment(path, start);
            match segment {
                Segment::Text(_) | Segment::Rest(_) => {}
                Segment::Any(_) => captures.add(Captured::Raw(start..end))?,
                Segment::Constrained(constrained) if constrained.captures_whole() => {
                    captures.add(Captured::Raw(start..end))?;
                }
                Segment::Constrained(constrained) => {
                    let decoded = path::decode(path.get(start..end).unwrap_or_default());
                    for text in constrained.captures(&decoded) {
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

/// The lengths of the text before each capture and after the last, in bytes, slashes included; `None` if a capture is only
/// a part of its segment.
fn gaps(segments: &[Segment]) -> Option<Box<[usize]>> {
    let (mut gaps, mut gap) = (Vec::new(), 0);
    for segment in segments {
        gap += 1;
        match segment {
            Segment::Text(text) => gap += text.len(),
            Segment::Constrained(constrained) if !constrained.captures_whole() => return None,
            Segment::Any(_) | Segment::Constrained(_) | Segment::Rest(_) => {
                gaps.push(std::mem::take(&mut gap));
            }
        }
    }
    gaps.push(gap);
    Some(gaps.into())
}

/// Finds the values in the part of a path that the pattern matches: it has the same text, and nothing to decode.
#[inline]
fn find_plain(gaps: &[usize], path: &str, captures: &mut CaptureSink<'_>) -> Result<(), Utf8Error> {
    let [gaps @ .., last, tail] = gaps else {
        return Ok(());
    };
    let mut end = 0;
    for gap in gaps {
        let start = end + gap;
        end = end_of_segment(path, start);
        captures.add(Captured::Plain(start..end))?;
    }
    // No search for the last: the text after it has a fixed length.
    captures.add(Captured::Plain(end + last..path.len() - tail))
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

/// Splits at slashes outside of braces: a regular expression may have slashes.
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

/// The length of the first segments of a path, in bytes, each with the slash before it; `None` if it has fewer.
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
