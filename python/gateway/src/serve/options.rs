//! The options of a server.

use std::path::PathBuf;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::call::chunked::{self, ChunkedBodies};
use crate::call::environ::ServerFacts;
use crate::run::activity::Activity;
use crate::run::pool::BACKLOG;

/// The options of a server.
#[derive(Debug)]
#[non_exhaustive]
pub struct Options {
    /// The number of Python threads that call the application; 1 by default.
    ///
    /// With 1 the caller's own thread calls it.
    pub threads: usize,
    /// The limit of requests that wait for a thread; 1,024 by default.
    ///
    /// Further requests get 503. It has no effect with one thread.
    pub backlog: usize,
    /// Whether other processes run the same application (`wsgi.multiprocess`).
    pub multiprocess: bool,
    /// Whether the application is called on several threads (`wsgi.multithread`).
    ///
    /// By default it depends on `threads`.
    pub multithread: Option<bool>,
    /// The `SERVER_NAME`; by default the address that the client connected to.
    pub server_name: Option<String>,
    /// The `SERVER_PORT`; by default the port that the client connected to.
    pub server_port: Option<u16>,
    /// The timeout of a connection without a request; 75 seconds by default.
    pub keep_alive: Duration,
    /// The timeout for a request's head, from its first byte; 30 seconds by default.
    pub header_timeout: Duration,
    /// The timeout for the next bytes of a request body that is read; 30 seconds by default.
    pub body_timeout: Duration,
    /// The timeout of a client that does not read the response; 60 seconds by default.
    pub write_timeout: Duration,
    /// The timeout for requests in flight when the server stops; 30 seconds by default.
    pub graceful_timeout: Duration,
    /// The number of requests after which the server stops by itself; no limit by default.
    pub max_requests: Option<u64>,
    /// The limit of a request body without a length, in bytes; 1 GiB by default. A longer one gets 413.
    ///
    /// Such a body is received before the application is called: in memory up to 256 KiB, else in a temporary file.
    pub chunked_limit: u64,
    /// Whether the application reads a body without a length while it arrives, to its end (`wsgi.input_terminated`).
    pub stream_chunked: bool,
    /// The certificate chain and the key for TLS, as PEM files.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Additional entries of every environ.
    pub base_environ: Option<Py<PyDict>>,
    /// Whether header names are sent in title case.
    pub title_case_headers: bool,
    /// Called for every request: client, request line, status, bytes.
    pub access_hook: Option<Py<PyAny>>,
    /// Called once the sockets are served: all that can fail at the start was done.
    pub on_start: Option<Py<PyAny>>,
    /// Where the threads show whether the application makes progress.
    pub activity: Option<Activity>,
    /// Whether each connection closes after its first response.
    pub close_connections: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            threads: 1,
            backlog: BACKLOG,
            multiprocess: false,
            multithread: None,
            server_name: None,
            server_port: None,
            keep_alive: Duration::from_secs(75),
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(60),
            graceful_timeout: Duration::from_secs(30),
            max_requests: None,
            chunked_limit: chunked::LIMIT,
            stream_chunked: false,
            tls: None,
            base_environ: None,
            title_case_headers: false,
            access_hook: None,
            on_start: None,
            activity: None,
            close_connections: false,
        }
    }
}

impl Options {
    /// Whether the caller's thread does all work.
    pub(super) fn is_inline(&self) -> bool {
        self.threads <= 1 && self.tls.is_none()
    }

    /// Tells Python that the server has started.
    pub(super) fn started(&self, py: Python<'_>) -> PyResult<()> {
        match &self.on_start {
            Some(call) => call.call0(py).map(drop),
            None => Ok(()),
        }
    }

    pub(super) fn chunked(&self) -> ChunkedBodies {
        match self.stream_chunked {
            true => ChunkedBodies::Streamed,
            false => ChunkedBodies::Received {
                limit: self.chunked_limit,
            },
        }
    }

    pub(super) fn facts(&self, py: Python<'_>) -> ServerFacts {
        ServerFacts {
            is_multithreaded: self.multithread.unwrap_or(self.threads > 1),
            is_multiprocess: self.multiprocess,
            server_name: self.server_name.clone(),
            server_port: self.server_port,
            chunked: self.chunked(),
            base: self.base_environ.as_ref().map(|base| base.clone_ref(py)),
        }
    }
}
