//! Python threads that run requests, while a reactor without the interpreter serves the connections.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use enfilade::unpoisoned;

use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict};
use tokio::sync::Notify;

use crate::call::chunked::ChunkedBodies;
use crate::call::environ::{ServerFacts, Template};
use crate::call::job::{self, Job};
use crate::call::report::report;
use crate::run::activity::Activity;

/// How long a new connection without a request delays the next.
const FIRST_BYTES: Duration = Duration::from_millis(2);
/// How long a connection waits for a free thread, so that another worker can take it.
const PATIENCE: Duration = Duration::from_millis(20);

/// The default limit of requests that wait for a thread.
pub(crate) const BACKLOG: usize = 1_024;

/// Threads of Python's `threading`, and the requests that wait for one.
pub(crate) struct Pool {
    queue: Arc<Queue>,
    threads: Mutex<Vec<Py<PyAny>>>,
    chunked: ChunkedBodies,
}

/// A task that needs the interpreter.
pub(crate) type PythonTask = Box<dyn FnOnce(Python<'_>) -> PyResult<()> + Send>;

type OnInterrupt = Box<dyn Fn(PyErr) + Send>;

enum Work {
    Call(Box<Job>),
    PythonTask(PythonTask),
}

struct Queue {
    state: Mutex<PoolState>,
    more: Condvar,
    /// Called when a request was interrupted.
    on_interrupt: Mutex<Option<OnInterrupt>>,
    is_closed: AtomicBool,
    /// Notified when a job comes, and when a thread has none.
    changed: Notify,
}

struct PoolState {
    work: VecDeque<Work>,
    waiting: usize,
    room: usize,
    idle: usize,
}

impl Pool {
    /// Starts this many threads, for which up to `backlog` requests may wait. They count in `activity`.
    pub(crate) fn start(
        py: Python<'_>,
        threads: usize,
        backlog: usize,
        facts: &ServerFacts,
        activity: Option<&Activity>,
    ) -> PyResult<Arc<Pool>> {
        let template = Arc::new(Template::new(py, facts)?);
        let state = PoolState {
            work: VecDeque::new(),
            waiting: 0,
            room: backlog,
            idle: 0,
        };
        let queue = Arc::new(Queue {
            state: Mutex::new(state),
            more: Condvar::new(),
            on_interrupt: Mutex::new(None),
            is_closed: AtomicBool::new(false),
            changed: Notify::new(),
        });
        let pool = Arc::new(Pool {
            queue: queue.clone(),
            threads: Mutex::default(),
            chunked: facts.chunked,
        });
        for number in 0..threads.max(1) {
            let (queue, template) = (queue.clone(), template.clone());
            let activity = activity.cloned();
            let work = PyCFunction::new_closure(
                py,
                Some(c"enfilade_worker"),
                None,
                move |arguments, _| {
                    if let Some(activity) = &activity {
                        activity.install(number);
                    }
                    queue.serve(arguments.py(), &template);
                },
            )?;
            let options = PyDict::new(py);
            options.set_item("target", work)?;
            options.set_item("name", format!("enfilade-{number}"))?;
            options.set_item("daemon", true)?;
            // A thread of `threading` keeps its locals between requests, and debuggers know it.
            let thread = py
                .import("threading")?
                .getattr("Thread")?
                .call((), Some(&options))?;
            thread.call_method0("start")?;
            unpoisoned(pool.threads.lock()).push(thread.unbind());
        }
        Ok(pool)
    }

    /// How bodies without a length reach the application.
    pub(crate) fn chunked(&self) -> ChunkedBodies {
        self.chunked
    }

    /// Queues a job for a thread. Returns it as an error if too many wait.
    pub(crate) fn submit(&self, job: Job) -> Result<(), Job> {
        let mut state = self.queue.lock();
        if self.queue.is_closed.load(Ordering::Relaxed) || state.waiting >= state.room + state.idle
        {
            return Err(job);
        }
        state.waiting += 1;
        self.queue.add(state, Work::Call(Box::new(job)));
        self.queue.changed.notify_waiters();
        Ok(())
    }

    /// Waits for the next job, and then until a thread is free: a worker that shares its listener takes a connection only
    /// if it can run a request. Neither wait is long, because some connections need no thread.
    pub(crate) async fn next_job_and_free_thread(&self) {
        let job = self.queue.changed.notified();
        // If the client sends nothing, or nothing for Python, the next connection is accepted.
        let _ = tokio::time::timeout(FIRST_BYTES, job).await;
        let free = async {
            loop {
                let changed = self.queue.changed.notified();
                if self.queue.lock().has_free() {
                    return;
                }
                changed.await;
            }
        };
        let _ = tokio::time::timeout(PATIENCE, free).await;
    }

    /// Queues a task for a thread, however many wait.
    pub(crate) fn send(&self, task: PythonTask) {
        self.queue.add(self.queue.lock(), Work::PythonTask(task));
    }

    /// Sets the callback for an interrupted request.
    pub(crate) fn on_interrupt(&self, act: impl Fn(PyErr) + Send + 'static) {
        let mut place = unpoisoned(self.queue.on_interrupt.lock());
        *place = Some(Box::new(act));
    }

    /// Lets the threads finish the queued work, and waits for them, up to `seconds` for each.
    pub(crate) fn close(&self, py: Python<'_>, seconds: f64) -> PyResult<()> {
        self.queue.close();
        let threads = std::mem::take(&mut *unpoisoned(self.threads.lock()));
        for thread in threads {
            thread.bind(py).call_method1("join", (seconds,))?;
        }
        Ok(())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pool")
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, PoolState> {
        unpoisoned(self.state.lock())
    }

    fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
        // A thread that checked the flag before sleeps by now.
        drop(self.lock());
        self.more.notify_all();
    }

    fn add(&self, mut state: MutexGuard<'_, PoolState>, work: Work) {
        state.work.push_back(work);
        let has_idle = state.idle > 0;
        drop(state);
        if has_idle {
            self.more.notify_one();
        }
    }

    /// The loop of a thread. It stays attached to the interpreter, except while it waits.
    fn serve(&self, py: Python<'_>, template: &Template) {
        while let Some(work) = self.try_take().or_else(|| py.detach(|| self.take())) {
            let done = match work {
                Work::PythonTask(task) => task(py),
                Work::Call(job) => job::run(py, *job, template),
            };
            if let Err(error) = done {
                self.interrupted(py, error);
            }
        }
    }

    fn interrupted(&self, py: Python<'_>, error: PyErr) {
        match &*unpoisoned(self.on_interrupt.lock()) {
            Some(act) => act(error),
            None => report(py, &error),
        }
    }

    fn try_take(&self) -> Option<Work> {
        self.lock().next()
    }

    fn take(&self) -> Option<Work> {
        let mut state = self.lock();
        loop {
            if let Some(work) = state.next() {
                return Some(work);
            }
            if self.is_closed.load(Ordering::Relaxed) {
                return None;
            }
            state.idle += 1;
            self.changed.notify_waiters();
            state = unpoisoned(self.more.wait(state));
            state.idle -= 1;
        }
    }
}

impl PoolState {
    fn has_free(&self) -> bool {
        self.idle > self.waiting
    }

    fn next(&mut self) -> Option<Work> {
        let work = self.work.pop_front()?;
        if let Work::Call(_) = work {
            self.waiting -= 1;
        }
        Some(work)
    }
}
