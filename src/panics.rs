//! What is done when a request panics.

use std::fmt;
use std::io::{self, Write as _};
use std::sync::Arc;

use enfilade_core::{BodyError, BodyErrorKind, RequestIdValue};

/// Gets the ID of a request that panicked, if it has one. By default the ID is a line on standard error.
#[derive(Clone, Default)]
pub(crate) struct PanicHook(Option<Arc<dyn Fn(Option<&RequestIdValue>) + Send + Sync>>);

impl PanicHook {
    #[cfg(feature = "server")]
    pub(crate) fn new(hook: impl Fn(Option<&RequestIdValue>) + Send + Sync + 'static) -> PanicHook {
        PanicHook(Some(Arc::new(hook)))
    }

    pub(crate) fn call(&self, id: Option<&RequestIdValue>) {
        match (&self.0, id) {
            (Some(hook), id) => hook(id),
            (None, Some(id)) => {
                // Nobody is left to tell that this failed.
                let _ = writeln!(io::stderr(), "request {id} panicked");
            }
            (None, None) => {}
        }
    }

    /// Calls the hook if a body failed because of a panic.
    pub(crate) fn call_for_body(&self, error: &BodyError, id: Option<&RequestIdValue>) {
        if error.kind() == BodyErrorKind::Panicked {
            self.call(id);
        }
    }
}

impl fmt::Debug for PanicHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PanicHook")
    }
}
