//! Tests of ranges.

use std::sync::mpsc;

use bytes::Bytes;
use enfilade_core::{Body, BodyErrorKind, IntoResponse, Outcome, ReadAt, Segment};
use enfilade_testing::{Client, Lint, TestResponse, laws};
use proptest::prelude::{Strategy, any, prop_oneof, proptest};
use time::Duration;

use super::*;

const TEXT: &str = "hall, salon, cellar";
const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

fn client(ranges: Ranges, respond: impl Fn() -> Response + Send + Sync + 'static) -> Client {
    let app = Application::new(move |_: Request| respond());
    Client::new(app.wrap(ranges).wrap(Lint::new()))
}

/// The same with a `Lint` inside too, which makes streams of all content but one buffer.
fn linted(ranges: Ranges, respond: impl Fn() -> Response + Send + Sync + 'static) -> Client {
    let app = Application::new(move |_: Request| respond());
    Client::new(app.wrap(Lint::new()).wrap(ranges).wrap(Lint::new()))
}

fn file(text: &'static str) -> Body {
    let source: Arc<dyn ReadAt> = Arc::new(Bytes::from(text));
    let length = text.len() as u64;
    // Two segments, as a file tree with a head would have.
    Body::from_segments([
        Segment::new(source.clone(), 0..3),
        Segment::new(source, 3..length),
    ])
}

fn range(client: &Client, value: &str) -> TestResponse {
    client.get("/").header("range", value).send()
}

#[test]
fn a_part_of_memory_and_of_a_file_is_a_slice() {
    let bodies: [fn() -> Body; 3] = [
        || Body::from(TEXT),
        || Body::from_list(["hall, ", "salon, ", "cellar"]),
        || file(TEXT),
    ];
    for body in bodies {
        let client = client(Ranges::new(), move || body().into_response());
        for (value, content_range, expected) in [
            ("bytes=0-0", "bytes 0-0/19", "h"),
            ("bytes=6-10", "bytes 6-10/19", "salon"),
            ("bytes=13-", "bytes 13-18/19", "cellar"),
            ("bytes=-6", "bytes 13-18/19", "cellar"),
            ("bytes=0-", "bytes 0-18/19", TEXT),
            ("bytes=0-5, 6-10", "bytes 0-10/19", "hall, salon"),
        ] {
            let response = range(&client, value);
            assert_eq!(response.status(), 206, "{value}");
            assert_eq!(response.header("content-range"), Some(content_range));
            let length = expected.len().to_string();
            assert_eq!(response.header("content-length"), Some(&*length));
            assert_eq!(response.header("accept-ranges"), Some("bytes"));
            assert_eq!(response.text(), expected);
        }
    }
}

#[test]
fn what_cannot_be_satisfied_is_a_416_without_the_content() {
    let client = client(Ranges::new(), || {
        let lines = [
            ("cache-control", "max-age=60"),
            ("content-encoding", "br"),
            ("etag", "\"7\""),
            ("vary", "accept"),
        ];
        (lines, file(TEXT)).into_response()
    });
    let response = range(&client, "bytes=19-");
    assert_eq!(response.status(), 416);
    assert_eq!(response.header("content-range"), Some("bytes */19"));
    assert_eq!(response.text(), "Range Not Satisfiable");
    assert_eq!(response.header("content-length"), Some("21"));
    assert_eq!(response.header("vary"), Some("accept"));
    for name in ["cache-control", "content-encoding", "etag"] {
        assert_eq!(response.header(name), None, "{name}");
    }
}

#[test]
fn several_parts_are_multipart_with_an_exact_length() {
    let client = client(Ranges::new(), || {
        let lines = [("content-type", "text/plain"), ("content-length", "19")];
        (lines, file(TEXT)).into_response()
    });
    let response = range(&client, "bytes=13-, 0-3");
    assert_eq!(response.status(), 206);
    assert_eq!(response.header("content-range"), None);
    let content_type = response.header("content-type").unwrap().to_owned();
    let boundary = content_type
        .strip_prefix("multipart/byteranges; boundary=")
        .unwrap();
    assert_eq!(boundary.len(), 32);
    let expected = format!(
        "--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 13-18/19\r\n\r\ncellar\r\n\
         --{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-3/19\r\n\r\nhall\r\n\
         --{boundary}--\r\n"
    );
    let length = expected.len().to_string();
    assert_eq!(response.text(), expected);
    assert_eq!(response.header("content-length"), Some(&*length));
    let other = range(&client, "bytes=13-, 0-3");
    assert_ne!(other.header("content-type"), Some(&*content_type));
}

#[test]
fn a_part_without_a_type_has_no_content_type() {
    let client = linted(Ranges::new(), || Body::from(TEXT).into_response());
    let response = range(&client, "bytes=0-0, 2-2");
    let text = response.text();
    assert!(
        text.contains("\r\nContent-Range: bytes 0-0/19\r\n\r\nh\r\n"),
        "{text}"
    );
    assert!(!text.contains("Content-Type"), "{text}");
}

#[test]
fn too_many_parts_get_the_whole() {
    let client = linted(Ranges::new().max_parts(1), || TEXT.into_response());
    assert_eq!(range(&client, "bytes=0-0, 2-2").text(), TEXT);
    assert_eq!(range(&client, "bytes=0-0, 1-1").text(), "ha");
}

#[test]
fn other_responses_pass_unchanged() {
    let cases: [(u16, &[(&str, &str)], &str); 7] = [
        (404, &[], TEXT),
        (201, &[], TEXT),
        (203, &[], TEXT),
        (206, &[("content-range", "bytes 0-18/19")], TEXT),
        (200, &[("content-range", "bytes 0-18/19")], TEXT),
        (200, &[("accept-ranges", "none")], TEXT),
        (200, &[], ""),
    ];
    for (status, lines, body) in cases {
        let respond = move || {
            let mut response = body.into_response();
            *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
            for (name, value) in lines {
                response.headers_mut().insert(*name, value.parse().unwrap());
            }
            response
        };
        let plain = Client::new(Application::new(move |_: Request| respond()));
        let ranges = linted(Ranges::new(), respond);
        let (before, after) = (range(&plain, "bytes=1-2"), range(&ranges, "bytes=1-2"));
        assert_eq!(before.status(), after.status());
        assert_eq!(before.headers(), after.headers(), "{status} {lines:?}");
        assert_eq!(before.text(), after.text());
    }
}

#[test]
fn only_get_has_parts_and_head_says_that_it_would() {
    let client = linted(Ranges::new(), || TEXT.into_response());
    for (method, accepts, status) in [
        ("GET", Some("bytes"), 206),
        ("HEAD", Some("bytes"), 200),
        ("POST", None, 200),
        ("QUERY", None, 200),
    ] {
        let method = http::Method::from_bytes(method.as_bytes()).unwrap();
        let request = client.request(method.clone(), "/");
        let response = request.header("range", "bytes=0-0").send();
        assert_eq!(response.header("accept-ranges"), accepts, "{method}");
        assert_eq!(response.status(), status, "{method}");
    }
}

#[test]
fn a_range_that_is_not_valid_is_ignored() {
    let client = linted(Ranges::new(), || TEXT.into_response());
    for value in [
        "bytes=5-4",
        "lines=0-1",
        "bytes=0-1, 5-4",
        "x",
        "bytes=\u{661}-",
    ] {
        let response = range(&client, value);
        assert_eq!((response.status().as_u16(), &*response.text()), (200, TEXT));
    }
    let twice = client.get("/").header("range", "bytes=0-1");
    assert_eq!(twice.header("range", "bytes=3-4").send().text(), TEXT);
}

#[test]
fn if_range_decides_between_part_and_whole() {
    let changed = enfilade_core::headers::parse_http_date(DATE).unwrap();
    const LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
    for (lines, seconds, condition, is_part) in [
        (&[("etag", "\"7\"")][..], 0, "\"7\"", true),
        (&[("etag", "\"7\"")], 0, "\"8\"", false),
        (&[("etag", "W/\"7\"")], 0, "W/\"7\"", false),
        (&[], 0, "\"7\"", false),
        (&[("last-modified", DATE)], 1, DATE, true),
        (&[("last-modified", DATE)], 0, DATE, false),
        (&[("last-modified", DATE), ("date", LATER)], 0, DATE, true),
        (&[("last-modified", DATE)], 9, LATER, false),
        (&[("last-modified", DATE)], 9, "garbage", false),
    ] {
        let now = changed + Duration::seconds(seconds);
        let client = linted(Ranges::new().clock(move || now), move || {
            let mut response = TEXT.into_response();
            for (name, value) in lines {
                response.headers_mut().insert(*name, value.parse().unwrap());
            }
            response
        });
        // A miss is a 200 even if the range could not be satisfied.
        for (value, status) in [("bytes=0-3", 206), ("bytes=99-", 416)] {
            let request = client.get("/").header("range", value);
            let response = request.header("if-range", condition).send();
            let expected = if is_part { status } else { 200 };
            assert_eq!(response.status(), expected, "{lines:?} {condition} {value}");
        }
        let without = client.get("/").header("if-range", condition).send();
        assert_eq!(without.status(), 200);
        let twice = client.get("/").header("range", "bytes=0-3");
        let twice = twice
            .header("if-range", condition)
            .header("if-range", condition);
        assert_eq!(twice.send().status(), 200);
    }
}

fn stream() -> Body {
    Body::from_iterator(["hall, ", "sal", "on, cel", "lar"])
}

#[test]
fn a_stream_has_parts_only_if_allowed() {
    let respond = || ([("content-length", "19")], stream()).into_response();
    let default = linted(Ranges::new(), respond);
    let response = range(&default, "bytes=6-10");
    assert_eq!(
        (response.status().as_u16(), response.header("accept-ranges")),
        (200, None)
    );
    let skipping = linted(Ranges::new().skip_streams(7), respond);
    for (value, status, expected) in [
        ("bytes=0-3", 206, "hall"),
        ("bytes=7-11", 206, "alon,"),
        ("bytes=7-", 206, "alon, cellar"),
        ("bytes=8-", 200, TEXT),
        ("bytes=0-0, 4-4", 200, TEXT),
        ("bytes=0-3, 4-4", 206, "hall,"),
    ] {
        let response = range(&skipping, value);
        assert_eq!(
            (response.status().as_u16(), &*response.text()),
            (status, expected)
        );
    }
    assert_eq!(range(&skipping, "bytes=19-").status(), 416);
    let unknown = linted(Ranges::new().skip_streams(7), || stream().into_response());
    assert_eq!(range(&unknown, "bytes=0-3").text(), TEXT);
}

#[test]
fn a_stream_stops_after_its_part() {
    let (ends, seen) = mpsc::channel();
    let client = client(Ranges::new().skip_streams(100), move || {
        let ends = ends.clone();
        let body = Body::from_iterator(std::iter::repeat_n("hall", 1000));
        let body = body.on_end(move |end| ends.send((end.bytes(), end.outcome())).unwrap());
        ([("content-length", "4000"), ("trailer", "x-a")], body).into_response()
    });
    let response = range(&client, "bytes=5-8");
    assert_eq!(response.header("trailer"), None);
    assert_eq!(response.text(), "allh");
    assert_eq!(seen.try_recv(), Ok((12, Outcome::Complete)));
}

#[test]
fn a_stream_of_many_frames_lets_other_tasks_run() {
    let client = linted(Ranges::new().skip_streams(10_000), move || {
        let body = Body::from_iterator(std::iter::repeat_n("a", 2000).chain(["b"]));
        ([("content-length", "2001")], body).into_response()
    });
    assert_eq!(range(&client, "bytes=2000-").text(), "b");
}

#[test]
fn a_stream_that_is_too_short_fails() {
    let app = Application::new(|_: Request| ([("content-length", "30")], stream()));
    let client = Client::new(app.wrap(Ranges::new().skip_streams(7)));
    let response = range(&client, "bytes=6-25");
    let error = response.body_error().expect("it ends at byte 19");
    assert_eq!(error.kind(), BodyErrorKind::Failed);
}

#[test]
fn digests_of_the_whole_stay_and_those_of_the_message_go() {
    let client = linted(Ranges::new(), || {
        let digest = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";
        ([("content-digest", digest), ("repr-digest", digest)], TEXT).into_response()
    });
    let response = range(&client, "bytes=0-3");
    assert_eq!(response.header("content-digest"), None);
    assert!(response.header("repr-digest").is_some());
}

/// A set of ranges, most of them valid.
fn set() -> impl Strategy<Value = String> {
    let number = || prop_oneof![8 => 0..70_u64, 1 => any::<u64>()];
    let member = (number(), number(), 0..4_u8).prop_map(|(a, b, kind)| match kind {
        0 => format!("{a}-"),
        1 => format!("-{b}"),
        _ => format!("{}-{}", a.min(b), a.max(b)),
    });
    proptest::collection::vec(member, 1..6)
        .prop_map(|members| format!("bytes={}", members.join(",")))
}

/// Content in memory, as a list, as a file, and as a stream.
fn bodies(content: &[u8], cut: usize) -> [Body; 4] {
    let (first, second) = content.split_at(cut.min(content.len()));
    let (first, second) = (first.to_vec(), second.to_vec());
    let source: Arc<dyn ReadAt> = Arc::new(Bytes::copy_from_slice(content));
    let length = content.len() as u64;
    [
        Body::from(content.to_vec()),
        Body::from_list([first.clone(), second.clone()]),
        Body::from_segments([
            Segment::from(first.clone()),
            Segment::new(source, first.len() as u64..length),
        ]),
        Body::from_iterator([first, second]),
    ]
}

/// Checks each part of a 206 against the content.
fn assert_parts_are_slices(response: &TestResponse, content: &[u8]) {
    use enfilade_core::conditional::ContentRange;
    let bytes = response.bytes();
    let slice = |value: &[u8]| {
        let value = http::HeaderValue::from_bytes(value).unwrap();
        let part = ContentRange::from_header_value(&value).unwrap();
        assert_eq!(part.complete_length(), Some(content.len() as u64));
        let range = part.range().unwrap();
        content[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()].to_vec()
    };
    if let Some(value) = response.header("content-range") {
        assert_eq!(bytes, &slice(value.as_bytes()));
        return;
    }
    let content_type = response.header("content-type").unwrap();
    let boundary = content_type.split_once("boundary=").unwrap().1;
    let mut rest = &bytes[..];
    let opening = format!("--{boundary}\r\nContent-Range: ");
    let (mut between, mut count) = ("", 0);
    while let Some(part) = rest.strip_prefix(format!("{between}{opening}").as_bytes()) {
        let end = part
            .windows(4)
            .position(|found| found == b"\r\n\r\n")
            .unwrap();
        let expected = slice(&part[..end]);
        let found = &part[end + 4..];
        assert!(found.starts_with(&expected));
        rest = &found[expected.len()..];
        (between, count) = ("\r\n", count + 1);
    }
    assert_eq!(rest, format!("\r\n--{boundary}--\r\n").as_bytes());
    assert!(count > 1);
}

proptest! {
    #[test]
    fn an_accepted_range_equals_the_slice(
        content in proptest::collection::vec(any::<u8>(), 0..80),
        cut in 0..80_usize,
        set in set(),
    ) {
        for index in 0..4 {
            let (content, length) = (content.clone(), content.len());
            let whole = content.clone();
            let client = client(Ranges::new().skip_streams(1000), move || {
                let body = bodies(&content, cut).into_iter().nth(index).unwrap();
                ([("content-length", length.to_string())], body).into_response()
            });
            let response = range(&client, &set);
            match response.status().as_u16() {
                200 => assert_eq!(response.bytes(), &whole),
                206 => assert_parts_are_slices(&response, &whole),
                416 => {
                    let expected = format!("bytes */{length}");
                    assert_eq!(response.header("content-range"), Some(&*expected));
                }
                other => panic!("{other}"),
            }
        }
    }
}

#[test]
fn keeps_the_laws() {
    let names = [
        http::header::ACCEPT_RANGES,
        http::header::CONTENT_RANGE,
        http::header::CONTENT_LENGTH,
    ];
    laws::Check::new(Ranges::new()).touches(names.clone()).run();
    laws::Check::new(Ranges::new().skip_streams(1 << 20))
        .touches(names)
        .run();
}

#[test]
fn says_its_options() {
    let app = Application::new(|_: Request| "x");
    let described = app
        .wrap(Ranges::new().skip_streams(1024))
        .describe()
        .to_string();
    assert_eq!(
        described.lines().next(),
        Some("Ranges (max_parts: 16, skip_streams: 1 KiB)")
    );
}
