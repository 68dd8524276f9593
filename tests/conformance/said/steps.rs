//! The keys of the steps of a sequence.

use serde_json::{Value, json};

use super::{check, get};
use crate::verdict::{Check, Trouble};

fn sequence(config: &Value, app: &Value, steps: &Value) -> Check {
    let case = json!({"kind": "sequence", "config": config, "app": app, "steps": steps});
    check(&case, &json!({"see": "steps[].expect"}))
}

fn passes(check: &Check) {
    assert_eq!(*check, Ok(()));
}

fn fails(check: &Check) {
    assert!(matches!(check, Err(Trouble::Failed(_))), "{check:?}");
}

fn is_not_judged(check: &Check) {
    assert!(matches!(check, Err(Trouble::Unsupported(_))), "{check:?}");
}

fn quota(algorithm: &str) -> Value {
    json!({"middleware": "rate_limit", "algorithm": algorithm, "limit": 2, "period_s": 60,
        "key": "peer address", "clock": "controlled"})
}

#[test]
fn a_step_moves_the_clock_on() {
    let steps = |last: u64| {
        json!([
            {"request": get("/"), "expect": {"status": 200}},
            {"advance_clock_s": 0, "request": get("/"), "expect": {"status": 200}},
            {"advance_clock_s": 29, "request": get("/"), "expect": {"status": 429}},
            {"advance_clock_s": 1, "request": get("/"), "expect": {"status": last}},
        ])
    };
    let run = |steps: &Value| sequence(&quota("gcra"), &json!({"kind": "fixed"}), steps);
    passes(&run(&steps(200)));
    fails(&run(&steps(429)));
    let both = json!([{"at_s": 1, "advance_clock_s": 1, "request": get("/"), "expect": {}}]);
    is_not_judged(&run(&both));
    let uncontrolled = json!([{"advance_clock_s": 1, "request": get("/"), "expect": {}}]);
    is_not_judged(&sequence(
        &json!({}),
        &json!({"kind": "fixed"}),
        &uncontrolled,
    ));
}

#[test]
fn an_expectation_may_differ_by_the_algorithm_of_a_rate_limit() {
    // Half of the period restores one of two requests; a window would restart only at its end.
    let steps = |gcra: u64, window: u64| {
        let each = json!({"gcra": {"status": gcra}, "fixed window": {"status": window},
            "sliding window": {"status": window}});
        json!([
            {"request": {"method": "GET", "target": "/", "repeat": 2}, "expect": {"status": 200}},
            {"at_s": 30, "request": get("/"), "expect": {"by_algorithm": each}},
        ])
    };
    for algorithm in ["fixed window", "sliding window", "gcra"] {
        let run = |steps: &Value| sequence(&quota(algorithm), &json!({"kind": "fixed"}), steps);
        passes(&run(&steps(200, 429)));
        fails(&run(&steps(429, 200)));
    }
}

#[test]
fn a_step_goes_on_in_the_background() {
    let slow = json!({"kind": "sleep", "ms": 600, "then": {"kind": "fixed", "status": 201}});
    let app = json!({"by_step": [slow, {"kind": "fixed"}]});
    let steps = |first: u64, within: u64| {
        json!([
            {"background": true, "request": get("/slow"), "expect": {"status": first}},
            {"request": get("/"), "expect": {"status": 200, "within_ms": within}},
        ])
    };
    let run = |steps: &Value| sequence(&json!({}), &app, steps);
    passes(&run(&steps(201, 500)));
    fails(&run(&steps(200, 500)));
    let waited = json!([
        {"request": get("/slow"), "expect": {"status": 201, "within_ms": 500}},
        {"request": get("/"), "expect": {"status": 200}},
    ]);
    fails(&run(&waited));
    for step in [
        json!({"background": "yes", "request": get("/"), "expect": {"status": 201}}),
        json!({"background": true, "request": get("/"), "expect": {"app_saw": {"method": "GET"}}}),
        json!({"background": true, "request": get("/"), "expect": {}, "capture": {"a": "header:a"}}),
    ] {
        is_not_judged(&run(&json!([step])));
    }
}
