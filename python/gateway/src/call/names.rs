//! Strings of environs that are the same for many requests: names of headers, addresses, ports and methods.

use std::cell::RefCell;
use std::net::IpAddr;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderName, Method};
use pyo3::prelude::*;
use pyo3::types::PyString;
use pyo3::{IntoPyObjectExt, intern};
use rustc_hash::FxHashMap;

use crate::ffi::latin1;

/// The limit of header names and of addresses that a thread caches, because clients choose both.
const REMEMBERED: usize = 1_024;
/// The number of client ports that a thread caches.
const PORTS: usize = 64;
pub(super) fn method<'py>(py: Python<'py>, method: &Method) -> PyResult<Bound<'py, PyAny>> {
    match *method {
        Method::GET => intern!(py, "GET").into_bound_py_any(py),
        Method::POST => intern!(py, "POST").into_bound_py_any(py),
        Method::HEAD => intern!(py, "HEAD").into_bound_py_any(py),
        Method::PUT => intern!(py, "PUT").into_bound_py_any(py),
        Method::DELETE => intern!(py, "DELETE").into_bound_py_any(py),
        Method::OPTIONS => intern!(py, "OPTIONS").into_bound_py_any(py),
        Method::PATCH => intern!(py, "PATCH").into_bound_py_any(py),
        ref other => latin1(py, other.as_str().as_bytes())?.into_bound_py_any(py),
    }
}

thread_local! {
    /// No lock: each thread has its own cache.
    static NAMES: RefCell<CachedNames> = RefCell::default();
}

/// Strings that many requests need.
struct CachedNames {
    headers: FxHashMap<HeaderName, Option<Py<PyString>>>,
    addresses: FxHashMap<IpAddr, Py<PyString>>,
    /// The last port in each place.
    ports: [Option<(u16, Py<PyString>)>; PORTS],
}

impl Default for CachedNames {
    fn default() -> CachedNames {
        CachedNames {
            headers: FxHashMap::default(),
            addresses: FxHashMap::default(),
            ports: [const { None }; PORTS],
        }
    }
}

/// Returns a client's port as text.
pub(super) fn port<'py>(py: Python<'py>, port: u16) -> PyResult<Bound<'py, PyString>> {
    NAMES.with_borrow_mut(|names| names.port(py, port))
}

/// Returns the variable of a header; `None` for headers that are left out.
pub(super) fn variable<'py>(py: Python<'py>, name: &HeaderName) -> Option<Bound<'py, PyString>> {
    NAMES.with_borrow_mut(|names| names.variable(py, name))
}

impl CachedNames {
    /// Returns a client's port as text. The requests of a connection share one port.
    fn port<'py>(&mut self, py: Python<'py>, port: u16) -> PyResult<Bound<'py, PyString>> {
        let place = self.ports.get_mut(usize::from(port) % PORTS);
        match place {
            Some(Some((known, text))) if *known == port => Ok(text.bind(py).clone()),
            place => {
                let text = number(py, port)?;
                if let Some(place) = place {
                    *place = Some((port, text.clone().unbind()));
                }
                Ok(text)
            }
        }
    }

    /// Returns the variable of a header; `None` for headers that are left out.
    fn variable<'py>(
        &mut self,
        py: Python<'py>,
        name: &HeaderName,
    ) -> Option<Bound<'py, PyString>> {
        if let Some(known) = self.headers.get(name) {
            return known.as_ref().map(|variable| variable.bind(py).clone());
        }
        let variable = variable_of(name).map(|variable| PyString::intern(py, &variable));
        if self.headers.len() < REMEMBERED {
            let kept = variable.clone().map(Bound::unbind);
            self.headers.insert(name.clone(), kept);
        }
        variable
    }
}

/// Returns the variable of a header; `None` for headers that are left out.
///
/// A header with an underscore in its name would look like one with a hyphen, and programs would read `Proxy` as the
/// setting `HTTP_PROXY`.
fn variable_of(name: &HeaderName) -> Option<String> {
    if *name == CONTENT_TYPE {
        return Some("CONTENT_TYPE".to_owned());
    }
    if *name == CONTENT_LENGTH {
        return Some("CONTENT_LENGTH".to_owned());
    }
    let text = name.as_str();
    // The body is decoded already, and some frameworks would decode it again.
    if text.contains('_') || text == "proxy" || *name == TRANSFER_ENCODING {
        return None;
    }
    Some(format!(
        "HTTP_{}",
        text.to_ascii_uppercase().replace('-', "_")
    ))
}

pub(super) fn address<'py>(py: Python<'py>, address: IpAddr) -> PyResult<Bound<'py, PyString>> {
    NAMES.with_borrow_mut(|names| {
        if let Some(known) = names.addresses.get(&address) {
            return Ok(known.bind(py).clone());
        }
        let text = PyString::new(py, &address.to_string());
        if names.addresses.len() < REMEMBERED {
            names.addresses.insert(address, text.clone().unbind());
        }
        Ok(text)
    })
}

pub(super) fn number(py: Python<'_>, mut number: u16) -> PyResult<Bound<'_, PyString>> {
    let mut digits = [0; 5];
    let mut at = digits.len();
    loop {
        at -= 1;
        if let (Some(digit), Ok(value)) = (digits.get_mut(at), u8::try_from(number % 10)) {
            *digit = b'0' + value;
        }
        number /= 10;
        if number == 0 || at == 0 {
            return latin1(py, digits.get(at..).unwrap_or_default());
        }
    }
}
