//! The thread that writes the lines.

use std::io::{self, Write};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use super::entry::loss;
use super::queue::{Idle, Line, Shared, WAKE_BYTES};

/// How much is written at once, give or take a line.
const BATCH_BYTES: usize = 64 * 1024;
/// How much room a batch has: no usual line makes it grow.
const BATCH_ROOM: usize = BATCH_BYTES + 16 * 1024;
/// How long lines are gathered for a batch, unless there are many: waking a thread costs more than a line.
const GATHER: Duration = Duration::from_millis(1);
/// How often trouble is told.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// What the thread works on.
pub(super) struct Writer<'a> {
    shared: &'a Shared,
    idle: Idle,
    batch: Vec<u8>,
    /// How many lines are in the batch.
    lines: u64,
    /// How many dropped lines the batch tells of, together with those before it.
    told: u64,
    /// How many dropped lines have been told of.
    reported: u64,
    is_torn: bool,
    trouble: Trouble,
}

impl<'a> Writer<'a> {
    /// Writes what comes, until nothing can come any more.
    pub(super) fn run(shared: &'a Shared, idle: Idle) {
        let mut this = Writer {
            shared,
            idle,
            batch: Vec::with_capacity(BATCH_ROOM),
            lines: 0,
            told: 0,
            reported: 0,
            is_torn: false,
            trouble: Trouble::default(),
        };
        while let Ok(line) = this.idle.receiver.recv() {
            if shared.queued_bytes.load(Ordering::Relaxed) < WAKE_BYTES {
                thread::park_timeout(GATHER);
            }
            this.report();
            this.take(line);
            while this.batch.len() < BATCH_BYTES {
                let Ok(line) = this.idle.receiver.try_recv() else {
                    break;
                };
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
            // After an error the last line may not be whole.
            if self.is_torn {
                self.batch.push(b'\n');
            }
            let report = loss(self.idle.syntax, self.told - self.reported);
            self.batch.extend_from_slice(report.as_bytes());
        }
    }

    fn take(&mut self, line: Line) {
        let size = line.buffer.capacity();
        self.shared.queued_bytes.fetch_sub(size, Ordering::Relaxed);
        self.batch.extend_from_slice(line.text());
        self.batch.push(b'\n');
        self.lines += 1;
        self.shared.recycle(line.buffer);
    }

    /// Writes the batch and flushes; where that fails its lines are lost and counted, and serving goes on.
    fn write(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let (count, written) = write_some(&mut self.idle.writer, &self.batch);
        let (whole, rest) = self.batch.split_at(count);
        self.is_torn = whole.last().is_some_and(|&byte| byte != b'\n');
        match written {
            Ok(()) => self.reported = self.told,
            Err(error) => {
                let lost = rest.iter().filter(|&&byte| byte == b'\n').count() as u64;
                // What is left may have a report in it; and nobody knows what a failed flush has lost.
                let lost = if rest.is_empty() {
                    self.lines
                } else {
                    lost.min(self.lines)
                };
                self.shared.dropped.add(lost);
                let told = self.trouble.tell(Instant::now(), lost, &error);
                // Where this cannot be written either, there is nobody left to tell.
                let _ = told.map(|text| self.idle.troubles.write_all(text.as_bytes()));
            }
        }
        self.batch.clear();
        self.batch.shrink_to(BATCH_ROOM);
        self.shared.finished(std::mem::take(&mut self.lines));
    }
}

/// Writes and flushes; answers how many bytes were written where that fails.
fn write_some(writer: &mut dyn Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut count = 0;
    while let Some(rest) = bytes.get(count..).filter(|rest| !rest.is_empty()) {
        match writer.write(rest) {
            Ok(0) => return (count, Err(io::ErrorKind::WriteZero.into())),
            Ok(written) => count += written,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (count, Err(error)),
        }
    }
    (bytes.len(), writer.flush())
}

/// What went wrong since it was last told.
#[derive(Debug, Default)]
struct Trouble {
    last: Option<Instant>,
    lines: u64,
}

impl Trouble {
    /// What to say of a failure; nothing where something was said a short time ago.
    fn tell(&mut self, now: Instant, lines: u64, error: &io::Error) -> Option<String> {
        self.lines += lines;
        let is_soon = |last| now.saturating_duration_since(last) < TELL_AGAIN;
        if self.last.is_some_and(is_soon) {
            return None;
        }
        self.last = Some(now);
        let lines = std::mem::take(&mut self.lines);
        Some(format!("access log: {lines} lines lost: {error}\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::escape::Syntax;
    use super::super::queue::{
        DroppedLines, FLUSH_TIMEOUT, QUEUE_BYTES, QUEUE_LINES, Sink, WhenFull,
    };
    use super::*;
    use std::sync::{Arc, Mutex, mpsc};

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
            sink: Sink::new(Box::new(gate), Syntax::Text, dropped.clone()),
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
        sink.write(line("first"), WhenFull::Drop);
        taken(&sink);
        for _ in 0..QUEUE_LINES + 7 {
            sink.write(line("x"), WhenFull::Drop);
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
        sink.write(line("first"), WhenFull::Drop);
        taken(&sink);
        let long = "x".repeat(QUEUE_BYTES / 4 - 100);
        for _ in 0..10 {
            sink.write(line(&long), WhenFull::Drop);
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
            sink.write(line(text), WhenFull::Drop);
            sink.flush();
        }
        assert_eq!(dropped.count(), 1);
        assert_eq!(*written.lock().unwrap(), "one\n# 1 lines dropped\nthree\n");
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
        let sink = Sink::new(Box::new(Broken), Syntax::Text, dropped.clone());
        sink.write(line("one"), WhenFull::Drop);
        sink.flush_within(Duration::from_secs(60));
        while dropped.count() == 0 {
            sink.write(line("two"), WhenFull::Drop);
        }
    }

    #[test]
    fn a_flush_gives_up_once() {
        let Setup {
            sink, open: _open, ..
        } = setup();
        sink.write(line("stuck"), WhenFull::Drop);
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
            sink.write(line(&number.to_string()), WhenFull::Drop);
        }
        drop(sink);
        let expected: String = (0..1000).map(|number| format!("{number}\n")).collect();
        assert_eq!(*written.lock().unwrap(), expected);
    }
}
