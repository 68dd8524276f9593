//! The servers that Python starts.

pub(crate) mod inline;
pub(crate) mod threaded;

use std::io::Read;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use enfilade::{Application, Request};
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tokio::sync::Notify;

use crate::call::environ::{Facts, Template};
use crate::call::job;
use crate::ffi;
use crate::serve::inline::{Inline, Plan, Shared};

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
            backlog: crate::run::pool::BACKLOG,
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
    fn is_inline(&self) -> bool {
        self.threads <= 1 && self.tls.is_none()
    }

    pub(crate) fn facts(&self, py: Python<'_>) -> Facts {
        Facts {
            is_multithreaded: self.multithread.unwrap_or(self.threads > 1),
            is_multiprocess: self.multiprocess,
            server_name: self.server_name.clone(),
            server_port: self.server_port,
            base: self.base_environ.as_ref().map(|base| base.clone_ref(py)),
        }
    }
}

/// A server for listening sockets that Python has opened.
#[derive(Debug)]
pub struct Server {
    app: Application,
    sockets: Vec<RawFd>,
    options: Options,
    stop: Arc<Stop>,
}

impl Server {
    /// Serves an application on these descriptors, which stay their owner's.
    #[must_use]
    pub fn new(app: Application, sockets: Vec<RawFd>, options: Options) -> Server {
        Server {
            app,
            sockets,
            options,
            stop: Arc::default(),
        }
    }

    /// Serves until it is told to stop.
    ///
    /// # Errors
    ///
    /// The exception of a signal's handler, such as `KeyboardInterrupt`; an `OSError` where the sockets cannot be served.
    pub fn serve_forever(&self, py: Python<'_>) -> PyResult<()> {
        self.stop.reset();
        let signals = Signals::watch(py)?;
        let served = match self.options.is_inline() {
            true => self.inline(py, signals.stream()?, false, None).map(drop),
            false => threaded::serve(
                py,
                self.app.clone(),
                self.sockets()?,
                &self.options,
                self.stop.clone(),
                &signals,
            ),
        };
        signals.unwatch(py)?;
        served
    }

    /// Answers one request and closes its connection; whether there was one within so many seconds.
    ///
    /// # Errors
    ///
    /// As [`serve_forever`](Server::serve_forever).
    pub fn handle_request(&self, py: Python<'_>, timeout: Option<Duration>) -> PyResult<bool> {
        self.stop.reset();
        let signals = Signals::watch(py)?;
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let served = self.inline(py, signals.stream()?, true, deadline);
        signals.unwatch(py)?;
        served
    }

    /// Accepts nothing more, and lets requests in flight finish. It returns at once, and any thread may call it.
    pub fn shutdown(&self) {
        self.stop.set();
    }

    fn sockets(&self) -> PyResult<Vec<OwnedFd>> {
        let own = self.sockets.iter().map(|socket| ffi::duplicate(*socket));
        Ok(own.collect::<std::io::Result<_>>()?)
    }

    fn inline(
        &self,
        py: Python<'_>,
        signals: Option<UnixStream>,
        once: bool,
        deadline: Option<Instant>,
    ) -> PyResult<bool> {
        let template = Template::new(py, &self.options.facts(py))?;
        let hook = self
            .options
            .access_hook
            .as_ref()
            .map(|hook| Hook(hook.clone_ref(py)));
        let plan = Plan {
            app: self.app.clone(),
            hook,
            stop: self.stop.clone(),
            signals,
            once,
            deadline,
        };
        let server = Inline::new(plan, self.sockets()?, &self.options)?;
        server.serve(py, &template)
    }
}

/// Whether a server is to stop, and how to tell it.
#[derive(Default)]
pub(crate) struct Stop {
    /// How often it was told.
    told: AtomicU8,
    inline: Mutex<Option<Arc<Shared>>>,
    pub(crate) notify: Notify,
}

impl std::fmt::Debug for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Stop").field(&self.told).finish()
    }
}

impl Stop {
    fn reset(&self) {
        self.told.store(0, Ordering::Release);
    }

    pub(crate) fn set(&self) {
        let _ = self
            .told
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |told| {
                told.checked_add(1)
            });
        self.notify.notify_one();
        if let Some(shared) = &*self.inline.lock().unwrap_or_else(PoisonError::into_inner) {
            shared.interrupt();
        }
    }

    pub(crate) fn is_set(&self) -> bool {
        self.told.load(Ordering::Acquire) > 0
    }

    pub(crate) fn set_waker(&self, shared: Option<Arc<Shared>>) {
        *self.inline.lock().unwrap_or_else(PoisonError::into_inner) = shared;
    }
}

/// What the hook of a server is told of a request.
#[derive(Debug)]
pub(crate) struct Record {
    client: Option<SocketAddr>,
    line: String,
    pub(crate) status: u16,
    pub(crate) bytes: u64,
}

impl Record {
    pub(crate) fn of(request: &Request) -> Record {
        let target = match request.uri().path_and_query() {
            Some(target) => target.as_str(),
            None => request.uri().path(),
        };
        Record {
            client: request.connection().peer(),
            line: format!("{} {target} {}", request.method(), request.protocol()),
            status: 0,
            bytes: 0,
        }
    }
}

/// What a server calls for every request.
#[derive(Debug)]
pub(crate) struct Hook(pub(crate) Py<PyAny>);

impl Hook {
    /// What it raises is reported and ends nothing, but for an interrupt.
    pub(crate) fn call(&self, py: Python<'_>, record: &Record) -> PyResult<()> {
        let client = match record.client {
            Some(client) => (client.ip().to_canonical().to_string(), client.port()),
            None => (String::new(), 0),
        };
        let arguments = (client, &record.line, record.status, record.bytes);
        match self.0.call1(py, arguments) {
            Err(error) if error.is_instance_of::<PyKeyboardInterrupt>(py) => Err(error),
            Err(error) => {
                job::report(py, &error);
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }
}

/// Signals as something to wait for: Python writes to a socket when one comes (`signal.set_wakeup_fd`).
///
/// Nothing where the caller is not the main thread, which alone runs handlers.
pub(crate) struct Signals(Option<Watched>);

struct Watched {
    received: UnixStream,
    /// Python's end, which stays open until Python writes elsewhere.
    _sent: UnixStream,
    before: Py<PyAny>,
}

impl Signals {
    fn watch(py: Python<'_>) -> PyResult<Signals> {
        let threading = py.import(intern!(py, "threading"))?;
        let is_main = threading
            .call_method0("current_thread")?
            .is(threading.call_method0("main_thread")?);
        if !is_main {
            return Ok(Signals(None));
        }
        let (received, sent) = UnixStream::pair()?;
        received.set_nonblocking(true)?;
        sent.set_nonblocking(true)?;
        let options = PyDict::new(py);
        options.set_item("warn_on_full_buffer", false)?;
        let set = py.import(intern!(py, "signal"))?.getattr("set_wakeup_fd")?;
        let before = set.call((sent.as_raw_fd(),), Some(&options))?.unbind();
        Ok(Signals(Some(Watched {
            received,
            _sent: sent,
            before,
        })))
    }

    /// Lets Python write where it wrote before.
    fn unwatch(self, py: Python<'_>) -> PyResult<()> {
        if let Some(watched) = &self.0 {
            py.import(intern!(py, "signal"))?
                .call_method1("set_wakeup_fd", (&watched.before,))?;
        }
        Ok(())
    }

    /// What becomes readable when a signal has come.
    pub(crate) fn stream(&self) -> PyResult<Option<UnixStream>> {
        let received = self.0.as_ref().map(|watched| watched.received.try_clone());
        Ok(received.transpose()?)
    }
}

/// Takes what Python wrote.
pub(crate) fn drain(mut received: &UnixStream) {
    let mut room = [0; 64];
    while received
        .read(&mut room)
        .is_ok_and(|count| count == room.len())
    {}
}

/// An error of the runtime, which no caller could have done anything about.
pub(crate) fn failed(error: &dyn std::fmt::Display) -> PyErr {
    pyo3::exceptions::PyRuntimeError::new_err(error.to_string())
}
