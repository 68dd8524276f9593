//! Applications as Python has them.

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
    /// Makes one of any WSGI callable.
    #[new]
    #[pyo3(signature = (app, /))]
    fn new(app: &Bound<'_, PyAny>) -> PyResult<PyApplication> {
        Ok(PyApplication { app: taken(app)? })
    }

    /// Answers a request, as PEP 3333 has it.
    #[pyo3(signature = (environ, start_response, /))]
    fn __call__<'py>(
        &self,
        environ: &Bound<'py, PyAny>,
        start_response: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        enfilade_python::call(&self.app, environ, start_response)
    }

    /// The tree of components that this application is made of.
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

/// The application that a Python object is: one of ours as it is, so that nothing stands between it and what goes around
/// it, or any other WSGI callable.
pub(crate) fn taken(object: &Bound<'_, PyAny>) -> PyResult<Application> {
    if let Ok(application) = object.cast::<PyApplication>()
        && is_ours(&object.get_type())?
    {
        return Ok(application.get().app.clone());
    }
    enfilade_python::from_callable(object)
}

/// Whether a class is one of this module's: another may have a `__call__` of its own.
fn is_ours(class: &Bound<'_, PyType>) -> PyResult<bool> {
    let own = class.getattr("__call__")?;
    let ours = class.py().get_type::<PyApplication>().getattr("__call__")?;
    Ok(own.is(&ours))
}

/// A wrapper's instance: the application that it makes, as its base.
pub(crate) fn based<T: pyo3::PyClass<BaseType = PyApplication>>(
    app: Application,
    class: T,
) -> PyClassInitializer<T> {
    PyClassInitializer::from(PyApplication { app }).add_subclass(class)
}
