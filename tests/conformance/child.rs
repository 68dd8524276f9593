//! Runs a case with an `environment` in a separate process, which has these variables.
//!
//! All cases that run at the same time would see a variable of this process, and setting one is unsafe in Rust.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::case::{self, Case, object};
use crate::runner;
use crate::transport::{Ran, TRANSPORTS};
use crate::verdict::{Check, Trouble, fail, unsupported};

/// Tells the process that it is the one of a case.
const CHILD: &str = "ENFILADE_CONFORMANCE_CHILD";
/// The prefix of the result in the output of the process.
const MARK: &str = "result of the case: ";

/// Runs a case that has an `environment`; returns `None` if it has none.
pub(crate) fn run(case: &Case) -> Check<Option<Ran>> {
    let Some(variables) = case.value.get("environment") else {
        return Ok(None);
    };
    let mut command = Command::new(std::env::current_exe().or_else(broken)?);
    for (name, value) in object(variables)? {
        match value.as_str() {
            Some(value) => command.env(name, value),
            None => return unsupported(format!("the variable {name} is {value}")),
        };
    }
    command
        .args(["child::the_case_of_a_process", "--exact", "--nocapture"])
        .env(CHILD, "")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().or_else(broken)?;
    if let Some(mut input) = child.stdin.take() {
        input
            .write_all(case.value.to_string().as_bytes())
            .or_else(broken)?;
    }
    let output = child.wait_with_output().or_else(broken)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let result = text.split_once(MARK).map(|(_, rest)| rest);
    let result = result.and_then(|rest| serde_json::from_str(rest.lines().next()?).ok());
    match result {
        Some(result) => Ok(Some(read(&result))),
        None => fail(format!("the process of the case printed no result: {text}")),
    }
}

fn broken<T>(error: std::io::Error) -> Check<T> {
    fail(format!("a process for the case: {error}"))
}

/// Runs a case in a separate process, which runs this test to read the case from its input.
#[test]
fn the_case_of_a_process() {
    #[expect(
        clippy::disallowed_methods,
        reason = "it distinguishes the two processes"
    )]
    let is_child = std::env::var_os(CHILD).is_some();
    if !is_child {
        let case = |value: &str| {
            let case = json!({
                "id": "gateway/environment", "component": "gateway", "kind": "exchange", "level": "must",
                "environment": {"ENFILADE_OF_A_CASE": "set"}, "config": {"server": "gateway"}, "app": {"kind": "echo"},
                "request": {"method": "GET", "target": "/", "headers": [], "body": ""},
                "expect": {"app_saw": {"environment": {"ENFILADE_OF_A_CASE": value}}},
            });
            run(&case::parse(case).unwrap()).unwrap().unwrap().check
        };
        assert!(case("set").is_ok());
        assert!(matches!(case("other"), Err(Trouble::Failed(_))));
        return;
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).unwrap();
    let case = case::parse(serde_json::from_str(&text).unwrap()).unwrap();
    let result = format!("{MARK}{}\n", written(&runner::run_here(&case)));
    std::io::stdout().write_all(result.as_bytes()).unwrap();
}

fn written(ran: &Ran) -> Value {
    let (kind, reason) = match &ran.check {
        Ok(()) => ("passed", ""),
        Err(Trouble::Failed(reason)) => ("failed", &**reason),
        Err(Trouble::Refused(reason)) => ("refused", &**reason),
        Err(Trouble::Needs(reason)) => ("needs", &**reason),
        Err(Trouble::NotRun(reason)) => ("not run", &**reason),
        Err(Trouble::Unsupported(reason)) => ("unsupported", &**reason),
    };
    json!({"kind": kind, "reason": reason, "ways": ran.ways})
}

fn read(result: &Value) -> Ran {
    let reason = result["reason"].as_str().unwrap_or_default().to_owned();
    let check = match result["kind"].as_str() {
        Some("passed") => Ok(()),
        Some("failed") => Err(Trouble::Failed(reason)),
        Some("refused") => Err(Trouble::Refused(reason)),
        Some("needs") => Err(Trouble::Needs(reason)),
        Some("not run") => Err(Trouble::NotRun(reason)),
        _ => Err(Trouble::Unsupported(reason)),
    };
    let names = TRANSPORTS.iter().map(|transport| transport.name);
    let ways = names.filter_map(|name| {
        let ways = result["ways"].as_array()?;
        let way = ways.iter().find(|way| way[0] == name)?;
        let reasons = TRANSPORTS.iter().flat_map(|transport| transport.cannot);
        let mut reasons = reasons.map(|(_, reason)| *reason);
        Some((name, reasons.find(|reason| way[1] == *reason)))
    });
    Ran {
        check,
        ways: ways.collect(),
    }
}
