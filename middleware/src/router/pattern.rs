//! Patterns of paths: what may be written, and what a request captures with it.

use std::sync::Arc;

use enfilade_core::{HttpError, Request, path};
use http::StatusCode;

use super::segment::Segment;

/// A pattern that is well formed.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    /// As it was written.
    pub(super) text: Arc<str>,
    pub(super) segments: Vec<Segment>,
    /// The name of what takes the rest, where the pattern ends so.
    pub(super) rest: Option<Arc<str>>,
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
        Pattern {
            text: "".into(),
            segments: Vec::new(),
            rest: None,
        }
    }

    /// This prefix with a pattern behind it.
    pub(super) fn join(&self, inner: &Pattern) -> Pattern {
        Pattern {
            text: format!("{}{}", self.text.trim_end_matches('/'), inner.text).into(),
            segments: self
                .segments
                .iter()
                .chain(&inner.segments)
                .cloned()
                .collect(),
            rest: inner.rest.clone(),
        }
    }

    fn parse(text: &str) -> Result<Pattern, String> {
        let inside = text
            .strip_prefix('/')
            .ok_or("it does not begin with a slash")?;
        let mut pattern = Pattern {
            text: text.into(),
            segments: Vec::new(),
            rest: None,
        };
        for raw in split_segments(inside) {
            if pattern.rest.is_some() {
                return Err("nothing can follow what takes the rest".to_owned());
            }
            match Segment::parse(raw)? {
                Segment::Rest(name) => pattern.rest = Some(name),
                segment => pattern.segments.push(segment),
            }
        }
        let mut names: Vec<&str> = pattern.names().collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(format!("{:?} is captured twice", pair[0])),
            None => Ok(pattern),
        }
    }

    /// The names of its captures, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.segments
            .iter()
            .flat_map(Segment::names)
            .chain(self.rest.as_deref())
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

    /// Notes in the request what its path has in these places.
    ///
    /// The raw path has the same segments as its canonical form, by which the pattern was found.
    pub(super) fn capture(&self, request: &mut Request) -> Result<(), HttpError> {
        if self.rest.is_none() && self.is_static() {
            return Ok(());
        }
        let mut start = 1;
        for segment in &self.segments {
            let rest = request.path().get(start..).unwrap_or_default();
            let end = start + rest.find('/').unwrap_or(rest.len());
            match segment {
                Segment::Text(_) | Segment::Rest(_) => {}
                Segment::Any(name) => request.capture(name, start..end).map_err(bad)?,
                Segment::Shaped(shaped) => {
                    let raw = request.path().get(start..end).unwrap_or_default();
                    let decoded = path::decode(raw).into_owned();
                    for (name, value) in shaped.captures(&decoded) {
                        request.capture_text(name, value);
                    }
                }
            }
            start = end + 1;
        }
        if let Some(name) = &self.rest {
            let end = request.path().len();
            request.capture(name, start.min(end)..end).map_err(bad)?;
        }
        Ok(())
    }
}

/// A capture is not UTF-8.
fn bad(_: std::str::Utf8Error) -> HttpError {
    HttpError::new(StatusCode::BAD_REQUEST)
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

/// How many bytes of the raw path its first segments take up, each with the slash before it.
pub(super) fn prefix_length(path: &str, segments: usize) -> usize {
    if segments == 0 {
        return 0;
    }
    let mut slashes = path
        .bytes()
        .enumerate()
        .filter(|&(_, byte)| byte == b'/')
        .map(|(at, _)| at);
    slashes.nth(segments).unwrap_or(path.len())
}
