//! The thread that writes the lines, and the queue to it.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How many lines may wait.
const QUEUE_LINES: usize = 4096;
/// How much memory the waiting lines may take.
const QUEUE_BYTES: usize = 4 * 1024 * 1024;
/// How much is written at once, give or take a line.
const BATCH_BYTES: usize = 64 * 1024;
/// How long the end of an application waits for what is queued.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// One line without its end, behind other bytes that are not written.
pub(super) struct Line {
    pub(super) buffer: Vec<u8>,
    pub(super) start: usize,
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

    fn add(&self, lines: u64) {
        self.0.fetch_add(lines, Ordering::Relaxed);
    }
}

/// Where lines go: a bounded queue that never blocks, and a thread that empties it.
///
/// The thread starts with the first line and not before, so that nothing that can fail happens while a stack is built,
/// and so that a program may fork in between. Where it cannot be started, lines wait and each one tries again.
pub(super) struct Sink {
    sender: SyncSender<Line>,
    accepted: AtomicU64,
    /// How many lines had been accepted when a flush ran out of time; nobody waits for those a second time.
    given_up: AtomicU64,
    shared: Arc<Shared>,
}

/// What the sink and its thread both know.
struct Shared {
    started: AtomicBool,
    /// What the thread takes when it starts.
    idle: Mutex<Option<Idle>>,
    queued_bytes: AtomicUsize,
    dropped: DroppedLines,
    /// How many lines have left the queue and been written, or lost to an error.
    done: Mutex<u64>,
    is_done: Condvar,
}

struct Idle {
    receiver: Receiver<Line>,
    writer: Box<dyn Write + Send>,
}

impl Sink {
    pub(super) fn new(writer: Box<dyn Write + Send>, dropped: DroppedLines) -> Sink {
        let (sender, receiver) = sync_channel(QUEUE_LINES);
        Sink {
            sender,
            accepted: AtomicU64::new(0),
            given_up: AtomicU64::new(0),
            shared: Arc::new(Shared {
                started: AtomicBool::new(false),
                idle: Mutex::new(Some(Idle { receiver, writer })),
                queued_bytes: AtomicUsize::new(0),
                dropped,
                done: Mutex::new(0),
                is_done: Condvar::new(),
            }),
        }
    }

    /// Queues a line, or counts it as dropped where there is no room. Never waits.
    pub(super) fn write(&self, line: Line) {
        let size = line.buffer.capacity();
        let before = self.shared.queued_bytes.fetch_add(size, Ordering::Relaxed);
        if before + size <= QUEUE_BYTES && self.sender.try_send(line).is_ok() {
            self.accepted.fetch_add(1, Ordering::Relaxed);
        } else {
            self.shared.queued_bytes.fetch_sub(size, Ordering::Relaxed);
            self.shared.dropped.add(1);
        }
        self.start();
    }

    fn start(&self) {
        let started = &self.shared.started;
        if started.load(Ordering::Relaxed) || started.swap(true, Ordering::Relaxed) {
            return;
        }
        let shared = self.shared.clone();
        let thread = thread::Builder::new().name("access-log".to_owned());
        let spawned = thread.spawn(move || Writer::run(&shared));
        started.store(spawned.is_ok(), Ordering::Relaxed);
    }

    /// Waits until every line that was queued before is written, but not longer than five seconds.
    pub(super) fn flush(&self) {
        self.flush_within(FLUSH_TIMEOUT);
    }

    fn flush_within(&self, timeout: Duration) {
        let accepted = self.accepted.load(Ordering::Relaxed);
        if accepted == self.given_up.load(Ordering::Relaxed) {
            return;
        }
        self.start();
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

/// What the thread works on.
struct Writer<'a> {
    shared: &'a Shared,
    writer: Box<dyn Write + Send>,
    batch: Vec<u8>,
    /// How many lines are in the batch.
    lines: u64,
    /// How many dropped lines the batch tells of, together with those before it.
    told: u64,
    /// How many dropped lines have been told of.
    reported: u64,
    failed: bool,
}

impl<'a> Writer<'a> {
    fn new(shared: &'a Shared, writer: Box<dyn Write + Send>) -> Writer<'a> {
        Writer {
            shared,
            writer,
            batch: Vec::with_capacity(BATCH_BYTES),
            lines: 0,
            told: 0,
            reported: 0,
            failed: false,
        }
    }

    fn run(shared: &'a Shared) {
        // However this ends, nobody waits for it any longer.
        let _end = End(shared);
        let Some(Idle { receiver, writer }) = lock(&shared.idle).take() else {
            return;
        };
        let mut this = Writer::new(shared, writer);
        while let Ok(line) = receiver.recv() {
            this.report();
            this.take(line);
            while this.batch.len() < BATCH_BYTES {
                let Ok(line) = receiver.try_recv() else { break };
                this.take(line);
            }
            this.write();
        }
        this.report();
        this.write();
    }

    /// Begins a batch with the number of lines that were dropped since this was last told.
    fn report(&mut self) {
        self.told = self.shared.dropped.count();
        if self.told > self.reported {
            // After an error nobody knows whether the last line is whole.
            let before = if self.failed { "\n" } else { "" };
            let report = format!("{before}# {} lines dropped\n", self.told - self.reported);
            self.batch.extend_from_slice(report.as_bytes());
        }
    }

    fn take(&mut self, line: Line) {
        let size = line.buffer.capacity();
        self.shared.queued_bytes.fetch_sub(size, Ordering::Relaxed);
        let text = line.buffer.get(line.start..).unwrap_or_default();
        self.batch.extend_from_slice(text);
        self.batch.push(b'\n');
        self.lines += 1;
    }

    /// Writes the batch and flushes; where that fails its lines are lost and counted, and serving goes on.
    fn write(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let written = self.writer.write_all(&self.batch);
        self.failed = written.and_then(|()| self.writer.flush()).is_err();
        if self.failed {
            self.shared.dropped.add(self.lines);
        } else {
            self.reported = self.told;
        }
        self.batch.clear();
        self.batch.shrink_to(BATCH_BYTES);
        *lock(&self.shared.done) += std::mem::take(&mut self.lines);
        self.shared.is_done.notify_all();
    }
}

struct End<'a>(&'a Shared);

impl Drop for End<'_> {
    fn drop(&mut self) {
        *lock(&self.0.done) = u64::MAX;
        self.0.is_done.notify_all();
    }
}

/// A panic of the writer cannot leave these values half changed, so a poisoned lock is used as it is.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;

    /// A writer that takes `write` only when it is let, and fails where it is told to.
    struct Gate {
        open: mpsc::Receiver<io::Result<()>>,
        written: Arc<Mutex<String>>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // A gate whose other end is gone stays open.
            self.open.recv().unwrap_or(Ok(()))?;
            let text = std::str::from_utf8(bytes).unwrap();
            self.written.lock().unwrap().push_str(text);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Setup {
        sink: Sink,
        open: mpsc::Sender<io::Result<()>>,
        written: Arc<Mutex<String>>,
        dropped: DroppedLines,
    }

    fn setup() -> Setup {
        let (open, receiver) = mpsc::channel();
        let (written, dropped) = (Arc::new(Mutex::new(String::new())), DroppedLines::default());
        let gate = Gate {
            open: receiver,
            written: written.clone(),
        };
        Setup {
            sink: Sink::new(Box::new(gate), dropped.clone()),
            open,
            written,
            dropped,
        }
    }

    fn line(text: &str) -> Line {
        let buffer = format!("not written{text}").into_bytes();
        Line { buffer, start: 11 }
    }

    /// Waits until the thread has taken all that is queued.
    fn taken(sink: &Sink) {
        while sink.shared.queued_bytes.load(Ordering::Relaxed) > 0 {
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_full_queue_drops_and_tells() {
        let Setup {
            sink,
            open,
            written,
            dropped,
        } = setup();
        sink.write(line("first"));
        taken(&sink);
        for _ in 0..QUEUE_LINES + 7 {
            sink.write(line("x"));
        }
        assert_eq!(dropped.count(), 7);
        drop(open);
        sink.flush();
        let written = written.lock().unwrap();
        assert!(written.starts_with("first\n# 7 lines dropped\nx\n"));
        assert_eq!(written.lines().count(), 1 + 1 + QUEUE_LINES);
    }

    #[test]
    fn the_memory_of_waiting_lines_is_bounded() {
        let Setup {
            sink,
            open: _open,
            dropped,
            ..
        } = setup();
        sink.write(line("first"));
        taken(&sink);
        let long = "x".repeat(QUEUE_BYTES / 4 - 100);
        for _ in 0..10 {
            sink.write(line(&long));
        }
        assert_eq!(dropped.count(), 6);
        assert!(sink.shared.queued_bytes.load(Ordering::Relaxed) <= QUEUE_BYTES);
    }

    #[test]
    fn a_writer_that_fails_loses_its_lines_and_is_used_again() {
        let Setup {
            sink,
            open,
            written,
            dropped,
        } = setup();
        for (result, text) in [
            (Ok(()), "one"),
            (Err(io::Error::other("disk full")), "two"),
            (Ok(()), "three"),
        ] {
            open.send(result).unwrap();
            sink.write(line(text));
            sink.flush();
        }
        assert_eq!(dropped.count(), 1);
        assert_eq!(
            *written.lock().unwrap(),
            "one\n\n# 1 lines dropped\nthree\n"
        );
    }

    #[test]
    fn a_writer_that_panics_holds_nobody_up() {
        struct Broken;
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                panic!("a broken writer")
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let dropped = DroppedLines::default();
        let sink = Sink::new(Box::new(Broken), dropped.clone());
        sink.write(line("one"));
        sink.flush_within(Duration::from_secs(60));
        while dropped.count() == 0 {
            sink.write(line("two"));
        }
    }

    #[test]
    fn a_flush_gives_up_once() {
        let Setup {
            sink, open: _open, ..
        } = setup();
        sink.write(line("stuck"));
        sink.flush_within(Duration::from_millis(20));
        let before = Instant::now();
        drop(sink);
        assert!(before.elapsed() < FLUSH_TIMEOUT);
    }

    #[test]
    fn what_is_queued_is_written_before_the_sink_is_gone() {
        let Setup {
            sink,
            open,
            written,
            ..
        } = setup();
        drop(open);
        for number in 0..1000 {
            sink.write(line(&number.to_string()));
        }
        drop(sink);
        let expected: String = (0..1000).map(|number| format!("{number}\n")).collect();
        assert_eq!(*written.lock().unwrap(), expected);
    }
}
