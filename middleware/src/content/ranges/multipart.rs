//! Several parts in one response: `multipart/byteranges` (RFC 9110, section 14.6).

use std::fmt::Write as _;
use std::ops::Range;

use enfilade_core::conditional::ContentRange;
use enfilade_core::{Body, Response, Segment};
use http::HeaderValue;
use http::header::CONTENT_TYPE;

use super::marks::mark_partial;

/// Keeps only these ranges, each as one part; the response is whole if no boundary can be made.
pub(super) fn parts(response: Response, ranges: &[Range<u64>], length: u64) -> Response {
    let Some(boundary) = boundary() else {
        return response;
    };
    let (mut head, body) = response.into_parts();
    let content_type = head.headers.get(CONTENT_TYPE).cloned();
    let Some(segments) = segments(&body, &boundary, content_type.as_ref(), ranges, length) else {
        return Response::from_parts(head, body);
    };
    let own_type = format!("multipart/byteranges; boundary={boundary}");
    let own_type = HeaderValue::try_from(own_type).expect("digits and visible characters");
    head.headers.insert(CONTENT_TYPE, own_type);
    let bytes = segments.iter().map(Segment::len).sum();
    let mut response = Response::from_parts(head, body.with_segments(segments));
    mark_partial(&mut response, bytes);
    response
}

/// Returns the parts with their heads and boundaries.
fn segments(
    body: &Body,
    boundary: &str,
    content_type: Option<&HeaderValue>,
    ranges: &[Range<u64>],
    length: u64,
) -> Option<Vec<Segment>> {
    let mut segments = Vec::with_capacity(2 * ranges.len() + 1);
    let mut delimiter = format!("--{boundary}\r\n");
    for range in ranges {
        let mut head = delimiter.into_bytes();
        if let Some(content_type) = content_type {
            head.extend([b"Content-Type: ", content_type.as_bytes(), b"\r\n"].concat());
        }
        let range_value = ContentRange::bytes(range.clone(), length)?.to_header_value();
        head.extend([b"Content-Range: ", range_value.as_bytes(), b"\r\n\r\n"].concat());
        segments.push(Segment::from(head));
        segments.extend(body.segments(range.clone()).ok()?);
        delimiter = format!("\r\n--{boundary}\r\n");
    }
    segments.push(Segment::from(format!("\r\n--{boundary}--\r\n")));
    Some(segments)
}

/// Returns a boundary that does not occur in the content: 128 random bits, which the content cannot know.
///
/// Content may be larger than memory, so it is not searched.
fn boundary() -> Option<String> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).ok()?;
    let mut text = String::with_capacity(2 * bits.len());
    for byte in bits {
        write!(text, "{byte:02x}").ok()?;
    }
    Some(text)
}
