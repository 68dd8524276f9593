//! How Python code waits for what a reactor does.

use std::cell::{OnceCell, RefCell};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use pyo3::prelude::*;

/// A server that serves its connections on the thread that calls Python: what Python waits for there would never come if
/// the thread slept.
pub(crate) trait Reactor {
    /// Serves on until the future is ready.
    fn block_on(&self, py: Python<'_>, future: Pin<&mut dyn Future<Output = ()>>) -> PyResult<()>;

    /// Serves on until this holds, as it will when what was sent is on its way.
    fn flush(&self, py: Python<'_>, is_done: &dyn Fn() -> bool) -> PyResult<()>;

    /// Polls what is ready until nothing is.
    fn run_ready(&self);

    /// Polls something beside the connections, and drops it if it takes too long.
    fn spawn_until(&self, future: Pin<Box<dyn Future<Output = ()>>>, time: Duration);
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<dyn Reactor>>> = const { RefCell::new(None) };
    static WAKER: OnceCell<Waker> = const { OnceCell::new() };
}

/// The reactor of this thread, if it has one.
pub(crate) fn current() -> Option<Rc<dyn Reactor>> {
    CURRENT.with_borrow(Clone::clone)
}

/// Makes it the reactor of this thread; returns the one before.
pub(crate) fn set_current(reactor: Option<Rc<dyn Reactor>>) -> Option<Rc<dyn Reactor>> {
    CURRENT.replace(reactor)
}

/// Waits for a future, without the interpreter if it takes time; on the thread of a reactor by serving on.
pub(crate) fn wait<F: Future>(py: Python<'_>, future: F) -> PyResult<F::Output> {
    let Some(reactor) = current() else {
        return Ok(park_on(py, future));
    };
    let mut output = None;
    reactor.block_on(py, pin!(async { output = Some(future.await) }))?;
    Ok(output.expect("a future that is ready has its output"))
}

/// Waits for a future that others bring about.
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
