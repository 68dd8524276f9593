//! The keys of requests.

use serde_json::{Value, json};

use super::{get, is_not_judged, passes_and_fails};

fn limited(more: &Value) -> Value {
    let mut request = get("/");
    let request_of = request.as_object_mut().unwrap();
    request_of.extend(more.as_object().unwrap().clone());
    json!({
        "component": "rate_limit",
        "config": {"middleware": "rate_limit", "algorithm": "gcra", "limit": 2, "period_s": 60,
            "key": "peer address", "clock": "controlled"},
        "app": {"kind": "fixed"},
        "request": request,
    })
}

#[test]
fn several_requests_are_sent_at_once() {
    let case = limited(&json!({"concurrent": 5}));
    let right = json!({"status_counts": {"200": 2, "429": 3}});
    let wrong = [json!({"status_counts": {"200": 5}}), json!({"status": 200})];
    passes_and_fails(&case, &right, &wrong);
    let slow = json!({"kind": "sleep", "ms": 200, "then": {"kind": "fixed"}});
    let at_once = json!({"method": "GET", "target": "/", "concurrent": 6});
    let case = json!({"app": slow, "request": at_once});
    let right = json!({"status_counts": {"200": 6}, "within_ms": 1100});
    passes_and_fails(&case, &right, &[json!({"within_ms": 100})]);
    is_not_judged(&limited(&json!({"concurrent": 2, "repeat": 2})));
    is_not_judged(&limited(&json!({"concurrent": 0})));
}

#[test]
fn a_header_varies_from_request_to_request() {
    // Only this header identifies the client.
    let case = limited(&json!({"repeat": 4,
        "vary_header": {"name": "X-Forwarded-For", "pattern": "192.0.2.{n}"}}));
    let right = json!({"status_counts": {"200": 2, "429": 2},
        "app_saw": {"headers": {"x-forwarded-for": {"equals": "192.0.2.1"}}}});
    let wrong = [json!({"status_counts": {"200": 4}})];
    passes_and_fails(&case, &right, &wrong);
    let vary = json!({"name": "x-a", "values": ["one", "two"]});
    let request = json!({"method": "GET", "target": "/", "headers": [["X-A", "0"]], "repeat": 2,
        "vary_header": vary});
    let case = json!({"app": {"kind": "echo"}, "request": request});
    let right = json!({"app_saw": {"headers": {"x-a": {"lines_equal": ["two"]}}}});
    let wrong = [json!({"app_saw": {"headers": {"x-a": {"lines_equal": ["0", "two"]}}}})];
    passes_and_fails(&case, &right, &wrong);
    for vary in [
        json!({"name": "x-a", "values": ["one"]}),
        json!({"name": "x-a", "pattern": "same"}),
        json!({"name": "x-a"}),
    ] {
        is_not_judged(&limited(&json!({"repeat": 2, "vary_header": vary})));
    }
}

#[test]
fn an_interim_100_comes_if_the_content_is_read() {
    let request = json!({"method": "PUT", "target": "/", "headers": [["Expect", "100-continue"]],
        "body": "abc"});
    let case = json!({"app": {"kind": "read_body"}, "request": request});
    let right = json!({"interim_100": true, "status": 200, "body": {"equals": "abc"}});
    passes_and_fails(&case, &right, &[json!({"interim_100": false})]);
    let case = json!({"app": {"kind": "fixed", "status": 403}, "request": request});
    let right = json!({"interim_100": false, "status": 403});
    passes_and_fails(&case, &right, &[json!({"interim_100": true})]);
}

#[test]
fn a_case_has_an_environment_of_its_own() {
    let log = json!({"middleware": "access_log", "format": "%t", "clock": "fixed at 784111777"});
    let case = json!({
        "environment": {"TZ": "Asia/Tokyo", "HTTP_PROXY": "http://proxy.example"},
        "config": log,
        "app": {"kind": "echo"},
        "request": get("/"),
    });
    let right = json!({
        "log": {"equals": "[06/Nov/1994:08:49:37 +0000]"},
        "app_saw": {"environment": {"TZ": "Asia/Tokyo"}, "cgi": {"HTTP_PROXY": {"absent": true}}},
    });
    let wrong = [
        json!({"log": {"equals": "[06/Nov/1994:17:49:37 +0900]"}}),
        json!({"app_saw": {"environment": {"TZ": {"absent": true}}}}),
        json!({"app_saw": {"cgi": {"HTTP_PROXY": "http://proxy.example"}}}),
    ];
    passes_and_fails(&case, &right, &wrong);
}
