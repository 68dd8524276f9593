//! The bounded queue to the thread that writes the lines.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fmt, mem, thread};

use super::escape::Syntax;
use super::writer::Writer;

/// How many bytes of lines may wait, those included that are being written.
pub(super) const QUEUE_BYTES: usize = 1024 * 1024;
/// From how much that waits the thread is woken though it gathers a batch.
const WAKE_BYTES: usize = QUEUE_BYTES / 4;
/// How much room the queue begins with.
const ROOM: usize = 64 * 1024;
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

/// Where lines go: a bounded queue, and a thread that empties it.
///
/// The thread starts with the first line and not before, so that nothing that can fail happens while a stack is built,
/// and so that a program may fork in between. Where it cannot be started, lines wait and each one tries again.
pub(super) struct Sink {
    shared: Arc<Shared>,
}

/// What the sink and its thread both know.
pub(super) struct Shared {
    queue: Mutex<Queue>,
    /// Tells the thread that it is to do something.
    work: Condvar,
    /// Tells those who wait that lines are dealt with.
    done: Condvar,
    pub(super) dropped: DroppedLines,
}

/// One text for all lines: to add a line is to copy it under a lock that nobody holds for longer.
#[expect(clippy::struct_excessive_bools, reason = "a set of independent facts")]
struct Queue {
    /// The lines that wait, with their ends.
    text: Vec<u8>,
    lines: u64,
    /// How many bytes are being written.
    writing: usize,
    /// How many lines have been queued in all, and how many of them are written, or lost to an error.
    accepted: u64,
    done: u64,
    /// How many lines had been accepted when a flush ran out of time; nobody waits for those a second time.
    given_up: u64,
    /// What the thread takes when it starts.
    idle: Option<Idle>,
    is_started: bool,
    /// The thread waits for a line.
    sleeps: bool,
    /// Somebody waits for the thread.
    hurries: bool,
    /// No line comes any more.
    is_closed: bool,
    /// There is no thread any more.
    is_over: bool,
}

pub(super) struct Idle {
    pub(super) writer: Box<dyn Write + Send>,
    pub(super) troubles: Box<dyn Write + Send>,
    pub(super) syntax: Syntax,
}

impl Sink {
    pub(super) fn new(
        writer: Box<dyn Write + Send>,
        syntax: Syntax,
        dropped: DroppedLines,
    ) -> Sink {
        let idle = Idle {
            writer,
            troubles: Box::new(std::io::stderr()),
            syntax,
        };
        let queue = Queue {
            text: Vec::new(),
            lines: 0,
            writing: 0,
            accepted: 0,
            done: 0,
            given_up: 0,
            idle: Some(idle),
            is_started: false,
            sleeps: false,
            hurries: false,
            is_closed: false,
            is_over: false,
        };
        Sink {
            shared: Arc::new(Shared {
                queue: Mutex::new(queue),
                work: Condvar::new(),
                done: Condvar::new(),
                dropped,
            }),
        }
    }

    /// Sets what is written to where a thread has not started yet.
    pub(super) fn change(&self, change: impl FnOnce(&mut Idle)) {
        if let Some(idle) = self.shared.lock().idle.as_mut() {
            change(idle);
        }
    }

    /// Queues a line, given without its end; where there is no room, it is counted as dropped, or waits.
    pub(super) fn write(&self, line: &[u8], when_full: WhenFull) {
        let shared = &*self.shared;
        let mut queue = shared.lock();
        while !queue.has_room_for(line) {
            let may_wait = line.len() < QUEUE_BYTES && queue.is_started && !queue.is_over;
            if when_full == WhenFull::Drop || !may_wait {
                drop(queue);
                shared.dropped.add(1);
                return;
            }
            queue = shared.wait_for_room(queue);
        }
        let before = queue.text.len();
        queue.text.extend_from_slice(line);
        queue.text.push(b'\n');
        queue.lines += 1;
        queue.accepted += 1;
        if !queue.is_started {
            self.start(&mut queue);
        }
        let is_much = before < WAKE_BYTES && queue.text.len() >= WAKE_BYTES;
        let wakes = mem::take(&mut queue.sleeps) || is_much;
        drop(queue);
        if wakes {
            shared.work.notify_one();
        }
    }

    fn start(&self, queue: &mut Queue) {
        queue.text.reserve(ROOM);
        let shared = self.shared.clone();
        let thread = thread::Builder::new().name("access-log".to_owned());
        queue.is_started = thread.spawn(move || shared.run()).is_ok();
    }

    /// Waits until every line that was queued before is written, but not longer than five seconds.
    pub(super) fn flush(&self) {
        self.flush_within(FLUSH_TIMEOUT);
    }

    pub(super) fn flush_within(&self, timeout: Duration) {
        let shared = &*self.shared;
        let mut queue = shared.lock();
        let accepted = queue.accepted;
        if accepted == queue.given_up || accepted == queue.done {
            return;
        }
        if !queue.is_started {
            self.start(&mut queue);
        }
        queue.hurries = true;
        shared.work.notify_one();
        let is_waiting = |queue: &mut Queue| queue.done < accepted && !queue.is_over;
        let waited = shared.done.wait_timeout_while(queue, timeout, is_waiting);
        let (mut queue, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            queue.given_up = accepted;
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.flush();
        self.shared.lock().is_closed = true;
        self.shared.work.notify_one();
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sink({} lines so far)", self.shared.lock().accepted)
    }
}

impl Queue {
    fn has_room_for(&self, line: &[u8]) -> bool {
        !self.is_over && self.text.len() + self.writing + line.len() < QUEUE_BYTES
    }

    /// Whether the thread has a reason not to wait for more lines.
    fn is_urgent(&self) -> bool {
        self.text.len() >= WAKE_BYTES || self.hurries || self.is_closed
    }
}

impl Shared {
    /// A panic of the writer cannot leave the queue half changed, so a poisoned lock is used as it is.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for_room<'a>(&'a self, mut queue: MutexGuard<'a, Queue>) -> MutexGuard<'a, Queue> {
        queue.hurries = true;
        self.work.notify_one();
        let waited = self.done.wait_timeout(queue, LOOK_AGAIN);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// What the thread does until the sink is gone.
    fn run(&self) {
        // However this ends, nobody waits for it any longer.
        let _end = Over(self);
        let idle = self.lock().idle.take();
        if let Some(idle) = idle {
            Writer::run(self, idle);
        }
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
        queue = waited.unwrap_or_else(PoisonError::into_inner);
        queue.sleeps = false;
        if queue.text.is_empty() {
            return None;
        }
        let gathered = self
            .work
            .wait_timeout_while(queue, GATHER, |queue| !queue.is_urgent());
        (queue, _) = gathered.unwrap_or_else(PoisonError::into_inner);
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

struct Over<'a>(&'a Shared);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.is_over = true;
        let lost = queue.accepted - queue.done;
        drop(queue);
        self.0.dropped.add(lost);
        self.0.done.notify_all();
    }
}

#[cfg(test)]
impl Sink {
    /// How many bytes wait, and how many are being written.
    pub(super) fn held(&self) -> (usize, usize) {
        let queue = self.shared.lock();
        (queue.text.len(), queue.writing)
    }
}
