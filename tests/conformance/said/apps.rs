//! The keys of applications.

use serde_json::{Value, json};

use super::{get, is_not_judged, passes_and_fails};

fn put(body: &str) -> Value {
    json!({"method": "PUT", "target": "/", "body": body})
}

#[test]
fn an_application_reads_the_body_and_then_responds() {
    let then = json!({"kind": "fixed", "status": 201, "body": "made"});
    let case = json!({"app": {"kind": "read_body_then", "then": then}, "request": put("abc")});
    let right = json!({"status": 201, "body": {"equals": "made"}, "app_saw": {"body": "abc"}});
    let wrong = [json!({"status": 200}), json!({"app_saw": {"body": "ab"}})];
    passes_and_fails(&case, &right, &wrong);
}

#[test]
fn an_application_responds_to_a_body_that_it_cannot_read() {
    let on_error = json!({"kind": "fixed", "status": 422, "body": "not read"});
    let app = json!({"kind": "read_body_map_error", "on_error": on_error});
    let limit = json!({"middleware": "body_limit", "max_bytes": 2});
    let chunks = json!({"method": "PUT", "target": "/", "body_chunks": ["ab", "cd"]});
    let case = json!({"config": limit, "app": app, "request": chunks});
    let right = json!({"status": 422, "body": {"equals": "not read"},
        "app_saw": {"body_error": {"contains": "longer than the limit"}}});
    let wrong = [
        json!({"status": 413}),
        json!({"app_saw": {"body_error": null}}),
    ];
    passes_and_fails(&case, &right, &wrong);
    let case = json!({"config": limit, "app": app, "request": put("ab")});
    let right = json!({"status": 200, "body": {"equals": "ab"}, "app_saw": {"body_error": null}});
    passes_and_fails(&case, &right, &[json!({"status": 422})]);
}

#[test]
fn changes_of_an_application_to_its_request_are_its_own() {
    let first = json!({"name": "a", "kind": "fixed", "status": 404,
        "sets": {"headers": [["X-A", "1"]], "path": "/changed"}});
    let case = json!({
        "config": {"middleware": "cascade", "pass_on": [404]},
        "app": {"kind": "list", "apps": [first, {"name": "b", "kind": "echo"}]},
        "request": get("/kept"),
    });
    let right = json!({"app_called": ["a", "b"],
        "app_saw": {"path_info": "/kept", "headers": {"x-a": {"absent": true}}}});
    let wrong = [
        json!({"app_saw": {"path_info": "/changed"}}),
        json!({"app_saw": {"headers": {"x-a": {"equals": "1"}}}}),
    ];
    passes_and_fails(&case, &right, &wrong);
}

#[test]
fn a_body_is_a_file() {
    for (file, body) in [
        (json!("root/five.txt"), "HELLO".to_owned()),
        (
            json!({"text": "abc", "times": 20_000}),
            "abc".repeat(20_000),
        ),
    ] {
        let case = json!({"app": {"kind": "fixed", "body_file": file}, "request": get("/")});
        let length = body.len().to_string();
        let right = json!({"status": 200, "body": {"equals": body},
            "headers": {"content-length": {"equals": length}}});
        let wrong = [
            json!({"body": {"equals": "hello"}}),
            json!({"headers": {"content-length": {"absent": true}}}),
        ];
        passes_and_fails(&case, &right, &wrong);
    }
    let sent = json!({"method": "PUT", "target": "/", "body_file": "root/five.txt"});
    let case = json!({"app": {"kind": "read_body"}, "request": sent});
    let right = json!({"body": {"equals_file": "root/five.txt"}});
    passes_and_fails(
        &case,
        &right,
        &[json!({"body": {"equals_file": "root/tiny.js"}})],
    );
    is_not_judged(
        &json!({"app": {"kind": "fixed", "body_file": "root/nothing"}, "request": get("/")}),
    );
}

#[test]
fn a_panic_has_any_payload() {
    for (payload, said) in [
        (
            json!({"payload": "String (formatted)", "message": "why"}),
            "panicked: why",
        ),
        (
            json!({"payload": "&'static str", "message": "why"}),
            "panicked: why",
        ),
        (
            json!({"payload": "a number"}),
            "panicked: with a value that is not text",
        ),
    ] {
        for when in [Value::Null, json!("after first await")] {
            let mut app = json!({"kind": "panic", "when": when});
            app.as_object_mut()
                .unwrap()
                .extend(payload.as_object().unwrap().clone());
            let log = json!({"middleware": "access_log", "format": "%>s %{error}x",
                "clock": "fixed at 784111777"});
            let case = json!({
                "config": {"stack": [log, {"middleware": "catch_panic"}]},
                "app": app,
                "request": get("/"),
            });
            let right =
                json!({"status": 500, "log": {"lines": 1, "equals": format!("500 {said}")}});
            let wrong = [
                json!({"status": 200}),
                json!({"log": {"not_contains": "panicked"}}),
                json!({"log": {"equals": "500 -"}}),
            ];
            passes_and_fails(&case, &right, &wrong);
        }
    }
    is_not_judged(&json!({"app": {"kind": "panic", "payload": "a wish"}, "request": get("/")}));
}

#[test]
fn a_payload_that_panics_when_it_is_dropped_is_a_500_like_any_other() {
    for config in [json!({}), json!({"middleware": "catch_panic"})] {
        for when in [Value::Null, json!("after first await")] {
            let app = json!({"kind": "panic", "payload": "panics when dropped", "when": when});
            let case = json!({"config": config, "app": app, "request": get("/")});
            passes_and_fails(&case, &json!({"status": 500}), &[json!({"status": 200})]);
        }
    }
}

#[test]
fn the_bytes_of_a_path_are_recorded_if_they_are_not_text() {
    let case = json!({"app": {"kind": "echo"}, "request": get("/a%FFb")});
    let right = json!({"app_saw": {"path_info_bytes_hex": "2f61ff62"}});
    let wrong = [json!({"app_saw": {"path_info_bytes_hex": "2f61c3bf62"}})];
    passes_and_fails(&case, &right, &wrong);
}

#[test]
fn an_unread_body_is_left() {
    let case = json!({
        "config": {"middleware": "body_limit", "max_bytes": 2},
        "app": {"kind": "fixed", "body": "unread"},
        "request": {"method": "PUT", "target": "/", "body_chunks": ["ab", "cd"]},
    });
    let right = json!({"status": 200, "body": {"equals": "unread"}});
    passes_and_fails(&case, &right, &[json!({"status": 413})]);
}
