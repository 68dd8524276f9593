//! The requests that the access hook must be called for.

use std::cell::RefCell;
use std::rc::Rc;

use enfilade::Request;

use crate::serve::access_hook::AccessRecord;

/// Requests that were served, and not reported yet.
#[derive(Clone, Default)]
pub(super) struct Records(Rc<RefCell<Vec<AccessRecord>>>);

impl Records {
    /// Starts the record of a request that has no response yet.
    pub(super) fn begin(&self, request: &Request) -> Box<OpenRecord> {
        Box::new(OpenRecord {
            record: AccessRecord::of(request),
            records: self.clone(),
        })
    }

    /// Returns the records to report now.
    pub(super) fn take(&self) -> Vec<AccessRecord> {
        self.0.take()
    }
}

/// The record of a request in flight. A request without a response is not reported.
///
/// It is boxed: data of a response is moved often, and most servers have no records.
pub(super) struct OpenRecord {
    record: AccessRecord,
    records: Records,
}

impl OpenRecord {
    pub(super) fn set_status(&mut self, status: u16) {
        self.record.status = status;
    }

    /// Ends the record when the response has ended, complete or not, after this many bytes of its body.
    pub(super) fn end(mut self, bytes: u64) {
        self.record.bytes = bytes;
        self.records.0.borrow_mut().push(self.record);
    }
}
