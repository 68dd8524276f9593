//! The requests of which the access hook is to be told.

use std::cell::RefCell;
use std::rc::Rc;

use enfilade::Request;

use crate::serve::access_hook::AccessRecord;

/// What was answered and not told yet.
#[derive(Clone, Default)]
pub(super) struct Records(Rc<RefCell<Vec<AccessRecord>>>);

impl Records {
    /// Notes a request that is not answered yet.
    pub(super) fn begin(&self, request: &Request) -> Box<OpenRecord> {
        Box::new(OpenRecord {
            record: AccessRecord::of(request),
            records: self.clone(),
        })
    }

    /// What the hook is to be told now.
    pub(super) fn take(&self) -> Vec<AccessRecord> {
        self.0.take()
    }
}

/// The record of a request in flight; nobody is told of one that was not answered.
///
/// It stands in a box: what goes with every response is moved around, and most servers have no records.
pub(super) struct OpenRecord {
    record: AccessRecord,
    records: Records,
}

impl OpenRecord {
    pub(super) fn set_status(&mut self, status: u16) {
        self.record.status = status;
    }

    /// The response has ended, however it did, after so many bytes of its body.
    pub(super) fn end(mut self, bytes: u64) {
        self.record.bytes = bytes;
        self.records.0.borrow_mut().push(self.record);
    }
}
