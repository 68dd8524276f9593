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
mod tests {
    use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

    use time::macros::offset;

    use super::*;

    /// A folder that is removed with its content.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Folder {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("enfilade-log-file-{}-{number}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).unwrap();
            Folder(path)
        }

        fn log(&self) -> PathBuf {
            self.0.join("access.log")
        }

        /// The files by name, with what they have.
        fn files(&self) -> Vec<(String, String)> {
            let entries = fs::read_dir(&self.0)
                .unwrap()
                .map(|pending| pending.unwrap().path());
            let mut files: Vec<_> = entries
                .map(|path| {
                    let name = path.file_name().unwrap().to_string_lossy().into_owned();
                    (name, fs::read_to_string(path).unwrap())
                })
                .collect();
            files.sort();
            files
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn owned(files: &[(&str, &str)]) -> Vec<(String, String)> {
        let own = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        files.iter().map(own).collect()
    }

    #[test]
    fn what_fits_is_whole_lines() {
        let cases = [
            (0, None, "ab\ncd\n", 6),
            (0, Some(6), "ab\ncd\n", 6),
            (0, Some(5), "ab\ncd\n", 3),
            (0, Some(2), "ab\ncd\n", 3),
            (0, Some(0), "ab\ncd\n", 3),
            (0, Some(1), "abcd", 4),
            (1, Some(2), "ab\ncd\n", 0),
            (1, Some(4), "ab\ncd\n", 3),
            (9, Some(4), "ab\n", 0),
            (0, Some(4), "", 0),
        ];
        for (size, max, lines, expected) in cases {
            assert_eq!(
                fitting(size, max, lines.as_bytes()),
                expected,
                "{size} {max:?} {lines:?}"
            );
        }
    }

    #[test]
    fn a_file_is_rotated_by_size() {
        let folder = Folder::new();
        fs::write(folder.log(), "there\n").unwrap();
        let mut file = LogFile::open(folder.log()).unwrap().max_bytes(8).keep(2);
        file.write_all(b"1\n2\n3\n4\n5\n6\n7\n8\n9\nlonger than that\nx\n")
            .unwrap();
        let expected = [
            ("access.log", "x\n"),
            ("access.log.1", "longer than that\n"),
            ("access.log.2", "6\n7\n8\n9\n"),
        ];
        assert_eq!(folder.files(), owned(&expected));
        let mut none = LogFile::open(folder.log()).unwrap().max_bytes(2).keep(0);
        none.write_all(b"y\n").unwrap();
        assert_eq!(folder.files()[0].1, "y\n");
        assert_eq!(folder.files().len(), 3);
    }

    #[test]
    fn a_file_is_rotated_by_time() {
        for (period, offset, times) in [
            (Period::Hour, offset!(UTC), [3_599, 3_600, 7_199, 7_200]),
            (Period::Hour, offset!(+0:30), [1_799, 1_800, 5_399, 5_400]),
            (Period::Day, offset!(-1), [89_999, 90_000, 176_399, 176_400]),
        ] {
            let folder = Folder::new();
            let time = Arc::new(AtomicI64::new(0));
            let clock = time.clone();
            let now =
                move || OffsetDateTime::from_unix_timestamp(clock.load(Ordering::Relaxed)).unwrap();
            let file = LogFile::open(folder.log()).unwrap();
            let mut file = file.clock(now).every(period).utc_offset(offset);
            for (number, seconds) in times.into_iter().enumerate() {
                time.store(seconds, Ordering::Relaxed);
                file.write_all(format!("{number}\n").as_bytes()).unwrap();
            }
            let expected = [
                ("access.log", "3\n"),
                ("access.log.1", "1\n2\n"),
                ("access.log.2", "0\n"),
            ];
            assert_eq!(folder.files(), owned(&expected));
        }
    }

    #[test]
    fn a_file_of_yesterday_is_rotated_after_a_restart() {
        let folder = Folder::new();
        fs::write(folder.log(), "old\n").unwrap();
        let tomorrow = clock::dates()() + time::Duration::DAY;
        let file = LogFile::open(folder.log()).unwrap().clock(move || tomorrow);
        let mut file = file.every(Period::Day);
        file.write_all(b"new\n").unwrap();
        let expected = [("access.log", "new\n"), ("access.log.1", "old\n")];
        assert_eq!(folder.files(), owned(&expected));
    }

    #[test]
    fn a_file_that_was_moved_is_opened_anew() {
        let folder = Folder::new();
        let mut file = LogFile::open(folder.log()).unwrap().max_bytes(9);
        let handle = file.handle();
        file.write_all(b"before\n").unwrap();
        fs::rename(folder.log(), folder.0.join("moved")).unwrap();
        file.write_all(b"-\n").unwrap();
        handle.reopen().unwrap();
        assert_eq!(folder.files()[0].1, "", "it is there at once");
        file.write_all(b"after\n").unwrap();
        let expected = [("access.log", "after\n"), ("moved", "before\n-\n")];
        assert_eq!(folder.files(), owned(&expected));
        // One that was not moved is gone on with.
        handle.reopen().unwrap();
        file.write_all(b"x\n").unwrap();
        file.write_all(b"yy\n").unwrap();
        assert_eq!(folder.files()[0].1, "yy\n");
        assert_eq!(folder.files()[1].1, "after\nx\n");
    }

    #[test]
    fn no_line_is_lost_where_a_rotation_fails() {
        let folder = Folder::new();
        let time = Arc::new(AtomicI64::new(0));
        let clock = time.clone();
        let now =
            move || OffsetDateTime::from_unix_timestamp(clock.load(Ordering::Relaxed)).unwrap();
        let file = LogFile::open(folder.log()).unwrap().max_bytes(4);
        let mut file = file.clock(now);
        // A folder with something in it cannot be replaced.
        let in_the_way = folder.0.join("access.log.1");
        fs::create_dir_all(in_the_way.join("x")).unwrap();
        file = file.keep(1);
        file.write_all(b"one\n").unwrap();
        file.write_all(b"two\n").unwrap();
        assert_eq!(fs::read_to_string(folder.log()).unwrap(), "one\ntwo\n");
        fs::remove_dir_all(in_the_way).unwrap();
        file.write_all(b"3\n").unwrap();
        time.store(TRY_AGAIN, Ordering::Relaxed);
        file.write_all(b"4\n").unwrap();
        let expected = [("access.log", "4\n"), ("access.log.1", "one\ntwo\n3\n")];
        assert_eq!(folder.files(), owned(&expected));
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let folder = Folder::new();
        let path = folder.0.join("no such folder/access.log");
        let error = LogFile::open(&path).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with(&format!("cannot open {}: ", path.display()))
        );
        let file = LogFile::open(folder.log()).unwrap();
        let handle = file.handle();
        fs::remove_dir_all(&folder.0).unwrap();
        assert_eq!(handle.reopen().unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(format!("{file:?} {handle:?}").contains("access.log"));
    }

    #[cfg(unix)]
    #[test]
    fn a_log_is_not_for_everybody() {
        use std::os::unix::fs::PermissionsExt;
        let folder = Folder::new();
        drop(LogFile::open(folder.log()).unwrap());
        let mode = fs::metadata(folder.log()).unwrap().permissions().mode();
        assert_eq!(mode & 0o027, 0, "{mode:o}");
    }
}
