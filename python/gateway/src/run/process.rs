//! Processes that the application forks: they must leave the connections of the server alone.

use std::sync::atomic::{AtomicU32, Ordering};

use pyo3::exceptions::{PyRuntimeError, PySystemExit};
use pyo3::intern;
use pyo3::prelude::*;

use crate::call::report::report;

/// Counts the forks between the first process and this one, as Python sees them.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// The process in which a call began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process(u32);

impl Process {
    pub(crate) fn current() -> Process {
        Process(FORKS.load(Ordering::Relaxed))
    }

    /// Returns an error in a process that was forked since then.
    pub(crate) fn check(self) -> PyResult<()> {
        match self == Process::current() {
            true => Ok(()),
            false => Err(PyRuntimeError::new_err(
                "the application forked this process: only its parent may read the request and respond; end it with os._exit",
            )),
        }
    }
}

/// Notes that this is a new process, which was forked just now.
pub(super) fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// Ends a process that was forked by the application and has returned from it, for this reason.
///
/// Without destructors, which would write to the connections of the parent. `SystemExit` sets the exit status.
pub(crate) fn end(py: Python<'_>, error: &PyErr) -> ! {
    let status = match error.is_instance_of::<PySystemExit>(py) {
        true => exit_status(py, error),
        false => {
            report(py, error);
            1
        }
    };
    let ended = || -> PyResult<()> {
        let system = py.import("sys")?;
        for name in ["stdout", "stderr"] {
            // It may be closed.
            let _ = system.getattr(name)?.call_method0("flush");
        }
        py.import("os")?.call_method1("_exit", (status,)).map(drop)
    };
    let _ = ended();
    // Only if Python's own modules are broken.
    std::process::abort()
}

fn exit_status(py: Python<'_>, exit: &PyErr) -> i32 {
    let code = exit.value(py).getattr(intern!(py, "code"));
    code.map_or(1, |code| match code.is_none() {
        true => 0,
        false => code.extract().unwrap_or(1),
    })
}
