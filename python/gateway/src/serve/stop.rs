//! Stops a server: by `shutdown`, and by signals.

use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::Waker;

use enfilade::unpoisoned;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tokio::sync::Notify;

/// Whether a server is to stop, and how to wake it.
#[derive(Default)]
pub(super) struct Stop {
    /// The number of stop requests.
    requests: AtomicU8,
    /// Wakes a server whose own thread waits for its connections.
    waker: Mutex<Option<Waker>>,
    pub(super) notify: Notify,
}

impl std::fmt::Debug for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Stop").field(&self.requests).finish()
    }
}

impl Stop {
    pub(super) fn reset(&self) {
        self.requests.store(0, Ordering::Release);
    }

    pub(super) fn set(&self) {
        let _ = self
            .requests
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |requests| {
                requests.checked_add(1)
            });
        self.notify.notify_one();
        if let Some(waker) = &*unpoisoned(self.waker.lock()) {
            waker.wake_by_ref();
        }
    }

    pub(super) fn is_set(&self) -> bool {
        self.requests.load(Ordering::Acquire) > 0
    }

    pub(super) fn set_waker(&self, waker: Option<Waker>) {
        *unpoisoned(self.waker.lock()) = waker;
    }
}

/// Waits for signals: Python writes to a socket when one comes (`signal.set_wakeup_fd`).
///
/// It does nothing if the caller is not the main thread, because only the main thread runs signal handlers.
pub(super) struct Signals(Option<WakeupSocket>);

struct WakeupSocket {
    received: UnixStream,
    /// Python's end, which stays open until Python writes to another descriptor.
    _sent: UnixStream,
    before: Py<PyAny>,
}

impl Signals {
    pub(super) fn watch(py: Python<'_>) -> PyResult<Signals> {
        let threading = py.import(intern!(py, "threading"))?;
        let is_main = threading
            .call_method0("current_thread")?
            .is(threading.call_method0("main_thread")?);
        if !is_main {
            return Ok(Signals(None));
        }
        let (received, sent) = UnixStream::pair()?;
        received.set_nonblocking(true)?;
        sent.set_nonblocking(true)?;
        let options = PyDict::new(py);
        options.set_item("warn_on_full_buffer", false)?;
        let set = py.import(intern!(py, "signal"))?.getattr("set_wakeup_fd")?;
        let before = set.call((sent.as_raw_fd(),), Some(&options))?.unbind();
        Ok(Signals(Some(WakeupSocket {
            received,
            _sent: sent,
            before,
        })))
    }

    /// Restores the descriptor that Python wrote to before.
    pub(super) fn unwatch(self, py: Python<'_>) -> PyResult<()> {
        if let Some(wakeup) = &self.0 {
            py.import(intern!(py, "signal"))?
                .call_method1("set_wakeup_fd", (&wakeup.before,))?;
        }
        Ok(())
    }

    /// Returns the socket that is readable when a signal has come.
    pub(super) fn stream(&self) -> PyResult<Option<UnixStream>> {
        let received = self.0.as_ref().map(|wakeup| wakeup.received.try_clone());
        Ok(received.transpose()?)
    }
}

/// Reads and drops the bytes that Python wrote.
pub(super) fn drain(mut received: &UnixStream) {
    let mut room = [0; 64];
    while received
        .read(&mut room)
        .is_ok_and(|count| count == room.len())
    {}
}
