//! How a server serves.

use std::path::PathBuf;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::call::environ::ServerFacts;
use crate::run::pool::BACKLOG;

/// How a server serves.
#[derive(Debug)]
#[non_exhaustive]
pub struct Options {
    /// How many Python threads call the application; 1, the default, is the caller's own.
    pub threads: usize,
    /// How many requests may wait for a thread, where there are several; beyond them the answer is 503. 1,024 by default.
    pub backlog: usize,
    /// Whether other processes run the same application, as environs tell.
    pub multiprocess: bool,
    /// Whether environs tell of several threads; whether there are, by default.
    pub multithread: Option<bool>,
    /// `SERVER_NAME`; the address that was connected to, by default.
    pub server_name: Option<String>,
    /// `SERVER_PORT`; the port that was connected to, by default.
    pub server_port: Option<u16>,
    /// How long a connection may go without a request; 75 seconds by default.
    pub keep_alive: Duration,
    /// How long a head may take, from its first byte on; 30 seconds by default.
    pub header_timeout: Duration,
    /// How long nothing may come of a body that is waited for; 30 seconds by default.
    pub body_timeout: Duration,
    /// How long a client may take nothing of an answer; 60 seconds by default.
    pub write_timeout: Duration,
    /// How long requests in flight may take to finish when the server stops; 30 seconds by default.
    pub graceful_timeout: Duration,
    /// How many requests are served before the server stops by itself; any number by default.
    pub max_requests: Option<u64>,
    /// The certificate chain and the key for TLS, as PEM files.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// What environs have beside what every environ has.
    pub base_environ: Option<Py<PyDict>>,
    /// Whether names of headers are sent with capitals.
    pub title_case_headers: bool,
    /// Called for every request: client, request line, status, bytes.
    pub access_hook: Option<Py<PyAny>>,
    /// Whether each connection ends with its first answer.
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
            tls: None,
            base_environ: None,
            title_case_headers: false,
            access_hook: None,
            close_connections: false,
        }
    }
}

impl Options {
    /// Whether the caller's thread does it all.
    pub(super) fn is_inline(&self) -> bool {
        self.threads <= 1 && self.tls.is_none()
    }

    pub(super) fn facts(&self, py: Python<'_>) -> ServerFacts {
        ServerFacts {
            is_multithreaded: self.multithread.unwrap_or(self.threads > 1),
            is_multiprocess: self.multiprocess,
            server_name: self.server_name.clone(),
            server_port: self.server_port,
            base: self.base_environ.as_ref().map(|base| base.clone_ref(py)),
        }
    }
}
