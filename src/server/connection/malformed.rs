//! HTTP/2 requests that are malformed although they have a head (RFC 9113, section 8.1.1).

use std::fmt;

use enfilade_core::headers::is_token;
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Version};

/// The reason to reset a stream: a stream error of type `PROTOCOL_ERROR`.
///
/// Some faults only the library `h2` can see: it drops pseudo-headers in trailers, the scheme of a request without an
/// authority, and a fragment in `:path`, which the type `Uri` cannot hold.
#[derive(Debug)]
pub(super) struct MalformedStream(#[cfg(feature = "http2")] h2::Error);

impl MalformedStream {
    pub(super) fn new() -> MalformedStream {
        MalformedStream(
            #[cfg(feature = "http2")]
            h2::Reason::PROTOCOL_ERROR.into(),
        )
    }
}

impl fmt::Display for MalformedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("malformed request")
    }
}

impl std::error::Error for MalformedStream {
    #[cfg(feature = "http2")]
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// Whether an HTTP/2 request has no scheme, an empty `Content-Length`, or a malformed header (RFC 9113, sections 8.1.1,
/// 8.2.1 and 8.3.1).
pub(super) fn is_malformed(parts: &Parts) -> bool {
    if parts.version != Version::HTTP_2 {
        return false;
    }
    let has_scheme = parts
        .uri
        .scheme()
        .is_some_and(|scheme| !scheme.as_str().is_empty());
    let has_authority = parts.uri.authority().is_some();
    // `h2` drops the scheme of a request without an authority.
    (has_authority && !has_scheme && parts.method != http::Method::CONNECT)
        || has_empty_length(&parts.headers)
        || has_malformed_field(&parts.headers)
}

/// `h2` reads an empty length as zero; at least one digit is required (RFC 9110, section 8.6).
fn has_empty_length(headers: &HeaderMap) -> bool {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    lengths.any(HeaderValue::is_empty)
}

/// Whether a name is not a token, or a value has blanks around it.
pub(super) fn has_malformed_field(headers: &HeaderMap) -> bool {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let mut values = headers.values().map(HeaderValue::as_bytes);
    values.any(|value| is_blank(value.first()) || is_blank(value.last()))
        || !headers.keys().all(is_token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_tokens_and_values_have_no_blanks_around_them() {
        for (target, name, value, expected) in [
            ("https://h/", "x", "a b", false),
            ("https://h/", "x", "", false),
            ("https://h/", "x", " a", true),
            ("https://h/", "x", "a\t", true),
            ("https://h/", "x!#$%&'*+-.^_`|~", "a", false),
            ("https://h/", "content-length", "0", false),
            ("https://h/", "content-length", "", true),
            ("h", "x", "a", true),
            ("/", "x", "a", false),
        ] {
            let request = http::Request::get(target).version(Version::HTTP_2);
            let request = request.header(name, value).body(()).unwrap();
            let (mut parts, ()) = request.into_parts();
            assert_eq!(is_malformed(&parts), expected, "{target} {name} {value:?}");
            parts.version = Version::HTTP_11;
            assert!(!is_malformed(&parts));
        }
    }
}
