//! The keys of stacks.

use serde_json::{Value, json};

use super::{check, get, is_not_judged, passes_and_fails};
use crate::verdict::Trouble;

#[test]
fn a_mount_stands_in_a_mount() {
    let inner = json!({"middleware": "mount", "default": "inner default",
        "routes": [{"prefix": "/b", "app": "b"}]});
    let stack = json!({"stack": [{"middleware": "headers", "response": [["set", "x-in", "1"]]}]});
    let routes = json!([
        {"prefix": "/a", "app": inner},
        {"prefix": "/s", "app": stack},
        {"prefix": "/f", "app": {"kind": "fixed", "name": "f", "status": 201}},
    ]);
    let mount = json!({"middleware": "mount", "routes": routes});
    let case = |target: &str| {
        json!({"component": "router_mount", "config": mount, "app": {"kind": "echo"},
            "request": get(target)})
    };
    let right = json!({"status": 200, "app_called": ["b"],
        "app_saw": {"script_name": "/a/b", "path_info": "/c"}});
    let wrong = [
        json!({"app_called": ["inner default"]}),
        json!({"app_saw": {"script_name": "/a"}}),
    ];
    passes_and_fails(&case("/a/b/c"), &right, &wrong);
    let right = json!({"app_called": ["inner default"], "app_saw": {"script_name": "/a"}});
    passes_and_fails(&case("/a/c"), &right, &[json!({"app_called": ["b"]})]);
    let right = json!({"headers": {"x-in": {"equals": "1"}}, "app_saw": {"script_name": "/s"}});
    passes_and_fails(
        &case("/s"),
        &right,
        &[json!({"headers": {"x-in": {"absent": true}}})],
    );
    let right = json!({"status": 201, "app_called": ["f"]});
    passes_and_fails(&case("/f"), &right, &[json!({"status": 200})]);
    let hosts = json!({"middleware": "mount",
        "routes": [{"host": "a.example", "prefix": "/a", "app": mount}]});
    let request = json!({"method": "GET", "target": "/a/a/b", "headers": [["Host", "a.example"]]});
    let case = json!({"config": hosts, "app": {"kind": "echo"}, "request": request});
    let right = json!({"app_called": ["b"], "app_saw": {"script_name": "/a/a/b"}});
    passes_and_fails(&case, &right, &[json!({"status": 404})]);
    let unknown = json!({"middleware": "mount", "routes": [{"prefix": "/a", "app": 1}]});
    is_not_judged(&json!({"config": unknown, "app": {"kind": "echo"}, "request": get("/")}));
}

#[test]
fn a_prefix_is_refused_at_construction() {
    let case = |prefix: &str| {
        json!({"component": "router_mount", "kind": "function", "function": "mount(prefix)",
            "input": {"prefix": prefix}})
    };
    let (error, accepted) = (json!({"error": true}), json!({"output": "accepted"}));
    passes_and_fails(&case("a"), &error, std::slice::from_ref(&accepted));
    passes_and_fails(&case("/a"), &accepted, &[error]);
    let mount = json!({"middleware": "mount", "routes": [{"prefix": "a", "app": "a"}]});
    let case = json!({"config": mount, "app": {"kind": "echo"}, "request": get("/a")});
    assert_eq!(check(&case, &json!({"config_error": true})), Ok(()));
    let refused = check(&case, &json!({"status": 200}));
    assert!(matches!(refused, Err(Trouble::Failed(_))), "{refused:?}");
}

fn compressed(options: &Value, app: &Value) -> Value {
    let mut config = json!({"middleware": "compression", "codings": ["gzip"], "min_size": 0});
    let config_of = config.as_object_mut().unwrap();
    config_of.extend(options.as_object().unwrap().clone());
    let request = json!({"method": "GET", "target": "/", "headers": [["Accept-Encoding", "gzip"]]});
    json!({"component": "compression", "config": config, "app": app, "request": request})
}

#[test]
fn compression_has_a_predicate_that_is_always_true_or_false() {
    let image = json!({"kind": "fixed", "headers": [["Content-Type", "image/png"]], "body": "abc"});
    let text = json!({"kind": "fixed", "headers": [["Content-Type", "text/plain"]], "body": "abc"});
    let gzip = json!({"headers": {"content-encoding": {"equals": "gzip"}},
        "body": {"decoded": {"coding": "gzip", "length": 3}}});
    let plain = json!({"headers": {"content-encoding": {"absent": true}}});
    let always = compressed(&json!({"predicate": "always true"}), &image);
    passes_and_fails(&always, &gzip, std::slice::from_ref(&plain));
    let never = compressed(&json!({"predicate": "always false"}), &text);
    passes_and_fails(&never, &plain, &[gzip]);
    is_not_judged(&compressed(&json!({"predicate": "on Mondays"}), &text));
    is_not_judged(&compressed(&json!({"codings": ["gzip", "gzipp"]}), &text));
}

#[test]
fn decoded_content_has_a_length() {
    let app = json!({"kind": "fixed", "headers": [["Content-Type", "text/plain"]],
        "body_repeat": {"text": "abc", "times": 1000}});
    let case = compressed(&json!({}), &app);
    let length = |length: u64| json!({"body": {"decoded": {"coding": "gzip", "length": length}}});
    passes_and_fails(
        &case,
        &length(3000),
        &[length(2999), json!({"body": {"length": 3000}})],
    );
}

#[test]
fn each_chunk_is_flushed_or_none_is() {
    let app = json!({"kind": "fixed", "headers": [["Content-Type", "text/plain"]],
        "body_chunks": ["one", "two", "three"], "chunk_delay_ms": 150});
    let text = json!({"coding": "gzip", "equals": "onetwothree"});
    let early = json!({"body": {"incremental": true, "decoded": text}});
    let late = json!({"body": {"incremental": false, "decoded": text}});
    let each = compressed(&json!({"flush": "each chunk"}), &app);
    passes_and_fails(&each, &early, std::slice::from_ref(&late));
    let never = compressed(&json!({"flush": "never"}), &app);
    passes_and_fails(
        &never,
        &json!({"body": {"decoded": text}}),
        &[json!({"body": {"empty": true}})],
    );
    is_not_judged(&compressed(&json!({"flush": "at noon"}), &app));
}

#[test]
fn cors_has_a_predicate_that_is_always_true_or_false() {
    let origin = json!([["Origin", "https://a.example"]]);
    let case = |predicate: &str| {
        json!({
            "component": "cors",
            "config": {"middleware": "cors", "allow_origins": predicate, "allow_methods": ["GET"],
                "allow_headers": []},
            "app": {"kind": "fixed"},
            "request": {"method": "GET", "target": "/", "headers": origin},
        })
    };
    let allowed =
        json!({"headers": {"access-control-allow-origin": {"equals": "https://a.example"}}});
    let not_allowed = json!({"headers": {"access-control-allow-origin": {"absent": true}}});
    let (always, never) = (
        case("predicate: always true"),
        case("predicate: always false"),
    );
    passes_and_fails(&always, &allowed, std::slice::from_ref(&not_allowed));
    passes_and_fails(&never, &not_allowed, &[allowed]);
}

fn logged(options: &Value) -> Value {
    let mut config = json!({"middleware": "access_log", "format": "common",
        "clock": "fixed at 784111777"});
    let config_of = config.as_object_mut().unwrap();
    config_of.extend(options.as_object().unwrap().clone());
    let headers = json!([["Authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="]]);
    json!({
        "component": "access_log",
        "config": config,
        "app": {"kind": "fixed", "body": "ok"},
        "request": {"method": "GET", "target": "/", "headers": headers, "remote_addr": "192.0.2.7"},
    })
}

#[test]
fn the_user_of_a_log_is_from_basic_credentials_if_the_case_says_so() {
    let known = json!({"log": {"lines": 1, "regex": r"^192\.0\.2\.7 - Aladdin \["}});
    let unknown = json!({"log": {"lines": 1, "regex": r"^192\.0\.2\.7 - - \["}});
    let basic = logged(&json!({"user_from": "basic"}));
    passes_and_fails(&basic, &known, std::slice::from_ref(&unknown));
    passes_and_fails(&logged(&json!({})), &unknown, &[known]);
    is_not_judged(&logged(&json!({"user_from": "a hunch"})));
}

#[test]
fn a_line_of_a_log_matches_one_of_several() {
    let case = logged(&json!({"format": "%m %>s"}));
    for (right, wrong) in [
        (
            json!({"any_of": [{"equals": "PUT 200"}, {"equals": "GET 200"}]}),
            json!({"any_of": [{"equals": "PUT 200"}, {"equals": "GET 404"}]}),
        ),
        (
            json!({"contains_any": ["404", "200"]}),
            json!({"contains_any": ["404", "500"]}),
        ),
    ] {
        passes_and_fails(&case, &json!({"log": right}), &[json!({"log": wrong})]);
    }
}

fn identified(options: &Value) -> Value {
    let mut config = json!({"middleware": "request_id", "header": "x-request-id",
        "incoming": "accept when valid"});
    let config_of = config.as_object_mut().unwrap();
    config_of.extend(options.as_object().unwrap().clone());
    let headers = json!([["x-request-id", "anidthatislongenough"]]);
    json!({
        "component": "request_id",
        "config": config,
        "app": {"kind": "echo"},
        "request": {"method": "GET", "target": "/", "headers": headers, "repeat": 2},
    })
}

#[test]
fn an_id_of_the_client_is_ignored_if_the_case_says_so() {
    let kept = json!({"headers": {"x-request-id": {"equals": "anidthatislongenough"}}});
    let made = json!({"headers": {"x-request-id": {"not_equals": "anidthatislongenough",
        "distinct_across_repeats": true}}});
    let ignoring = identified(&json!({"incoming": "ignore"}));
    passes_and_fails(&ignoring, &made, std::slice::from_ref(&kept));
    passes_and_fails(&identified(&json!({})), &kept, &[made]);
    is_not_judged(&identified(&json!({"incoming": "perhaps"})));
}

#[test]
fn ids_are_uuids_of_version_4_if_the_case_says_so() {
    let version = |version: char| {
        let regex = format!(
            "^[0-9a-f]{{8}}-[0-9a-f]{{4}}-{version}[0-9a-f]{{3}}-[89ab][0-9a-f]{{3}}-[0-9a-f]{{12}}$"
        );
        json!({"headers": {"x-request-id": {"regex": regex, "distinct_across_repeats": true}}})
    };
    let four = identified(&json!({"incoming": "ignore", "generator": "uuid v4"}));
    passes_and_fails(&four, &version('4'), &[version('7')]);
    let ours = identified(&json!({"incoming": "ignore"}));
    passes_and_fails(&ours, &version('7'), &[version('4')]);
}
