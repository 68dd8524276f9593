//! Tests of what is checked of a 304 and of parts.

use enfilade_core::conditional::{ByteRanges, ContentRange, byte_ranges};
use http::header::{CACHE_CONTROL, CONTENT_RANGE, IF_NONE_MATCH, RANGE};

use super::*;

/// A wrapper that responds with 304 to every `If-None-Match`, after `change`.
fn not_modified(change: fn(&mut HeaderMap)) -> impl Middleware + Clone + Send {
    let is_hit = |request: &Request, response: &Response| {
        let tag = response.headers().get(ETAG);
        tag.is_some() && request.headers().get(IF_NONE_MATCH) == tag
    };
    around(
        "not modified",
        move |inner: &Application, request: Request| {
            let mut asked = Request::get("/");
            *asked.headers_mut() = request.headers().clone();
            let reads = [Method::GET, Method::HEAD].contains(request.method());
            inner.call(request).update(move |response| {
                if reads && response.status() == StatusCode::OK && is_hit(&asked, response) {
                    *response.status_mut() = StatusCode::NOT_MODIFIED;
                    std::mem::take(response.body_mut()).discard();
                    response.headers_mut().remove(CONTENT_LENGTH);
                    change(response.headers_mut());
                }
            })
        },
    )
}

#[test]
fn a_304_that_matches_keeps_the_laws() {
    check(not_modified(|_| {}));
}

#[test]
fn a_304_that_lacks_a_header_is_found() {
    let found = found(not_modified(|headers| drop(headers.remove(CACHE_CONTROL))));
    let message = "the 304 lacks cache-control, which its 200 has (RFC 9110, section 15.4.5)";
    assert_eq!((found.law(), found.message()), (Law::Required, message));
}

#[test]
fn a_304_to_another_tag_is_found() {
    let careless = around("careless", |inner: &Application, request: Request| {
        let is_asked = request.headers().contains_key(IF_NONE_MATCH);
        let reads = [Method::GET, Method::HEAD].contains(request.method());
        inner.call(request).update(move |response| {
            if is_asked && reads && response.status() == StatusCode::OK {
                *response.status_mut() = StatusCode::NOT_MODIFIED;
                std::mem::take(response.body_mut()).discard();
            }
        })
    });
    let found = found(careless);
    let message = "a 304, although the request's conditions do not match";
    assert_eq!((found.law(), found.message()), (Law::Required, message));
}

/// A wrapper that sends the first range, from this many bytes too late on.
fn ranges(late: u64) -> impl Middleware + Clone + Send {
    around("ranges", move |inner: &Application, request: Request| {
        let asked = request.headers().get(RANGE).cloned();
        let asked = asked.filter(|_| request.method() == Method::GET);
        inner.call(request).map(move |response: Response| {
            let length = response.body().known_length().unwrap_or(0);
            let found = asked.map(|asked| byte_ranges(&asked, length, 16));
            let is_whole = response.status() == StatusCode::OK
                && response.body().can_be_sliced()
                && !response.headers().contains_key(CONTENT_RANGE);
            let Some(ByteRanges::Satisfiable(found)) = found.filter(|_| is_whole) else {
                return response;
            };
            let range = found[0].clone();
            let (mut parts, body) = response.into_parts();
            let end = (range.end + late).min(length);
            let body = body
                .slice(range.start + late..end.max(range.start + late))
                .unwrap_or_default();
            parts.status = StatusCode::PARTIAL_CONTENT;
            let value = ContentRange::bytes(range, length)
                .unwrap()
                .to_header_value();
            parts.headers.insert(CONTENT_RANGE, value);
            parts.headers.remove(CONTENT_LENGTH);
            Response::from_parts(parts, body)
        })
    })
}

#[test]
fn a_part_that_is_not_the_slice_is_found() {
    check(ranges(0));
    let found = found(ranges(1));
    assert_eq!(found.law(), Law::Length);
    let message =
        "a part with Content-Range \"bytes 0-0/1\" and 0 bytes is not that slice of the content";
    assert_eq!(found.message(), message);
}

/// A wrapper that gives each read of a 200 this status and no content, if the request has `header`.
fn refusing(header: http::HeaderName, status: StatusCode) -> impl Middleware + Clone + Send {
    around("refusing", move |inner: &Application, request: Request| {
        let is_asked = request.headers().contains_key(&header) && request.method() == Method::GET;
        inner.call(request).update(move |response| {
            if is_asked && response.status() == StatusCode::OK {
                *response.status_mut() = status;
                std::mem::take(response.body_mut()).discard();
                response.headers_mut().remove(CONTENT_LENGTH);
            }
        })
    })
}

#[test]
fn a_412_without_a_failed_condition_is_found() {
    let found = found(refusing(IF_NONE_MATCH, StatusCode::PRECONDITION_FAILED));
    let message = "a 412, although no condition of the request fails";
    assert_eq!((found.law(), found.message()), (Law::Required, message));
}

#[test]
fn a_416_for_a_range_that_exists_is_found() {
    let found = found(refusing(RANGE, StatusCode::RANGE_NOT_SATISFIABLE));
    assert_eq!(found.law(), Law::Length);
    assert!(
        found.message().starts_with("a 416, although the range is "),
        "{found}"
    );
}
