//! The run itself.

use std::io::Write;
use std::sync::mpsc;
use std::time::Duration;

use crate::case::{self, Case};
use crate::report::Report;
use crate::verdict::{Check, fail, unsupported};
use crate::{exchange, function, raw, sequence, stack};

/// A case that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn the_cases_pass() {
    let folder = case::folder();
    let files = case::load(&folder).unwrap();
    let mut report = Report::default();
    for file in files {
        for case in file.cases {
            let check = run_in_time(&case);
            report.add(&file.name, &case, check);
        }
    }
    // Straight to the terminal: the test harness would show `println!` only where the test fails.
    let text = format!("\n{report}");
    std::io::stdout().write_all(text.as_bytes()).unwrap();
    assert!(report.is_good(), "cases failed: see the report above");
}

/// Runs a case in a thread of its own, so that one that hangs or panics is one that failed.
fn run_in_time(case: &Case) -> Check {
    let (sender, receiver) = mpsc::channel();
    let (name, owned) = (case.id.clone(), case.clone());
    let panics = crate::panics::of_thread(&name);
    let thread = std::thread::Builder::new().name(name);
    let started = thread.spawn(move || sender.send(run(&owned)));
    if let Err(error) = started {
        return fail(format!("no thread: {error}"));
    }
    match receiver.recv_timeout(LIMIT) {
        Ok(check) => check,
        Err(mpsc::RecvTimeoutError::Timeout) => fail(format!("no end within {LIMIT:?}")),
        Err(mpsc::RecvTimeoutError::Disconnected) => fail(panics.lines().join(" ")),
    }
}

fn run(case: &Case) -> Check {
    stack::exists(case)?;
    match case.kind.as_str() {
        "exchange" => exchange::run(case),
        "sequence" => sequence::run(case),
        "function" => function::run(case),
        "raw" => raw::run(case),
        other => unsupported(format!("the kind {other:?}")),
    }
}
