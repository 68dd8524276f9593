//! The report of the run, for people and for the build.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use crate::case::{Case, Level};
use crate::transport::{Ran, TRANSPORTS};
use crate::verdict::{Check, Trouble};

/// The results of all files.
#[derive(Debug, Default)]
pub(crate) struct Report {
    files: Vec<(String, Vec<Result>)>,
}

#[derive(Debug)]
struct Result {
    id: String,
    level: Level,
    expect: String,
    check: Check,
    /// The transports, each with the reason if it was excluded.
    ways: Vec<(&'static str, Option<&'static str>)>,
}

/// How many cases of a level passed, failed, and were not judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    passed: usize,
    failed: usize,
    not_judged: usize,
}

impl Report {
    pub(crate) fn add(&mut self, file: &str, case: &Case, ran: Ran) {
        if self.files.last().is_none_or(|(name, _)| name != file) {
            self.files.push((file.to_owned(), Vec::new()));
        }
        if let Some((_, results)) = self.files.last_mut() {
            results.push(Result {
                id: case.id.clone(),
                level: case.level,
                expect: case.value["expect"].to_string(),
                check: ran.check,
                ways: ran.ways,
            });
        }
    }

    fn all(&self) -> impl Iterator<Item = &Result> {
        self.files.iter().flat_map(|(_, results)| results)
    }

    /// Whether a `must` or `should` failed, or a case of an existing component could not be judged.
    pub(crate) fn is_good(&self) -> bool {
        self.all().count() > 0 && !self.all().any(Result::counts_against)
    }
}

impl Result {
    fn counts_against(&self) -> bool {
        match &self.check {
            Ok(()) | Err(Trouble::Needs(_) | Trouble::NotRun(_)) => false,
            Err(Trouble::Unsupported(_)) => true,
            Err(Trouble::Failed(_) | Trouble::Refused(_)) => self.level != Level::Policy,
        }
    }
}

fn count<'a>(results: impl Iterator<Item = &'a Result>) -> Count {
    let mut count = Count::default();
    for result in results {
        *match result.check {
            Ok(()) => &mut count.passed,
            Err(Trouble::Needs(_) | Trouble::NotRun(_) | Trouble::Unsupported(_)) => {
                &mut count.not_judged
            }
            Err(Trouble::Failed(_) | Trouble::Refused(_)) => &mut count.failed,
        } += 1;
    }
    count
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_failures(f)?;
        self.write_not_run(f)?;
        self.write_missing(f)?;
        let levels = ["must", "should", "policy", "all"];
        let header = levels.map(|level| format!("{level:>17}")).concat();
        writeln!(f, "{:<20}{header}", "passed/failed/not")?;
        for (name, results) in &self.files {
            write_line(f, name, results.iter().collect())?;
        }
        write_line(f, "total", self.all().collect())?;
        let total = count(self.all());
        let against = self.all().filter(|result| result.counts_against()).count();
        let Count { passed, failed, .. } = total;
        let not_run = self.not_run().count();
        let missing = self.missing().count();
        writeln!(
            f,
            "conformance: {passed} passed, {failed} failed, {not_run} not run with a reason, {missing} of components to come, \
             {} cannot be judged; {against} count against the run",
            total.not_judged - not_run - missing,
        )?;
        TRANSPORTS
            .iter()
            .try_for_each(|transport| self.write_transport(f, transport.name))
    }
}

impl Report {
    fn write_failures(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for result in self.all() {
            let (kind, reason) = match &result.check {
                Err(Trouble::Failed(reason) | Trouble::Refused(reason)) => ("failed", reason),
                Err(Trouble::Unsupported(reason)) => ("cannot be judged", reason),
                Ok(()) | Err(Trouble::Needs(_) | Trouble::NotRun(_)) => continue,
            };
            let level = format!("{:?}", result.level).to_lowercase();
            writeln!(f, "{kind} ({level}): {}", result.id)?;
            writeln!(f, "    expected: {}", cut(&result.expect))?;
            writeln!(f, "    got:      {}", cut(reason))?;
        }
        Ok(())
    }

    /// Writes how many cases ran over a transport, and why others did not.
    fn write_transport(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        let mut run = 0;
        let mut left_out: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for result in self.all() {
            match result.ways.iter().find(|(found, _)| *found == name) {
                None => {}
                Some((_, None)) => run += 1,
                Some((_, Some(reason))) => left_out.entry(reason).or_default().push(&result.id),
            }
        }
        let total: usize = left_out.values().map(Vec::len).sum();
        write!(f, "{name}: {run} run, {total} cannot be said")?;
        for (at, (reason, ids)) in left_out.iter().enumerate() {
            let mark = if at == 0 { ": " } else { "; " };
            write!(f, "{mark}{reason} ({})", ids.join(", "))?;
        }
        writeln!(f)
    }

    /// Returns the reasons of the cases that must not run.
    fn not_run(&self) -> impl Iterator<Item = (&str, &str)> {
        self.all().filter_map(|result| match &result.check {
            Err(Trouble::NotRun(reason)) => Some((reason.as_str(), result.id.as_str())),
            _ => None,
        })
    }

    /// The components that cases need and that do not exist.
    fn missing(&self) -> impl Iterator<Item = (&str, &str)> {
        self.all().filter_map(|result| match &result.check {
            Err(Trouble::Needs(component)) => Some((component.as_str(), result.id.as_str())),
            _ => None,
        })
    }

    fn write_not_run(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut cases = self.not_run();
        cases.try_for_each(|(reason, id)| writeln!(f, "not run: {id}: {reason}"))
    }

    /// Writes one line for each component that does not exist, with the cases if they are few.
    fn write_missing(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const FEW: usize = 12;
        let mut missing: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (component, id) in self.missing() {
            missing.entry(component).or_default().push(id);
        }
        for (component, ids) in missing {
            let list = match ids.len() {
                0..=FEW => ids.join(", "),
                number => format!("{number} cases, from {} to {}", ids[0], ids[number - 1]),
            };
            writeln!(f, "not run, needs the component {component}: {list}")?;
        }
        Ok(())
    }
}

fn write_line(f: &mut fmt::Formatter<'_>, name: &str, results: Vec<&Result>) -> fmt::Result {
    let mut line = format!("{name:<20}");
    for level in [
        Some(Level::Must),
        Some(Level::Should),
        Some(Level::Policy),
        None,
    ] {
        let of_level = |result: &&&Result| level.is_none_or(|level| result.level == level);
        let counted = count(results.iter().filter(of_level).copied());
        let Count {
            passed,
            failed,
            not_judged,
        } = counted;
        write!(line, "{:>17}", format!("{passed}/{failed}/{not_judged}"))?;
    }
    writeln!(f, "{line}")
}

/// Shortens a text to one line.
fn cut(text: &str) -> String {
    const LINE: usize = 400;
    match text.char_indices().nth(LINE) {
        Some((end, _)) => format!("{}...", text.split_at(end).0),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::verdict::{fail, needs, unsupported};

    #[test]
    fn results_that_fail_the_run() {
        for (level, check, good) in [
            (Level::Must, Ok(()), true),
            (Level::Must, fail("x"), false),
            (Level::Should, fail("x"), false),
            (Level::Policy, fail("x"), true),
            (Level::Policy, unsupported("x"), false),
            (Level::Must, needs("x"), true),
            (Level::Must, Err(Trouble::NotRun("x".to_owned())), true),
        ] {
            let case = Case {
                id: "a/b".to_owned(),
                component: "a".to_owned(),
                kind: "exchange".to_owned(),
                level,
                value: json!({"expect": 1}),
            };
            let mut report = Report::default();
            report.add("a", &case, check.clone().into());
            assert_eq!(report.is_good(), good, "{level:?} {check:?}");
        }
        assert!(
            !Report::default().is_good(),
            "a run of no cases proves nothing"
        );
    }

    #[test]
    fn a_case_that_is_not_run_is_printed_with_its_reason() {
        let case = Case {
            id: "a/b".to_owned(),
            component: "a".to_owned(),
            kind: "exchange".to_owned(),
            level: Level::Must,
            value: json!({"expect": 1}),
        };
        let mut report = Report::default();
        report.add("a", &case, Err(Trouble::NotRun("why".to_owned())).into());
        let text = report.to_string();
        assert!(text.contains("not run: a/b: why\n"), "{text}");
        assert!(
            text.contains("0 failed, 1 not run with a reason, 0 of"),
            "{text}"
        );
    }
}
