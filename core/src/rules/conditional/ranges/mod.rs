//! `Range` and `If-Range` (RFC 9110, sections 13.1.5 and 14.2).

use std::ops::Range;

use http::HeaderValue;
use time::{Duration, OffsetDateTime};

use super::entity_tag::EntityTag;
use super::validators::{Validators, date};

/// How many times the wanted number of parts a set may have before its ranges are merged.
const MEMBERS_PER_PART: usize = 16;

/// The parts of the content that a `Range` asks for; the result of [`byte_ranges`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ByteRanges {
    /// The header is not valid here: respond as if it were absent.
    Ignored,
    /// No range begins within the content: respond with 416.
    Unsatisfiable,
    /// At least one range; none is empty, all are within the content, and they neither overlap nor touch.
    Satisfiable(Vec<Range<u64>>),
}

/// Reads a `Range` for content of `length` bytes.
///
/// The header is ignored if its unit is not `bytes`, if any member is malformed or backwards, if the content is empty,
/// and if more than `max_parts` ranges are left after merging. A range beyond the end is cut there, and a suffix longer
/// than the content is the whole content. Ranges that overlap or touch are merged, at the place of the first of them;
/// otherwise the order stays. So no byte is sent twice.
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::conditional::{ByteRanges, byte_ranges};
/// use enfilade::http::HeaderValue;
///
/// let ranges = |value| byte_ranges(&HeaderValue::from_static(value), 100, 16);
/// assert_eq!(ranges("bytes=90-, 0-9, 5-19"), ByteRanges::Satisfiable(vec![90..100, 0..20]));
/// assert_eq!(ranges("bytes=100-"), ByteRanges::Unsatisfiable);
/// assert_eq!(ranges("bytes=9-0"), ByteRanges::Ignored);
/// ```
#[must_use]
pub fn byte_ranges(value: &HeaderValue, length: u64, max_parts: usize) -> ByteRanges {
    let Some(set) = byte_range_set(value.as_bytes()).filter(|_| length > 0) else {
        return ByteRanges::Ignored;
    };
    let most = max_parts.saturating_mul(MEMBERS_PER_PART);
    let (mut found, mut is_valid_set) = (Vec::new(), false);
    for member in set.split(|byte| *byte == b',') {
        let member = trim(member);
        if member.is_empty() {
            continue;
        }
        let Some(spec) = Spec::parse(member) else {
            return ByteRanges::Ignored;
        };
        is_valid_set = true;
        found.extend(spec.within(length));
        if found.len() > most {
            return ByteRanges::Ignored;
        }
    }
    match (is_valid_set, found.is_empty()) {
        (false, _) => ByteRanges::Ignored,
        (true, true) => ByteRanges::Unsatisfiable,
        (true, false) => {
            let merged = merged(found);
            match merged.len() <= max_parts {
                true => ByteRanges::Satisfiable(merged),
                false => ByteRanges::Ignored,
            }
        }
    }
}

/// The part after `bytes=`; the case of a unit does not matter (RFC 9110, section 14.1).
fn byte_range_set(value: &[u8]) -> Option<&[u8]> {
    let at = value.iter().position(|byte| *byte == b'=')?;
    let (unit, rest) = value.split_at_checked(at)?;
    let is_known = unit.eq_ignore_ascii_case(b"bytes");
    rest.strip_prefix(b"=").filter(|_| is_known)
}

fn trim(bytes: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = bytes.iter().position(|byte| !is_space(byte));
    let end = bytes.iter().rposition(|byte| !is_space(byte));
    let trimmed = start
        .zip(end)
        .and_then(|(start, end)| bytes.get(start..=end));
    trimmed.unwrap_or_default()
}

/// One member of a set of ranges.
enum Spec {
    /// From an offset to the end, or to the offset of the last byte.
    From(u64, Option<u64>),
    /// This many bytes at the end.
    Suffix(u64),
}

impl Spec {
    fn parse(member: &[u8]) -> Option<Spec> {
        let dash = member.iter().position(|byte| *byte == b'-')?;
        let (first, last) = member.split_at_checked(dash)?;
        let last = last.strip_prefix(b"-")?;
        Some(match (first, last) {
            (b"", suffix) => Spec::Suffix(number(suffix)?),
            (first, b"") => Spec::From(number(first)?, None),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                Spec::From(first, Some(last).filter(|last| first <= *last)?.into())
            }
        })
    }

    /// The part of it within the content; `None` if there is no byte.
    fn within(self, length: u64) -> Option<Range<u64>> {
        let range = match self {
            Spec::From(first, last) => {
                first..last.map_or(length, |last| last.saturating_add(1).min(length))
            }
            Spec::Suffix(suffix) => length.saturating_sub(suffix)..length,
        };
        (range.start < range.end).then_some(range)
    }
}

/// A number of digits only; one beyond `u64` becomes the largest.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(digits).ok().filter(|_| is_number)?;
    Some(text.parse().unwrap_or(u64::MAX))
}

/// Joins ranges that overlap or touch; the result stands at the place of the first of them.
fn merged(ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    let mut by_start: Vec<(usize, Range<u64>)> = ranges.into_iter().enumerate().collect();
    by_start.sort_by_key(|(_, range)| range.start);
    let mut joined: Vec<(usize, Range<u64>)> = Vec::new();
    for (place, range) in by_start {
        match joined.last_mut() {
            Some((first, last)) if range.start <= last.end => {
                (*first, last.end) = (place.min(*first), range.end.max(last.end));
            }
            _ => joined.push((place, range)),
        }
    }
    joined.sort_by_key(|(place, _)| *place);
    joined.into_iter().map(|(_, range)| range).collect()
}

/// Whether an `If-Range` holds, so that the `Range` beside it counts; if not, the whole content is sent.
///
/// A tag holds if it is strong and that of the current representation. A date holds if it is exactly that of the last
/// change, and at least a second before `now`: within one second there may be two changes (RFC 9110, section 8.8.2.2).
/// Everything else does not hold.
///
/// `now` is the `Date` of the response.
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::conditional::{EntityTag, Validators, if_range_holds};
/// use enfilade::http::HeaderValue;
/// use time::OffsetDateTime;
///
/// let current = Validators::new().entity_tag(EntityTag::strong("v7").unwrap());
/// let holds = |value| if_range_holds(&HeaderValue::from_static(value), &current, OffsetDateTime::UNIX_EPOCH);
/// assert!(holds("\"v7\""));
/// assert!(!holds("\"v6\""));
/// assert!(!holds("W/\"v7\""));
/// ```
#[must_use]
pub fn if_range_holds(value: &HeaderValue, current: &Validators, now: OffsetDateTime) -> bool {
    if let Some(tag) = EntityTag::from_header_value(value) {
        return current.tag().is_some_and(|own| own.strong_eq(&tag));
    }
    let is_settled = |changed| now - changed >= Duration::SECOND;
    match (date(value), current.modified()) {
        (Some(date), Some(changed)) => date == changed && is_settled(changed),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
