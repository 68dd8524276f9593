//! Python's type of servers.

use std::os::fd::RawFd;
use std::path::PathBuf;
use std::time::Duration;

use enfilade_python::{Options, Server};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::activity::PyActivity;
use crate::application::taken;

/// An HTTP server for a WSGI application, on sockets that already listen.
#[pyclass(frozen, module = "enfilade", name = "Server")]
pub(crate) struct PyServer(Server);

#[pymethods]
impl PyServer {
    #[new]
    #[pyo3(signature = (
        app, *, sockets, threads = 1, backlog = 1024, multiprocess = false, multithread = None,
        server_name = None, server_port = None, keep_alive = 75.0, header_timeout = 30.0, body_timeout = 30.0,
        write_timeout = 60.0, graceful_timeout = 30.0, max_requests = None, tls = None, base_environ = None,
        title_case_headers = false, access_hook = None, close_connections = false, on_start = None, activity = None,
        chunked_limit = 1073741824, stream_chunked = false,
    ))]
    #[expect(
        clippy::fn_params_excessive_bools,
        clippy::too_many_arguments,
        reason = "Python passes these as keyword arguments, by name"
    )]
    fn new(
        app: &Bound<'_, PyAny>,
        sockets: Vec<RawFd>,
        threads: usize,
        backlog: usize,
        multiprocess: bool,
        multithread: Option<bool>,
        server_name: Option<String>,
        server_port: Option<u16>,
        keep_alive: f64,
        header_timeout: f64,
        body_timeout: f64,
        write_timeout: f64,
        graceful_timeout: f64,
        max_requests: Option<u64>,
        tls: Option<(PathBuf, PathBuf)>,
        base_environ: Option<Py<PyDict>>,
        title_case_headers: bool,
        access_hook: Option<Py<PyAny>>,
        close_connections: bool,
        on_start: Option<Py<PyAny>>,
        activity: Option<PyRef<'_, PyActivity>>,
        chunked_limit: u64,
        stream_chunked: bool,
    ) -> PyResult<PyServer> {
        let mut options = Options::default();
        options.threads = threads;
        options.backlog = backlog;
        options.multiprocess = multiprocess;
        options.multithread = multithread;
        options.server_name = server_name;
        options.server_port = server_port;
        options.keep_alive = seconds(keep_alive)?;
        options.header_timeout = seconds(header_timeout)?;
        options.body_timeout = seconds(body_timeout)?;
        options.write_timeout = seconds(write_timeout)?;
        options.graceful_timeout = seconds(graceful_timeout)?;
        options.max_requests = max_requests;
        options.tls = tls;
        options.base_environ = base_environ;
        options.title_case_headers = title_case_headers;
        options.access_hook = access_hook;
        options.close_connections = close_connections;
        options.on_start = on_start;
        options.activity = activity.map(|activity| activity.0.clone());
        options.chunked_limit = chunked_limit;
        options.stream_chunked = stream_chunked;
        Ok(PyServer(Server::new(taken(app)?, sockets, options)))
    }

    /// Serves until `shutdown()`, or until a signal handler raises, such as that of Ctrl-C.
    fn serve_forever(&self, py: Python<'_>) -> PyResult<()> {
        self.0.serve_forever(py)
    }

    /// Serves one request and closes its connection; returns false if none came in time (seconds).
    #[pyo3(signature = (timeout = None))]
    fn handle_request(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let timeout = timeout.map(seconds).transpose()?;
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

pub(crate) fn seconds(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| PyValueError::new_err(format!("{seconds} is not a valid number of seconds")))
}
