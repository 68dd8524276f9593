//! Expectations, tested against observations.

use std::io::Write;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::observed::{Log, Recorder};
use crate::verdict::Trouble;

fn observed() -> Observed {
    let record = Recorder::default();
    record.lock().saw.push(json!({
        "app": "GET /a",
        "method": "GET",
        "header_lines": [["x-a", "1"], ["x-a", "2"]],
        "cgi": {"HTTP_X_A": "1, 2"},
    }));
    record.lock().called = vec![Some("a".to_owned()), Some("b".to_owned())];
    record.lock().bodies_made = 1;
    record.lock().bodies_closed = 1;
    let mut log = Log::default();
    log.write_all(b"one\n").unwrap();
    Observed {
        responses: vec![ObservedResponse {
            status: 200,
            headers: vec![("a".into(), "b".into())],
            body: b"abc".to_vec(),
            trailers: vec![("t".into(), "1".into())],
            broken: Some("broken".into()),
            interim: vec![100],
            first_before_end: false,
        }],
        second_status: Some(404),
        record,
        log,
        took: Duration::from_millis(20),
    }
}

#[test]
fn every_expectation_can_pass_and_fail() {
    let outcome = Outcome::Observed(Box::new(observed()));
    for (passes, fails) in [
        (json!({"status": 200}), json!({"status": 201})),
        (
            json!({"status": {"any_of": [404, 200]}}),
            json!({"status": {"any_of": [404]}}),
        ),
        (
            json!({"second_response_status": 404}),
            json!({"second_response_status": 200}),
        ),
        (
            json!({"headers": {"a": {"equals": "b"}}}),
            json!({"headers": {"a": {"absent": true}}}),
        ),
        (
            json!({"headers": {"pair": {"not_both": [["a", "b"], ["c", "d"]]}}}),
            json!({"headers": {"pair": {"not_both": [["a", "b"], ["a", "b"]]}}}),
        ),
        (
            json!({"second_response": {"any_of": [200, 404]}}),
            json!({"second_response": {"any_of": ["connection closed"]}}),
        ),
        (
            json!({"body": {"equals": "abc"}}),
            json!({"body": {"empty": true}}),
        ),
        (
            json!({"trailers": {"t": {"equals": "1"}}}),
            json!({"trailers": {"t": {"equals": "2"}}}),
        ),
        (json!({"app_called": true}), json!({"app_called": false})),
        (
            json!({"app_called": ["a", "b"]}),
            json!({"app_called": ["b", "a"]}),
        ),
        (
            json!({"app_called": ["a", "b"]}),
            json!({"app_called": ["a"]}),
        ),
        (
            json!({"app_saw": {"route": "GET /a"}}),
            json!({"app_saw": {"route": "GET /b"}}),
        ),
        (
            json!({"app_saw": {"method": "GET"}}),
            json!({"app_saw": {"method": "PUT"}}),
        ),
        (
            json!({"app_saw": {"headers": {"x-a": {"lines_equal": ["1", "2"]}}}}),
            json!({"app_saw": {"headers": {"x-a": {"lines_equal": ["1, 2"]}}}}),
        ),
        (
            json!({"app_saw": {"header_joined": {"x-a": "1, 2"}}}),
            json!({"app_saw": {"header_joined": {"x-a": "1"}}}),
        ),
        (
            json!({"app_saw": {"cgi": {"HTTP_PROXY": {"absent": true}}}}),
            json!({"app_saw": {"cgi": {"HTTP_X_A": {"absent": true}}}}),
        ),
        (
            json!({"app_body_closed": true}),
            json!({"app_body_closed": false}),
        ),
        (
            json!({"log": {"lines": 1, "equals": "one"}}),
            json!({"log": {"lines": 2}}),
        ),
        (
            json!({"log": {"regex": "^o"}}),
            json!({"log": {"regex": "^t"}}),
        ),
        (
            json!({"log": {"not_contains": "x"}}),
            json!({"log": {"not_contains": "n"}}),
        ),
        (
            json!({"status_counts": {"200": 1}}),
            json!({"status_counts": {"200": 2}}),
        ),
        (json!({"within_ms": 20}), json!({"within_ms": 19})),
        (
            json!({"any_of": [{"status": 1}, {"status": 200}]}),
            json!({"any_of": [{"status": 1}]}),
        ),
        (
            json!({"any_of": [{"status": 200}], "body": {"equals": "abc"}}),
            json!({"any_of": [{"status": 200}], "body": {"equals": "a"}}),
        ),
        (
            json!({"stream": {"ends": "error"}}),
            json!({"config_error": true}),
        ),
        (json!({"interim_100": true}), json!({"interim_100": false})),
        (
            json!({"log": {"contains_any": ["x", "one"]}}),
            json!({"log": {"contains_any": ["x", "two"]}}),
        ),
        (
            json!({"log": {"any_of": [{"equals": "two"}, {"regex": "^o", "contains": "n"}]}}),
            json!({"log": {"any_of": [{"equals": "two"}, {"regex": "^o", "contains": "x"}]}}),
        ),
        (
            json!({"by_algorithm": {"gcra": {"status": 200}, "fixed window": {"status": 429}}}),
            json!({"by_algorithm": {"gcra": {"status": 429}, "fixed window": {"status": 200}}}),
        ),
    ] {
        assert_eq!(judge(&passes, &outcome), Ok(()), "{passes}");
        let failed = judge(&fails, &outcome);
        assert!(
            matches!(failed, Err(Trouble::Failed(_))),
            "{fails}: {failed:?}"
        );
    }
}

#[test]
fn a_stack_that_cannot_be_built_is_a_failure_unless_it_is_expected() {
    let refused = Outcome::Refused("why".to_owned());
    let expected = json!({"config_error": true});
    assert_eq!(judge(&expected, &refused), Ok(()));
    let either = json!({"any_of": [{"status": 500}, {"config_error": true}]});
    assert_eq!(judge(&either, &refused), Ok(()));
    let neither = json!({"any_of": [{"status": 500}]});
    assert!(judge(&neither, &refused).is_err());
    let failed = fail("the stack could not be built: why");
    assert_eq!(judge(&json!({"status": 200}), &refused), failed);
}

#[test]
fn an_unknown_expectation_is_never_skipped() {
    let outcome = Outcome::Observed(Box::new(observed()));
    for expect in [
        json!({"status": 200, "mood": "good"}),
        json!({"status": "200"}),
        json!({"status": {"if_etag_strong": 200}}),
        json!({"app_called": "a"}),
        json!({"app_called": ["a", 1]}),
        json!({"app_saw": {"mood": "good"}}),
        json!({"log": {"mood": "good"}}),
        json!({"stream": {"ends": "well"}}),
        json!({"headers": {"a": {"mood": "good"}}}),
        json!({"status": 201, "headers": {"a": {"mood": "good"}}}),
        json!({"headers": {"a": {"equals": "x"}, "b": {"mood": "good"}}}),
        json!({"any_of": [{"status": 200}, {"mood": "good"}]}),
        json!({"any_of": {"status": 200}}),
        json!({"log": {"any_of": [{"contains": "one"}, {"mood": "good"}]}}),
        json!({"log": {"lines": "1"}}),
        json!({"interim_100": 1}),
        json!({"config_error": 1}),
        json!({"by_algorithm": {"fixed window": {"status": 200}}}),
        json!({"by_algorithm": {"gcra": {"status": 200}, "luck": {"status": 200}}}),
    ] {
        let result = judge(&expect, &outcome);
        assert!(
            matches!(result, Err(Trouble::Unsupported(_))),
            "{expect}: {result:?}"
        );
    }
}
