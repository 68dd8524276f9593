//! Reports of a body's end.

use std::{fmt, mem};

use sync_wrapper::SyncWrapper;

/// How a body ended, as [`Body::on_end`](crate::Body::on_end) reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyEnd {
    bytes: u64,
    received: u64,
    outcome: Outcome,
}

impl BodyEnd {
    /// The number of content bytes read from the body, or written to an upgraded connection.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The number of bytes read from an upgraded connection; 0 for any other body.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Whether the body completed, failed or was dropped.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }
}

/// The three ways in which a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It was read to its end, or HTTP does not send it (a response to HEAD, a 304).
    Complete,
    /// Its source failed.
    Failed,
    /// The rest was not wanted, most often because the client disconnected.
    Dropped,
}

type Report = Box<dyn FnOnce(BodyEnd) + Send>;

/// The reports of a body's end, and the byte counts so far. One report, the common case, costs only its box.
pub(in crate::message) struct Watch {
    bytes: u64,
    received: u64,
    first: Option<SyncWrapper<Report>>,
    rest: Vec<SyncWrapper<Report>>,
}

impl Watch {
    pub(in crate::message) fn none() -> Watch {
        Watch {
            bytes: 0,
            received: 0,
            first: None,
            rest: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, report: Report) {
        let report = SyncWrapper::new(report);
        if self.first.is_none() {
            self.first = Some(report);
        } else {
            self.rest.push(report);
        }
    }

    pub(super) fn count(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// Adds bytes that were read from the connection (`received`) and written to it (`bytes`).
    pub(in crate::message) fn passed(&mut self, received: u64, bytes: u64) {
        (self.received, self.bytes) = (received, bytes);
    }

    pub(in crate::message) fn is_done(&self) -> bool {
        self.first.is_none()
    }

    /// Reports the end; does nothing on later calls.
    pub(in crate::message) fn end(&mut self, outcome: Outcome) {
        let end = BodyEnd {
            bytes: self.bytes,
            received: self.received,
            outcome,
        };
        if let Some(report) = self.first.take() {
            report.into_inner()(end);
            for report in mem::take(&mut self.rest) {
                report.into_inner()(end);
            }
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watch({} bytes so far)", self.bytes)
    }
}
