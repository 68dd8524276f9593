//! The value of `If-Match` and `If-None-Match`: `*`, or a list of entity tags.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::entity_tag::RawTag;

/// Whether a condition holds for a representation with the tag `current`; `None` if the request does not have it.
///
/// `*` matches each representation that exists. Several field values are one list (RFC 9110, section 5.3). A member
/// that is no tag matches nothing, and so does `*` beside other members.
pub(super) fn matches(
    headers: &HeaderMap,
    name: &HeaderName,
    exists: bool,
    is_current: impl Fn(RawTag<'_>) -> bool,
) -> Option<bool> {
    let mut lines = headers.get_all(name).into_iter();
    let first = lines.next()?;
    let more = lines.next();
    if more.is_none() && first.as_bytes().trim_ascii() == b"*" {
        return Some(exists);
    }
    let mut lines = [first].into_iter().chain(more).chain(lines);
    Some(exists && lines.any(|line| Tags(line.as_bytes()).any(&is_current)))
}

/// The valid tags of a list.
struct Tags<'a>(&'a [u8]);

impl<'a> Iterator for Tags<'a> {
    type Item = RawTag<'a>;

    fn next(&mut self) -> Option<RawTag<'a>> {
        loop {
            let skipped = |byte: &u8| matches!(byte, b',' | b' ' | b'\t');
            let start = self.0.iter().position(|byte| !skipped(byte))?;
            let (_, member) = self.0.split_at_checked(start)?;
            let tag = RawTag::split(member);
            let rest = tag.map_or(member, |(_, rest)| rest);
            // The member ends at the next comma; anything but white space before it makes the member invalid.
            let end = rest.iter().position(|byte| *byte == b',');
            let (end, rest) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
            self.0 = rest;
            if let Some((tag, _)) = tag.filter(|_| end.trim_ascii().is_empty()) {
                return Some(tag);
            }
        }
    }
}

/// The only value of a header; several make a header that takes one value invalid.
pub(super) fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut lines = headers.get_all(name).into_iter();
    let first = lines.next()?;
    lines.next().is_none().then_some(first)
}
