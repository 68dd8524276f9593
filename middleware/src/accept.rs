//! Which media types a client takes (RFC 9110, section 12.5.1).

use enfilade_core::headers::members;
use http::HeaderMap;
use http::header::ACCEPT;

/// How many members of a header are read; the rest of a longer list is passed over.
const MAX_MEMBERS: usize = 64;

/// Whether the client takes this media type, such as `text/html`: the most specific member that names it counts.
///
/// Without the header it takes everything. Parameters but the weight are passed over, and so are members that are not
/// well formed.
pub(crate) fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    if !headers.contains_key(ACCEPT) {
        return true;
    }
    let ranks = members(headers, &ACCEPT)
        .take(MAX_MEMBERS)
        .filter_map(|member| rank(member, media_type));
    ranks
        .max_by_key(|(specific, _)| *specific)
        .is_some_and(|(_, wanted)| wanted)
}

/// How specifically a member names the type, and whether its weight is more than nothing.
fn rank(member: &str, media_type: &str) -> Option<(u8, bool)> {
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
    let wanted =
        weight.is_none_or(|weight| weight.bytes().any(|byte| (b'1'..=b'9').contains(&byte)));
    Some((specific, wanted))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

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
