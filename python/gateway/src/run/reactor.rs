//! How Python code waits for what the reactor does.

use std::cell::OnceCell;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use pyo3::prelude::*;

use crate::serve::inline;

/// Waits for a future, without the interpreter where it takes time; on the thread of an inline server by serving on.
pub(crate) fn wait<F: Future>(py: Python<'_>, future: F) -> PyResult<F::Output> {
    match inline::here() {
        Some(server) => server.block_on(py, future),
        None => Ok(park_on(py, future)),
    }
}

/// Waits for a future that others bring about.
pub(crate) fn park_on<F: Future>(py: Python<'_>, future: F) -> F::Output {
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

thread_local! {
    static WAKER: OnceCell<Waker> = const { OnceCell::new() };
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
