//! What an inline server is to do.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Instant;

use enfilade::Application;

use crate::serve::access_hook::AccessHook;
use crate::serve::stop::Stop;

/// The plan of a server on its caller's thread.
pub(in crate::serve) struct Plan {
    pub(in crate::serve) app: Application,
    pub(in crate::serve) hook: Option<AccessHook>,
    pub(in crate::serve) stop: Arc<Stop>,
    /// Becomes readable when Python gets a signal.
    pub(in crate::serve) signals: Option<UnixStream>,
    /// Whether the server stops after one request.
    pub(in crate::serve) once: bool,
    /// The time to stop if no request has come.
    pub(in crate::serve) deadline: Option<Instant>,
}
