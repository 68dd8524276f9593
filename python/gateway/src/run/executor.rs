//! Chooses what runs the Python code of a request.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use enfilade::BoxError;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict};

use crate::call::chunked::ChunkedBodies;
use crate::call::environ::ServerFacts;
use crate::call::job::Job;
use crate::run::pool::{self, Pool};
use crate::run::{process, reactor};

/// The number of threads of the default pool.
const THREADS: usize = 4;

/// A server that runs the requests of its thread on the thread itself.
pub(crate) trait LocalQueue {
    /// Adds a request that waits for Python.
    fn push(&self, job: Job);

    /// How bodies without a length reach the application.
    fn chunked(&self) -> ChunkedBodies;
}

/// Runs the requests that a thread receives.
#[derive(Clone)]
pub(crate) enum Installed {
    /// The thread itself, when its connections are idle.
    Thread(Rc<dyn LocalQueue>),
    /// Threads of Python.
    Pool(Arc<Pool>),
}

/// Runs one request. It can be sent to another thread, because the reply that waits for it can be.
#[derive(Clone)]
pub(crate) enum Executor {
    /// The executor that is installed on the calling thread.
    Thread(ChunkedBodies),
    /// Threads of Python.
    Pool(Arc<Pool>),
}

thread_local! {
    static INSTALLED: RefCell<Option<Installed>> = const { RefCell::new(None) };
}

static DEFAULT: OnceLock<Arc<Pool>> = OnceLock::new();

/// Installs the executor of this thread, and returns the previous one.
pub(crate) fn install(executor: Option<Installed>) -> Option<Installed> {
    INSTALLED.replace(executor)
}

/// Returns the executor of this thread's server, or the application's own pool, or the default pool.
pub(crate) fn current(own: Option<&Arc<Pool>>) -> Result<Executor, BoxError> {
    match INSTALLED.with_borrow(Clone::clone) {
        Some(Installed::Thread(server)) => return Ok(Executor::Thread(server.chunked())),
        Some(Installed::Pool(pool)) => return Ok(Executor::Pool(pool)),
        None => {}
    }
    match own.or_else(|| DEFAULT.get()) {
        Some(pool) => Ok(Executor::Pool(pool.clone())),
        None => Ok(Executor::Pool(start_default()?)),
    }
}

/// Notices processes that the application forks, from now on: in them no server runs.
pub(crate) fn watch_forks(py: Python<'_>) -> PyResult<()> {
    static IS_WATCHING: AtomicBool = AtomicBool::new(false);
    if IS_WATCHING.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    let forked = PyCFunction::new_closure(py, Some(c"enfilade_forked"), None, |_, _| {
        process::forked();
        // Their destructors would close and change what the parent uses, such as its set of sockets to wait for.
        std::mem::forget(reactor::set_current(None));
        std::mem::forget(install(None));
    })?;
    let options = PyDict::new(py);
    options.set_item("after_in_child", forked)?;
    py.import("os")?
        .call_method("register_at_fork", (), Some(&options))
        .map(drop)
}

fn start_default() -> Result<Arc<Pool>, BoxError> {
    let facts = ServerFacts {
        is_multithreaded: true,
        ..ServerFacts::default()
    };
    let pool = Python::attach(|py| {
        watch_forks(py)?;
        Pool::start(py, THREADS, pool::BACKLOG, &facts, None)
    })?;
    // If another thread was faster, its pool is used, and the threads of this one end.
    Ok(DEFAULT.get_or_init(|| pool).clone())
}

impl Executor {
    /// How bodies without a length reach the application.
    pub(crate) fn chunked(&self) -> ChunkedBodies {
        match self {
            Executor::Thread(chunked) => *chunked,
            Executor::Pool(pool) => pool.chunked(),
        }
    }

    /// Runs the job when there is time. Returns it as an error if too many wait.
    pub(crate) fn run(&self, job: Job) -> Result<(), Job> {
        match self {
            Executor::Pool(pool) => pool.submit(job),
            Executor::Thread(_) => match INSTALLED.with_borrow(Clone::clone) {
                Some(Installed::Thread(server)) => {
                    server.push(job);
                    Ok(())
                }
                _ => Err(job),
            },
        }
    }
}
