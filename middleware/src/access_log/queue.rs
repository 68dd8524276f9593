//! The bounded queue to the thread that writes the lines.

use std::fmt;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use concurrent_queue::ConcurrentQueue;

use super::escape::Syntax;
use super::writer::Writer;

/// How many lines may wait.
pub(super) const QUEUE_LINES: usize = 4096;
/// How much memory the waiting lines may take.
pub(super) const QUEUE_BYTES: usize = 4 * 1024 * 1024;
/// How long the end of an application waits for what is queued.
pub(super) const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request that waits for room sleeps before it looks again; it is woken when there is some.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How many buffers of lines that are written are kept for others: freeing them on another thread than the one that
/// takes them costs more than the rest of the queue.
const SPARE_BUFFERS: usize = 256;
/// How large a buffer may be that is kept, in bytes.
const SPARE_BYTES: usize = 4 * 1024;

/// From how much that waits the thread is woken though it gathers a batch.
pub(super) const WAKE_BYTES: usize = QUEUE_BYTES / 4;

/// One line without its end, behind other bytes that are not written.
pub(super) struct Line {
    pub(super) buffer: Vec<u8>,
    pub(super) start: usize,
}

impl Line {
    pub(super) fn text(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }
}

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
    sender: SyncSender<Line>,
    accepted: AtomicU64,
    /// How many lines had been accepted when a flush ran out of time; nobody waits for those a second time.
    given_up: AtomicU64,
    pub(super) shared: Arc<Shared>,
}

/// What the sink and its thread both know.
pub(super) struct Shared {
    started: AtomicBool,
    /// What the thread takes when it starts.
    idle: Mutex<Option<Idle>>,
    thread: OnceLock<Thread>,
    pub(super) queued_bytes: AtomicUsize,
    spare: ConcurrentQueue<Vec<u8>>,
    pub(super) dropped: DroppedLines,
    /// How many lines have left the queue and been written, or lost to an error.
    done: Mutex<u64>,
    is_done: Condvar,
}

pub(super) struct Idle {
    pub(super) receiver: Receiver<Line>,
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
        let (sender, receiver) = sync_channel(QUEUE_LINES);
        let idle = Idle {
            receiver,
            writer,
            troubles: Box::new(std::io::stderr()),
            syntax,
        };
        Sink {
            sender,
            accepted: AtomicU64::new(0),
            given_up: AtomicU64::new(0),
            shared: Arc::new(Shared {
                started: AtomicBool::new(false),
                idle: Mutex::new(Some(idle)),
                thread: OnceLock::new(),
                queued_bytes: AtomicUsize::new(0),
                spare: ConcurrentQueue::bounded(SPARE_BUFFERS),
                dropped,
                done: Mutex::new(0),
                is_done: Condvar::new(),
            }),
        }
    }

    /// Sets what is written to where a thread has not started yet.
    pub(super) fn change(&self, change: impl FnOnce(&mut Idle)) {
        if let Some(idle) = lock(&self.shared.idle).as_mut() {
            change(idle);
        }
    }

    /// An empty buffer for a line, with this much room or more where it is new.
    pub(super) fn buffer(&self, room: usize) -> Vec<u8> {
        let spare = self.shared.spare.pop();
        spare.unwrap_or_else(|_| Vec::with_capacity(room))
    }

    /// Queues a line; where there is no room, it is counted as dropped, or waits.
    pub(super) fn write(&self, line: Line, when_full: WhenFull) {
        let mut refused = self.try_write(line);
        self.start();
        while let Some(line) = refused.take() {
            let is_hopeless =
                line.buffer.capacity() > QUEUE_BYTES || !self.wait_for_room(when_full);
            if is_hopeless {
                self.shared.dropped.add(1);
                return;
            }
            refused = self.try_write(line);
        }
    }

    /// Gives the line back where there is no room.
    fn try_write(&self, line: Line) -> Option<Line> {
        let size = line.buffer.capacity();
        let queued = &self.shared.queued_bytes;
        let before = queued.fetch_add(size, Ordering::Relaxed);
        let refused = match before + size <= QUEUE_BYTES {
            true => self.sender.try_send(line).err().map(|error| match error {
                std::sync::mpsc::TrySendError::Full(line)
                | std::sync::mpsc::TrySendError::Disconnected(line) => line,
            }),
            false => Some(line),
        };
        match refused {
            None => {
                self.accepted.fetch_add(1, Ordering::Relaxed);
                if before < WAKE_BYTES && before + size >= WAKE_BYTES {
                    self.shared.wake();
                }
            }
            Some(_) => _ = queued.fetch_sub(size, Ordering::Relaxed),
        }
        refused
    }

    /// Waits a little; answers whether it is worth trying again.
    fn wait_for_room(&self, when_full: WhenFull) -> bool {
        if when_full == WhenFull::Drop || !self.shared.started.load(Ordering::Relaxed) {
            return false;
        }
        self.shared.wake();
        let done = lock(&self.shared.done);
        if *done == u64::MAX {
            return false;
        }
        drop(self.shared.is_done.wait_timeout(done, LOOK_AGAIN));
        true
    }

    fn start(&self) {
        let started = &self.shared.started;
        if started.load(Ordering::Relaxed) || started.swap(true, Ordering::Relaxed) {
            return;
        }
        let shared = self.shared.clone();
        let thread = thread::Builder::new().name("access-log".to_owned());
        let spawned = thread.spawn(move || shared.run());
        started.store(spawned.is_ok(), Ordering::Relaxed);
    }

    /// Waits until every line that was queued before is written, but not longer than five seconds.
    pub(super) fn flush(&self) {
        self.flush_within(FLUSH_TIMEOUT);
    }

    pub(super) fn flush_within(&self, timeout: Duration) {
        let accepted = self.accepted.load(Ordering::Relaxed);
        if accepted == self.given_up.load(Ordering::Relaxed) {
            return;
        }
        self.start();
        self.shared.wake();
        let done = lock(&self.shared.done);
        let is_waiting = |done: &mut u64| *done < accepted;
        let waited = self
            .shared
            .is_done
            .wait_timeout_while(done, timeout, is_waiting);
        if waited.is_ok_and(|(_, waited)| waited.timed_out()) {
            self.given_up.store(accepted, Ordering::Relaxed);
        }
    }
}

impl Drop for Sink {
    /// The sender goes after this, which ends the thread.
    fn drop(&mut self) {
        self.flush();
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let accepted = self.accepted.load(Ordering::Relaxed);
        write!(f, "Sink({accepted} lines so far)")
    }
}

impl Shared {
    /// What the thread does until the sink is gone.
    fn run(&self) {
        // However this ends, nobody waits for it any longer.
        let _end = Over(self);
        let _ = self.thread.set(thread::current());
        let idle = lock(&self.idle).take();
        if let Some(idle) = idle {
            Writer::run(self, idle);
        }
    }

    /// Keeps the buffer of a line that is dealt with, where it is worth it.
    pub(super) fn recycle(&self, mut buffer: Vec<u8>) {
        if buffer.capacity() <= SPARE_BYTES {
            buffer.clear();
            // There is no room for more than a few.
            drop(self.spare.push(buffer));
        }
    }

    /// Lets a thread that gathers a batch write it now.
    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Tells those who wait that lines have been dealt with.
    pub(super) fn finished(&self, lines: u64) {
        *lock(&self.done) += lines;
        self.is_done.notify_all();
    }
}

struct Over<'a>(&'a Shared);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        *lock(&self.0.done) = u64::MAX;
        self.0.is_done.notify_all();
    }
}

/// A panic of the writer cannot leave these values half changed, so a poisoned lock is used as it is.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
