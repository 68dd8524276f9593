//! The waker of Python code that waits for an event.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;

use crate::serve::inline::tasks::ReadyQueue;

/// Woken by the event that Python waits for.
pub(super) struct MainWaker {
    pub(super) is_woken: AtomicBool,
    pub(super) ready_queue: Arc<ReadyQueue>,
}

impl Wake for MainWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        self.ready_queue.interrupt();
    }
}
