//! Strategies for the plans, simplest first, because shrinking goes that way.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::select;

use super::plan::{
    BodyPlan, ClientPlan, OWN_HEADER, Plan, RequestPlan, ResponsePlan, StreamEnding,
};

/// Statuses that have a meaning for wrappers.
const STATUSES: [u16; 18] = [
    200, 404, 204, 304, 206, 205, 101, 201, 301, 302, 308, 400, 401, 405, 406, 416, 500, 503,
];

const METHODS: [&str; 8] = [
    "GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PURGE", "get",
];

const TARGETS: [&str; 14] = [
    "/",
    "/a",
    "/a/b?c=d",
    "//a",
    "/a/../b",
    "/%2F/%2e%2e/%00",
    "/%0D%0AX-Forged:%201",
    "/%ff%fe",
    "/%",
    "/caf%C3%A9?%0d%0a",
    "/a;b=c,d",
    "*",
    "http://other.example/x",
    "/?",
];

/// Headers that wrappers read, each with valid and invalid values that a peer might send.
const REQUEST_HEADERS: [(&str, &[&[u8]]); 20] = [
    (
        "accept-encoding",
        &[
            b"gzip",
            b"br;q=1, gzip;q=0.5, *;q=0",
            b"identity;q=0",
            b";;,q=",
            b"*",
        ],
    ),
    (
        "accept",
        &[b"text/html", b"application/json;q=0.5, */*", b";q"],
    ),
    (
        "authorization",
        &[b"Basic QWxhZGRpbjpvcGVu", b"Basic ====", b"Bearer \xff"],
    ),
    ("cache-control", &[b"no-transform", b"no-cache, max-age=0"]),
    ("connection", &[b"close", b"x-law"]),
    ("content-encoding", &[b"gzip", b"x"]),
    (
        "content-type",
        &[b"text/plain", b"multipart/form-data; boundary=x", b";"],
    ),
    ("cookie", &[b"a=1; b=2", b"=;;=", b"\xff"]),
    ("expect", &[b"100-continue"]),
    (
        "forwarded",
        &[b"for=192.0.2.1;proto=https", b"for=\"[::1\";;"],
    ),
    (
        "if-modified-since",
        &[b"Sun, 06 Nov 1994 08:49:37 GMT", b"yesterday"],
    ),
    ("if-none-match", &[b"\"a\"", b"W/\"a\", *", b"\""]),
    ("origin", &[b"https://example.org", b"null", b"\x80"]),
    (
        "range",
        &[b"bytes=0-0", b"bytes=5-1,-,99999999999999999999-"],
    ),
    ("referer", &[b"http://x/\"y\\"]),
    ("user-agent", &[b"curl/8.0", b"\xe9\"\\ x"]),
    ("x-forwarded-for", &[b"203.0.113.1, 10.0.0.1", b",,"]),
    ("x-http-method-override", &[b"DELETE", b"GET / HTTP/1.1"]),
    ("x-law", &[b"1", b"\xff"]),
    (
        "x-request-id",
        &[b"0123456789abcdef0123456789abcdef", b"short"],
    ),
];

/// Response headers that wrappers read or change.
const RESPONSE_HEADERS: [(&str, &[&[u8]]); 13] = [
    (
        "content-type",
        &[
            b"text/plain",
            b"application/json; charset=utf-8",
            b"image/png",
            b"text/event-stream",
        ],
    ),
    ("cache-control", &[b"no-transform", b"public, max-age=60"]),
    ("content-encoding", &[b"br", b"identity"]),
    ("content-range", &[b"bytes 0-3/10"]),
    ("accept-ranges", &[b"bytes"]),
    ("etag", &[b"\"v1\"", b"W/\"v1\""]),
    ("last-modified", &[b"Sun, 06 Nov 1994 08:49:37 GMT"]),
    ("location", &[b"/elsewhere", b"https://example.org/"]),
    ("set-cookie", &[b"a=1", b"b=2; Path=/"]),
    ("vary", &[b"accept-encoding", b"*", b"x-law"]),
    ("www-authenticate", &[b"Basic realm=\"x\""]),
    ("server", &[b"other"]),
    ("x-law", &[b"1", b"2", b"\xff"]),
];

pub(super) fn plan() -> impl Strategy<Value = Plan> {
    (request(), response(), client()).prop_map(|(request, response, client)| Plan {
        request,
        response,
        client,
    })
}

fn request() -> impl Strategy<Value = RequestPlan> {
    let parts = (
        // Most laws are about GET.
        prop_oneof![1 => Just("GET"), 3 => select(&METHODS[..])],
        select(&TARGETS[..]),
        headers(&REQUEST_HEADERS, 4),
        content(),
    );
    parts.prop_map(|(method, target, headers, body)| RequestPlan {
        method: method.to_owned(),
        target: target.to_owned(),
        headers,
        body,
    })
}

fn response() -> impl Strategy<Value = ResponsePlan> {
    let status = prop_oneof![3 => Just(200_u16), 2 => select(&STATUSES[..])];
    let body = prop_oneof![6 => content(), 1 => Just(BodyPlan::Endless)];
    let parts = (
        any::<bool>(),
        0..3_u8,
        status,
        headers(&RESPONSE_HEADERS, 4),
        any::<bool>(),
        body,
    );
    parts.prop_map(
        |(reads_body, waits, status, headers, says_length, body)| ResponsePlan {
            reads_body,
            waits,
            status,
            headers,
            says_length,
            body: match status {
                101 => BodyPlan::Upgrade,
                _ if has_content(status) => body,
                _ => BodyPlan::Empty,
            },
            is_conditional: false,
        },
    )
}

/// Whether a final response with this status has a body (RFC 9110, section 6.4.1).
fn has_content(status: u16) -> bool {
    ![204, 205, 304].contains(&status)
}

fn client() -> impl Strategy<Value = ClientPlan> {
    prop_oneof![
        4 => Just(ClientPlan::ReadsAll),
        1 => (0..4_u8).prop_map(ClientPlan::LeavesBeforeHead),
        1 => (0..3_u8).prop_map(ClientPlan::LeavesAfterFrames),
    ]
}

/// Content that ends, with or without a failure.
fn content() -> impl Strategy<Value = BodyPlan> {
    let ends = select(
        &[
            StreamEnding::Well,
            StreamEnding::WithTrailers,
            StreamEnding::Badly,
        ][..],
    );
    prop_oneof![
        2 => Just(BodyPlan::Empty),
        2 => bytes().prop_map(BodyPlan::Full),
        1 => vec(bytes(), 0..4).prop_map(BodyPlan::List),
        3 => (vec(bytes(), 0..4), any::<bool>(), ends)
            .prop_map(|(chunks, pauses, ends)| BodyPlan::Stream { chunks, pauses, ends }),
    ]
}

/// Text, from a few bytes to more than any threshold.
fn bytes() -> impl Strategy<Value = Bytes> {
    let length = prop_oneof![4 => 1..40_usize, 2 => 800..2_000_usize, 1 => 60_000..80_000_usize];
    length.prop_map(|length| {
        Bytes::from("The garden is seen through the open doors. ".repeat(length / 43 + 1))
            .slice(..length)
    })
}

type Known = [(&'static str, &'static [&'static [u8]])];

/// Some of the known headers, each with one of its values; the application's own header is sometimes repeated.
fn headers(
    known: &'static Known,
    most: usize,
) -> impl Strategy<Value = Vec<(HeaderName, HeaderValue)>> {
    let one = select(known).prop_flat_map(|(name, values)| {
        select(values).prop_map(move |value| {
            let value = HeaderValue::from_bytes(value).expect("no control characters");
            (HeaderName::from_static(name), value)
        })
    });
    let own = weighted(0.3, Just((OWN_HEADER, HeaderValue::from_static("own"))));
    (vec(one, 0..=most), own).prop_map(|(mut list, own)| {
        list.extend(own);
        list
    })
}
