//! Entity tags of compressed content: each coding is a separate representation (RFC 9110, section 8.8.3.3).

use enfilade_core::headers::members;
use http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::content::coding::Coding;

/// Returns the weak form of a strong validator: different codings never have the same bytes (RFC 9110, section 8.8.1).
pub(super) fn weakened(etag: &HeaderValue) -> Option<HeaderValue> {
    let strong = etag.as_bytes();
    if !strong.starts_with(b"\"") {
        return None;
    }
    HeaderValue::from_bytes(&[b"W/", strong].concat()).ok()
}

/// Returns the strong validator of the same content in this coding: `"a"` becomes `"a-gzip"`.
pub(super) fn suffixed(etag: &HeaderValue, coding: Coding) -> Option<HeaderValue> {
    let opaque = etag.as_bytes().strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let name = coding.name().as_bytes();
    HeaderValue::from_bytes(&[b"\"", opaque, b"-", name, b"\""].concat()).ok()
}

/// Returns the application's tag from which [`suffixed`] made `tag`.
fn plain(tag: &str, coding: Coding) -> Option<String> {
    let opaque = tag.strip_suffix('"')?.strip_suffix(coding.name())?;
    Some(format!("{}\"", opaque.strip_suffix('-')?))
}

/// Adds the application's tags to the conditions of a request.
///
/// `chosen` is the coding of the future response. `If-None-Match` refers only to that representation, so tags of other
/// codings stay, and match nothing. `If-Match` refers to the state of the resource, which a tag of any coding
/// identifies.
///
/// The original tags stay too, because an application that compresses files itself may use the same names. `If-Range`
/// does not change for the same reason: the application does not know a tag of compressed content, and sends the whole
/// content (RFC 9110, section 13.1.5).
pub(super) fn restore_conditions(
    headers: &mut HeaderMap,
    chosen: Option<Coding>,
    codings: &[Coding],
) {
    restore(headers, &IF_NONE_MATCH, chosen.as_slice());
    restore(headers, &IF_MATCH, codings);
}

fn restore(headers: &mut HeaderMap, name: &HeaderName, codings: &[Coding]) {
    let known = |tag: &str| codings.iter().find_map(|coding| plain(tag, *coding));
    if !members(headers, name).any(|tag| known(tag).is_some()) {
        return;
    }
    let tags =
        members(headers, name).flat_map(|tag| known(tag).into_iter().chain([tag.to_owned()]));
    let list = tags.collect::<Vec<_>>().join(", ");
    if let Ok(list) = HeaderValue::try_from(list) {
        headers.insert(name, list);
    }
}

/// Sets the tag of a 304 to that of the compressed content, if the client has that content (RFC 9110, section 15.4.5).
///
/// A cache updates only stored responses with the same tag (RFC 9111, section 4.3.4). `if_none_match` has the values of
/// the client's `If-None-Match`, and `changed` the tag of the compressed content.
pub(super) fn mark_not_modified(
    headers: &mut HeaderMap,
    if_none_match: &HeaderMap,
    changed: impl Fn(&HeaderValue) -> Option<HeaderValue>,
) {
    let Some((plain, tag)) = headers.get(ETAG).and_then(|tag| Some((tag, changed(tag)?))) else {
        return;
    };
    let has = |wanted: &HeaderValue| {
        members(if_none_match, &IF_NONE_MATCH).any(|member| same_text(member, wanted))
    };
    // A weak tag has the text of its strong one: the client has the plain content if it sent that tag as strong.
    let is_plain = members(if_none_match, &IF_NONE_MATCH).any(|member| plain == member);
    if has(&tag) && !is_plain {
        headers.insert(ETAG, tag);
    }
}

/// Whether two tags have the same text (RFC 9110, section 8.8.3.2).
fn same_text(one: &str, other: &HeaderValue) -> bool {
    let other = other.as_bytes();
    let other = other.strip_prefix(b"W/").unwrap_or(other);
    one.strip_prefix("W/").unwrap_or(one).as_bytes() == other
}

#[cfg(test)]
mod tests {
    use http::header::IF_RANGE;

    use super::*;

    #[test]
    fn strong_validators_become_weak() {
        let cases = [
            ("\"a\"", Some("W/\"a\"")),
            ("W/\"a\"", None),
            ("a", None),
            ("", None),
        ];
        for (before, after) in cases {
            let weak = weakened(&HeaderValue::from_static(before));
            assert_eq!(weak, after.map(HeaderValue::from_static), "{before}");
        }
    }

    #[test]
    fn strong_validators_get_the_name_of_the_coding() {
        let cases = [
            ("\"a\"", Some("\"a-gzip\"")),
            ("\"\"", Some("\"-gzip\"")),
            ("W/\"a\"", None),
            ("a", None),
            ("\"", None),
            ("", None),
        ];
        for (before, after) in cases {
            let named = suffixed(&HeaderValue::from_static(before), Coding::Gzip);
            assert_eq!(named, after.map(HeaderValue::from_static), "{before}");
        }
    }

    #[test]
    fn a_304_has_the_tag_of_the_content_that_the_client_has() {
        let gzip = |tag: &HeaderValue| suffixed(tag, Coding::Gzip);
        let cases: [(&str, &str, &str, &str); 8] = [
            ("\"a\"", "\"a-gzip\"", "\"a-gzip\"", "\"a\""),
            ("\"a\"", "W/\"a-gzip\"", "\"a-gzip\"", "\"a\""),
            ("\"a\"", "\"a\"", "\"a\"", "\"a\""),
            ("\"a\"", "W/\"a\"", "\"a\"", "W/\"a\""),
            ("\"a\"", "\"b\", W/\"a\"", "\"a\"", "W/\"a\""),
            ("\"a\"", "W/\"a\", \"a\"", "\"a\"", "\"a\""),
            ("\"a\"", "*", "\"a\"", "\"a\""),
            ("W/\"a\"", "W/\"a\"", "W/\"a\"", "W/\"a\""),
        ];
        for (tag, sent, per_coding, weak) in cases {
            let sent = HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_static(sent))]);
            let own = HeaderMap::from_iter([(ETAG, HeaderValue::from_static(tag))]);
            let mut headers = own.clone();
            mark_not_modified(&mut headers, &sent, gzip);
            assert_eq!(headers[ETAG], per_coding, "{tag} {sent:?}");
            let mut headers = own;
            mark_not_modified(&mut headers, &sent, weakened);
            assert_eq!(headers[ETAG], weak, "{tag} {sent:?}");
        }
    }

    #[test]
    fn conditions_name_what_the_application_knows() {
        use Coding::{Deflate, Gzip};
        let cases = [
            (
                &IF_NONE_MATCH,
                Some(Gzip),
                "\"a-gzip\"",
                "\"a\", \"a-gzip\"",
            ),
            (
                &IF_NONE_MATCH,
                Some(Gzip),
                "W/\"a-gzip\"",
                "W/\"a\", W/\"a-gzip\"",
            ),
            (
                &IF_NONE_MATCH,
                Some(Gzip),
                "\"a\",\"b-gzip\" , \"c-deflate\"",
                "\"a\", \"b\", \"b-gzip\", \"c-deflate\"",
            ),
            (&IF_NONE_MATCH, Some(Deflate), "\"a-gzip\"", "\"a-gzip\""),
            (&IF_NONE_MATCH, None, "\"a-gzip\"", "\"a-gzip\""),
            (&IF_NONE_MATCH, Some(Gzip), "*", "*"),
            (&IF_NONE_MATCH, Some(Gzip), "\"agzip\"", "\"agzip\""),
            (&IF_NONE_MATCH, Some(Gzip), "-gzip\"", "\", -gzip\""),
            (
                &IF_MATCH,
                None,
                "\"a-gzip\", \"b-deflate\"",
                "\"a\", \"a-gzip\", \"b\", \"b-deflate\"",
            ),
            (&IF_RANGE, Some(Gzip), "\"a-gzip\"", "\"a-gzip\""),
        ];
        for (name, chosen, before, after) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(before));
            restore_conditions(&mut headers, chosen, &[Gzip, Deflate]);
            assert_eq!(headers[name], after, "{name}: {before}");
        }
    }
}
