//! A log file that is rotated, and reopened if another program has moved it.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use enfilade_core::unpoisoned;

use time::{OffsetDateTime, UtcOffset};

use super::clock::{self, Dates};

/// How many old files are kept by default.
const KEEP: usize = 7;
/// How long rotation is paused after it failed, in seconds.
const TRY_AGAIN: i64 = 60;

/// A file for the lines of an [`AccessLog`](crate::AccessLog), rotated by size or time, and reopened on request.
///
/// By default it only grows. [`max_bytes`](LogFile::max_bytes) and [`every`](LogFile::every) rotate it; both may be
/// set. Then `access.log` is renamed to `access.log.1`, the old `access.log.1` to `access.log.2`, and so on; seven old
/// files are kept. A line is never split. If another program rotates the file (logrotate), reopen it with the
/// [`handle`](LogFile::handle): on SIGHUP, or whenever needed.
///
/// If a rotation fails, lines go to the current file, the error is written to standard error, and rotation is tried
/// again a minute later. Only the log's thread uses the file and its directory, except in [`open`](LogFile::open) and
/// [`reopen`](LogFileHandle::reopen). On Unix the owner may read and write the file, the group may read it, and all
/// others have no access.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::{AccessLog, LogFile, Period};
/// use enfilade::{Application, Request};
///
/// # fn main() -> std::io::Result<()> {
/// let folder = std::env::temp_dir().join(format!("enfilade-log-{}", std::process::id()));
/// std::fs::create_dir_all(&folder)?;
/// let path = folder.join("access.log");
/// let file = LogFile::open(&path)?.max_bytes(100_000_000).every(Period::Day).keep(30);
/// let handle = file.handle();
/// let app = Application::new(|_: Request| "x").wrap(AccessLog::combined().writer(file));
///
/// // In a server: `server.on_hangup(move || ...)`.
/// std::fs::rename(&path, folder.join("moved.log"))?;
/// handle.reopen()?;
/// assert!(path.exists());
/// # drop(app);
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a file that nothing is written to"]
pub struct LogFile {
    shared: Arc<SharedFile>,
    file: File,
    size: u64,
    /// The period in which the content of the file began.
    period: Option<i64>,
    max_bytes: Option<u64>,
    every: Option<Period>,
    keep: usize,
    now: Dates,
    offset: UtcOffset,
    /// Until when rotation is paused, because it failed.
    pause: i64,
}

/// How often a [`LogFile`] is rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Period {
    /// At each full hour.
    Hour,
    /// At midnight.
    Day,
}

/// Reopens a [`LogFile`].
#[derive(Clone)]
pub struct LogFileHandle(Arc<SharedFile>);

/// The state that a file and its handles share.
struct SharedFile {
    path: PathBuf,
    /// The file to continue with. The lock is held to move and open files, never to write to one.
    next: Mutex<Option<File>>,
}

impl LogFile {
    /// Opens a file for appending, and creates it if it does not exist.
    ///
    /// # Errors
    ///
    /// If it cannot be opened; the text names it.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let shared = Arc::new(SharedFile {
            path: path.into(),
            next: Mutex::new(None),
        });
        let mut file = LogFile {
            file: shared.open()?,
            shared,
            size: 0,
            period: None,
            max_bytes: None,
            every: None,
            keep: KEEP,
            now: clock::dates(),
            offset: UtcOffset::UTC,
            pause: i64::MIN,
        };
        file.measure();
        Ok(file)
    }

    /// Rotates the file before a line would make it longer than this; never by default.
    ///
    /// A longer line gets a file of its own.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// Rotates the file with the first line of each period; never by default.
    pub fn every(mut self, period: Period) -> Self {
        self.every = Some(period);
        self.measure();
        self
    }

    /// Sets how many old files are kept; seven by default. With 0 the file is removed.
    pub fn keep(mut self, files: usize) -> Self {
        self.keep = files;
        self
    }

    /// Sets the offset from UTC in which periods begin; 0 by default.
    pub fn utc_offset(mut self, offset: UtcOffset) -> Self {
        self.offset = offset;
        self.measure();
        self
    }

    /// Sets the clock for periods; the system's by default.
    pub fn clock(mut self, now: impl Fn() -> OffsetDateTime + Send + Sync + 'static) -> Self {
        self.now = Arc::new(now);
        self
    }

    /// Returns a handle to reopen the file.
    #[must_use]
    pub fn handle(&self) -> LogFileHandle {
        LogFileHandle(self.shared.clone())
    }

    /// Finds the length of the file, and its period.
    fn measure(&mut self) {
        let facts = self.file.metadata().ok();
        self.size = facts.as_ref().map_or(0, fs::Metadata::len);
        let modified = facts.and_then(|facts| facts.modified().ok());
        self.period = modified.and_then(|time| self.period_of(time.into()));
    }

    fn period_of(&self, time: OffsetDateTime) -> Option<i64> {
        let seconds = match self.every? {
            Period::Hour => 3_600,
            Period::Day => 86_400,
        };
        let local = time.unix_timestamp() + i64::from(self.offset.whole_seconds());
        Some(local.div_euclid(seconds))
    }

    /// Continues with another file if one was opened.
    fn take_next(&mut self) {
        let next = self.shared.next().take();
        if let Some(file) = next {
            self.file = file;
            self.measure();
        }
    }

    /// Renames the files and opens a new one; if that fails, reports it and keeps the file.
    fn rotate(&mut self, now: OffsetDateTime) {
        if now.unix_timestamp() < self.pause {
            return;
        }
        match self.shared.rotate(self.keep) {
            Ok(file) => {
                self.file = file;
                self.size = 0;
            }
            Err(error) => {
                self.pause = now.unix_timestamp() + TRY_AGAIN;
                let path = self.shared.path.display();
                // If this fails too, there is no place to report it.
                let _ = writeln!(io::stderr(), "access log: cannot rotate {path}: {error}");
            }
        }
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.take_next();
        let now = (self.now)();
        let period = self.period_of(now);
        if self.size > 0 && period != self.period {
            self.rotate(now);
        }
        if self.size == 0 {
            self.period = period;
        }
        let mut fitting = fitting(self.size, self.max_bytes, bytes);
        if fitting == 0 {
            let before = self.size;
            self.rotate(now);
            fitting = match self.size < before {
                true => self::fitting(0, self.max_bytes, bytes),
                false => bytes.len(),
            };
        }
        let written = self.file.write(bytes.get(..fitting).unwrap_or(bytes))?;
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// How many of these bytes, in whole lines, fit into a file of this size; at least one line if the file is empty.
fn fitting(size: u64, max: Option<u64>, lines: &[u8]) -> usize {
    let room = max.map_or(u64::MAX, |max| max.saturating_sub(size));
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    let Some(head) = lines.get(..room) else {
        return lines.len();
    };
    let is_end = |byte: &u8| *byte == b'\n';
    match head.iter().rposition(is_end) {
        Some(at) => at + 1,
        None if size == 0 => lines
            .iter()
            .position(is_end)
            .map_or(lines.len(), |at| at + 1),
        None => 0,
    }
}

impl SharedFile {
    fn next(&self) -> MutexGuard<'_, Option<File>> {
        unpoisoned(self.next.lock())
    }

    fn open(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
        options.open(&self.path).map_err(|error| {
            let path = self.path.display();
            io::Error::new(error.kind(), format!("cannot open {path}: {error}"))
        })
    }

    fn rotate(&self, keep: usize) -> io::Result<File> {
        let mut next = self.next();
        for number in (0..keep).rev() {
            let (from, to) = (
                numbered(&self.path, number),
                numbered(&self.path, number + 1),
            );
            if_there(fs::rename(from, to))?;
        }
        if keep == 0 {
            if_there(fs::remove_file(&self.path))?;
        }
        *next = None;
        self.open()
    }
}

/// `access.log.2` for 2; the file itself for 0.
fn numbered(path: &Path, number: usize) -> PathBuf {
    let mut name = OsString::from(path);
    if number > 0 {
        name.push(format!(".{number}"));
    }
    PathBuf::from(name)
}

fn if_there(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

impl LogFileHandle {
    /// Opens the file by its name, and continues the log there; use it after the file was moved.
    ///
    /// The file exists when this returns, and gets all lines that are written from then on.
    ///
    /// # Errors
    ///
    /// If it cannot be opened; the log then continues with its current file.
    pub fn reopen(&self) -> io::Result<()> {
        // Not while the log itself renames files.
        let mut next = self.0.next();
        *next = Some(self.0.open()?);
        Ok(())
    }
}

impl fmt::Debug for LogFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogFile")
            .field("path", &self.shared.path)
            .field("size", &self.size)
            .field("max_bytes", &self.max_bytes)
            .field("every", &self.every)
            .field("keep", &self.keep)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for LogFileHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogFileHandle").field(&self.0.path).finish()
    }
}

#[cfg(test)]
mod tests;
