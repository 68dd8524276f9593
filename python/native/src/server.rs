//! Python's type of servers.

use std::path::PathBuf;

use enfilade_python::{Options, Server};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::activity::PyActivity;
use crate::application::taken;
use crate::arguments::{
    Given, count, descriptors, optional_size, optional_whole, port, seconds, seconds_or_zero,
};

/// An HTTP server for a WSGI application, on sockets that already listen.
#[pyclass(frozen, module = "enfilade", name = "Server")]
pub(crate) struct PyServer(Server);

#[pymethods]
impl PyServer {
    #[new]
    #[pyo3(
        signature = (
            app, *, sockets, threads = None, backlog = None, multiprocess = false, multithread = None,
            server_name = None, server_port = None, keep_alive = None, header_timeout = None, body_timeout = None,
            write_timeout = None, graceful_timeout = None, max_requests = None, tls = None, base_environ = None,
            title_case_headers = false, access_hook = None, close_connections = false, on_start = None,
            activity = None, chunked_limit = None, stream_chunked = false,
        ),
        // The defaults of `Options`.
        text_signature = "(app, *, sockets, threads=1, backlog=1024, multiprocess=False, multithread=None, \
            server_name=None, server_port=None, keep_alive=75.0, header_timeout=30.0, body_timeout=30.0, \
            write_timeout=60.0, graceful_timeout=30.0, max_requests=None, tls=None, base_environ=None, \
            title_case_headers=False, access_hook=None, close_connections=False, on_start=None, \
            activity=None, chunked_limit=1073741824, stream_chunked=False)",
    )]
    #[expect(
        clippy::fn_params_excessive_bools,
        clippy::too_many_arguments,
        reason = "Python passes these as keyword arguments, by name"
    )]
    fn new(
        app: &Bound<'_, PyAny>,
        sockets: &Bound<'_, PyAny>,
        threads: Given<'_, '_>,
        backlog: Given<'_, '_>,
        multiprocess: bool,
        multithread: Option<bool>,
        server_name: Option<String>,
        server_port: Given<'_, '_>,
        keep_alive: Given<'_, '_>,
        header_timeout: Given<'_, '_>,
        body_timeout: Given<'_, '_>,
        write_timeout: Given<'_, '_>,
        graceful_timeout: Given<'_, '_>,
        max_requests: Given<'_, '_>,
        tls: Option<(PathBuf, PathBuf)>,
        base_environ: Option<Py<PyDict>>,
        title_case_headers: bool,
        access_hook: Option<Py<PyAny>>,
        close_connections: bool,
        on_start: Option<Py<PyAny>>,
        activity: Option<PyRef<'_, PyActivity>>,
        chunked_limit: Given<'_, '_>,
        stream_chunked: bool,
    ) -> PyResult<PyServer> {
        let mut options = Options::default();
        if let Some(threads) = threads {
            options.threads = count("threads", threads)? as usize;
        }
        if let Some(requests) = optional_size("backlog", backlog)? {
            options.backlog = requests;
        }
        options.multiprocess = multiprocess;
        options.multithread = multithread;
        options.server_name = server_name;
        options.server_port = server_port
            .map(|given| port("server_port", given))
            .transpose()?;
        if let Some(time) = keep_alive {
            options.keep_alive = seconds_or_zero("keep_alive", time)?;
        }
        if let Some(time) = header_timeout {
            options.header_timeout = seconds("header_timeout", time)?;
        }
        if let Some(time) = body_timeout {
            options.body_timeout = seconds("body_timeout", time)?;
        }
        if let Some(time) = write_timeout {
            options.write_timeout = seconds("write_timeout", time)?;
        }
        if let Some(time) = graceful_timeout {
            options.graceful_timeout = seconds_or_zero("graceful_timeout", time)?;
        }
        options.max_requests = optional_whole("max_requests", max_requests, 1..=u64::MAX)?;
        options.tls = tls;
        options.base_environ = base_environ;
        options.title_case_headers = title_case_headers;
        options.access_hook = access_hook;
        options.close_connections = close_connections;
        options.on_start = on_start;
        options.activity = activity.map(|activity| activity.0.clone());
        if let Some(bytes) = optional_whole("chunked_limit", chunked_limit, 0..=u64::MAX)? {
            options.chunked_limit = bytes;
        }
        options.stream_chunked = stream_chunked;
        let sockets = descriptors("sockets", sockets)?;
        Ok(PyServer(Server::new(taken(app)?, sockets, options)))
    }

    /// Serves until `shutdown()`, or until a signal handler raises, such as that of Ctrl-C.
    fn serve_forever(&self, py: Python<'_>) -> PyResult<()> {
        self.0.serve_forever(py)
    }

    /// Serves one request and closes its connection; returns false if none came in time (seconds).
    #[pyo3(signature = (timeout = None))]
    fn handle_request(&self, py: Python<'_>, timeout: Given<'_, '_>) -> PyResult<bool> {
        let timeout = timeout
            .map(|time| seconds_or_zero("timeout", time))
            .transpose()?;
        self.0.handle_request(py, timeout)
    }

    /// Stops accepting and lets requests in flight finish.
    ///
    /// Can be called from any thread and from a signal handler.
    fn shutdown(&self) {
        self.0.shutdown();
    }
}

/// Raises an `OSError` or a `ValueError` if a server cannot use this certificate chain with this key.
#[pyfunction]
pub(crate) fn check_certificate(chain: PathBuf, key: PathBuf) -> PyResult<()> {
    Ok(enfilade_python::check_certificate(&chain, &key)?)
}
