//! Shows to another process whether the application's code makes progress.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::ffi::SharedCounters;

/// A counter for each thread that runs an application, in memory that is shared with processes that are forked later.
///
/// A counter is odd while the thread runs code of the application, and even while the thread waits for a request or for
/// the client. It grows with every change. So a thread whose counter stays odd and equal runs code of the application
/// that neither ends, nor sends a block, nor reads from the client.
#[derive(Clone, Debug)]
pub struct Activity(Arc<SharedCounters>);

impl Activity {
    /// Makes counters for this many threads.
    ///
    /// # Errors
    ///
    /// If the system has no memory for them.
    pub fn new(threads: usize) -> io::Result<Activity> {
        Ok(Activity(Arc::new(SharedCounters::new(threads.max(1))?)))
    }

    /// Returns the counters, one for each thread.
    #[must_use]
    pub fn counts(&self) -> Vec<u64> {
        let counters = self.0.counters().iter();
        counters
            .map(|counter| counter.load(Ordering::Relaxed))
            .collect()
    }

    /// Counts for this thread of the server from now on.
    pub(crate) fn install(&self, thread: usize) {
        CURRENT.set(Some((self.clone(), thread)));
    }
}

thread_local! {
    static CURRENT: RefCell<Option<(Activity, usize)>> = const { RefCell::new(None) };
}

/// Marks that this thread runs the application, until it is dropped.
pub(crate) fn running() -> Mark {
    Mark::set(true)
}

/// Marks that this thread waits for the client, until it is dropped.
pub(crate) fn waiting() -> Mark {
    Mark::set(false)
}

/// A state of this thread, which ends with the value.
#[must_use]
pub(crate) struct Mark {
    is_running_after: Option<bool>,
}

impl Mark {
    fn set(is_running: bool) -> Mark {
        Mark {
            is_running_after: change(is_running),
        }
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        if let Some(is_running) = self.is_running_after {
            change(is_running);
        }
    }
}

/// Sets the state of this thread, and returns the previous one; nothing if it has no counter.
fn change(is_running: bool) -> Option<bool> {
    CURRENT.with_borrow(|current| {
        let (activity, thread) = current.as_ref()?;
        let counter = activity.0.counters().get(*thread)?;
        Some(advance(counter, is_running))
    })
}

/// Moves a counter to its next value of this parity, and returns whether it was odd.
fn advance(counter: &AtomicU64, is_running: bool) -> bool {
    // Only this thread writes to it.
    let before = counter.load(Ordering::Relaxed);
    let was_running = before % 2 == 1;
    let step = if was_running == is_running { 2 } else { 1 };
    counter.store(before.wrapping_add(step), Ordering::Relaxed);
    was_running
}

#[cfg(test)]
mod tests {
    use super::{Activity, running, waiting};

    #[test]
    fn counts_are_odd_while_the_application_runs() {
        let activity = Activity::new(2).unwrap();
        drop(running());
        assert_eq!(activity.counts(), [0, 0]);
        activity.install(1);
        let request = running();
        assert_eq!(activity.counts(), [0, 1]);
        let reading = waiting();
        assert_eq!(activity.counts(), [0, 2]);
        drop(waiting());
        assert_eq!(activity.counts(), [0, 6]);
        drop(reading);
        assert_eq!(activity.counts(), [0, 7]);
        drop(request);
        assert_eq!(activity.counts(), [0, 8]);
    }
}
