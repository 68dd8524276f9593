//! A file that is rotated, and opened anew when somebody else has moved it.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use enfilade_core::unpoisoned;

use time::{OffsetDateTime, UtcOffset};

use super::clock::{self, Dates};

/// How many old files are kept.
const KEEP: usize = 7;
/// How long to write on after a rotation failed, in seconds.
const TRY_AGAIN: i64 = 60;

/// A file for the lines of an [`AccessLog`](crate::AccessLog), rotated by size or time, and opened anew on request.
///
/// By itself it only grows: [`max_bytes`](LogFile::max_bytes) and [`every`](LogFile::every) rotate it, both may be set.
/// The file `access.log` then becomes `access.log.1`, what was that `access.log.2`, and so on; seven old ones are kept.
/// A line is never divided. Where another program rotates (logrotate), the [`handle`](LogFile::handle) tells this one to
/// open the file anew: on SIGHUP, or whenever it is asked.
///
/// Where a rotation fails, lines go to the file as it is, why is told on standard error, and it is tried again a minute
/// later. The file and its folder are touched by the thread of the log alone, but for [`open`](LogFile::open) and
/// [`reopen`](LogFileHandle::reopen). On Unix its owner may read and write it, its group read it, and nobody else.
///
/// # Example
///
/// ```
/// use enfilade_core::{Application, Request};
/// use enfilade_middleware::{AccessLog, LogFile, Period};
/// # fn main() -> std::io::Result<()> {
/// # let folder = std::env::temp_dir().join(format!("enfilade-log-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("access.log");
///
/// let file = LogFile::open(&path)?.max_bytes(100_000_000).every(Period::Day).keep(30);
/// let handle = file.handle();
/// let app = Application::new(|_: Request| "x").wrap(AccessLog::combined().writer(file));
///
/// // In a server: `server.on_hangup(move || ...)`.
/// std::fs::rename(&path, folder.join("moved.log"))?;
/// handle.reopen()?;
/// assert!(path.exists());
/// # drop(app);
/// # std::fs::remove_dir_all(&folder)
/// # }
/// ```
#[must_use = "a file that nothing is written to"]
pub struct LogFile {
    shared: Arc<SharedFile>,
    file: File,
    size: u64,
    /// When what is in the file began, in periods.
    period: Option<i64>,
    max_bytes: Option<u64>,
    every: Option<Period>,
    keep: usize,
    now: Dates,
    offset: UtcOffset,
    /// Until when no rotation is tried, because one failed.
    pause: i64,
}

/// How long a [`LogFile`] is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Period {
    /// From one full hour to the next.
    Hour,
    /// From midnight to midnight.
    Day,
}

/// Opens a [`LogFile`] anew.
#[derive(Clone)]
pub struct LogFileHandle(Arc<SharedFile>);

/// What a file and its handles share.
struct SharedFile {
    path: PathBuf,
    /// A file to go on with. The lock is held for moving and opening files, never for writing to one.
    next: Mutex<Option<File>>,
}

impl LogFile {
    /// Opens a file to append to, and makes it where it is not there.
    ///
    /// # Errors
    ///
    /// Where it cannot be opened; the text names it.
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
    /// A line that is longer has a file of its own.
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

    /// Sets how many old files are kept; seven by default, and with none the file is removed.
    pub fn keep(mut self, files: usize) -> Self {
        self.keep = files;
        self
    }

    /// Sets the offset from UTC in which periods begin; none by default.
    pub fn utc_offset(mut self, offset: UtcOffset) -> Self {
        self.offset = offset;
        self.measure();
        self
    }

    /// Sets the clock that periods are read from; the system's by default.
    pub fn clock(mut self, now: impl Fn() -> OffsetDateTime + Send + Sync + 'static) -> Self {
        self.now = Arc::new(now);
        self
    }

    /// A handle with which the file is opened anew.
    #[must_use]
    pub fn handle(&self) -> LogFileHandle {
        LogFileHandle(self.shared.clone())
    }

    /// Finds out how long the file is, and of which period.
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

    /// Goes on with another file where one was opened.
    fn take_next(&mut self) {
        let next = self.shared.next().take();
        if let Some(file) = next {
            self.file = file;
            self.measure();
        }
    }

    /// Moves the files on and opens a new one; where that fails, it is told and the file stays.
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
                // Where this cannot be written either, there is nobody left to tell.
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

/// How many of these lines a file of this size takes; one line at least where it is empty.
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
    /// Opens the file by its name, and lets the log go on with that; for when it has been moved.
    ///
    /// It is there when this returns, and gets the lines that are written from now on.
    ///
    /// # Errors
    ///
    /// Where it cannot be opened; the log then goes on with the file that it has.
    pub fn reopen(&self) -> io::Result<()> {
        // Not while the log moves files itself.
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
