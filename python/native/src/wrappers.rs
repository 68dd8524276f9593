//! Wrappers as Python has them: the application first, options by name.

use enfilade::middleware;
use pyo3::prelude::*;

use crate::application::{PyApplication, based, taken};

pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Compression>()?;
    module.add_class::<AccessLog>()
}

/// Compresses answers by what the client accepts.
#[pyclass(frozen, extends = PyApplication, module = "enfilade")]
struct Compression;

#[pymethods]
impl Compression {
    #[new]
    #[pyo3(signature = (app, /))]
    fn new(app: &Bound<'_, PyAny>) -> PyResult<PyClassInitializer<Self>> {
        let app = taken(app)?.wrap(middleware::Compression::new());
        Ok(based(app, Compression))
    }
}

/// Logs requests.
#[pyclass(frozen, extends = PyApplication, module = "enfilade")]
struct AccessLog;

#[pymethods]
impl AccessLog {
    #[new]
    #[pyo3(signature = (app, /))]
    fn new(app: &Bound<'_, PyAny>) -> PyResult<PyClassInitializer<Self>> {
        let app = taken(app)?.wrap(middleware::AccessLog::combined());
        Ok(based(app, AccessLog))
    }
}
