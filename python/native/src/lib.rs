//! `enfilade._native`: Enfilade's applications, wrappers and servers for Python.

mod activity;
mod application;
mod arguments;
mod server;
mod wrappers;

use pyo3::prelude::*;

/// The extension module behind the package `enfilade`.
///
/// It has not been tested without the interpreter's lock, so a free-threaded Python turns the lock on when it imports this.
#[pymodule(gil_used = true)]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<application::PyApplication>()?;
    module.add_class::<server::PyServer>()?;
    module.add_class::<activity::PyActivity>()?;
    module.add_function(wrap_pyfunction!(server::check_certificate, module)?)?;
    module.add_class::<enfilade_python::FileWrapper>()?;
    wrappers::add_to(module)
}
