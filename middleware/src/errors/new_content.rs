//! Replaces content: decides whether it may be replaced, and updates its headers.

use std::sync::Arc;

use enfilade_core::headers::vary_add;
use enfilade_core::{HttpError, Response};
use http::header::{
    ACCEPT, ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH,
    CONTENT_LOCATION, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::content::digests::remove_digests;

/// Headers that describe the replaced content.
const OF_THE_OLD_CONTENT: [HeaderName; 8] = [
    ACCEPT_RANGES,
    CONTENT_DISPOSITION,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LENGTH,
    CONTENT_LOCATION,
    ETAG,
    LAST_MODIFIED,
];

/// Whether the content is not the application's own: it is empty, or the text of an [`HttpError`].
pub(crate) fn is_standard(response: &Response) -> bool {
    response.body().is_finished() || response.extensions().get::<Arc<HttpError>>().is_some()
}

/// Removes headers of the old content and sets those of the new one, which was chosen by `Accept`.
pub(crate) fn reset_content_headers(
    headers: &mut HeaderMap,
    status: StatusCode,
    media_type: &'static str,
) {
    for name in &OF_THE_OLD_CONTENT {
        headers.remove(name);
    }
    remove_digests(headers);
    // In a 416, `Content-Range` has the length of the content (RFC 9110, section 15.5.17).
    if status != StatusCode::RANGE_NOT_SATISFIABLE {
        headers.remove(CONTENT_RANGE);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    vary_add(headers, &ACCEPT);
}
