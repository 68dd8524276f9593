//! Headers and trailers with digests of content.

use http::{HeaderMap, HeaderName};

/// `Content-Digest` and `Repr-Digest` (RFC 9530), and their predecessors: `Digest` (RFC 3230), `Content-MD5` (RFC
/// 1864).
const DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-md5"),
];

/// Whether a header is a digest of content.
#[cfg(feature = "time")]
pub(crate) fn is_digest(name: &HeaderName) -> bool {
    DIGESTS.contains(name)
}

/// Removes digests of other bytes, from headers or trailers.
pub(crate) fn remove_digests(headers: &mut HeaderMap) {
    for name in &DIGESTS {
        headers.remove(name);
    }
}
