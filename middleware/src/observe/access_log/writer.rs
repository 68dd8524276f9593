//! The thread that writes the lines.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use super::queue::{SharedQueue, WriterSetup};
use crate::shared::escape::Syntax;

/// How much is written at once, plus or minus a line.
const BATCH_BYTES: usize = 64 * 1024;
/// How often errors are reported at most.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// The state of the thread.
pub(super) struct Writer<'a> {
    shared: &'a SharedQueue,
    setup: WriterSetup,
    /// The number of dropped lines that were reported.
    reported: u64,
    is_torn: bool,
    error_reports: ErrorReports,
}

impl<'a> Writer<'a> {
    /// Writes lines until no more can come.
    pub(super) fn run(shared: &'a SharedQueue, setup: WriterSetup) {
        let mut this = Writer {
            shared,
            setup,
            reported: 0,
            is_torn: false,
            error_reports: ErrorReports::default(),
        };
        let mut text = Vec::new();
        while let Some(lines) = shared.take(&mut text) {
            batches(&text).for_each(|batch| this.write(batch));
            shared.finished(lines);
        }
        this.write(&[]);
    }

    /// Writes a batch and flushes; if that fails, its lines are lost and counted, and the log continues.
    ///
    /// The batch begins with the number of lines that were dropped since the last report.
    fn write(&mut self, batch: &[u8]) {
        let dropped = self.shared.dropped.count();
        let report = (dropped > self.reported).then(|| self.report(dropped - self.reported));
        let told = report.map(|report| [report.as_bytes(), batch].concat());
        let bytes = told.as_deref().unwrap_or(batch);
        if bytes.is_empty() {
            return;
        }
        let (count, written) = write_some(&mut self.setup.writer, bytes);
        let (whole, rest) = bytes.split_at(count);
        self.is_torn = whole.last().is_some_and(|&byte| byte != b'\n');
        match written {
            Ok(()) => self.reported = dropped,
            Err(error) => self.lose(batch, rest, &error),
        }
    }

    fn report(&self, lines: u64) -> String {
        let report = loss(self.setup.syntax, lines);
        // After an error the last line may be incomplete.
        match self.is_torn {
            true => format!("\n{report}"),
            false => report,
        }
    }

    fn lose(&mut self, batch: &[u8], rest: &[u8], error: &io::Error) {
        // The rest may contain a report; and the loss of a failed flush is unknown.
        let lost = match rest.is_empty() {
            true => lines_in(batch),
            false => lines_in(rest).min(lines_in(batch)),
        };
        self.shared.dropped.add(lost);
        let told = self.error_reports.report(Instant::now(), lost, error);
        // If this fails too, there is no place to report it.
        let _ = told.map(|text| self.setup.error_log.write_all(text.as_bytes()));
    }
}

fn lines_in(text: &[u8]) -> u64 {
    text.iter().filter(|&&byte| byte == b'\n').count() as u64
}

/// Splits the lines into parts that are written at once.
fn batches(mut text: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let from = text.get(BATCH_BYTES..).unwrap_or_default();
        let end = from.iter().position(|&byte| byte == b'\n');
        let (batch, rest) = match end {
            Some(end) => text.split_at_checked(BATCH_BYTES + end + 1)?,
            None => (text, &[][..]),
        };
        text = rest;
        (!batch.is_empty()).then_some(batch)
    })
}

/// Writes and flushes; returns how many bytes were written, also if it fails.
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

/// The errors since the last report.
#[derive(Debug, Default)]
struct ErrorReports {
    last: Option<Instant>,
    lines: u64,
}

impl ErrorReports {
    /// The report of a failure; `None` if there was one a short time ago.
    fn report(&mut self, now: Instant, lines: u64, error: &io::Error) -> Option<String> {
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

/// The report of lost lines, in this syntax.
fn loss(syntax: Syntax, lines: u64) -> String {
    match syntax {
        Syntax::Text => format!("# {lines} lines dropped\n"),
        Syntax::Json => format!("{{\"dropped_lines\":{lines}}}\n"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, mpsc};
    use std::thread;

    use super::super::queue::{DroppedLines, FLUSH_TIMEOUT, QUEUE_BYTES, WhenFull};
    use super::super::sink::Sink;
    use super::*;

    /// A writer that waits until `write` is allowed, and fails on request.
    struct Gate {
        open: mpsc::Receiver<io::Result<()>>,
        written: Arc<Mutex<String>>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // A gate whose other end is dropped stays open.
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

    /// Waits until the thread has begun to write all queued lines.
    fn taken(sink: &Sink) {
        while sink.held().0 > 0 || sink.held().1 == 0 {
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
        sink.write(b"first", WhenFull::Drop);
        taken(&sink);
        let kept = (QUEUE_BYTES - 6) / 1_024;
        for _ in 0..kept + 7 {
            sink.write(&[b'x'; 1_023], WhenFull::Drop);
        }
        assert_eq!(dropped.count(), 7);
        assert!(sink.held().0 + sink.held().1 <= QUEUE_BYTES);
        drop(open);
        sink.flush();
        let written = written.lock().unwrap();
        assert!(written.starts_with("first\n# 7 lines dropped\nxxx"));
        assert_eq!(written.lines().count(), 1 + 1 + kept);
    }

    #[test]
    fn a_line_that_never_fits_is_dropped_by_who_would_wait_too() {
        let Setup { sink, dropped, .. } = setup();
        sink.write(&vec![b'x'; QUEUE_BYTES], WhenFull::Wait);
        assert_eq!(dropped.count(), 1);
    }

    #[test]
    fn batches_end_with_lines() {
        let line = |length| [vec![b'x'; length], vec![b'\n']].concat();
        let lengths = |text: &[u8]| batches(text).map(<[u8]>::len).collect::<Vec<_>>();
        assert_eq!(lengths(b""), [0; 0]);
        assert_eq!(lengths(b"one\ntwo\n"), [8]);
        let long = line(BATCH_BYTES + 9);
        assert_eq!(lengths(&long), [BATCH_BYTES + 10]);
        let text = [&long[..], b"next\n", &line(BATCH_BYTES - 6), b"last\n"].concat();
        assert_eq!(lengths(&text), [BATCH_BYTES + 10, BATCH_BYTES + 5]);
        let text = [line(BATCH_BYTES - 2), b"a\n".to_vec(), b"b\n".to_vec()].concat();
        assert_eq!(lengths(&text), [BATCH_BYTES + 1, 2]);
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
            sink.write(text.as_bytes(), WhenFull::Drop);
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
        sink.write(b"one", WhenFull::Drop);
        sink.flush_within(Duration::from_secs(60));
        while dropped.count() == 0 {
            sink.write(b"two", WhenFull::Drop);
        }
    }

    #[test]
    fn a_flush_gives_up_once() {
        let Setup {
            sink, open: _open, ..
        } = setup();
        sink.write(b"stuck", WhenFull::Drop);
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
            sink.write(number.to_string().as_bytes(), WhenFull::Drop);
        }
        drop(sink);
        let expected: String = (0..1000).map(|number| format!("{number}\n")).collect();
        assert_eq!(*written.lock().unwrap(), expected);
    }
}
