//! Python threads that run requests while a reactor without the interpreter serves the connections.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use enfilade::unpoisoned;

use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict};

use crate::call::environ::{ServerFacts, Template};
use crate::call::job::{self, Job};

/// How many requests may wait for a thread where nobody says.
pub(crate) const BACKLOG: usize = 1_024;

/// Threads of Python's `threading`, and the requests that wait for one.
pub(crate) struct Pool {
    queue: Arc<Queue>,
    threads: Mutex<Vec<Py<PyAny>>>,
}

/// Something that wants the interpreter.
pub(crate) type PythonTask = Box<dyn FnOnce(Python<'_>) -> PyResult<()> + Send>;

type OnInterrupt = Box<dyn Fn(PyErr) + Send>;

enum Work {
    Call(Box<Job>),
    PythonTask(PythonTask),
}

struct Queue {
    state: Mutex<PoolState>,
    more: Condvar,
    /// What is done when a request was interrupted.
    on_interrupt: Mutex<Option<OnInterrupt>>,
    is_closed: AtomicBool,
}

struct PoolState {
    work: VecDeque<Work>,
    waiting: usize,
    room: usize,
    idle: usize,
}

impl Pool {
    /// Starts so many threads, for which so many requests may wait.
    pub(crate) fn start(
        py: Python<'_>,
        threads: usize,
        backlog: usize,
        facts: &ServerFacts,
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
        });
        let pool = Arc::new(Pool {
            queue: queue.clone(),
            threads: Mutex::default(),
        });
        for number in 0..threads.max(1) {
            let (queue, template) = (queue.clone(), template.clone());
            let work = PyCFunction::new_closure(
                py,
                Some(c"enfilade_worker"),
                None,
                move |arguments, _| {
                    queue.serve(arguments.py(), &template);
                },
            )?;
            let options = PyDict::new(py);
            options.set_item("target", work)?;
            options.set_item("name", format!("enfilade-{number}"))?;
            options.set_item("daemon", true)?;
            // A thread of `threading` keeps its locals from request to request, and debuggers know it.
            let thread = py
                .import("threading")?
                .getattr("Thread")?
                .call((), Some(&options))?;
            thread.call_method0("start")?;
            unpoisoned(pool.threads.lock()).push(thread.unbind());
        }
        Ok(pool)
    }

    /// Lets a thread run it; gives it back where too many wait.
    pub(crate) fn submit(&self, job: Job) -> Result<(), Job> {
        let mut state = self.queue.lock();
        if self.queue.is_closed.load(Ordering::Relaxed) || state.waiting >= state.room + state.idle
        {
            return Err(job);
        }
        state.waiting += 1;
        self.queue.add(state, Work::Call(Box::new(job)));
        Ok(())
    }

    /// Lets a thread do it, however many wait.
    pub(crate) fn send(&self, task: PythonTask) {
        self.queue.add(self.queue.lock(), Work::PythonTask(task));
    }

    /// What is done when a request was interrupted.
    pub(crate) fn on_interrupt(&self, act: impl Fn(PyErr) + Send + 'static) {
        let mut place = unpoisoned(self.queue.on_interrupt.lock());
        *place = Some(Box::new(act));
    }

    /// Lets the threads end when they have done what waits, and waits for them, so many seconds for each.
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
        // Who looked before sleeps by now.
        drop(self.lock());
        self.more.notify_all();
    }

    fn add(&self, mut state: MutexGuard<'_, PoolState>, work: Work) {
        state.work.push_back(work);
        let somebody_sleeps = state.idle > 0;
        drop(state);
        if somebody_sleeps {
            self.more.notify_one();
        }
    }

    /// What a thread does for all its life: it stays attached to the interpreter, but where it waits.
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
            None => job::report(py, &error),
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
            state = unpoisoned(self.more.wait(state));
            state.idle -= 1;
        }
    }
}

impl PoolState {
    fn next(&mut self) -> Option<Work> {
        let work = self.work.pop_front()?;
        if let Work::Call(_) = work {
            self.waiting -= 1;
        }
        Some(work)
    }
}
