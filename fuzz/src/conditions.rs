//! Checks of what reads conditions and ranges.

use enfilade::conditional::{
    ByteRanges, ContentRange, EntityTag, Precondition, Validators, byte_ranges, evaluate,
    if_range_holds,
};
use http::header::{IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Method};

use super::{headers, lines};

const MAX_PARTS: usize = 4;

/// Ranges are within the content and apart, a tag is found in a list that has it, and what was written is read again.
pub fn conditions(data: &[u8]) {
    for value in lines(data, &IF_NONE_MATCH).get_all(IF_NONE_MATCH) {
        let length = data.len() as u64;
        ranges(value, length);
        ranges(value, u64::MAX);
        if let Some(part) = ContentRange::from_header_value(value) {
            let again = ContentRange::from_header_value(&part.to_header_value());
            assert_eq!(again, Some(part));
        }
        tag(data, value);
    }
}

fn ranges(value: &HeaderValue, length: u64) {
    let ByteRanges::Satisfiable(ranges) = byte_ranges(value, length, MAX_PARTS) else {
        return;
    };
    assert!((1..=MAX_PARTS).contains(&ranges.len()));
    for (at, range) in ranges.iter().enumerate() {
        assert!(range.start < range.end && range.end <= length);
        let mut others = ranges.iter().skip(at + 1);
        assert!(others.all(|other| other.end < range.start || range.end < other.start));
        assert!(ContentRange::bytes(range.clone(), length).is_some());
    }
}

fn tag(data: &[u8], value: &HeaderValue) {
    let tag = EntityTag::from_header_value(value);
    let own = tag
        .clone()
        .unwrap_or(EntityTag::weak("x").expect("a valid tag"));
    let current = Validators::new().entity_tag(own.clone());
    // The whole input as conditions, and the tag at their end.
    let mut request = lines(data, &IF_NONE_MATCH);
    let _ = evaluate(&Method::PUT, &request, &current);
    request.append(IF_NONE_MATCH, own.as_header_value().clone());
    let is_alone = request.get_all(IF_NONE_MATCH).iter().count() == 1;
    let found = evaluate(&Method::GET, &request, &current);
    assert_eq!(found, Precondition::NotModified, "alone: {is_alone}");

    let mut request = HeaderMap::new();
    request.insert(IF_MATCH, own.as_header_value().clone());
    let is_strong = evaluate(&Method::PUT, &request, &current) == Precondition::Met;
    assert_eq!(is_strong, !own.is_weak());
    if let Some(now) = headers::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT") {
        let holds = if_range_holds(value, &current.last_modified(now), now);
        assert_eq!(holds, tag.is_some_and(|tag| !tag.is_weak()));
    }
}
