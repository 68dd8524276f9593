//! The media types that a client accepts (RFC 9110, section 12.5.1).

use enfilade_core::headers::members;
use http::HeaderMap;
use http::header::ACCEPT;

use crate::content::coding::parse_weight;

/// The maximum number of list members that are read; the rest is ignored.
const MAX_MEMBERS: usize = 64;

/// Whether the client accepts this media type, such as `text/html`; the most specific member decides.
///
/// Without the header it accepts everything. Parameters except the weight are ignored, and so are malformed members.
pub(crate) fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    if !headers.contains_key(ACCEPT) {
        return true;
    }
    weight(headers, media_type) > 0
}

/// Returns the type that the client prefers, the first of equal ones; `None` if it accepts none of them.
pub(crate) fn choose<T: Copy>(headers: &HeaderMap, offered: &[(&str, T)]) -> Option<T> {
    if !headers.contains_key(ACCEPT) {
        return offered.first().map(|(_, chosen)| *chosen);
    }
    let weighed = offered
        .iter()
        .map(|(media_type, chosen)| (weight(headers, media_type), *chosen));
    let wanted = weighed.filter(|(weight, _)| *weight > 0);
    // `max_by_key` returns the last of equal ones, so the list is reversed.
    let wanted: Vec<_> = wanted.collect();
    let best = wanted.iter().rev().max_by_key(|(weight, _)| *weight);
    best.map(|(_, chosen)| *chosen)
}

/// The client's weight of this media type, in thousandths.
fn weight(headers: &HeaderMap, media_type: &str) -> u16 {
    let ranks = members(headers, &ACCEPT)
        .take(MAX_MEMBERS)
        .filter_map(|member| rank(member, media_type));
    ranks
        .max_by_key(|(specific, _)| *specific)
        .map_or(0, |(_, weight)| weight)
}

/// How specific a member that matches the type is, and its weight in thousandths.
fn rank(member: &str, media_type: &str) -> Option<(u8, u16)> {
    let mut parts = member.split(';').map(str::trim);
    let range = parts.next()?;
    let (kind, _) = media_type.split_once('/')?;
    let specific = match range.split_once('/')? {
        _ if range.eq_ignore_ascii_case(media_type) => 2,
        (range, "*") if range.eq_ignore_ascii_case(kind) => 1,
        ("*", "*") => 0,
        _ => return None,
    };
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    // An invalid weight (RFC 9110, section 12.4.2) is ignored.
    let weight = weight.map_or(1000, |weight| parse_weight(weight).unwrap_or(1000));
    Some((specific, weight))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_type_that_is_wanted_most_is_chosen() {
        let offered = [("text/html", 1), ("application/json", 2), ("text/plain", 3)];
        let cases = [
            ("*/*", Some(1)),
            ("text/plain, */*;q=0.1", Some(3)),
            ("application/*;q=0.9, text/*;q=0.8", Some(2)),
            ("text/html;q=0.2, text/plain;q=0.2", Some(1)),
            ("text/*, text/html;q=0", Some(3)),
            ("text/html, application/xhtml+xml, */*;q=0.8", Some(1)),
            ("image/png", None),
            ("*/*;q=0", None),
            ("", None),
        ];
        for (value, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(value));
            assert_eq!(choose(&headers, &offered), expected, "{value}");
        }
        assert_eq!(choose(&HeaderMap::new(), &offered), Some(1));
    }

    #[test]
    fn the_most_specific_member_counts() {
        let cases = [
            ("text/html", true),
            ("TEXT/HTML;level=1", true),
            ("text/*", true),
            ("*/*", true),
            ("application/json", false),
            ("text/html;q=0, */*", false),
            ("*/*;q=0, text/*;q=0.1", true),
            ("text/html;q=0.000", false),
            ("text/plain, text/html ; q=0.5", true),
            ("html", false),
            ("", false),
            (";;,", false),
        ];
        for (value, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(value));
            assert_eq!(accepts(&headers, "text/html"), expected, "{value}");
        }
        assert!(accepts(&HeaderMap::new(), "text/html"));
    }
}
