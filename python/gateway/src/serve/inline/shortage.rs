//! Reports that the system has no descriptors or memory for connections.

use std::cell::Cell;
use std::io;
use std::time::{Duration, Instant};

use pyo3::intern;
use pyo3::prelude::*;

/// The shortest time between two reports.
const BETWEEN: Duration = Duration::from_secs(60);

/// When a shortage was reported.
#[derive(Debug, Default)]
pub(super) struct Shortage(Cell<Option<Instant>>);

impl Shortage {
    /// Writes to the log of the server, unless it was written a short time ago.
    pub(super) fn report(
        &self,
        py: Python<'_>,
        error: &io::Error,
        has_closed: bool,
        now: Instant,
    ) -> PyResult<()> {
        let reported = self.0.get();
        if reported.is_some_and(|reported| now.saturating_duration_since(reported) < BETWEEN) {
            return Ok(());
        }
        self.0.set(Some(now));
        let what = match has_closed {
            true => "idle connections are closed for new ones",
            false => "new connections wait, because no connection is idle",
        };
        let log = py
            .import(intern!(py, "logging"))?
            .call_method1(intern!(py, "getLogger"), ("enfilade",))?;
        let text = format!("cannot accept a connection: {error}: {what}; raise the limit of open files");
        log.call_method1(intern!(py, "warning"), (text,))?;
        Ok(())
    }
}
