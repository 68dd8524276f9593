//! The environ dictionary of a request (PEP 3333, "environ Variables").

use enfilade::{RemoteUser, Request, Scheme, path};
use http::header::{CONTENT_LENGTH, COOKIE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyString, PyTuple};

use crate::call::chunked::ChunkedBodies;
use crate::call::file_wrapper::FileWrapper;
use crate::call::input::Input;
use crate::call::names::{self, address, method, number};
use crate::call::numbers::NumberCaptures;
use crate::ffi::latin1;

/// With this many entries, a dictionary has room for twenty more headers.
const ROOM: usize = 25;

/// Facts that all environs of a server share.
#[derive(Debug, Default)]
pub(crate) struct ServerFacts {
    pub(crate) is_multithreaded: bool,
    pub(crate) is_multiprocess: bool,
    pub(crate) server_name: Option<String>,
    pub(crate) server_port: Option<u16>,
    /// How bodies without a length reach the application.
    pub(crate) chunked: ChunkedBodies,
    /// Entries that the server's owner adds.
    pub(crate) base: Option<Py<PyDict>>,
}

/// A dictionary that is copied for each request: a copy costs a tenth of making a new one.
#[derive(Debug)]
pub(crate) struct Template {
    dict: Py<PyDict>,
    has_server: bool,
}

impl Template {
    pub(crate) fn new(py: Python<'_>, facts: &ServerFacts) -> PyResult<Template> {
        let dict = PyDict::new(py);
        for name in ["SCRIPT_NAME", "QUERY_STRING"] {
            dict.set_item(name, "")?;
        }
        for (name, value) in [
            ("REQUEST_METHOD", "GET"),
            ("PATH_INFO", "/"),
            ("REQUEST_URI", "/"),
            ("SERVER_NAME", "localhost"),
            ("SERVER_PORT", "80"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("SERVER_SOFTWARE", "enfilade"),
            ("REMOTE_ADDR", ""),
            ("REMOTE_PORT", ""),
            ("wsgi.url_scheme", "http"),
        ] {
            // Keys that each request sets are interned, so that a lookup compares pointers.
            dict.set_item(PyString::intern(py, name), PyString::intern(py, value))?;
        }
        dict.set_item("wsgi.version", (1, 0))?;
        dict.set_item(
            "wsgi.input",
            Bound::new(py, Input::new(enfilade::Body::empty()))?,
        )?;
        dict.set_item("wsgi.errors", py.import("sys")?.getattr("stderr")?)?;
        dict.set_item("wsgi.multithread", facts.is_multithreaded)?;
        dict.set_item("wsgi.multiprocess", facts.is_multiprocess)?;
        dict.set_item("wsgi.run_once", false)?;
        dict.set_item("wsgi.file_wrapper", py.get_type::<FileWrapper>())?;
        if let Some(base) = &facts.base {
            dict.update(base.bind(py).as_mapping())?;
        }
        if let Some(name) = &facts.server_name {
            dict.set_item("SERVER_NAME", name)?;
        }
        if let Some(port) = facts.server_port {
            dict.set_item("SERVER_PORT", port.to_string())?;
        }
        make_room(&dict)?;
        Ok(Template {
            dict: dict.unbind(),
            has_server: facts.server_name.is_some() && facts.server_port.is_some(),
        })
    }

    /// Makes the environ of a request. Its body is in `input`, if it has one.
    pub(crate) fn fill<'py>(
        &self,
        py: Python<'py>,
        request: &Request,
        input: Option<&Bound<'py, Input>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let environ = self.dict.bind(py).copy()?;
        set_target(&environ, request)?;
        set_client(&environ, request)?;
        if request.version() != Version::HTTP_11 {
            environ.set_item(intern!(py, "SERVER_PROTOCOL"), request.protocol())?;
        }
        self.set_server(&environ, request)?;
        set_headers(&environ, request)?;
        if let Some(input) = input {
            set_input(&environ, request, input)?;
        }
        Ok(environ)
    }

    fn set_server(&self, environ: &Bound<'_, PyDict>, request: &Request) -> PyResult<()> {
        let py = environ.py();
        let server = request.server();
        if self.has_server && (server.is_some() || request.connection().local().is_none()) {
            return Ok(());
        }
        let name = match server {
            Some(local) if local.is_ipv4() => address(py, local.ip())?,
            // Here an IPv6 address needs brackets (RFC 3875, section 4.1.14).
            _ => {
                let name = request.environ().get("SERVER_NAME").unwrap_or_default();
                latin1(py, name.as_bytes())?
            }
        };
        environ.set_item(intern!(py, "SERVER_NAME"), name)?;
        environ.set_item(intern!(py, "SERVER_PORT"), number(py, request.port())?)
    }
}

/// Makes the dictionary grow beyond its entries, so that its copies do not grow again for the headers.
fn make_room(dict: &Bound<'_, PyDict>) -> PyResult<()> {
    let added: Vec<_> = (dict.len()..ROOM)
        .map(|at| format!("enfilade.{at}"))
        .collect();
    for name in &added {
        dict.set_item(name, py_none(dict))?;
    }
    for name in &added {
        dict.del_item(name)?;
    }
    Ok(())
}

fn py_none<'py>(dict: &Bound<'py, PyDict>) -> Bound<'py, PyAny> {
    dict.py().None().into_bound(dict.py())
}

/// Updates the environ that a request came with: only entries that a component changed get new values.
pub(crate) fn refill<'py>(
    original: &Bound<'py, PyDict>,
    request: &Request,
    input: &Bound<'py, Input>,
) -> PyResult<Bound<'py, PyDict>> {
    let py = original.py();
    let environ = original.copy()?;
    for (key, _) in original.iter() {
        let name = key.cast::<PyString>()?;
        if is_of_header(name.to_str().unwrap_or_default()) {
            environ.del_item(name)?;
        }
    }
    set_target(&environ, request)?;
    if request.client_address().is_some() {
        set_client(&environ, request)?;
    }
    if request.scheme() != request.connection().scheme() {
        let port = number(py, request.port())?;
        environ.set_item(intern!(py, "SERVER_PORT"), port)?;
    }
    environ.set_item(intern!(py, "wsgi.url_scheme"), request.scheme().as_str())?;
    set_headers(&environ, request)?;
    set_input(&environ, request, input)?;
    Ok(environ)
}

fn is_of_header(name: &str) -> bool {
    name.starts_with("HTTP_") || name == "CONTENT_LENGTH" || name == "CONTENT_TYPE"
}

fn set_input(
    environ: &Bound<'_, PyDict>,
    request: &Request,
    input: &Bound<'_, Input>,
) -> PyResult<()> {
    let py = environ.py();
    environ.set_item(intern!(py, "wsgi.input"), input)?;
    // If it is set, Werkzeug reads to the end, which wsgiref's validator forbids. So it is only set for bodies without
    // a length, as in Werkzeug's own server.
    if !request.headers().contains_key(CONTENT_LENGTH) {
        environ.set_item(intern!(py, "wsgi.input_terminated"), true)?;
    }
    Ok(())
}

fn set_target(environ: &Bound<'_, PyDict>, request: &Request) -> PyResult<()> {
    let py = environ.py();
    environ.set_item(intern!(py, "REQUEST_METHOD"), method(py, request.method())?)?;
    let (script, path) = (request.script_name(), request.path());
    let decoded = match path {
        "/" => intern!(py, "/").clone(),
        path => latin1(py, &path::decode_bytes(path))?,
    };
    environ.set_item(intern!(py, "PATH_INFO"), &decoded)?;
    let is_prefixed = !script.is_empty();
    environ.set_item(
        intern!(py, "SCRIPT_NAME"),
        match is_prefixed {
            true => latin1(py, &path::decode_bytes(script))?,
            false => intern!(py, "").clone(),
        },
    )?;
    let query = request.query_string();
    environ.set_item(
        intern!(py, "QUERY_STRING"),
        match query {
            Some(query) => latin1(py, query.as_bytes())?,
            None => intern!(py, "").clone(),
        },
    )?;
    // The target is kept as it was sent, with its dots and its encoding.
    let is_plain = !is_prefixed && query.is_none() && request.uri().path() == path;
    let is_plain = is_plain && !path.contains('%');
    let target = match request.uri().path_and_query() {
        Some(target) if !is_plain => latin1(py, target.as_str().as_bytes())?,
        _ => decoded,
    };
    environ.set_item(intern!(py, "REQUEST_URI"), target)
}

fn set_client(environ: &Bound<'_, PyDict>, request: &Request) -> PyResult<()> {
    let py = environ.py();
    let client = match request.client_address() {
        Some(client) => address(py, client)?,
        // A Unix socket has no address, but programs look for one.
        None => intern!(py, "").clone(),
    };
    environ.set_item(intern!(py, "REMOTE_ADDR"), client)?;
    match request.client_port() {
        Some(port) => {
            environ.set_item(intern!(py, "REMOTE_PORT"), names::port(py, port)?)?;
        }
        None if environ.contains(intern!(py, "REMOTE_PORT"))? => {
            environ.del_item(intern!(py, "REMOTE_PORT"))?;
        }
        None => {}
    }
    if request.scheme() == Scheme::Https {
        environ.set_item(intern!(py, "wsgi.url_scheme"), intern!(py, "https"))?;
    }
    if let Some(user) = request.extensions().get::<RemoteUser>() {
        environ.set_item(
            intern!(py, "REMOTE_USER"),
            latin1(py, user.name().as_bytes())?,
        )?;
    }
    Ok(())
}

/// Sets all headers, repeated ones joined (RFC 9110, section 5.3; cookies by RFC 6265, section 4.2.1).
fn set_headers(environ: &Bound<'_, PyDict>, request: &Request) -> PyResult<()> {
    let py = environ.py();
    let headers = request.headers();
    let is_repeated = headers.len() != headers.keys_len();
    let mut last = None;
    for (name, value) in headers {
        if is_repeated {
            if last == Some(name) {
                continue;
            }
            last = Some(name);
        }
        let Some(variable) = names::variable(py, name) else {
            continue;
        };
        let value = match is_repeated {
            true => latin1(py, &joined(headers, name, value))?,
            false => latin1(py, value.as_bytes())?,
        };
        environ.set_item(variable, value)?;
    }
    if request.params().iter().next().is_some() {
        // WSGI routers put their captures there, by wsgi.org's specification of `routing_args`.
        let captured = PyDict::new(py);
        let numbers = request.extensions().get::<NumberCaptures>();
        for (name, value) in request.params().iter() {
            match numbers.is_some_and(|numbers| numbers.has(name)) {
                true => captured.set_item(name, integer(py, value))?,
                false => captured.set_item(name, value)?,
            }
        }
        environ.set_item(
            intern!(py, "wsgiorg.routing_args"),
            (PyTuple::empty(py), captured),
        )?;
    }
    if let Some(authority) = request.uri().authority() {
        // The target's authority replaces the header (RFC 9112, section 3.2.2).
        let host = authority.as_str().rsplit('@').next().unwrap_or_default();
        environ.set_item(intern!(py, "HTTP_HOST"), latin1(py, host.as_bytes())?)?;
    }
    Ok(())
}

/// Converts digits. Python limits their number; beyond it the text stays.
fn integer<'py>(py: Python<'py>, value: &str) -> Bound<'py, PyAny> {
    let text = PyString::new(py, value).into_any();
    py.get_type::<PyInt>().call1((&text,)).unwrap_or(text)
}

fn joined(headers: &HeaderMap, name: &HeaderName, first: &HeaderValue) -> Vec<u8> {
    let separator: &[u8] = if *name == COOKIE { b"; " } else { b"," };
    let mut all = first.as_bytes().to_vec();
    for value in headers.get_all(name).into_iter().skip(1) {
        // There is one host: the gateway has rejected requests with more.
        if *name != HOST {
            all.extend_from_slice(separator);
            all.extend_from_slice(value.as_bytes());
        }
    }
    all
}

/// Checks the environ of another server (PEP 3333 requires a `dict` itself).
pub(crate) fn checked<'py>(environ: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    let dict = environ
        .cast::<PyDict>()
        .map_err(|_| pyo3::exceptions::PyTypeError::new_err("the environ must be a dict"))?;
    Ok(dict.clone())
}
