//! Lets Python code wait for a reactor.

use std::cell::{OnceCell, RefCell};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use pyo3::prelude::*;

use crate::run::activity;

/// A server whose connections are served on the thread that calls Python.
///
/// If that thread slept, the event that Python waits for would never come.
pub(crate) trait Reactor {
    /// Serves until the future is ready.
    fn block_on(&self, py: Python<'_>, future: Pin<&mut dyn Future<Output = ()>>) -> PyResult<()>;

    /// Sends as much as the clients take now, unless `is_done` returns true before.
    fn flush(&self, py: Python<'_>, is_done: &dyn Fn() -> bool) -> PyResult<()>;

    /// Polls all ready tasks until none is ready.
    fn run_ready(&self);

    /// Polls a future beside the connections, and drops it after `time`.
    fn spawn_until(&self, future: Pin<Box<dyn Future<Output = ()>>>, time: Duration);
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<dyn Reactor>>> = const { RefCell::new(None) };
    static WAKER: OnceCell<Waker> = const { OnceCell::new() };
}

/// Returns the reactor of this thread, if it has one.
pub(crate) fn current() -> Option<Rc<dyn Reactor>> {
    CURRENT.with_borrow(Clone::clone)
}

/// Sets the reactor of this thread, and returns the previous one.
pub(crate) fn set_current(reactor: Option<Rc<dyn Reactor>>) -> Option<Rc<dyn Reactor>> {
    CURRENT.replace(reactor)
}

/// Waits for a future, without the interpreter if it takes time.
///
/// On the thread of a reactor it serves meanwhile.
pub(crate) fn wait<F: Future>(py: Python<'_>, future: F) -> PyResult<F::Output> {
    let _waiting = activity::waiting();
    let Some(reactor) = current() else {
        return Ok(park_on(py, future));
    };
    let mut output = None;
    reactor.block_on(py, pin!(async { output = Some(future.await) }))?;
    Ok(output.expect("a future that is ready has its output"))
}

/// Waits for a future that other threads complete.
fn park_on<F: Future>(py: Python<'_>, future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = WAKER.with(|waker| waker.get_or_init(this_thread).clone());
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => py.detach(thread::park),
        }
    }
}

fn this_thread() -> Waker {
    Waker::from(Arc::new(Unpark(thread::current())))
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
