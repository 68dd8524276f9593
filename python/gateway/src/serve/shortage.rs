//! Reports that there are too many open files for new connections.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use enfilade::unpoisoned;
use pyo3::intern;
use pyo3::prelude::*;

/// The shortest time between two reports.
const BETWEEN: Duration = Duration::from_secs(60);

/// When a shortage was reported.
#[derive(Debug, Default)]
pub(super) struct Shortage(Mutex<Option<Instant>>);

impl Shortage {
    /// Whether it is time for a report.
    pub(super) fn is_due(&self) -> bool {
        let now = Instant::now();
        let mut reported = unpoisoned(self.0.lock());
        let is_due = reported.is_none_or(|reported| now.duration_since(reported) >= BETWEEN);
        if is_due {
            *reported = Some(now);
        }
        is_due
    }
}

/// Writes to the log of the server what happens to new connections.
pub(super) fn report(py: Python<'_>, has_closed: bool) -> PyResult<()> {
    let what = match has_closed {
        true => "idle connections are closed for new ones",
        false => "new connections wait, because no connection is idle",
    };
    let log = py
        .import(intern!(py, "logging"))?
        .call_method1(intern!(py, "getLogger"), ("enfilade",))?;
    let text = format!("too many open files: {what}; raise the limit (ulimit -n)");
    log.call_method1(intern!(py, "warning"), (text,))?;
    Ok(())
}
