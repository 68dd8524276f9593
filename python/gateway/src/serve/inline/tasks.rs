//! The futures of an inline server, and the queue of those to poll.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use enfilade::unpoisoned;

use mio::event::Event;
use slab::Slab;

use crate::serve::inline::connection::Connection;

type Future = Pin<Box<dyn std::future::Future<Output = ()>>>;

/// The part that other threads use: the queue of ready tasks, and the waker of the server.
pub(super) struct ReadyQueue {
    ready: Mutex<Vec<usize>>,
    waker: mio::Waker,
}

thread_local! {
    /// The server of this thread, as the address of its shared part.
    ///
    /// A wake on its own thread needs no system call.
    static OWNER: Cell<usize> = const { Cell::new(0) };
}

impl ReadyQueue {
    pub(super) fn new(waker: mio::Waker) -> ReadyQueue {
        ReadyQueue {
            ready: Mutex::default(),
            waker,
        }
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self) as usize
    }

    fn push(&self, task: usize) {
        unpoisoned(self.ready.lock()).push(task);
        self.interrupt();
    }

    /// Wakes the server if it may be waiting. On its own thread it is not.
    pub(super) fn interrupt(&self) {
        if OWNER.get() != self.address() {
            // If this fails, the server checks the queue at its next tick.
            let _ = self.waker.wake();
        }
    }
}

impl Wake for ReadyQueue {
    fn wake(self: Arc<Self>) {
        self.interrupt();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.interrupt();
    }
}

/// The waker of one task.
struct TaskWaker {
    task: usize,
    is_queued: AtomicBool,
    ready_queue: Arc<ReadyQueue>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_queued.swap(true, Ordering::AcqRel) {
            self.ready_queue.push(self.task);
        }
    }
}

struct Task {
    /// The future and its waker; `None` while it is polled.
    future: Option<(Future, Waker)>,
    task_waker: Arc<TaskWaker>,
    connection: Option<Rc<Connection>>,
    deadline: Option<Instant>,
}

pub(super) struct Tasks {
    all: RefCell<Slab<Task>>,
    ready_queue: Arc<ReadyQueue>,
    /// Kept for its memory.
    batch: RefCell<Vec<usize>>,
}

impl Tasks {
    pub(super) fn new(ready_queue: Arc<ReadyQueue>) -> Tasks {
        OWNER.set(ready_queue.address());
        Tasks {
            all: RefCell::default(),
            ready_queue,
            batch: RefCell::default(),
        }
    }

    pub(super) fn ready_queue(&self) -> &Arc<ReadyQueue> {
        OWNER.set(self.ready_queue.address());
        &self.ready_queue
    }

    pub(super) fn spawn(
        &self,
        future: Future,
        connection: Option<Rc<Connection>>,
        deadline: Option<Instant>,
    ) -> usize {
        let mut all = self.all.borrow_mut();
        let entry = all.vacant_entry();
        let task = entry.key();
        let task_waker = Arc::new(TaskWaker {
            task,
            is_queued: AtomicBool::new(false),
            ready_queue: self.ready_queue.clone(),
        });
        entry.insert(Task {
            future: Some((future, Waker::from(task_waker.clone()))),
            task_waker: task_waker.clone(),
            connection,
            deadline,
        });
        task_waker.wake_by_ref();
        task
    }

    pub(super) fn len(&self) -> usize {
        self.all.borrow().len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.borrow().is_empty()
    }

    pub(super) fn has_ready(&self) -> bool {
        !unpoisoned(self.ready_queue.ready.lock()).is_empty()
    }

    /// Drops a task. While it is dropped, its parts may call this server.
    pub(super) fn remove(&self, task: usize) {
        let removed = self.all.borrow_mut().try_remove(task);
        drop(removed);
    }

    pub(super) fn clear(&self) {
        let tasks: Vec<usize> = self.all.borrow().iter().map(|(task, _)| task).collect();
        for task in tasks {
            self.remove(task);
        }
    }

    /// Polls all ready tasks until none is ready.
    pub(super) fn run(&self) {
        // If the end of a task calls Python, which comes back here, the outer call polls the ready tasks.
        let Ok(mut batch) = self.batch.try_borrow_mut() else {
            return;
        };
        loop {
            let mut ready = unpoisoned(self.ready_queue.ready.lock());
            if ready.is_empty() {
                return;
            }
            std::mem::swap(&mut *batch, &mut *ready);
            drop(ready);
            for task in batch.drain(..) {
                self.poll(task);
            }
        }
    }

    fn poll(&self, task: usize) {
        let taken = self.all.borrow_mut().get_mut(task).and_then(|task| {
            task.task_waker.is_queued.store(false, Ordering::Release);
            task.future.take()
        });
        let Some((mut future, waker)) = taken else {
            return;
        };
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(()) => self.remove(task),
            Poll::Pending => {
                if let Some(task) = self.all.borrow_mut().get_mut(task) {
                    task.future = Some((future, waker));
                }
            }
        }
    }

    /// Handles an event of a connection's socket.
    pub(super) fn notify(&self, task: usize, event: &Event) {
        if let Some(task) = self.all.borrow().get(task)
            && let Some(connection) = &task.connection
        {
            connection.notify(event);
            task.task_waker.wake_by_ref();
        }
    }

    pub(super) fn wake_all(&self) {
        for (_, task) in self.all.borrow().iter() {
            task.task_waker.wake_by_ref();
        }
    }

    /// Calls `act` for every connection, with a function that polls it.
    pub(super) fn for_each(&self, act: impl Fn(&dyn Fn(), &Connection)) {
        for (_, task) in self.all.borrow().iter() {
            if let Some(connection) = &task.connection {
                act(&|| task.task_waker.wake_by_ref(), connection);
            }
        }
    }

    /// Returns the task of the connection that has been idle for longest, if one is idle.
    pub(super) fn longest_idle(&self) -> Option<usize> {
        let all = self.all.borrow();
        // One without its future is being polled.
        let idle = all.iter().filter(|(_, entry)| entry.future.is_some());
        let idle = idle.filter_map(|(task, entry)| {
            let since = entry.connection.as_ref()?.idle_since()?;
            Some((since, task))
        });
        idle.min().map(|(_, task)| task)
    }

    /// Drops tasks whose deadline has passed.
    pub(super) fn expire(&self, now: Instant) {
        let all = self.all.borrow();
        let late = all
            .iter()
            .filter(|(_, task)| task.deadline.is_some_and(|deadline| now >= deadline));
        let late: Vec<usize> = late.map(|(task, _)| task).collect();
        drop(all);
        for task in late {
            self.remove(task);
        }
    }
}
