//! The servers that Python starts.

mod access_hook;
mod inline;
pub(crate) mod options;
mod shortage;
mod stop;
pub(crate) mod threaded;

use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use enfilade::Application;
use pyo3::prelude::*;

use crate::call::environ::Template;
use crate::ffi;
use crate::run::executor;
use crate::serve::access_hook::AccessHook;
use crate::serve::inline::Inline;
use crate::serve::inline::plan::Plan;
use crate::serve::options::Options;
use crate::serve::stop::{Signals, Stop};

/// A server for listening sockets that Python has opened.
#[derive(Debug)]
pub struct Server {
    app: Application,
    sockets: Vec<RawFd>,
    options: Options,
    stop: Arc<Stop>,
}

impl Server {
    /// Serves an application on these descriptors. It duplicates them, and does not close the originals.
    #[must_use]
    pub fn new(app: Application, sockets: Vec<RawFd>, options: Options) -> Server {
        Server {
            app,
            sockets,
            options,
            stop: Arc::default(),
        }
    }

    /// Serves until it is stopped.
    ///
    /// # Errors
    ///
    /// The exception of a signal handler, such as `KeyboardInterrupt`; an `OSError` if the sockets cannot be served.
    pub fn serve_forever(&self, py: Python<'_>) -> PyResult<()> {
        executor::watch_forks(py)?;
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
        // Not at the start: a stop before it must not be lost.
        self.stop.reset();
        signals.unwatch(py)?;
        served
    }

    /// Serves one request and closes its connection. Returns false if none came within `timeout`.
    ///
    /// # Errors
    ///
    /// The same as for [`serve_forever`](Server::serve_forever).
    pub fn handle_request(&self, py: Python<'_>, timeout: Option<Duration>) -> PyResult<bool> {
        executor::watch_forks(py)?;
        let signals = Signals::watch(py)?;
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let served = self.inline(py, signals.stream()?, true, deadline);
        self.stop.reset();
        signals.unwatch(py)?;
        served
    }

    /// Stops accepting, and lets requests in flight finish.
    ///
    /// It returns at once, and any thread may call it.
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
        let plan = Plan {
            app: self.app.clone(),
            hook: AccessHook::of(py, &self.options),
            stop: self.stop.clone(),
            signals,
            once,
            deadline,
        };
        let server = Inline::new(plan, self.sockets()?, &self.options)?;
        if let Some(activity) = &self.options.activity {
            activity.install(0);
        }
        if !once {
            self.options.started(py)?;
        }
        server.serve(py, &template)
    }
}
