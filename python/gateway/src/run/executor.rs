//! Who runs the Python code of a request.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use enfilade::BoxError;
use pyo3::prelude::*;

use crate::call::environ::ServerFacts;
use crate::call::job::Job;
use crate::run::pool::{self, Pool};

/// The threads of the pool that runs what no other is there for.
const THREADS: usize = 4;

/// A server that runs the requests of its thread on the thread itself.
pub(crate) trait LocalQueue {
    /// Adds a request that waits for Python.
    fn push(&self, job: Job);
}

/// What runs the requests that a thread takes.
#[derive(Clone)]
pub(crate) enum Installed {
    /// The thread itself, when its connections have nothing to do.
    Thread(Rc<dyn LocalQueue>),
    /// Threads of Python.
    Pool(Arc<Pool>),
}

/// What runs a request; it may be sent to another thread, as the reply may that waits for it.
pub(crate) enum Executor {
    /// What the thread has installed that asks.
    Thread,
    /// Threads of Python.
    Pool(Arc<Pool>),
}

thread_local! {
    static INSTALLED: RefCell<Option<Installed>> = const { RefCell::new(None) };
}

static DEFAULT: OnceLock<Arc<Pool>> = OnceLock::new();

/// Lets this run what this thread takes; returns what ran it before.
pub(crate) fn install(executor: Option<Installed>) -> Option<Installed> {
    INSTALLED.replace(executor)
}

/// The one of the server on whose thread this is; else the application's own; else one for all.
pub(crate) fn current(own: Option<&Arc<Pool>>) -> Result<Executor, BoxError> {
    match INSTALLED.with_borrow(Clone::clone) {
        Some(Installed::Thread(_)) => return Ok(Executor::Thread),
        Some(Installed::Pool(pool)) => return Ok(Executor::Pool(pool)),
        None => {}
    }
    match own.or_else(|| DEFAULT.get()) {
        Some(pool) => Ok(Executor::Pool(pool.clone())),
        None => Ok(Executor::Pool(start_default()?)),
    }
}

fn start_default() -> Result<Arc<Pool>, BoxError> {
    let facts = ServerFacts {
        is_multithreaded: true,
        ..ServerFacts::default()
    };
    let pool = Python::attach(|py| Pool::start(py, THREADS, pool::BACKLOG, &facts))?;
    // Where another thread was faster, its pool is the one, and the threads of this one end.
    Ok(DEFAULT.get_or_init(|| pool).clone())
}

impl Executor {
    /// Runs it when there is time; gives it back if too many wait.
    pub(crate) fn run(&self, job: Job) -> Result<(), Job> {
        match self {
            Executor::Pool(pool) => pool.submit(job),
            Executor::Thread => match INSTALLED.with_borrow(Clone::clone) {
                Some(Installed::Thread(server)) => {
                    server.push(job);
                    Ok(())
                }
                _ => Err(job),
            },
        }
    }
}
