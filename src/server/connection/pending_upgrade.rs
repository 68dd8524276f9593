//! An upgrade that waits for the head of its response.

use enfilade_core::{RequestIdValue, UpgradeTask};

/// An upgrade that runs once the head of the response is written.
#[derive(Debug)]
pub(super) struct PendingUpgrade {
    pub(super) task: UpgradeTask,
    /// For the log, if it panics.
    pub(super) request_id: Option<RequestIdValue>,
}
