//! The wrappers for Python: the application is the first argument, options are keywords.

mod choosing;
mod content;
mod guards;
mod numbers;
mod watching;

use std::fmt::Display;

use http::{HeaderName, Method};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    choosing::add_to(module)?;
    content::add_to(module)?;
    guards::add_to(module)?;
    watching::add_to(module)
}

/// The error for an invalid option.
fn refused(error: impl Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

fn method(name: &str) -> PyResult<Method> {
    Method::from_bytes(name.as_bytes())
        .map_err(|_| refused(format!("{name:?} is not a valid method")))
}

fn methods(names: &[String]) -> PyResult<Vec<Method>> {
    names.iter().map(|name| method(name)).collect()
}

fn header(name: &str) -> PyResult<HeaderName> {
    HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| refused(format!("{name:?} is not a valid header name")))
}
