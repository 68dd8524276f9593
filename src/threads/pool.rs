//! The bounded pool of threads for calls that block.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use enfilade_core::headers::retry_after;
use enfilade_core::{IntoResponse, Response};
use http::StatusCode;
use http::header::RETRY_AFTER;
use tokio::sync::Semaphore;

/// The default limit of calls that run at the same time.
pub(crate) const THREADS: usize = 64;
/// The default limit of calls that wait.
pub(crate) const BACKLOG: usize = 1024;

/// Runs at most `threads` calls at the same time, and lets at most `backlog` more wait.
///
/// The threads are those of the `blocking` crate, which starts them when needed and works in any runtime. The pool
/// limits how many of them one application uses.
pub(crate) struct Pool {
    threads: usize,
    permits: Arc<Semaphore>,
    room: Arc<AtomicUsize>,
    waiting: Arc<AtomicUsize>,
}

/// One of the calls that wait for a thread.
struct QueuedCall(Arc<AtomicUsize>);

impl QueuedCall {
    fn new(waiting: Arc<AtomicUsize>) -> QueuedCall {
        waiting.fetch_add(1, Ordering::Relaxed);
        QueuedCall(waiting)
    }
}

impl Drop for QueuedCall {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A place among the running and waiting calls. It is free again after the drop.
struct PoolPlace(Arc<AtomicUsize>);

impl Drop for PoolPlace {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Pool {
    pub(crate) fn new(threads: usize, backlog: usize) -> Pool {
        Pool {
            threads,
            permits: Arc::new(Semaphore::new(threads.min(Semaphore::MAX_PERMITS))),
            room: Arc::new(AtomicUsize::new(threads.saturating_add(backlog))),
            waiting: Arc::default(),
        }
    }

    /// Returns the number of calls that wait for a thread.
    #[cfg(feature = "wsgi")]
    pub(crate) fn waiting(&self) -> Arc<AtomicUsize> {
        self.waiting.clone()
    }

    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// Returns a future that is ready once a thread has taken `job`, or a 503 if the backlog is full.
    ///
    /// If the future is dropped while it waits, its place is free again.
    #[expect(
        clippy::result_large_err,
        reason = "the error is the response itself, made once and passed on"
    )]
    pub(crate) fn run(
        &self,
        job: impl FnOnce() + Send + 'static,
    ) -> Result<impl Future<Output = ()> + Send + 'static, Response> {
        let taken = self
            .room
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| {
                room.checked_sub(1)
            });
        if taken.is_err() {
            let response = (
                StatusCode::SERVICE_UNAVAILABLE,
                [(RETRY_AFTER, retry_after(Duration::from_secs(1)))],
                "Service Unavailable",
            );
            return Err(response.into_response());
        }
        let place = PoolPlace(self.room.clone());
        let permits = self.permits.clone();
        let waiting = self.waiting.clone();
        Ok(async move {
            let waits = QueuedCall::new(waiting);
            let permit = permits.acquire_owned().await;
            drop(waits);
            blocking::unblock(move || {
                job();
                drop((permit, place));
            })
            .detach();
        })
    }
}
