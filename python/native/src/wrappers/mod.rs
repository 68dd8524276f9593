//! The wrappers for Python: the application is the first argument, options are keywords.

mod choosing;
mod content;
mod files;
mod guards;
mod watching;

use std::io;
use std::path::Path;

use http::{HeaderName, Method};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;

use crate::arguments::refused;

pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    choosing::add_to(module)?;
    content::add_to(module)?;
    files::add_to(module)?;
    guards::add_to(module)?;
    watching::add_to(module)
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

/// The error for a path that cannot be opened, with Python's text and its class for the system's number.
fn unopened(py: Python<'_>, error: &io::Error, path: &Path) -> PyErr {
    let text = || -> PyResult<String> {
        let number = error.raw_os_error();
        py.import("os")?
            .call_method1("strerror", (number,))?
            .extract()
    };
    match (error.raw_os_error(), text()) {
        (Some(number), Ok(text)) => PyOSError::new_err((number, text, path.as_os_str().to_owned())),
        _ => PyOSError::new_err(format!("{}: {error}", path.display())),
    }
}
