//! A server whose thread polls its connections and calls Python in turn.
//!
//! Python is called outside of every poll. When Python waits, for a part of a body or for room for a block, the server
//! keeps serving until it is there. So no other thread must be woken, and no second request begins before the first is
//! done.

mod accepting;
mod clock;
mod connection;
mod http;
mod limits;
mod listener;
mod main_waker;
pub(in crate::serve) mod plan;
mod records;
mod request_body;
mod response_future;
mod service;
mod sharing;
mod stream;
mod tasks;
mod waiting;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use enfilade::Application;
use mio::unix::SourceFd;
use mio::{Events, Interest, Token};
use pyo3::prelude::*;

use crate::call::chunked::ChunkedBodies;
use crate::call::environ::Template;
use crate::call::job::{self, Job};
use crate::run::executor::{self, Installed, LocalQueue};
use crate::run::reactor::{self, Reactor};
use crate::serve::access_hook::{AccessHook, AccessRecord};
use crate::serve::inline::clock::Clock;
use crate::serve::inline::limits::Limits;
use crate::serve::inline::listener::Listeners;
use crate::serve::inline::main_waker::MainWaker;
use crate::serve::inline::plan::Plan;
use crate::serve::inline::records::Records;
use crate::serve::inline::sharing::Sharing;
use crate::serve::inline::tasks::{ReadyQueue, Tasks};
use crate::serve::options::Options;
use crate::serve::shortage::Shortage;
use crate::serve::stop::Stop;

/// Tokens that do not belong to a connection.
const WAKE: Token = Token(usize::MAX);
const SIGNAL: Token = Token(usize::MAX - 1);
const LISTENERS: usize = usize::MAX / 2;

/// A server on its caller's thread.
pub(in crate::serve) struct Inline {
    poll: RefCell<mio::Poll>,
    events: RefCell<Events>,
    tasks: Tasks,
    jobs: RefCell<VecDeque<Job>>,
    listeners: Listeners,
    sharing: Rc<Sharing>,
    chunked: ChunkedBodies,
    app: Application,
    limits: Limits,
    clock: Rc<Clock>,
    next_sweep: Cell<Instant>,
    deadline: Option<Instant>,
    signals: Option<UnixStream>,
    stop: Arc<Stop>,
    main: Arc<MainWaker>,
    main_waker: Waker,
    hook: Option<AccessHook>,
    records: Records,
    /// The number of requests that were accepted.
    taken: Rc<Cell<u64>>,
    once: bool,
    is_finishing: Cell<bool>,
    shortage: Shortage,
}

impl LocalQueue for Inline {
    fn push(&self, job: Job) {
        self.jobs.borrow_mut().push_back(job);
        self.sharing.set_waiting(true, self.clock.now());
    }

    fn chunked(&self) -> ChunkedBodies {
        self.chunked
    }
}

impl Reactor for Inline {
    fn block_on(
        &self,
        py: Python<'_>,
        mut future: Pin<&mut dyn Future<Output = ()>>,
    ) -> PyResult<()> {
        let mut context = Context::from_waker(&self.main_waker);
        loop {
            self.main.is_woken.store(false, Ordering::Release);
            if future.as_mut().poll(&mut context).is_ready() {
                return Ok(());
            }
            self.run_ready();
            if !self.main.is_woken.load(Ordering::Acquire) {
                self.turn_in_request(py)?;
                self.run_ready();
            }
        }
    }

    fn flush(&self, py: Python<'_>, is_done: &dyn Fn() -> bool) -> PyResult<()> {
        self.run_ready();
        if !is_done() {
            // The client may have read since the last turn.
            self.poll(py, Some(Duration::ZERO))?;
            self.run_ready();
        }
        Ok(())
    }

    fn run_ready(&self) {
        self.tasks.run();
    }

    fn spawn_until(&self, future: Pin<Box<dyn Future<Output = ()>>>, time: Duration) {
        let deadline = Instant::now() + time;
        self.tasks.spawn(future, None, Some(deadline));
    }
}

impl Inline {
    pub(in crate::serve) fn new(
        plan: Plan,
        sockets: Vec<OwnedFd>,
        options: &Options,
    ) -> io::Result<Rc<Inline>> {
        let Plan {
            app,
            hook,
            stop,
            signals,
            once,
            deadline,
        } = plan;
        let poll = mio::Poll::new()?;
        let registry = poll.registry();
        let waker = mio::Waker::new(registry, WAKE)?;
        let ready_queue = Arc::new(ReadyQueue::new(waker));
        let listeners = Listeners::new(sockets, registry, LISTENERS)?;
        if let Some(signals) = &signals {
            registry.register(
                &mut SourceFd(&signals.as_raw_fd()),
                SIGNAL,
                Interest::READABLE,
            )?;
        }
        let clock = Clock::new();
        let main = Arc::new(MainWaker {
            is_woken: AtomicBool::new(false),
            ready_queue: ready_queue.clone(),
        });
        Ok(Rc::new(Inline {
            poll: RefCell::new(poll),
            events: RefCell::new(Events::with_capacity(256)),
            tasks: Tasks::new(ready_queue),
            jobs: RefCell::default(),
            listeners,
            sharing: Rc::new(Sharing::new(options.multiprocess)),
            chunked: options.chunked(),
            app,
            limits: Limits::of(options, once),
            next_sweep: Cell::new(clock.now()),
            clock: Rc::new(clock),
            deadline,
            signals,
            stop,
            main_waker: Waker::from(main.clone()),
            main,
            hook,
            records: Records::default(),
            taken: Rc::default(),
            once,
            is_finishing: Cell::new(false),
            shortage: Shortage::default(),
        }))
    }

    /// Serves until it is stopped, or until `deadline`; with `once` until one request was served.
    pub(in crate::serve) fn serve(
        self: Rc<Self>,
        py: Python<'_>,
        template: &Template,
    ) -> PyResult<bool> {
        let outside = reactor::set_current(Some(self.clone()));
        let executor = executor::install(Some(Installed::Thread(self.clone())));
        let waker = Waker::from(self.tasks.ready_queue().clone());
        self.stop.set_waker(Some(waker));
        let served = self.run(py, template);
        self.stop.set_waker(None);
        // The remaining tasks are dropped while the server still exists for them.
        self.tasks.clear();
        self.jobs.borrow_mut().clear();
        executor::install(executor);
        reactor::set_current(outside);
        served.map(|()| self.taken.get() > 0)
    }

    fn run(&self, py: Python<'_>, template: &Template) -> PyResult<()> {
        let (mut end, mut has_turned) = (None, true);
        loop {
            self.run_ready();
            self.report_records(py)?;
            self.begin_to_finish(&mut end);
            if let Some(job) = self.next_job() {
                let done = job::run(py, job, template);
                // The application may have taken long.
                self.clock.look();
                if let Err(interrupted) = done {
                    self.run_ready();
                    self.report_records(py)?;
                    return Err(interrupted);
                }
                continue;
            }
            if self.is_over(end) {
                return Ok(());
            }
            // Once in a turn, after the requests of the connections that are here: neither starves the other.
            if std::mem::take(&mut has_turned) {
                self.accept(py)?;
            } else {
                self.turn(py, true)?;
                has_turned = true;
            }
        }
    }

    fn next_job(&self) -> Option<Job> {
        let mut jobs = self.jobs.borrow_mut();
        let job = jobs.pop_front();
        self.sharing.set_waiting(!jobs.is_empty(), self.clock.now());
        job
    }

    /// Begins to stop when it is time: before the next request is run, so that its response says that it is the last.
    fn begin_to_finish(&self, end: &mut Option<Instant>) {
        let has_enough = self
            .limits
            .max_requests
            .is_some_and(|most| self.taken.get() >= most);
        let is_stopped = self.stop.is_set();
        if self.is_finishing.get() || !(is_stopped || has_enough) {
            return;
        }
        self.is_finishing.set(true);
        if is_stopped && !self.once {
            // They may have sent a request, and all workers may stop.
            self.accept_waiting();
        }
        self.listeners.close();
        *end = Some(Instant::now() + self.limits.graceful);
        self.tasks.for_each(|_, connection| connection.finish());
        self.tasks.wake_all();
        self.next_sweep.set(self.clock.now());
        self.run_ready();
    }

    /// Whether the server is done.
    fn is_over(&self, end: Option<Instant>) -> bool {
        let now = self.clock.now();
        let is_done = self.once && self.taken.get() > 0 && self.tasks.is_empty();
        let is_late = self
            .deadline
            .is_some_and(|deadline| now >= deadline && self.taken.get() == 0);
        let is_finished =
            self.is_finishing.get() && (self.tasks.is_empty() || end.is_some_and(|end| now >= end));
        is_done || is_late || is_finished
    }

    /// Calls the hook for the requests that were served.
    fn report_records(&self, py: Python<'_>) -> PyResult<()> {
        let Some(hook) = &self.hook else {
            return Ok(());
        };
        let records: Vec<AccessRecord> = self.records.take();
        for record in records {
            hook.call(py, &record)?;
        }
        py.check_signals()
    }
}
