//! Calls an application as a WSGI callable.
//!
//! Its components run on the calling thread, and its response is pulled.

pub(crate) mod pulled;
mod request;
pub(crate) mod response_iter;

use enfilade::{Application, Response, gateway};
use hyper::ext::ReasonPhrase;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};

use crate::call::environ;
use crate::callable::pulled::{CallerEnviron, Raised};
use crate::callable::request::request;
use crate::callable::response_iter::ResponseIter;
use crate::ffi::latin1;
use crate::run::reactor::wait;

/// Calls an application as PEP 3333 defines, and returns an iterable of byte strings.
///
/// # Errors
///
/// The exception that a Python application inside raised, as the same object. A `ValueError` if the environ is not a
/// valid request.
pub fn call<'py>(
    app: &Application,
    environ: &Bound<'py, PyAny>,
    start_response: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = environ.py();
    let environ = environ::checked(environ)?;
    let mut request = request(&environ)?;
    let caller = CallerEnviron::new(environ.unbind());
    request.extensions_mut().insert(caller);
    let mut response = wait(py, gateway::respond(app, request))?;
    if let Some(raised) = response.extensions_mut().remove::<Raised>() {
        return Err(raised.0.clone_ref(py));
    }
    let (status, headers) = head(py, &response)?;
    start_response.call1((status, headers))?;
    let body = std::mem::take(response.body_mut());
    match body.try_into_bytes() {
        Ok(bytes) if bytes.is_empty() => Ok(PyList::empty(py).into_any()),
        Ok(bytes) => Ok(PyList::new(py, [PyBytes::new(py, &bytes)])?.into_any()),
        Err(body) => Ok(Bound::new(py, ResponseIter::new(body))?.into_any()),
    }
}

/// Passes the head of a response to `start_response`.
fn head<'py>(
    py: Python<'py>,
    response: &Response,
) -> PyResult<(Bound<'py, PyString>, Bound<'py, PyList>)> {
    let status = response.status();
    let reason = match response.extensions().get::<ReasonPhrase>() {
        Some(reason) => reason.as_bytes(),
        None => status.canonical_reason().unwrap_or("Unknown").as_bytes(),
    };
    let line = [status.as_str().as_bytes(), b" ", reason].concat();
    let headers = PyList::empty(py);
    for (name, value) in response.headers() {
        headers.append((name.as_str(), latin1(py, value.as_bytes())?))?;
    }
    Ok((latin1(py, &line)?, headers))
}
