//! The run itself.

use std::io::Write;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use crate::case::{self, Case};
use crate::observed::Log;
use crate::report::Report;
use crate::transport::Ran;
use crate::verdict::{Check, Trouble, fail, unsupported};
use crate::{child, exchange, function, raw, sequence, stack};

/// A case that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(60);
/// Cases spend most of their time waiting for what should not come.
const AT_ONCE: usize = 8;

#[test]
fn the_cases_pass() {
    let folder = case::folder();
    let files = case::load(&folder).unwrap();
    let mut report = Report::default();
    for file in files {
        for cases in file.cases.chunks(AT_ONCE) {
            let running: Vec<Running> = cases.iter().map(Running::start).collect();
            for (case, running) in cases.iter().zip(running) {
                report.add(&file.name, case, running.result());
            }
        }
    }
    // Straight to the terminal: the test harness would show `println!` only if the test fails.
    let text = format!("\n{report}");
    std::io::stdout().write_all(text.as_bytes()).unwrap();
    assert!(report.is_good(), "cases failed: see the report above");
}

/// A case in a separate thread, so that one that hangs or panics fails alone.
struct Running {
    result: mpsc::Receiver<Ran>,
    panics: Log,
}

impl Running {
    fn start(case: &Case) -> Running {
        let (sender, result) = mpsc::channel();
        let (name, owned) = (case.id.clone(), case.clone());
        let panics = crate::panics::of_thread(&name);
        let thread = std::thread::Builder::new().name(name);
        // If there is no thread, the sender is dropped, which is reported like a panic.
        let _ = thread.spawn(move || sender.send(run(&owned)));
        Running { result, panics }
    }

    fn result(self) -> Ran {
        let check = match self.result.recv_timeout(LIMIT) {
            Ok(ran) => return ran,
            Err(mpsc::RecvTimeoutError::Timeout) => fail(format!("no end within {LIMIT:?}")),
            Err(mpsc::RecvTimeoutError::Disconnected) => fail(format!(
                "the case panicked: {}",
                self.panics.lines().join(" ")
            )),
        };
        check.into()
    }
}

pub(crate) fn run(case: &Case) -> Ran {
    if let Err(trouble) = stack::exists(case).and_then(|()| is_run(case)) {
        return Err(trouble).into();
    }
    match child::run(case) {
        Ok(None) => run_here(case),
        Ok(Some(ran)) => ran,
        Err(trouble) => Err(trouble).into(),
    }
}

/// Returns whether a case runs; it may have a reason not to in its `not_run`.
fn is_run(case: &Case) -> Check {
    match case.value.get("not_run") {
        None => Ok(()),
        Some(Value::String(reason)) if !reason.is_empty() => Err(Trouble::NotRun(reason.clone())),
        Some(other) => unsupported(format!("not_run is {other} and no reason")),
    }
}

/// Runs a case in this process.
pub(crate) fn run_here(case: &Case) -> Ran {
    match case.kind.as_str() {
        "exchange" => exchange::run(case),
        "sequence" => sequence::run(case),
        "function" => function::run(case).into(),
        "raw" => raw::run(case).into(),
        other => unsupported(format!("the kind {other:?}")).into(),
    }
}
