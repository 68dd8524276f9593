//! Which responses to compress, and how compression changes their headers.

use enfilade_core::Response;
use enfilade_core::headers::{allows_content, content_length, has_token};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    ETAG,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::Etags;
use super::etag;
use crate::content::coding::Coding;
use crate::content::digests::remove_digests;

/// Headers that describe the uncompressed bytes.
const OF_THE_OLD_BYTES: [HeaderName; 2] = [CONTENT_LENGTH, ACCEPT_RANGES];

/// Subtypes of `application` and `image` that get smaller and end neither in `+json` nor in `+xml`.
const COMPRESSIBLE: [&str; 13] = [
    "application/ecmascript",
    "application/graphql",
    "application/javascript",
    "application/json",
    "application/manifest",
    "application/vnd.ms-fontobject",
    "application/wasm",
    "application/x-javascript",
    "application/x-ndjson",
    "application/xml",
    "font/otf",
    "font/ttf",
    "image/bmp",
];

/// Whether HTTP allows this response to be compressed at all.
pub(super) fn may_be_compressed(response: &Response) -> bool {
    let (status, headers) = (response.status(), response.headers());
    allows_content(status)
        && status != StatusCode::PARTIAL_CONTENT
        && !headers.contains_key(CONTENT_RANGE)
        && may_be_transformed(headers)
}

fn may_be_transformed(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_ENCODING)
        .is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"))
        && !has_token(headers, &CACHE_CONTROL, "no-transform")
}

/// Whether the response that this 206 or 304 stands for could be compressed: they must have the `Vary` of their 200
/// (RFC 9110, sections 15.3.7 and 15.4.5).
///
/// `predicate` says whether this content type is compressed. A 304 and a 206 of several parts do not have the type.
pub(super) fn stands_for_compressed(
    response: &Response,
    min_size: u64,
    predicate: impl Fn(&Response) -> bool,
) -> bool {
    let headers = response.headers();
    match response.status() {
        StatusCode::NOT_MODIFIED => true,
        StatusCode::PARTIAL_CONTENT => {
            let is_multipart = media_type(headers)
                .is_some_and(|found| found.eq_ignore_ascii_case("multipart/byteranges"));
            may_be_transformed(headers)
                && complete_length(headers).is_none_or(|length| length >= min_size.max(1))
                && (is_multipart || predicate(response))
        }
        _ => false,
    }
}

impl Etags {
    /// Returns the tag of compressed content; `None` if the tag stays.
    pub(super) fn changed(self, etag: &HeaderValue, coding: Coding) -> Option<HeaderValue> {
        match self {
            Etags::Weaken => etag::weakened(etag),
            Etags::PerCoding => etag::suffixed(etag, coding),
        }
    }
}

/// Returns the length of the whole of a part, if the part says so (RFC 9110, section 14.4).
fn complete_length(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    range.rsplit_once('/')?.1.parse().ok()
}

/// Whether the content is, or may be, at least this long. Empty content is never long enough.
pub(super) fn is_long_enough(response: &Response, min_size: u64) -> bool {
    // A response to HEAD may have no content but still state its length.
    let length = response
        .body()
        .known_length()
        .filter(|length| *length > 0)
        .or_else(|| content_length(response.headers()));
    match length {
        Some(length) => length >= min_size.max(1),
        None => !response.body().is_finished(),
    }
}

/// Returns the media type without parameters, as written.
pub(super) fn media_type(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    value.split(';').next().map(str::trim)
}

/// Whether content of this type usually gets smaller; images, audio, video and archives are compressed already.
pub(super) fn is_compressible(media_type: &str) -> bool {
    let same =
        |part: Option<&str>, known: &str| part.is_some_and(|part| part.eq_ignore_ascii_case(known));
    let begins = |known: &str| same(media_type.get(..known.len()), known);
    let ends = |known: &str| {
        let start = media_type.len().checked_sub(known.len());
        same(start.and_then(|start| media_type.get(start..)), known)
    };
    begins("text/")
        || begins("application/grpc-web")
        || ends("+json")
        || ends("+xml")
        || COMPRESSIBLE
            .iter()
            .any(|known| known.eq_ignore_ascii_case(media_type))
}

/// Updates the headers for compressed content, and removes headers that no longer apply.
pub(super) fn mark_compressed(headers: &mut HeaderMap, coding: Coding, etags: Etags) {
    for name in &OF_THE_OLD_BYTES {
        headers.remove(name);
    }
    remove_digests(headers);
    if let Some(etag) = headers
        .get(ETAG)
        .and_then(|etag| etags.changed(etag, coding))
    {
        headers.insert(ETAG, etag);
    }
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_that_gain_are_known() {
        let gain = [
            "text/html",
            "Text/PLAIN",
            "text/event-stream",
            "application/json",
            "application/problem+json",
            "Application/LD+JSON",
            "application/atom+xml",
            "image/svg+xml",
            "application/wasm",
            "application/grpc-web+proto",
        ];
        for media_type in gain {
            assert!(is_compressible(media_type), "{media_type}");
        }
        for media_type in [
            "image/png",
            "video/mp4",
            "application/zip",
            "font/woff2",
            "application/octet-stream",
            "",
        ] {
            assert!(!is_compressible(media_type), "{media_type}");
        }
    }
}
