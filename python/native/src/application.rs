//! Python's type of applications.

use enfilade::Application;
use pyo3::prelude::*;
use pyo3::types::PyType;

/// An application of Enfilade, which is a WSGI callable too.
#[pyclass(frozen, subclass, module = "enfilade", name = "Application")]
pub(crate) struct PyApplication {
    pub(crate) app: Application,
}

#[pymethods]
impl PyApplication {
    /// Makes an application of any WSGI callable.
    #[new]
    #[pyo3(signature = (app))]
    fn new(app: &Bound<'_, PyAny>) -> PyResult<PyApplication> {
        Ok(PyApplication { app: taken(app)? })
    }

    /// Calls the application with a request, as PEP 3333 defines.
    #[pyo3(signature = (environ, start_response))]
    fn __call__<'py>(
        &self,
        environ: &Bound<'py, PyAny>,
        start_response: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        enfilade_python::call(&self.app, environ, start_response)
    }

    /// Returns the tree of components of this application.
    fn describe(&self) -> String {
        self.app.describe().to_string()
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let kind = slf.get_type().name()?;
        Ok(format!(
            "<enfilade.{kind}: {}>",
            slf.get().app.describe().name()
        ))
    }
}

/// Turns a Python object into an application.
///
/// An application of this module is used directly, so that no call to Python stands between two wrappers; any other
/// WSGI callable is adapted.
pub(crate) fn taken(object: &Bound<'_, PyAny>) -> PyResult<Application> {
    if let Ok(application) = object.cast::<PyApplication>()
        && is_ours(&object.get_type())?
    {
        return Ok(application.get().app.clone());
    }
    enfilade_python::from_callable(object)
}

/// Whether a class has this module's `__call__`, and not its own.
fn is_ours(class: &Bound<'_, PyType>) -> PyResult<bool> {
    let own = class.getattr("__call__")?;
    let ours = class.py().get_type::<PyApplication>().getattr("__call__")?;
    Ok(own.is(&ours))
}

/// A wrapper's instance, with the application that it makes in its base class.
pub(crate) fn based<T: pyo3::PyClass<BaseType = PyApplication>>(
    app: Application,
    class: T,
) -> PyClassInitializer<T> {
    PyClassInitializer::from(PyApplication { app }).add_subclass(class)
}
