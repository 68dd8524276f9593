//! What is done with a connection once it leaves HTTP.

use enfilade_core::{RequestIdValue, UpgradeTask};

/// What is done with a connection once the head of the response is written.
#[derive(Debug)]
pub(super) struct PendingUpgrade {
    pub(super) task: UpgradeTask,
    /// For the log, if it panics.
    pub(super) request_id: Option<RequestIdValue>,
}
