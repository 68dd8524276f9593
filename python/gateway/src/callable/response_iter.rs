//! The body of a response as a WSGI iterable.

use std::sync::Mutex;

use enfilade::{Body, unpoisoned};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::run::reactor::wait;

/// The body of a response as a WSGI iterable.
#[pyclass(frozen, module = "enfilade._native", name = "Response")]
#[derive(Debug)]
pub struct ResponseIter(Mutex<Option<Body>>);

impl ResponseIter {
    pub(super) fn new(body: Body) -> ResponseIter {
        ResponseIter(Mutex::new(Some(body)))
    }

    fn take(&self) -> Option<Body> {
        unpoisoned(self.0.lock()).take()
    }
}

#[pymethods]
impl ResponseIter {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let Some(mut body) = self.take() else {
            return Ok(None);
        };
        loop {
            match wait(py, body.frame())? {
                None => return Ok(None),
                Some(Err(error)) => return Err(exception(py, &error)),
                Some(Ok(frame)) => {
                    // WSGI has no trailers.
                    let data = frame.into_data().unwrap_or_default();
                    if !data.is_empty() {
                        *unpoisoned(self.0.lock()) = Some(body);
                        return Ok(Some(PyBytes::new(py, &data)));
                    }
                }
            }
        }
    }

    /// Drops the body, which ends its source.
    fn close(&self) {
        drop(self.take());
    }
}

/// Returns the exception that made the body fail; for one of Python's, the same object.
fn exception(py: Python<'_>, error: &(dyn std::error::Error + 'static)) -> PyErr {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(raised) = error.downcast_ref::<PyErr>() {
            return raised.clone_ref(py);
        }
        cause = error.source();
    }
    PyRuntimeError::new_err(error.to_string())
}
