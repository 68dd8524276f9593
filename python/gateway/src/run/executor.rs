//! Who runs the Python code of a request.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};

use enfilade::BoxError;
use pyo3::prelude::*;

use crate::call::environ::Facts;
use crate::call::job::Job;
use crate::run::pool::{self, Pool};
use crate::serve::inline;

/// The threads of the pool that runs what no other is there for.
const THREADS: usize = 4;

/// What runs the requests that this thread takes.
pub(crate) enum Executor {
    /// The thread itself, when its connections have nothing to do.
    Inline,
    /// Threads of Python.
    Pool(Arc<Pool>),
}

thread_local! {
    static POOL: RefCell<Option<Arc<Pool>>> = const { RefCell::new(None) };
}

static DEFAULT: OnceLock<Arc<Pool>> = OnceLock::new();

/// Lets a pool run what this thread takes.
pub(crate) fn set_pool(pool: Option<Arc<Pool>>) {
    POOL.set(pool);
}

/// The server's on whose thread this is; else the application's own; else one for all.
pub(crate) fn current(own: Option<&Arc<Pool>>) -> Result<Executor, BoxError> {
    if inline::here().is_some() {
        return Ok(Executor::Inline);
    }
    if let Some(pool) = POOL.with_borrow(Clone::clone) {
        return Ok(Executor::Pool(pool));
    }
    match own.or_else(|| DEFAULT.get()) {
        Some(pool) => Ok(Executor::Pool(pool.clone())),
        None => Ok(Executor::Pool(start_default()?)),
    }
}

fn start_default() -> Result<Arc<Pool>, BoxError> {
    let facts = Facts {
        is_multithreaded: true,
        ..Facts::default()
    };
    let pool = Python::attach(|py| Pool::start(py, THREADS, pool::BACKLOG, &facts))?;
    // Where another thread was faster, its pool is the one, and the threads of this one end.
    Ok(DEFAULT.get_or_init(|| pool).clone())
}

impl Executor {
    /// Runs it when there is time; gives it back where too many wait.
    pub(crate) fn run(&self, job: Job) -> Result<(), Job> {
        match self {
            Executor::Pool(pool) => pool.submit(job),
            Executor::Inline => match inline::here() {
                Some(server) => {
                    server.push(job);
                    Ok(())
                }
                None => Err(job),
            },
        }
    }
}
