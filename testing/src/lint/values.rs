//! Law 7 for single headers: each function returns a description of the fault, or nothing.

use enfilade_core::gateway::HOP_BY_HOP;
use enfilade_core::headers::{format_http_date, is_token_byte, parse_http_date};
use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, DATE, ETAG, HOST, LAST_MODIFIED,
    LOCATION, RETRY_AFTER,
};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Headers that a response may have only once; `Content-Length` is checked by law 2.
const SINGLE: [HeaderName; 7] = [
    CONTENT_RANGE,
    CONTENT_TYPE,
    DATE,
    ETAG,
    LAST_MODIFIED,
    LOCATION,
    RETRY_AFTER,
];

/// Headers that must not be in the trailers, besides those that belong to the gateway.
const NOT_IN_TRAILERS: [HeaderName; 6] = [
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    HOST,
    LOCATION,
];

/// How many bytes of a value are shown.
const SHOWN: usize = 100;

/// All faults in the headers of a response, except its `Location`.
pub(super) fn values(headers: &HeaderMap) -> Vec<String> {
    let edges = headers
        .iter()
        .filter_map(|(name, value)| white_space(name, value));
    let singles =
        SINGLE
            .iter()
            .filter_map(|name| match (lines(headers, name), headers.get(name)) {
                (0, _) | (_, None) => None,
                (1, Some(value)) => malformed(name, value),
                (lines, Some(_)) => Some(format!("there are {lines} {name} headers")),
            });
    edges.chain(singles).collect()
}

/// All faults in the trailers of a response: headers that frame or describe the content must come before it (RFC 9110,
/// section 6.5.1).
pub(super) fn trailers(trailers: &HeaderMap) -> Vec<String> {
    let early = |name: &&HeaderName| NOT_IN_TRAILERS.contains(name) || HOP_BY_HOP.contains(name);
    let names = trailers.keys().filter(early);
    let names = names.map(|name| format!("the trailers contain {name}, which belongs in the head"));
    let edges = trailers
        .iter()
        .filter_map(|(name, value)| white_space(name, value));
    names.chain(edges).collect()
}

fn lines(headers: &HeaderMap, name: &HeaderName) -> usize {
    headers.get_all(name).iter().count()
}

/// HTTP/1.1 would lose it on the way, and HTTP/2 would reject it (RFC 9110, section 5.5; RFC 9113, section 8.2.1).
fn white_space(name: &HeaderName, value: &HeaderValue) -> Option<String> {
    let bytes = value.as_bytes();
    (bytes.trim_ascii().len() < bytes.len()).then(|| {
        let value = shown(value);
        format!("the header {name} begins or ends with white space: {value}")
    })
}

fn malformed(name: &HeaderName, value: &HeaderValue) -> Option<String> {
    let bytes = value.as_bytes();
    let (is_right, form) = match *name {
        CONTENT_TYPE => (is_media_type(bytes), "a media type"),
        DATE | LAST_MODIFIED => (is_date(value), "an HTTP date (IMF-fixdate)"),
        ETAG => (is_entity_tag(bytes), "an entity tag"),
        RETRY_AFTER => (
            is_number(bytes) || is_date(value),
            "a number of seconds or an HTTP date (IMF-fixdate)",
        ),
        _ => return None,
    };
    (!is_right).then(|| format!("the header {name} is {}, which is not {form}", shown(value)))
}

/// An `IMF-fixdate` with the right weekday: the other two forms are only for reading (RFC 9110, section 5.6.7).
fn is_date(value: &HeaderValue) -> bool {
    let written = value.to_str().ok();
    written.is_some_and(|text| parse_http_date(text).map(format_http_date).as_deref() == Some(text))
}

fn is_number(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit)
}

/// `[ "W/" ] DQUOTE *etagc DQUOTE` of RFC 9110, section 8.8.3.
fn is_entity_tag(bytes: &[u8]) -> bool {
    let is_etagc = |byte: &u8| matches!(byte, 0x21 | 0x23..=0x7e | 0x80..);
    match bytes.strip_prefix(b"W/").unwrap_or(bytes) {
        [b'"', tag @ .., b'"'] => tag.iter().all(is_etagc),
        _ => false,
    }
}

/// `type "/" subtype parameters` of RFC 9110, section 8.3.1.
fn is_media_type(bytes: &[u8]) -> bool {
    let subtype = after_token(bytes).and_then(|rest| rest.strip_prefix(b"/"));
    subtype.and_then(after_token).is_some_and(are_parameters)
}

/// `*( OWS ";" OWS [ parameter ] )` of RFC 9110, section 5.6.6.
fn are_parameters(mut rest: &[u8]) -> bool {
    loop {
        let Some(next) = rest.trim_ascii_start().strip_prefix(b";") else {
            // White space at the end is reported elsewhere.
            return rest.trim_ascii_start().is_empty();
        };
        rest = next.trim_ascii_start();
        if rest.first().is_some_and(|byte| *byte != b';') {
            let Some(after) = after_parameter(rest) else {
                return false;
            };
            rest = after;
        }
    }
}

fn after_parameter(bytes: &[u8]) -> Option<&[u8]> {
    let value = after_token(bytes)?.strip_prefix(b"=")?;
    match value.strip_prefix(b"\"") {
        Some(quoted) => after_quoted(quoted),
        None => after_token(value),
    }
}

/// The rest after a quoted string; the type excludes bytes that no header may have.
fn after_quoted(mut bytes: &[u8]) -> Option<&[u8]> {
    loop {
        bytes = match bytes {
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', _, rest @ ..] | [_, rest @ ..] => rest,
            [] => return None,
        };
    }
}

/// The rest after a token of at least one character (RFC 9110, section 5.6.2).
fn after_token(bytes: &[u8]) -> Option<&[u8]> {
    let is_tchar = |byte: &u8| is_token_byte(*byte);
    let length = bytes.iter().take_while(|byte| is_tchar(byte)).count();
    bytes.get(length..).filter(|_| length > 0)
}

/// A value for people: escaped, and at most one line long.
pub(super) fn shown(value: &HeaderValue) -> String {
    if value.is_sensitive() {
        return "a secret".to_owned();
    }
    let mut text = format!("\"{}", value.as_bytes().escape_ascii());
    if text.len() > SHOWN {
        // Escaped text is ASCII.
        text.truncate(SHOWN);
        text.push_str("...");
    } else {
        text.push('"');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    type Line = (HeaderName, &'static [u8]);
    type Values = &'static [&'static [u8]];

    fn headers(list: &[Line]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(name, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    #[test]
    fn well_formed_values_are_known() {
        let cases: [(HeaderName, Values, Values); 5] = [
            (
                DATE,
                &[b"Sun, 06 Nov 1994 08:49:37 GMT"],
                &[
                    b"Sunday, 06-Nov-94 08:49:37 GMT",
                    b"Sun Nov  6 08:49:37 1994",
                    b"Mon, 06 Nov 1994 08:49:37 GMT",
                    b"Sun, 6 Nov 1994 08:49:37 GMT",
                    b"sun, 06 nov 1994 08:49:37 GMT",
                    b"Sun, 06 Nov 1994 08:49:37 UTC",
                    b"1994-11-06T08:49:37Z",
                    b"0",
                    b"",
                    b"\xff",
                ],
            ),
            (
                LAST_MODIFIED,
                &[b"Thu, 01 Jan 1970 00:00:00 GMT"],
                &[b"Thu, 01 Jan 1970 00:00:00", b"now"],
            ),
            (
                ETAG,
                &[b"\"\"", b"\"a,b\"", b"W/\"a\"", b"\"\xff\"", b"\"\\\""],
                &[
                    b"",
                    b"a",
                    b"\"",
                    b"\"a",
                    b"a\"",
                    b"w/\"a\"",
                    b"W/a",
                    b"\"a b\"",
                    b"\"a\"b\"",
                    b"*",
                    b"'a'",
                ],
            ),
            (
                RETRY_AFTER,
                &[b"0", b"120", b"Sun, 06 Nov 1994 08:49:37 GMT"],
                &[
                    b"",
                    b"-1",
                    b"1.5",
                    b"2 minutes",
                    b"Sun Nov  6 08:49:37 1994",
                ],
            ),
            (
                CONTENT_TYPE,
                &[
                    b"text/plain",
                    b"text/html; charset=utf-8",
                    b"text/html;charset=\"utf-8\"",
                    b"multipart/form-data ; boundary=\"a \\\" b\" ; x=y",
                    b"text/plain;",
                    b"text/plain;;a=b",
                    b"application/vnd.x+json",
                ],
                &[
                    b"",
                    b"text",
                    b"text/",
                    b"/plain",
                    b"text/plain, text/html",
                    b"text / plain",
                    b"text/plain; charset",
                    b"text/plain; charset=",
                    b"text/plain; charset = utf-8",
                    b"text/plain; charset=\"utf-8",
                    b"text/plain charset=utf-8",
                    b"caf\xe9/plain",
                ],
            ),
        ];
        for (name, right, wrong) in cases {
            for value in right {
                let found = values(&headers(&[(name.clone(), value)]));
                assert!(found.is_empty(), "{found:?}");
            }
            for value in wrong {
                let found = values(&headers(&[(name.clone(), value)]));
                let begin = format!(
                    "the header {name} is {}",
                    shown(&HeaderValue::from_bytes(value).unwrap())
                );
                assert!(
                    found.len() == 1 && found[0].starts_with(&begin),
                    "{begin} {found:?}"
                );
            }
        }
    }

    #[test]
    fn faults_are_described() {
        let x = || HeaderName::from_static("x-a");
        const LONG: &[u8] = &[b'a'; 200];
        let cases: [(&[Line], &str); 9] = [
            (
                &[(x(), b" a")],
                "the header x-a begins or ends with white space: \" a\"",
            ),
            (
                &[(x(), b"a\t")],
                "the header x-a begins or ends with white space: \"a\\t\"",
            ),
            (
                &[(x(), b"a"), (x(), b" ")],
                "the header x-a begins or ends with white space: \" \"",
            ),
            (
                &[(ETAG, b"\"a\""), (ETAG, b"\"a\"")],
                "there are 2 etag headers",
            ),
            (
                &[(LOCATION, b"/"), (LOCATION, b"/"), (LOCATION, b"/")],
                "there are 3 location headers",
            ),
            (
                &[(CONTENT_RANGE, b"bytes */1"), (CONTENT_RANGE, b"bytes */1")],
                "there are 2 content-range headers",
            ),
            (
                &[(ETAG, b"v1")],
                "the header etag is \"v1\", which is not an entity tag",
            ),
            (
                &[(DATE, b"now")],
                "the header date is \"now\", which is not an HTTP date (IMF-fixdate)",
            ),
            (
                &[(CONTENT_TYPE, LONG)],
                &format!(
                    "the header content-type is \"{}..., which is not a media type",
                    "a".repeat(SHOWN - 1)
                ),
            ),
        ];
        for (list, expected) in cases {
            assert_eq!(values(&headers(list)), [expected]);
        }
    }

    #[test]
    fn what_is_not_judged_passes() {
        let list: [Line; 7] = [
            (http::header::EXPIRES, b"0"),
            (http::header::EXPIRES, b"-1"),
            (http::header::SET_COOKIE, b"a=1"),
            (http::header::SET_COOKIE, b"a=2"),
            (http::header::SERVER, b""),
            (http::header::VARY, b"a b"),
            (HeaderName::from_static("x-a"), b"caf\xe9 \" \t ,"),
        ];
        assert!(values(&headers(&list)).is_empty());
    }

    #[test]
    fn trailers_have_only_what_may_come_late() {
        let sum = HeaderName::from_static("x-sum");
        let right: [Line; 2] = [(sum.clone(), b"1"), (ETAG, b"\"a\"")];
        assert!(trailers(&headers(&right)).is_empty());
        let wrong: [Line; 3] = [
            (CONTENT_LENGTH, b"1"),
            (HOP_BY_HOP[0].clone(), b"close"),
            (sum, b" 1"),
        ];
        assert_eq!(
            trailers(&headers(&wrong)),
            [
                "the trailers contain content-length, which belongs in the head",
                "the trailers contain connection, which belongs in the head",
                "the header x-sum begins or ends with white space: \" 1\"",
            ]
        );
    }

    #[test]
    fn a_secret_is_not_shown() {
        let mut value = HeaderValue::from_static(" secret");
        value.set_sensitive(true);
        let found = values(&HeaderMap::from_iter([(ETAG, value)]));
        let expected = "the header etag begins or ends with white space: a secret";
        assert_eq!(found[0], expected);
        assert!(!found.concat().contains(" secret\""), "{found:?}");
    }
}
