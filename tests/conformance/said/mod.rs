//! Small cases for everything that a case may have: the right expectation passes, and a wrong one fails.

mod apps;
mod bytes;
mod requests;
mod stacks;
mod steps;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use serde_json::{Value, json};

use crate::case::{self, Case};
use crate::runner;
use crate::verdict::{Check, Trouble};

/// Returns the result of a case with this expectation.
fn check(case: &Value, expect: &Value) -> Check {
    start(case, expect).join().unwrap()
}

/// Runs it in a separate thread, as in the run: its panics go to its case and not to the terminal.
fn start(case: &Value, expect: &Value) -> JoinHandle<Check> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let mut value = json!({"id": "said/here", "component": "gateway", "level": "must"});
    let all = value.as_object_mut().unwrap();
    all.extend(case.as_object().unwrap().clone());
    all.insert("expect".to_owned(), expect.clone());
    all.entry("kind").or_insert(json!("exchange"));
    let case: Case = case::parse(value).unwrap();
    let name = format!("said {}", COUNT.fetch_add(1, Ordering::Relaxed));
    let _quiet = crate::panics::of_thread(&name);
    let thread = std::thread::Builder::new().name(name);
    thread.spawn(move || runner::run(&case).check).unwrap()
}

/// The case passes with the right expectation, and fails with each wrong one.
fn passes_and_fails(case: &Value, right: &Value, wrong: &[Value]) {
    let passing = start(case, right);
    let failing: Vec<_> = wrong.iter().map(|wrong| start(case, wrong)).collect();
    assert_eq!(passing.join().unwrap(), Ok(()), "{case}: {right}");
    for (wrong, failing) in wrong.iter().zip(failing) {
        let failed = failing.join().unwrap();
        let is_failure = matches!(failed, Err(Trouble::Failed(_)));
        assert!(is_failure, "{case}: {wrong}: {failed:?}");
    }
}

/// The case cannot be judged, with any expectation.
fn is_not_judged(case: &Value) {
    let result = check(case, &json!({"status": 200}));
    let is_unsupported = matches!(result, Err(Trouble::Unsupported(_)));
    assert!(is_unsupported, "{case}: {result:?}");
}

/// A request for this target.
fn get(target: &str) -> Value {
    json!({"method": "GET", "target": target})
}

#[test]
fn an_unknown_key_is_never_skipped() {
    let fixed = json!({"kind": "fixed"});
    for case in [
        json!({"app": fixed, "request": get("/"), "mood": "good"}),
        json!({"app": {"kind": "fixed", "mood": "good"}, "request": get("/")}),
        json!({"app": {"kind": "echo", "status": 404}, "request": get("/")}),
        json!({"app": {"kind": "error", "payload": "x"}, "request": get("/")}),
        json!({"app": {"kind": "sleep", "ms": 1, "then": {"kind": "echo"}}, "request": get("/")}),
        json!({"app": {"kind": "fixed", "body": "x", "chunk_delay_ms": 1}, "request": get("/")}),
        json!({"app": {"kind": "fixed", "body": "x", "body_b64": "eA=="}, "request": get("/")}),
        json!({"app": {"kind": "fixed", "on_close": "explode"}, "request": get("/")}),
        json!({"app": {"kind": "echo", "sets": {"mood": "good"}}, "request": get("/")}),
        json!({"app": fixed, "request": {"method": "GET", "target": "/", "mood": "good"}}),
        json!({"app": fixed, "request": get("/"), "config": {"mood": "good"}}),
        json!({"app": fixed, "request": get("/"), "config": {"stack": [{"mood": "good"}]}}),
        json!({"app": fixed, "request": get("/"), "config": {"middleware": "luck"}}),
        json!({"app": fixed, "request": get("/"), "config": {"stack": "luck"}}),
        json!({"app": fixed, "request": get("/"), "component": "luck"}),
        json!({"app": {"kind": "fixed", "status": "200"}, "request": get("/")}),
        json!({"app": fixed, "request": {"method": "GET", "target": "/", "remote_user": 1}}),
        json!({"app": fixed, "request": get("/"), "config": {"middleware": "timeout", "ms": "1"}}),
        json!({"app": fixed, "request": get("/"), "not_run": ""}),
        json!({"app": fixed, "request": get("/"), "not_run": true}),
        json!({"app": fixed, "request": get("/"), "environment": {"A": 1}}),
    ] {
        is_not_judged(&case);
    }
}

#[test]
fn a_case_has_a_reason_not_to_run() {
    let case = json!({"mood": "good", "not_run": "not needed"});
    let not_run = Err(Trouble::NotRun("not needed".to_owned()));
    assert_eq!(check(&case, &json!({})), not_run);
}

#[test]
fn a_case_of_a_missing_component_needs_it() {
    let needs = |component: &str| Err(Trouble::Needs(component.to_owned()));
    let case = json!({"component": "http_parsing", "mood": "good"});
    assert_eq!(check(&case, &json!({})), needs("http_parsing"));
    let stack = json!({"stack": [{"middleware": "require_accept"}, {"middleware": "head"}]});
    let case = json!({"app": {"kind": "echo"}, "request": get("/"), "config": stack});
    assert_eq!(
        check(&case, &json!({"status": 200})),
        needs("require_accept")
    );
}
