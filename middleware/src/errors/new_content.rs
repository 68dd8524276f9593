//! Content that is replaced: whether it may be, and what its headers say afterwards.

use std::sync::Arc;

use enfilade_core::headers::vary_add;
use enfilade_core::{HttpError, Response};
use http::header::{
    ACCEPT, ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH,
    CONTENT_LOCATION, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::content::digests::remove_digests;

/// What speaks of the content that was replaced.
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

/// Whether no application has written the content: it is empty, or the text of an [`HttpError`].
pub(crate) fn is_standard(response: &Response) -> bool {
    response.body().is_finished() || response.extensions().get::<Arc<HttpError>>().is_some()
}

/// Says what the new content is, which was chosen by `Accept`, and no longer what the old one was.
pub(crate) fn reset_content_headers(
    headers: &mut HeaderMap,
    status: StatusCode,
    media_type: &'static str,
) {
    for name in &OF_THE_OLD_CONTENT {
        headers.remove(name);
    }
    remove_digests(headers);
    // In a 416 it says how long the content is (RFC 9110, section 15.5.17).
    if status != StatusCode::RANGE_NOT_SATISFIABLE {
        headers.remove(CONTENT_RANGE);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    vary_add(headers, &ACCEPT);
}
