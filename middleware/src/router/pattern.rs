//! Patterns of paths: what may be written, and what a request captures with it.

use std::ops::Range;
use std::str::Utf8Error;
use std::sync::Arc;

use enfilade_core::{Request, path};

use super::route;
use crate::Error;

/// A pattern that is well formed.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    /// As it was written.
    pub(super) text: String,
    /// As the index has it: static segments in canonical form, without what takes the rest.
    pub(super) index: String,
    pub(super) captures: Captures,
    /// How many segments the index has; none for `/` as a prefix.
    pub(super) segments: usize,
    /// Whether it ends with `{*name}`.
    pub(super) takes_rest: bool,
}

/// The captures of a pattern, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Captures(Arc<[Capture]>);

#[derive(Clone, Debug)]
struct Capture {
    name: Arc<str>,
    /// Which segment, from 0.
    segment: usize,
    /// That segment and all that follow it.
    rest: bool,
}

enum Segment<'a> {
    Text(&'a str),
    One(&'a str),
    Rest(&'a str),
}

impl Pattern {
    /// Reads the pattern of a route.
    pub(super) fn route(text: &str) -> Result<Pattern, Error> {
        Pattern::parse(text)
    }

    /// Reads the prefix of a mount.
    pub(super) fn prefix(text: &str) -> Result<Pattern, Error> {
        let pattern = Pattern::parse(text)?;
        if text == "/" {
            return Ok(Pattern {
                segments: 0,
                ..pattern
            });
        }
        if text.ends_with('/') {
            return Err(route(format!(
                "{text:?} is not a prefix: write it without the slash at its end"
            )));
        }
        if pattern.takes_rest {
            return Err(route(format!(
                "{text:?} is not a prefix: a mount takes the rest of the path by itself"
            )));
        }
        Ok(pattern)
    }

    fn parse(text: &str) -> Result<Pattern, Error> {
        let wrong = |why: String| route(format!("{text:?} is not a route: {why}"));
        let Some(inside) = text.strip_prefix('/') else {
            return Err(wrong("it does not begin with a slash".to_owned()));
        };
        let (mut index, mut captures) = (String::new(), Vec::new());
        let (mut segments, mut takes_rest) = (0, false);
        for (at, raw) in inside.split('/').enumerate() {
            if takes_rest {
                return Err(wrong("nothing can follow what takes the rest".to_owned()));
            }
            let segment = parse_segment(raw).map_err(wrong)?;
            takes_rest = matches!(segment, Segment::Rest(_));
            match segment {
                Segment::Text(text) => index.extend(["/", &path::encode_segment(text)]),
                Segment::One(_) => index.extend(["/", raw]),
                Segment::Rest(_) => {}
            }
            if let Segment::One(name) | Segment::Rest(name) = segment {
                if captures.iter().any(|known: &Capture| *known.name == *name) {
                    return Err(wrong(format!("{name:?} is captured twice")));
                }
                captures.push(Capture {
                    name: name.into(),
                    segment: at,
                    rest: takes_rest,
                });
            }
            segments += usize::from(!takes_rest);
        }
        if index.is_empty() {
            index.push('/');
        }
        Ok(Pattern {
            text: text.to_owned(),
            index,
            captures: Captures(captures.into()),
            segments,
            takes_rest,
        })
    }
}

fn parse_segment(segment: &str) -> Result<Segment<'_>, String> {
    if let Some(name) = segment
        .strip_prefix("{*")
        .and_then(|rest| rest.strip_suffix('}'))
    {
        return is_name(name)
            .then_some(Segment::Rest(name))
            .ok_or_else(|| format!("{name:?} is not a name"));
    }
    if let Some(name) = segment
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
    {
        return is_name(name)
            .then_some(Segment::One(name))
            .ok_or_else(|| format!("{name:?} is not a name"));
    }
    if segment.contains(['{', '}']) {
        return Err(format!("{segment:?} is neither text nor one capture"));
    }
    if segment.contains(['?', '#']) {
        return Err("a route is a path, without query or fragment".to_owned());
    }
    if path::decode(segment) != segment {
        return Err(format!(
            "{segment:?} is percent-encoded; write the characters themselves"
        ));
    }
    Ok(Segment::Text(segment))
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl Captures {
    /// Notes in the request what its path has in these places.
    pub(super) fn take_from(&self, request: &mut Request) -> Result<(), Utf8Error> {
        self.0.iter().try_for_each(|capture| {
            let range = segment_range(request.path(), capture.segment, capture.rest);
            request.capture(&capture.name, range)
        })
    }
}

/// Where the raw path has the segment with this number, or that and all that follow it.
///
/// The raw path has the same segments as its canonical form, by which the pattern was found.
fn segment_range(path: &str, segment: usize, rest: bool) -> Range<usize> {
    let start = (prefix_length(path, segment) + 1).min(path.len());
    let length = path
        .bytes()
        .skip(start)
        .position(|byte| byte == b'/' && !rest);
    start..length.map_or(path.len(), |length| start + length)
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
