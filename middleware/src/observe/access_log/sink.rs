//! The destination of lines.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, mem, thread};

use enfilade_core::unpoisoned;

use super::queue::{
    DroppedLines, FLUSH_TIMEOUT, QUEUE_BYTES, Queue, ROOM, SharedQueue, WAKE_BYTES, WhenFull,
    WriterSetup,
};
use super::writer::Writer;
use crate::shared::escape::Syntax;

/// The destination of lines: a bounded queue, and a thread that empties it.
///
/// The thread starts with the first line, so that building a stack cannot fail, and a program may fork before. If the
/// thread cannot be started, lines wait and each new line tries again.
pub(super) struct Sink {
    shared: Arc<SharedQueue>,
}

impl Sink {
    pub(super) fn new(
        writer: Box<dyn Write + Send>,
        syntax: Syntax,
        dropped: DroppedLines,
    ) -> Sink {
        let setup = WriterSetup {
            writer,
            error_log: Box::new(std::io::stderr()),
            syntax,
        };
        Sink {
            shared: Arc::new(SharedQueue::new(setup, dropped)),
        }
    }

    /// Changes the writer, unless the thread has already started.
    pub(super) fn change(&self, change: impl FnOnce(&mut WriterSetup)) {
        if let Some(setup) = self.shared.lock().setup.as_mut() {
            change(setup);
        }
    }

    /// Queues a line without its end; if there is no space, it is counted as dropped, or waits.
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
        queue.is_started = thread.spawn(move || run(&shared)).is_ok();
    }

    /// Waits until every line queued before is written, but at most five seconds.
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
        let (mut queue, waited) = unpoisoned(waited);
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

/// The work of the thread until the sink is dropped.
fn run(shared: &SharedQueue) {
    // However this ends, no thread waits for it any longer.
    let _end = EndOfThread(shared);
    let setup = shared.lock().setup.take();
    if let Some(setup) = setup {
        Writer::run(shared, setup);
    }
}

struct EndOfThread<'a>(&'a SharedQueue);

impl Drop for EndOfThread<'_> {
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
    /// The number of queued bytes, and of those being written.
    pub(super) fn held(&self) -> (usize, usize) {
        let queue = self.shared.lock();
        (queue.text.len(), queue.writing)
    }
}
