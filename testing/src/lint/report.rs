//! Destinations of findings.

use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard};

use enfilade_core::{Request, unpoisoned};

use super::finding::{Finding, Law, Side};
use crate::fail::fail;

/// How many different faults of one request are reported, if each is reported once; later ones are ignored.
const MOST_OF_A_REQUEST: usize = 64;

/// The destination of findings.
#[derive(Clone)]
pub(super) enum Destination {
    Panic,
    /// Every boundary reports what it sees.
    Call(ReportFunction),
    /// A finding of a request that one boundary reported is not reported by the others.
    CallOnce(ReportFunction),
}

type ReportFunction = Arc<dyn Fn(Finding) + Send + Sync>;

impl Destination {
    /// One line for each finding.
    pub(super) fn lines(writer: impl Write + Send + 'static) -> Destination {
        let writer = Mutex::new(writer);
        Destination::Call(Arc::new(move |finding| {
            let line = line(&finding);
            let mut writer = lock(&writer);
            // There is no place to report that a finding cannot be written.
            let _ = writer
                .write_all(line.as_bytes())
                .and_then(|()| writer.flush());
        }))
    }

    /// Reports a finding about the stack itself, before any request.
    pub(super) fn tell(&self, finding: Finding) {
        match self {
            Destination::Call(function) | Destination::CallOnce(function) => function(finding),
            Destination::Panic => fail(&finding.to_string()),
        }
    }

    /// The same for many boundaries of one stack.
    pub(super) fn once(self) -> Destination {
        match self {
            Destination::Call(function) => Destination::CallOnce(function),
            other => other,
        }
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Destination::Panic => "panic",
            Destination::Call(_) => "call",
            Destination::CallOnce(_) => "call once",
        })
    }
}

/// A finding as a single line: it may contain text from a peer.
fn line(finding: &Finding) -> String {
    let mut line = String::new();
    for character in finding.to_string().chars() {
        match character {
            '"' | '\'' | '\\' => line.push(character),
            _ => line.extend(character.escape_debug()),
        }
    }
    line.push('\n');
    line
}

/// The components on both sides of a `Lint`.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) inside: Arc<str>,
    pub(super) outside: Arc<str>,
}

/// Reports the findings of one request and its response.
#[derive(Clone)]
pub(super) struct Report {
    destination: Destination,
    names: Names,
    ledger: Option<Ledger>,
    reported: Option<ReportedFindings>,
}

impl Report {
    /// For a request, which may come from an in-process client, or through a boundary further out.
    pub(super) fn new(destination: &Destination, names: &Names, request: &mut Request) -> Report {
        let extensions = request.extensions_mut();
        let reported = match destination {
            Destination::CallOnce(_) => Some(
                extensions
                    .get_or_insert_default::<ReportedFindings>()
                    .clone(),
            ),
            Destination::Call(_) | Destination::Panic => None,
        };
        Report {
            destination: destination.clone(),
            names: names.clone(),
            ledger: extensions.get().cloned(),
            reported,
        }
    }

    pub(super) fn record(&self, law: Law, side: Side, message: impl Into<String>) {
        let component = match side {
            Side::Application => &self.names.inside,
            Side::Gateway => &self.names.outside,
        };
        let finding = Finding::new(law, side, component.clone(), message.into());
        if self
            .reported
            .as_ref()
            .is_some_and(|reported| !reported.is_new(&finding))
        {
            return;
        }
        match &self.destination {
            Destination::Call(function) | Destination::CallOnce(function) => function(finding),
            Destination::Panic => {
                let text = finding.to_string();
                if let Some(ledger) = &self.ledger {
                    lock(&ledger.0).push(finding);
                }
                fail(&text)
            }
        }
    }
}

/// An extension of an in-process client's request: collects findings whose panic a gateway would catch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(Arc<Mutex<Vec<Finding>>>);

impl Ledger {
    pub(crate) fn first(&self) -> Option<Finding> {
        lock(&self.0).first().cloned()
    }
}

/// The findings that were reported for one request; they travel with the request.
#[derive(Clone, Default)]
struct ReportedFindings(Arc<Mutex<Vec<Finding>>>);

impl ReportedFindings {
    fn is_new(&self, finding: &Finding) -> bool {
        let mut reported = lock(&self.0);
        let is_new = reported.len() < MOST_OF_A_REQUEST
            && !reported.iter().any(|known| known.is_same_fault(finding));
        if is_new {
            reported.push(finding.clone());
        }
        is_new
    }
}

/// After a panic in another thread it is still a valid list or writer.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    unpoisoned(mutex.lock())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_line() {
        let cases = [
            ("plain \"quoted\"", "plain \"quoted\""),
            ("a\r\nb", r"a\r\nb"),
            ("\u{1b}[31m", r"\u{1b}[31m"),
            ("caf\u{e9} \u{202e}", "caf\u{e9} \\u{202e}"),
            ("\u{2028}", r"\u{2028}"),
        ];
        for (message, expected) in cases {
            let finding = Finding::new(Law::Values, Side::Gateway, "x".into(), message.into());
            let values = "header values are valid and correct";
            let expected = format!("x (outside Lint) broke law 7 ({values}): {expected}\n");
            assert_eq!(line(&finding), expected);
        }
    }

    #[test]
    fn a_request_has_only_so_many_faults() {
        let reported = ReportedFindings::default();
        let told_of = |at: usize| {
            let message = at.to_string();
            reported.is_new(&Finding::new(Law::Path, Side::Gateway, "x".into(), message))
        };
        let number = (0..1_000).filter(|&at| told_of(at % 500)).count();
        assert_eq!(number, MOST_OF_A_REQUEST);
    }
}
