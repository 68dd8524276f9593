//! Headers whose value is a list (RFC 9110, section 5.6.1).

use http::header::VARY;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The members of a list header, over all its field values, without surrounding white space.
///
/// A comma inside a quoted string does not end a member. Empty members are skipped, and so is a field value that is not
/// visible ASCII.
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::headers::members;
/// use enfilade::http::{HeaderMap, header::IF_NONE_MATCH};
///
/// let mut headers = HeaderMap::new();
/// headers.append(IF_NONE_MATCH, "\"a,b\", W/\"c\"".parse().unwrap());
/// headers.append(IF_NONE_MATCH, " ,\"d\"".parse().unwrap());
/// let members: Vec<_> = members(&headers, &IF_NONE_MATCH).collect();
/// assert_eq!(members, ["\"a,b\"", "W/\"c\"", "\"d\""]);
/// ```
pub fn members<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| Members { rest: line })
}

/// The members of a list of tokens, over all its field values, without parameters (after `;`).
pub fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    members(headers, name).map(|member| {
        member
            .split(';')
            .next()
            .unwrap_or(member)
            .trim_end_matches([' ', '\t'])
    })
}

/// Whether a list of tokens contains `token`, ignoring case.
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::headers::has_token;
/// use enfilade::http::{HeaderMap, header::CACHE_CONTROL};
///
/// let mut headers = HeaderMap::new();
/// headers.insert(CACHE_CONTROL, "max-age=1, No-Transform".parse().unwrap());
/// assert!(has_token(&headers, &CACHE_CONTROL, "no-transform"));
/// assert!(!has_token(&headers, &CACHE_CONTROL, "transform"));
/// ```
#[must_use]
pub fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|found| found.eq_ignore_ascii_case(token))
}

/// Adds the request header `name` to `Vary`; existing members stay, and no member is repeated.
///
/// `Vary: *` already covers every header (RFC 9110, section 12.5.5).
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::headers::vary_add;
/// use enfilade::http::{HeaderMap, header::{ACCEPT_ENCODING, ORIGIN, VARY}};
///
/// let mut headers = HeaderMap::new();
/// vary_add(&mut headers, &ORIGIN);
/// vary_add(&mut headers, &ACCEPT_ENCODING);
/// vary_add(&mut headers, &ORIGIN);
/// assert_eq!(headers[VARY], "origin, accept-encoding");
/// ```
pub fn vary_add(headers: &mut HeaderMap, name: &HeaderName) {
    if tokens(headers, &VARY).any(|token| token == "*" || token.eq_ignore_ascii_case(name.as_str()))
    {
        return;
    }
    let mut lines = headers.get_all(VARY).into_iter();
    let only = match (lines.next(), lines.next()) {
        (Some(only), None) => only.to_str().ok().filter(|line| can_be_extended(line)),
        _ => None,
    };
    match only.and_then(|line| HeaderValue::try_from(format!("{line}, {name}")).ok()) {
        Some(joined) => drop(headers.insert(VARY, joined)),
        None => drop(headers.append(VARY, HeaderValue::from(name.clone()))),
    }
}

/// Whether a member can be appended to this value: an unclosed quote would swallow it.
fn can_be_extended(line: &str) -> bool {
    !line.trim().is_empty() && !line.contains('"')
}

struct Members<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Members<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        while !self.rest.is_empty() {
            let (member, rest) = split_member(self.rest);
            self.rest = rest;
            let member = member.trim_matches([' ', '\t']);
            if !member.is_empty() {
                return Some(member);
            }
        }
        None
    }
}

/// The text up to the first comma outside a quoted string, and the rest after it.
fn split_member(line: &str) -> (&str, &str) {
    let (mut quoted, mut escaped) = (false, false);
    let end = line.bytes().position(|byte| {
        let ends = byte == b',' && !quoted;
        quoted ^= byte == b'"' && !escaped;
        escaped = byte == b'\\' && quoted && !escaped;
        ends
    });
    match end.and_then(|end| line.split_at_checked(end)) {
        Some((member, rest)) => (member, rest.strip_prefix(',').unwrap_or(rest)),
        None => (line, ""),
    }
}

#[cfg(test)]
mod tests {
    use http::header::{ACCEPT_ENCODING, CONNECTION};

    use super::*;

    fn headers(name: HeaderName, lines: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(&name, HeaderValue::from_static(line));
        }
        headers
    }

    #[test]
    fn splits_lists_as_the_rfc_has_them() {
        let cases: [(&[&'static str], &[&str]); 7] = [
            (&["a, b,c"], &["a", "b", "c"]),
            (&["", " , ,a,"], &["a"]),
            (&["a", "b"], &["a", "b"]),
            (&["\"x, \\\"y\", z"], &["\"x, \\\"y\"", "z"]),
            (&["\"open, z"], &["\"open, z"]),
            (&["\\\",a"], &["\\\",a"]),
            (&[], &[]),
        ];
        for (lines, expected) in cases {
            let found = headers(CONNECTION, lines);
            assert_eq!(
                members(&found, &CONNECTION).collect::<Vec<_>>(),
                expected,
                "{lines:?}"
            );
        }
    }

    #[test]
    fn tokens_are_whole_and_have_no_parameters() {
        let found = headers(ACCEPT_ENCODING, &["gzip ; q=1, BR"]);
        assert_eq!(
            tokens(&found, &ACCEPT_ENCODING).collect::<Vec<_>>(),
            ["gzip", "BR"]
        );
        assert!(has_token(&found, &ACCEPT_ENCODING, "br"));
        assert!(!has_token(&found, &ACCEPT_ENCODING, "b"));
    }

    #[test]
    fn vary_is_added_once_and_keeps_what_is_there() {
        let cases: [(&[&'static str], &[&str]); 8] = [
            (&[], &["accept-encoding"]),
            (&["Accept-ENCODING"], &["Accept-ENCODING"]),
            (&["x-test"], &["x-test, accept-encoding"]),
            (
                &["Do-Not-Accept-Encoding"],
                &["Do-Not-Accept-Encoding, accept-encoding"],
            ),
            (
                &["Origin", "Cookie"],
                &["Origin", "Cookie", "accept-encoding"],
            ),
            (&["*"], &["*"]),
            (&[""], &["", "accept-encoding"]),
            (&["\"open"], &["\"open", "accept-encoding"]),
        ];
        for (before, after) in cases {
            let mut found = headers(VARY, before);
            vary_add(&mut found, &ACCEPT_ENCODING);
            assert_eq!(
                found.get_all(VARY).iter().collect::<Vec<_>>(),
                after,
                "{before:?}"
            );
        }
    }
}
