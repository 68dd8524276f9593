//! The bounded queue to the thread that writes the lines.

use std::io::Write;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use enfilade_core::unpoisoned;

use crate::shared::escape::Syntax;

/// The maximum number of queued bytes, including those being written.
pub(super) const QUEUE_BYTES: usize = 1024 * 1024;
/// From this number of queued bytes on the thread is woken even while it collects a batch.
pub(super) const WAKE_BYTES: usize = QUEUE_BYTES / 4;
/// The initial capacity of the queue.
pub(super) const ROOM: usize = 64 * 1024;
/// The capacity that it keeps: that of a batch under load, so that it does not grow again for each.
const KEPT_ROOM: usize = 2 * WAKE_BYTES;
/// How long lines are collected for a batch, unless there are many: waking a thread costs more than a line.
const GATHER: Duration = Duration::from_millis(10);
/// How long dropping an application waits for queued lines.
pub(super) const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request that waits for space sleeps before it checks again; it is woken when there is some.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What to do with a line if the queue of an [`AccessLog`](crate::AccessLog) is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third way")]
pub enum WhenFull {
    /// The line is dropped and counted: a log never slows an application down. The default.
    #[default]
    Drop,
    /// The request waits, and so does its thread. No line is lost while the writer works; if the writer hangs, the
    /// application hangs too.
    Wait,
}

/// The number of lines that an [`AccessLog`](crate::AccessLog) could not write; see its
/// [`dropped`](crate::AccessLog::dropped).
#[derive(Clone, Debug, Default)]
pub struct DroppedLines(Arc<AtomicU64>);

impl DroppedLines {
    /// Returns the number of lines so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, lines: u64) {
        self.0.fetch_add(lines, Ordering::Relaxed);
    }
}

/// The state that the sink and its thread share.
pub(super) struct SharedQueue {
    queue: Mutex<Queue>,
    /// Notifies the thread that there is work.
    pub(super) work: Condvar,
    /// Notifies waiting threads that lines are done.
    pub(super) done: Condvar,
    pub(super) dropped: DroppedLines,
}

/// One text for all lines: adding a line copies it under a lock that is never held for longer.
#[expect(clippy::struct_excessive_bools, reason = "a set of independent facts")]
pub(super) struct Queue {
    /// The queued lines, with their ends.
    pub(super) text: Vec<u8>,
    pub(super) lines: u64,
    /// The number of bytes being written.
    pub(super) writing: usize,
    /// The number of all lines queued so far, and the number of those that were written, or lost to an error.
    pub(super) accepted: u64,
    pub(super) done: u64,
    /// The number of lines accepted when a flush timed out; no flush waits for those again.
    pub(super) given_up: u64,
    /// The setup that the thread takes when it starts.
    pub(super) setup: Option<WriterSetup>,
    pub(super) is_started: bool,
    /// The thread waits for a line.
    pub(super) sleeps: bool,
    /// A flush waits for the thread.
    pub(super) hurries: bool,
    /// No more lines will come.
    pub(super) is_closed: bool,
    /// The thread has ended.
    pub(super) is_over: bool,
}

pub(super) struct WriterSetup {
    pub(super) writer: Box<dyn Write + Send>,
    pub(super) error_log: Box<dyn Write + Send>,
    pub(super) syntax: Syntax,
}

impl Queue {
    pub(super) fn has_room_for(&self, line: &[u8]) -> bool {
        !self.is_over && self.text.len() + self.writing + line.len() < QUEUE_BYTES
    }

    /// Whether the thread should stop collecting lines.
    fn is_urgent(&self) -> bool {
        self.text.len() >= WAKE_BYTES || self.hurries || self.is_closed
    }
}

impl SharedQueue {
    pub(super) fn new(setup: WriterSetup, dropped: DroppedLines) -> SharedQueue {
        let queue = Queue {
            text: Vec::new(),
            lines: 0,
            writing: 0,
            accepted: 0,
            done: 0,
            given_up: 0,
            setup: Some(setup),
            is_started: false,
            sleeps: false,
            hurries: false,
            is_closed: false,
            is_over: false,
        };
        SharedQueue {
            queue: Mutex::new(queue),
            work: Condvar::new(),
            done: Condvar::new(),
            dropped,
        }
    }

    /// A panic of the writer cannot leave the queue half changed, so a poisoned lock is used as it is.
    pub(super) fn lock(&self) -> MutexGuard<'_, Queue> {
        unpoisoned(self.queue.lock())
    }

    pub(super) fn wait_for_room<'a>(
        &'a self,
        mut queue: MutexGuard<'a, Queue>,
    ) -> MutexGuard<'a, Queue> {
        queue.hurries = true;
        self.work.notify_one();
        let waited = self.done.wait_timeout(queue, LOOK_AGAIN);
        unpoisoned(waited).0
    }

    /// Waits for lines, collects more for a moment, then moves all to `text`. Returns their number, or `None` if no
    /// more can come.
    pub(super) fn take(&self, text: &mut Vec<u8>) -> Option<u64> {
        text.clear();
        text.shrink_to(KEPT_ROOM);
        text.reserve(ROOM);
        let mut queue = self.lock();
        queue.sleeps = true;
        let is_idle = |queue: &mut Queue| queue.text.is_empty() && !queue.is_closed;
        let waited = self.work.wait_while(queue, is_idle);
        queue = unpoisoned(waited);
        queue.sleeps = false;
        if queue.text.is_empty() {
            return None;
        }
        let gathered = self
            .work
            .wait_timeout_while(queue, GATHER, |queue| !queue.is_urgent());
        (queue, _) = unpoisoned(gathered);
        queue.hurries = false;
        mem::swap(&mut queue.text, text);
        queue.writing = text.len();
        Some(mem::take(&mut queue.lines))
    }

    /// Notifies waiting threads that lines are done.
    pub(super) fn finished(&self, lines: u64) {
        let mut queue = self.lock();
        queue.writing = 0;
        queue.done += lines;
        drop(queue);
        self.done.notify_all();
    }
}
