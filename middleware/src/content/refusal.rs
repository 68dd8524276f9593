//! Replaces a response by an error that a condition or a range of the request causes.

use enfilade_core::{HttpError, IntoResponse, Response};
use http::HeaderName;
use http::header::{
    ACCEPT_RANGES, AGE, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE,
    CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_RANGE, ETAG, EXPIRES, LAST_MODIFIED, TRAILER,
};

use super::digests::remove_digests;

/// Headers of the content, and how long a cache may keep it: a cache must not keep the error in its place.
const OF_THE_CONTENT: [HeaderName; 13] = [
    ACCEPT_RANGES,
    AGE,
    CACHE_CONTROL,
    CONTENT_DISPOSITION,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LENGTH,
    CONTENT_LOCATION,
    CONTENT_RANGE,
    ETAG,
    EXPIRES,
    LAST_MODIFIED,
    TRAILER,
];

/// Replaces status and content by those of `error`; headers that are not about the content stay, such as `Vary`.
pub(super) fn refuse(response: &mut Response, error: HttpError) {
    let (parts, body) = error.into_response().into_parts();
    let headers = response.headers_mut();
    for name in &OF_THE_CONTENT {
        headers.remove(name);
    }
    remove_digests(headers);
    headers.extend(parts.headers);
    response.extensions_mut().extend(parts.extensions);
    *response.status_mut() = parts.status;
    // The producer stops now.
    std::mem::replace(response.body_mut(), body).discard();
}
