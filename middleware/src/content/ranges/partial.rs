//! Makes the 206 or 416 of a whole response.

use std::ops::Range;
use std::sync::Arc;

use enfilade_core::conditional::{
    ByteRanges, ContentRange, Validators, byte_ranges, if_range_holds,
};
use enfilade_core::headers::{content_length, parse_http_date};
use enfilade_core::{Body, HttpError, Response};
use http::header::{ACCEPT_RANGES, CONTENT_RANGE, DATE, TRAILER};
use http::{HeaderMap, HeaderValue, StatusCode};
use time::OffsetDateTime;

use super::marks::mark_partial;
use super::multipart;
use super::range_request::{Condition, RangeRequest};
use super::skip::Skip;
use crate::content::refusal::refuse;

#[derive(Clone)]
pub(super) struct Options {
    pub(super) max_parts: usize,
    pub(super) skip_limit: Option<u64>,
    pub(super) now: Arc<dyn Fn() -> OffsetDateTime + Send + Sync>,
}

pub(super) fn respond(options: &Options, asked: RangeRequest, mut response: Response) -> Response {
    let Some(length) = options.divisible_length(&response) else {
        return response;
    };
    let bytes = HeaderValue::from_static("bytes");
    response.headers_mut().insert(ACCEPT_RANGES, bytes);
    let RangeRequest::Part { range, condition } = asked else {
        return response;
    };
    if !options.holds(&condition, response.headers()) {
        return response;
    }
    match byte_ranges(&range, length, options.max_parts) {
        ByteRanges::Satisfiable(ranges) => options.cut(response, &ranges, length),
        ByteRanges::Unsatisfiable => {
            refuse(&mut response, unsatisfiable(length));
            response
        }
        _ => response,
    }
}

impl Options {
    /// Returns the length of the content if parts of it can be sent.
    fn divisible_length(&self, response: &Response) -> Option<u64> {
        let (headers, body) = (response.headers(), response.body());
        let is_whole = response.status() == StatusCode::OK && !headers.contains_key(CONTENT_RANGE);
        let allows = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"bytes");
        if !is_whole || !headers.get(ACCEPT_RANGES).is_none_or(allows) {
            return None;
        }
        let length = match (body.can_be_sliced(), self.skip_limit) {
            (true, _) => body.known_length(),
            (false, Some(_)) if !body.is_upgrade() => {
                body.known_length().or_else(|| content_length(headers))
            }
            (false, _) => None,
        };
        length.filter(|length| *length > 0)
    }

    /// Whether a part is wanted if the content is this one.
    fn holds(&self, condition: &Condition, headers: &HeaderMap) -> bool {
        let value = match condition {
            Condition::None => return true,
            Condition::Invalid => return false,
            Condition::Is(value) => value,
        };
        let date = headers.get(DATE).and_then(|date| date.to_str().ok());
        // Without a date of its own, the response is sent with that of now.
        let now = date.and_then(parse_http_date).unwrap_or_else(&*self.now);
        if_range_holds(value, &Validators::from_headers(headers), now)
    }

    /// Keeps only these ranges; the response is whole if its body allows no other way.
    fn cut(&self, response: Response, ranges: &[Range<u64>], length: u64) -> Response {
        match (ranges, self.skip_limit) {
            (ranges, _) if response.body().can_be_sliced() => match ranges {
                [range] => part(response, range.clone(), length),
                ranges => multipart::parts(response, ranges, length),
            },
            ([range], Some(limit)) if range.start <= limit => {
                skipped(response, range.clone(), length)
            }
            _ => response,
        }
    }
}

fn part(response: Response, range: Range<u64>, length: u64) -> Response {
    let (head, body) = response.into_parts();
    let body = match body.segments(range.clone()) {
        Ok(segments) => body.with_segments(segments),
        // It can be sliced, and the range is within its length.
        Err(_) => return Response::from_parts(head, body),
    };
    mark(Response::from_parts(head, body), range, length)
}

fn skipped(response: Response, range: Range<u64>, length: u64) -> Response {
    let (mut head, body) = response.into_parts();
    // The trailers of the whole content are not sent.
    head.headers.remove(TRAILER);
    let body = Body::new(Skip::new(body, range.clone()));
    mark(Response::from_parts(head, body), range, length)
}

/// Sets the headers of a response with one part.
fn mark(mut response: Response, range: Range<u64>, length: u64) -> Response {
    let bytes = range.end - range.start;
    if let Some(range) = ContentRange::bytes(range, length) {
        let headers = response.headers_mut();
        headers.insert(CONTENT_RANGE, range.to_header_value());
    }
    mark_partial(&mut response, bytes);
    response
}

fn unsatisfiable(length: u64) -> HttpError {
    let range = ContentRange::unsatisfied(length).to_header_value();
    HttpError::new(StatusCode::RANGE_NOT_SATISFIABLE).header(CONTENT_RANGE, range)
}
