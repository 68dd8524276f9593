//! Expectations of raw bytes, tested against results.

use super::*;

fn outcome(statuses: &[u16], requests: &[Value], closed: bool) -> Outcome {
    let response = |status: &u16| ObservedResponse {
        status: *status,
        ..ObservedResponse::default()
    };
    Outcome {
        requests: requests.to_vec(),
        responses: statuses.iter().map(response).collect(),
        closed,
        persists: !closed,
        ..Outcome::default()
    }
}

#[test]
fn every_expectation_can_pass_and_fail() {
    let saw = json!({
        "method": "GET", "target": "/", "version": "HTTP/1.1", "body": "b", "host": "h",
        "header_lines": [["host", "h"], ["x", "\u{fffd}"]],
        "header_bytes": {"host": "68", "x": "ff"},
    });
    let served = outcome(&[200], std::slice::from_ref(&saw), false);
    let refused = outcome(&[400], &[], true);
    let dropped = outcome(&[], &[], true);
    let silent = outcome(&[], &[], false);
    let mut with_y = saw.clone();
    with_y["header_lines"] = json!([["y", "1"]]);
    let served_with_y = outcome(&[200], &[with_y], false);
    let mut with_header_x = outcome(&[200], std::slice::from_ref(&saw), false);
    with_header_x.responses[0].headers = vec![("x".to_owned(), "1".to_owned())];
    let mut continued = outcome(&[200], std::slice::from_ref(&saw), false);
    continued.interim = vec![100];
    let wants = |request: Value| json!({"class": "accept", "requests": [request]});
    let reject = json!({"class": "reject", "status": [400], "connection_closed_after": true});
    let or_close = json!({"class": "reject", "status": [400], "or_close": true});
    let once = json!({"class": "accept", "connection_persists": false});
    let other_host = wants(json!({"effective_host": "other"}));
    let either = json!({"any_of": [reject, wants(json!({"method": "GET"}))]});
    for (expect, passes, fails) in [
        (
            wants(json!({"method": "GET", "body": "b"})),
            &served,
            &refused,
        ),
        (
            wants(json!({"headers_include": [["host", "h"]]})),
            &served,
            &silent,
        ),
        (
            wants(json!({"headers": [["host", "h"]], "header_bytes": {"x": "ff"}})),
            &served,
            &dropped,
        ),
        (reject.clone(), &refused, &served),
        (reject.clone(), &refused, &dropped),
        (or_close, &dropped, &silent),
        (once, &refused, &served),
        (either, &served, &silent),
        (json!({"class": "incomplete"}), &refused, &served),
        (json!({"class": "incomplete"}), &silent, &served),
        (
            json!({"class": "incomplete", "status": [408]}),
            &silent,
            &refused,
        ),
        (
            json!({"class": "reject", "status": [400], "incomplete": true}),
            &silent,
            &served,
        ),
        (
            json!({"class": "reject", "status": [400], "incomplete": true}),
            &refused,
            &served,
        ),
        (
            wants(json!({"headers_absent": ["Y"]})),
            &served,
            &served_with_y,
        ),
        (
            json!({"class": "accept", "responses": [{"status": 200, "headers_absent": ["X"]}]}),
            &served,
            &with_header_x,
        ),
        (
            json!({"class": "accept", "responses": [{"status": 200, "headers": {"x": {"equals": "1"}}}]}),
            &with_header_x,
            &served,
        ),
        (
            json!({"class": "accept", "responses": [{"body": {"empty": true}}]}),
            &served,
            &silent,
        ),
        (
            json!({"class": "accept", "requires": ["connection open", "one response"]}),
            &served,
            &refused,
        ),
        (
            json!({"class": "accept", "requires": "connection closed"}),
            &refused,
            &served,
        ),
        (
            json!({"class": "accept", "requires": "no response"}),
            &silent,
            &served,
        ),
        (
            json!({"class": "accept", "requires": "no request reaches the application"}),
            &refused,
            &served,
        ),
        (
            json!({"class": "accept", "interim_100": true}),
            &continued,
            &served,
        ),
        (
            json!({"class": "accept", "interim": [100]}),
            &continued,
            &served,
        ),
        (
            json!({"class": "accept", "interim": null}),
            &served,
            &continued,
        ),
    ] {
        assert_eq!(judge(&expect, passes), Ok(()), "{expect}");
        assert!(judge(&expect, fails).is_err(), "{expect}");
    }
    assert!(judge(&other_host, &served).is_err());
    let more = wants(json!({"headers": [["host", "h"]]}));
    assert!(judge(&more, &served).is_err());
    let served_too = outcome(&[400, 200], &[], true);
    assert!(judge(&reject, &served_too).is_err());
}

#[test]
fn an_unknown_condition_is_never_skipped() {
    let served = outcome(&[200], &[], true);
    for expect in [
        json!({"class": "accept", "requires": "good manners"}),
        json!({"class": "accept", "mood": "good"}),
        json!({"class": "perhaps"}),
        json!({"class": "incomplete", "mood": "good"}),
        json!({"class": "reject", "status": [200], "or_close": "yes"}),
        json!({"class": "accept", "requires": ["one response", "good manners"]}),
        json!({"class": "accept", "responses": [{"mood": "good"}]}),
        json!({"class": "accept", "responses": 1}),
        json!({"class": "accept", "interim": 100}),
        json!({"class": "accept", "interim_100": 1}),
        json!({"any_of": [{"class": "accept"}, {"class": "perhaps"}]}),
    ] {
        let result = judge(&expect, &served);
        let unknown = matches!(result, Err(crate::verdict::Trouble::Unsupported(_)));
        assert!(unknown, "{expect}: {result:?}");
    }
}
