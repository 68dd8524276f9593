//! The bounded queue to the thread that writes the lines.

use std::io::Write;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use enfilade_core::unpoisoned;

use crate::shared::escape::Syntax;

/// How many bytes of lines may wait, those included that are being written.
pub(super) const QUEUE_BYTES: usize = 1024 * 1024;
/// From how much that waits the thread is woken though it gathers a batch.
pub(super) const WAKE_BYTES: usize = QUEUE_BYTES / 4;
/// How much room the queue begins with.
pub(super) const ROOM: usize = 64 * 1024;
/// How much it keeps: what a batch under load takes, so that it does not grow anew for each.
const KEPT_ROOM: usize = 2 * WAKE_BYTES;
/// How long lines are gathered for a batch, unless there are many: waking a thread costs more than a line.
const GATHER: Duration = Duration::from_millis(10);
/// How long the end of an application waits for what is queued.
pub(super) const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request that waits for room sleeps before it looks again; it is woken when there is some.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What becomes of a line for which the queue of an [`AccessLog`](crate::AccessLog) has no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third way")]
pub enum WhenFull {
    /// It is dropped and counted: a log never slows an application down. The default.
    #[default]
    Drop,
    /// Its request waits, and with it the thread that it is on: no line is lost as long as the writer works, and where
    /// the writer hangs, so does the application.
    Wait,
}

/// The number of lines that an [`AccessLog`](crate::AccessLog) could not write; see its
/// [`dropped`](crate::AccessLog::dropped).
#[derive(Clone, Debug, Default)]
pub struct DroppedLines(Arc<AtomicU64>);

impl DroppedLines {
    /// How many there are so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, lines: u64) {
        self.0.fetch_add(lines, Ordering::Relaxed);
    }
}

/// What the sink and its thread both know.
pub(super) struct SharedQueue {
    queue: Mutex<Queue>,
    /// Tells the thread that it is to do something.
    pub(super) work: Condvar,
    /// Tells those who wait that lines are dealt with.
    pub(super) done: Condvar,
    pub(super) dropped: DroppedLines,
}

/// One text for all lines: to add a line is to copy it under a lock that nobody holds for longer.
#[expect(clippy::struct_excessive_bools, reason = "a set of independent facts")]
pub(super) struct Queue {
    /// The lines that wait, with their ends.
    pub(super) text: Vec<u8>,
    pub(super) lines: u64,
    /// How many bytes are being written.
    pub(super) writing: usize,
    /// How many lines have been queued in all, and how many of them are written, or lost to an error.
    pub(super) accepted: u64,
    pub(super) done: u64,
    /// How many lines had been accepted when a flush ran out of time; nobody waits for those a second time.
    pub(super) given_up: u64,
    /// What the thread takes when it starts.
    pub(super) setup: Option<WriterSetup>,
    pub(super) is_started: bool,
    /// The thread waits for a line.
    pub(super) sleeps: bool,
    /// Somebody waits for the thread.
    pub(super) hurries: bool,
    /// No line comes any more.
    pub(super) is_closed: bool,
    /// There is no thread any more.
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

    /// Whether the thread has a reason not to wait for more lines.
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

    /// Waits for lines and gathers more for a moment, then puts all in the place of `text`; answers how many there are, or
    /// `None` where none can come any more.
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

    /// Tells those who wait that lines are dealt with.
    pub(super) fn finished(&self, lines: u64) {
        let mut queue = self.lock();
        queue.writing = 0;
        queue.done += lines;
        drop(queue);
        self.done.notify_all();
    }
}
