//! The headers of a 206.

use enfilade_core::Response;
use http::header::CONTENT_LENGTH;
use http::{HeaderName, StatusCode};

/// Digests of the bytes in a message; those of the whole representation, such as `Repr-Digest`, stay.
const OF_THE_MESSAGE: [HeaderName; 2] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("content-md5"),
];

/// Sets the headers of every 206 with content of this length.
pub(super) fn mark_partial(response: &mut Response, length: u64) {
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, length.into());
    for name in &OF_THE_MESSAGE {
        headers.remove(name);
    }
}
