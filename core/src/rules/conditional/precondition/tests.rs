//! Tests of preconditions.

use http::HeaderValue;

use super::*;
use crate::rules::conditional::EntityTag;

const THEN: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

fn headers(lines: &[(HeaderName, &[u8])]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(name, HeaderValue::from_bytes(value).unwrap());
    }
    headers
}

fn current(tag: &str) -> Validators {
    let changed = OffsetDateTime::from_unix_timestamp(784_111_777).unwrap();
    let validators = Validators::new().last_modified(changed);
    validators.entity_tag(tag.parse().unwrap())
}

fn check(method: &Method, tag: &str, lines: &[(HeaderName, &[u8])], expected: Precondition) {
    let found = evaluate(method, &headers(lines), &current(tag));
    assert_eq!(found, expected, "{method} {tag} {lines:?}");
}

#[test]
fn if_none_match_compares_weakly_and_with_the_whole_list() {
    use Precondition::{Met, NotModified};
    let cases: [(&str, &[&[u8]], Precondition); 22] = [
        ("\"a\"", &[b"\"a\""], NotModified),
        ("\"a\"", &[b"W/\"a\""], NotModified),
        ("W/\"a\"", &[b"\"a\""], NotModified),
        ("W/\"a\"", &[b"W/\"a\""], NotModified),
        ("\"a\"", &[b"*"], NotModified),
        ("\"a\"", &[b" * "], NotModified),
        ("\"\"", &[b"\"\""], NotModified),
        ("\"b\"", &[b"\"a\",\"b\" , W/\"c\""], NotModified),
        ("\"b\"", &[b"\"a\"", b"\"b\""], NotModified),
        ("\"b\"", &[b",, \t\"b\","], NotModified),
        ("\"b\"", &[b"a, \"b\""], NotModified),
        ("\"a,b\"", &[b"\"a,b\""], NotModified),
        ("\"a\\\"", &[b"\"a\\\", \"b\""], NotModified),
        ("\"b\"", &[b"\"a,b\""], Met),
        ("\"a\"", &[b"a"], Met),
        ("\"a\"", &[b"w/\"a\""], Met),
        ("\"a\"", &[b"\"a\"x"], Met),
        ("\"a\"", &[b"\"x\", *"], Met),
        ("\"a\"", &[b"*", b"\"x\""], Met),
        ("\"a\"", &[b"\"\xff\xfe\""], Met),
        ("\"a\"", &[b""], Met),
        ("\"a\"", &[b"\""], Met),
    ];
    for (tag, values, expected) in cases {
        let lines: Vec<_> = values.iter().map(|value| (IF_NONE_MATCH, *value)).collect();
        check(&Method::GET, tag, &lines, expected);
        check(&Method::HEAD, tag, &lines, expected);
        check(&Method::QUERY, tag, &lines, expected);
        let expected = match expected {
            NotModified => Precondition::Failed,
            other => other,
        };
        check(&Method::PUT, tag, &lines, expected);
    }
}

#[test]
fn if_match_compares_strongly() {
    use Precondition::{Failed, Met};
    let cases: [(&str, &[u8], Precondition); 8] = [
        ("\"a\"", b"\"a\"", Met),
        ("\"a\"", b"\"b\", \"a\"", Met),
        ("\"a\"", b"*", Met),
        ("W/\"a\"", b"*", Met),
        ("\"a\"", b"W/\"a\"", Failed),
        ("W/\"a\"", b"W/\"a\"", Failed),
        ("\"a\"", b"\"b\"", Failed),
        ("\"a\"", b"a", Failed),
    ];
    for (tag, value, expected) in cases {
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            check(&method, tag, &[(IF_MATCH, value)], expected);
        }
    }
}

#[test]
fn dates_count_only_if_valid_and_known() {
    use Precondition::{Failed, Met, NotModified};
    let cases: [(HeaderName, &str, Precondition, Precondition); 9] = [
        (IF_MODIFIED_SINCE, THEN, NotModified, Met),
        (IF_MODIFIED_SINCE, AFTER, NotModified, Met),
        (IF_MODIFIED_SINCE, BEFORE, Met, Met),
        (
            IF_MODIFIED_SINCE,
            "Sun Nov  6 08:49:37 1994",
            NotModified,
            Met,
        ),
        (IF_MODIFIED_SINCE, "1994-11-06", Met, Met),
        (IF_UNMODIFIED_SINCE, THEN, Met, Met),
        (IF_UNMODIFIED_SINCE, AFTER, Met, Met),
        (IF_UNMODIFIED_SINCE, BEFORE, Failed, Failed),
        (IF_UNMODIFIED_SINCE, "yesterday", Met, Met),
    ];
    for (name, value, read, write) in cases {
        let lines = [(name.clone(), value.as_bytes())];
        check(&Method::GET, "\"a\"", &lines, read);
        check(&Method::POST, "\"a\"", &lines, write);
        let unknown = evaluate(&Method::GET, &headers(&lines), &Validators::new());
        assert_eq!(unknown, Met, "{name}: {value}");
        let twice = [lines[0].clone(), lines[0].clone()];
        check(&Method::GET, "\"a\"", &twice, Met);
    }
}

#[test]
fn tags_come_before_dates() {
    use Precondition::{Failed, Met, NotModified};
    let cases: [(HeaderName, &str, HeaderName, &str, Precondition); 7] = [
        (
            IF_NONE_MATCH,
            "\"a\"",
            IF_MODIFIED_SINCE,
            BEFORE,
            NotModified,
        ),
        (IF_NONE_MATCH, "\"b\"", IF_MODIFIED_SINCE, AFTER, Met),
        (IF_MATCH, "\"a\"", IF_UNMODIFIED_SINCE, BEFORE, Met),
        (IF_MATCH, "\"b\"", IF_UNMODIFIED_SINCE, AFTER, Failed),
        (IF_MATCH, "\"a\"", IF_NONE_MATCH, "\"a\"", NotModified),
        (IF_MATCH, "\"b\"", IF_NONE_MATCH, "\"a\"", Failed),
        (
            IF_UNMODIFIED_SINCE,
            THEN,
            IF_MODIFIED_SINCE,
            THEN,
            NotModified,
        ),
    ];
    for (first, one, second, other, expected) in cases {
        let lines = [(second, other.as_bytes()), (first, one.as_bytes())];
        check(&Method::GET, "\"a\"", &lines, expected);
    }
}

#[test]
fn a_resource_that_is_missing_matches_nothing() {
    let cases: [(HeaderName, &[u8], Precondition); 4] = [
        (IF_MATCH, b"*", Precondition::Failed),
        (IF_MATCH, b"\"a\"", Precondition::Failed),
        (IF_NONE_MATCH, b"*", Precondition::Met),
        (IF_NONE_MATCH, b"\"a\"", Precondition::Met),
    ];
    for (name, value, expected) in cases {
        let missing = Validators::missing().entity_tag(EntityTag::strong("a").unwrap());
        let lines = headers(&[(name, value)]);
        assert_eq!(evaluate(&Method::PUT, &lines, &missing), expected);
    }
}

#[test]
fn a_request_with_a_condition_is_found() {
    for (name, expected) in [
        (IF_MATCH, true),
        (IF_NONE_MATCH, true),
        (IF_MODIFIED_SINCE, true),
        (IF_UNMODIFIED_SINCE, true),
        (http::header::IF_RANGE, false),
        (http::header::ACCEPT, false),
    ] {
        let lines = headers(&[(http::header::HOST, b"x"), (name.clone(), b"x")]);
        assert_eq!(is_conditional(&lines), expected, "{name}");
    }
}
