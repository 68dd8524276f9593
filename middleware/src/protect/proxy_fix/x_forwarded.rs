//! The headers `X-Forwarded-*`, which no RFC defines, and their values.

use enfilade_core::{Scheme, path};
use http::{HeaderMap, HeaderName};

/// A header of proxies that is older than `Forwarded` and still common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum XForwarded {
    /// `X-Forwarded-For`: the client's address, with or without a port; each proxy appends its own client.
    For,
    /// `X-Forwarded-Proto`: the scheme that the client used, `http` or `https`; `ws` and `wss` mean the same.
    Proto,
    /// `X-Forwarded-Host`: the host that the client requested, with or without a port.
    Host,
    /// `X-Forwarded-Port`: the port that the client used; it takes precedence over the host's port.
    Port,
    /// `X-Forwarded-Prefix`: the part of the path that a proxy removed; it is put before the
    /// [`script_name`](enfilade_core::Request::script_name).
    Prefix,
}

impl XForwarded {
    pub(super) const ALL: [XForwarded; 5] = [
        XForwarded::For,
        XForwarded::Proto,
        XForwarded::Host,
        XForwarded::Port,
        XForwarded::Prefix,
    ];

    pub(super) const fn name(self) -> HeaderName {
        match self {
            XForwarded::For => HeaderName::from_static("x-forwarded-for"),
            XForwarded::Proto => HeaderName::from_static("x-forwarded-proto"),
            XForwarded::Host => HeaderName::from_static("x-forwarded-host"),
            XForwarded::Port => HeaderName::from_static("x-forwarded-port"),
            XForwarded::Prefix => HeaderName::from_static("x-forwarded-prefix"),
        }
    }
}

/// Returns the members of all field values, the last one first; these headers have no quoted strings.
pub(super) fn members(headers: &HeaderMap, header: XForwarded) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(header.name()).into_iter().rev();
    let members = lines.flat_map(|line| line.as_bytes().rsplit(|&byte| byte == b','));
    members
        .map(<[u8]>::trim_ascii)
        .filter(|member| !member.is_empty())
}

/// Parses the scheme of an HTTP URL, or of a WebSocket URL, which is requested over HTTP.
pub(super) fn parse_scheme(text: &str) -> Option<Scheme> {
    let known = [
        ("http", Scheme::Http),
        ("https", Scheme::Https),
        ("ws", Scheme::Http),
        ("wss", Scheme::Https),
    ];
    let found = known
        .iter()
        .find(|(name, _)| text.eq_ignore_ascii_case(name));
    found.map(|(_, scheme)| *scheme)
}

/// Parses a prefix into canonical form, without a final slash; `None` if it is unsafe in URLs.
///
/// URLs begin with the prefix. Two slashes or a backslash could turn the rest into a host, dots could lead out of it,
/// and `?` or `#` would end the path.
pub(super) fn parse_prefix(text: &str) -> Option<String> {
    let prefix = text.strip_suffix('/').unwrap_or(text);
    let decoded = path::decode_utf8(prefix)?;
    let is_strange = |found: char| found.is_control() || "\\?#".contains(found);
    let leads_away = [&decoded, "/"].concat().contains("//") || decoded.contains(is_strange);
    let is_path = text.starts_with('/') && path::encode_invalid(prefix) == prefix;
    let has_dots = decoded
        .split('/')
        .any(|segment| matches!(segment, "." | ".."));
    (is_path && !leads_away && !has_dots).then(|| path::canonical(prefix).into_owned())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn members_are_read_from_the_end() {
        let cases: [(&[u8], &[&[u8]]); 6] = [
            (b"a, b,c", &[b"c", b"b", b"a"]),
            (b"a,\tb \nc", &[b"c", b"b", b"a"]),
            (b", ,a,,\n\n,", &[b"a"]),
            (b"\"a, b\"", &[b"b\"", b"\"a"]),
            (b"\xff, a", &[b"a", b"\xff"]),
            (b"", &[]),
        ];
        for (lines, expected) in cases {
            let mut headers = HeaderMap::new();
            for line in lines.split(|&byte| byte == b'\n') {
                let value = HeaderValue::from_bytes(line).unwrap();
                headers.append(XForwarded::For.name(), value);
            }
            let found: Vec<_> = members(&headers, XForwarded::For).collect();
            assert_eq!(found, expected, "{lines:?}");
        }
    }

    #[test]
    fn schemes_are_those_of_the_web() {
        let cases = [
            ("http", Some(Scheme::Http)),
            ("HTTPS", Some(Scheme::Https)),
            ("ws", Some(Scheme::Http)),
            ("wss", Some(Scheme::Https)),
            ("", None),
            ("https:", None),
            ("on", None),
            ("javascript", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_scheme(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_prefix_is_the_beginning_of_a_path() {
        let cases = [
            ("/eggs", Some("/eggs")),
            ("/eggs/", Some("/eggs")),
            ("/a/b-1/c;d=e@f", Some("/a/b-1/c;d=e@f")),
            ("/%66oo/caf%c3%a9", Some("/foo/caf%C3%A9")),
            ("/", Some("")),
            ("", None),
            ("eggs", None),
            ("*", None),
            ("//", None),
            ("//evil.example", None),
            ("/a//b", None),
            ("/a//", None),
            ("/%2Fevil.example", None),
            ("/%2f/x", None),
            ("/a%2F", None),
            ("/a%2Fb", Some("/a%2Fb")),
            ("/\\evil.example", None),
            ("/%5Cevil.example", None),
            ("\\\\evil.example", None),
            ("http://evil.example", None),
            ("/a/../b", None),
            ("/..", None),
            ("/./a", None),
            ("/a/%2e%2E", None),
            ("/a%2F..%2Fb", None),
            ("/a?b", None),
            ("/a%3Fb", None),
            ("/a#b", None),
            ("/a b", None),
            ("/a\u{0}", None),
            ("/a%00", None),
            ("/a%0d%0aX:%201", None),
            ("/a%7f", None),
            ("/a%", None),
            ("/a%zz", None),
            ("/%ff", None),
            ("/caf\u{e9}", None),
            ("/<script>", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_prefix(text).as_deref(), expected, "{text:?}");
        }
    }
}
