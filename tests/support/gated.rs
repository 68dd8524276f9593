//! An application whose response waits for a gate.

use std::sync::Arc;

use enfilade::{Application, Reply, Request};
use tokio::sync::Semaphore;

/// Calls `called`, and responds when the gate opens; responds at once if the path is not `/slow`.
pub(crate) fn gated(
    gate: &Arc<Semaphore>,
    called: impl Fn() + Send + Sync + 'static,
) -> Application {
    let gate = gate.clone();
    Application::new(move |request: Request| {
        if request.path() != "/slow" {
            return Reply::new("at once");
        }
        called();
        let gate = gate.clone();
        Reply::from_future(async move {
            drop(gate.acquire().await);
            "done"
        })
    })
}
