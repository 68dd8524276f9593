//! The run itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

use crate::case::{self, Case};
use crate::exchange::perform;
use crate::object::Checked;

/// Most of a case's time is waiting.
const AT_ONCE: usize = 8;

#[test]
fn the_cases_pass() {
    let cases = case::load().unwrap();
    let mut report = Report::default();
    for some in cases.chunks(AT_ONCE) {
        std::thread::scope(|scope| {
            let running: Vec<_> = some
                .iter()
                .map(|case| scope.spawn(move || run(case)))
                .collect();
            for (case, running) in some.iter().zip(running) {
                let result = running.join();
                report.add(case, result.unwrap_or(Err("the case panicked".to_owned())));
            }
        });
    }
    // Straight to the terminal: the test harness would show `println!` only where the test fails.
    std::io::stdout()
        .write_all(report.text().as_bytes())
        .unwrap();
    assert!(
        report.failures.is_empty(),
        "cases failed: see the report above"
    );
}

/// Runs a case; the server must do what the case documents, a departure too.
fn run(case: &Case) -> Checked<Vec<String>> {
    let Some(departs) = &case.departs else {
        let observed = perform(case, &case.expect)?;
        let judged = case.expect.judge(&observed);
        return judged.map_err(|reason| format!("{reason}\n    came: {}", observed.describe()));
    };
    let observed = perform(case, &departs.expect)?;
    if case.expect.judge(&observed).is_ok() {
        return Err("it no longer departs: remove \"departs\"".to_owned());
    }
    match departs.expect.judge(&observed) {
        Ok(remarks) => Ok(remarks),
        Err(reason) => Err(format!(
            "it departs in another way: {reason}\n    came: {}",
            observed.describe()
        )),
    }
}

#[derive(Default)]
struct Report {
    /// In the order of their numbers.
    sections: BTreeMap<(Vec<String>, String), usize>,
    departures: Vec<String>,
    remarks: Vec<String>,
    failures: Vec<String>,
}

impl Report {
    fn add(&mut self, case: &Case, result: Checked<Vec<String>>) {
        let (id, section) = (&case.id, &case.section);
        let at = (in_order(section), section.clone());
        *self.sections.entry(at).or_default() += 1;
        match result {
            Ok(remarks) => {
                if let Some(departs) = &case.departs {
                    self.departures
                        .push(format!("{id} ({section}): {}", departs.why));
                }
                let remarks = remarks.into_iter();
                self.remarks
                    .extend(remarks.map(|remark| format!("{id} ({section}): {remark}")));
            }
            Err(reason) => self.failures.push(format!("{id} ({section}): {reason}")),
        }
    }

    fn text(&self) -> String {
        let mut text = String::from("\n");
        let all: usize = self.sections.values().sum();
        for ((_, section), count) in &self.sections {
            writeln!(text, "{section}: {count}").unwrap();
        }
        for (title, lines) in [
            (
                "a generic code or the end of the connection, which sections 5.4 and 5.4.1 of RFC 9113 allow",
                &self.remarks,
            ),
            ("departures from the RFC", &self.departures),
            ("FAILED", &self.failures),
        ] {
            writeln!(text, "{title}: {}", lines.len()).unwrap();
            for line in lines {
                writeln!(text, "  {line}").unwrap();
            }
        }
        writeln!(text, "HTTP/2, raw: {all} cases").unwrap();
        text
    }
}

/// The parts of a section, with padded numbers, so that 10 comes after 9.
fn in_order(section: &str) -> Vec<String> {
    let parts = section.split(['.', ' ']);
    parts.map(|part| format!("{part:>3}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn ping(expect: &Value, departs: Option<&Value>) -> Case {
        let ping = json!({"frame": "PING", "payload": "0102030405060708"});
        let mut case =
            json!({"id": "a", "section": "RFC 9113, 6.7", "send": [ping], "expect": expect});
        if let Some(expect) = departs {
            case["departs"] = json!({"expect": expect, "why": "it may"});
        }
        case::parse(&json!([case]).to_string()).unwrap().remove(0)
    }

    #[test]
    fn a_wrong_expectation_is_a_failure() {
        let right = json!({"ping_ack": ["0102030405060708"], "served_after": true});
        let wrong = json!({"ping_ack": [], "served_after": true});
        assert_eq!(run(&ping(&right, None)), Ok(vec![]));
        let mut report = Report::default();
        let case = ping(&wrong, None);
        report.add(&case, run(&case));
        assert!(
            report.failures[0]
                .starts_with("a (RFC 9113, 6.7): ping_ack is [[1, 2, 3, 4, 5, 6, 7, 8]]"),
            "{:?}",
            report.failures
        );
        assert!(report.text().contains("FAILED: 1\n  a (RFC 9113, 6.7): "));
    }

    #[test]
    fn a_departure_is_what_the_case_says() {
        let right = json!({"ping_ack": ["0102030405060708"], "served_after": true});
        let wrong = json!({"ping_ack": [], "served_after": true});
        let other = json!({"ping_ack": ["00"], "served_after": true});
        assert_eq!(run(&ping(&wrong, Some(&right))), Ok(vec![]));
        let error = run(&ping(&right, Some(&right))).unwrap_err();
        assert_eq!(error, "it no longer departs: remove \"departs\"");
        let error = run(&ping(&wrong, Some(&other))).unwrap_err();
        assert!(
            error.starts_with("it departs in another way: ping_ack"),
            "{error}"
        );
    }

    #[test]
    fn sections_are_in_the_order_of_their_numbers() {
        assert!(in_order("RFC 9113, 6.9.2") < in_order("RFC 9113, 6.10"));
        assert!(in_order("RFC 7541, 6.1") < in_order("RFC 9113, 3.4"));
    }
}
