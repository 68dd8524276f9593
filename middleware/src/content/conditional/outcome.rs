//! The responses to conditions: 304 and 412.

use enfilade_core::conditional::Precondition;
use enfilade_core::{HttpError, Response};
use http::header::{
    CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, ETAG, LAST_MODIFIED, TRAILER,
};
use http::{HeaderName, StatusCode};
use smallvec::SmallVec;

use crate::content::digests::is_digest;
use crate::content::refusal::refuse;

/// Headers of content that a 304 does not have.
const OF_THE_CONTENT: [HeaderName; 7] = [
    CONTENT_DISPOSITION,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    TRAILER,
];

/// Turns a response into the 304 or 412 that the conditions of its request demand; leaves it alone if they are met.
///
/// The content is dropped at once, so that its producer stops.
pub(crate) fn apply(outcome: Precondition, response: &mut Response) {
    match outcome {
        Precondition::NotModified => not_modified(response),
        Precondition::Failed => refuse(response, failed()),
        _ => {}
    }
}

/// The error of a condition that does not hold.
pub(super) fn failed() -> HttpError {
    HttpError::new(StatusCode::PRECONDITION_FAILED)
}

/// Removes the content and the headers that describe it.
///
/// `Last-Modified` goes too if there is a tag, which is the better validator. All others stay, above all those that RFC
/// 9110, section 15.4.5, requires: `Cache-Control`, `Content-Location`, `Date`, `ETag`, `Expires` and `Vary`.
fn not_modified(response: &mut Response) {
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    std::mem::take(response.body_mut()).discard();
    let headers = response.headers_mut();
    let has_tag = headers.contains_key(ETAG);
    let is_dropped = |name: &&HeaderName| {
        OF_THE_CONTENT.contains(name) || is_digest(name) || (has_tag && **name == LAST_MODIFIED)
    };
    // Most responses have one or two of these, and a pass over the names costs less than looking up each.
    let dropped: SmallVec<[HeaderName; 4]> = headers.keys().filter(is_dropped).cloned().collect();
    for name in &dropped {
        headers.remove(name);
    }
}
