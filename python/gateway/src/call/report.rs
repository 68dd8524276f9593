//! Reports exceptions to the operator.

use pyo3::prelude::*;

/// Writes the traceback to `sys.stderr`, which is `wsgi.errors`.
pub(crate) fn report(py: Python<'_>, error: &PyErr) {
    // `PyErr::print` would end the process on a `SystemExit`.
    error.display(py);
}
