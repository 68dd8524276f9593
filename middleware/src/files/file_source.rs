//! A file on disk as the source of a body.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::Arc;

use enfilade_core::{Body, ReadAt, Segment, SourceRead};

use crate::files::read_ahead::ReadAhead;
use crate::files::reading::{read, read_cached};

/// Files up to this length, in bytes, are read at once if the system has them in memory.
///
/// Measured with files that it had: 1 KB took 80 us of CPU a response instead of 108, 100 KB 110 instead of 133, and 2 MB
/// 680 instead of 900. 1 GB was slower, 2.3 GB/s instead of 2.8: other threads read the next bytes while some are sent.
const AT_ONCE: u64 = 4 * 1024 * 1024;

/// A regular file; its body has the length that the file had when it was opened.
///
/// It is read while it is sent, 256 KiB at a time: at once if it is up to 4 MiB long and Linux has the bytes in memory, and
/// otherwise on threads that may block (those of the crate `blocking`), so that a slow disk delays no other request. Of a
/// longer file, a body reads the next part while one is sent. Its type is not guessed: set `Content-Type`.
///
/// Virtual files, such as those under `/proc`, have a length of 0 or a wrong one: read them yourself.
///
/// If a file is truncated while it is sent, the response is aborted. If a file grows, it is sent with its old length.
/// Do not write into a file that is served: replace it with `rename`, so that current responses send the old file to
/// its end.
///
/// # Security
///
/// It opens any path that it gets, and follows links. Never make a path from a request without checking it.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::FileSource;
/// use enfilade::{Application, Body, HttpError, Request};
/// use enfilade_testing::Client;
///
/// let app = Application::new(async |_: Request| {
///     let file = FileSource::open("Cargo.toml").await?;
///     Ok::<_, HttpError>(([("content-type", "application/toml")], Body::from(file)))
/// });
/// let response = Client::new(app).get("/").send();
/// assert_eq!(*response.bytes(), std::fs::read("Cargo.toml").unwrap());
/// ```
#[derive(Clone, Debug)]
pub struct FileSource {
    file: Arc<File>,
    path: Option<Arc<Path>>,
    length: u64,
}

impl FileSource {
    /// Opens a regular file for reading, on a thread that may block.
    ///
    /// # Errors
    ///
    /// If it cannot be opened (the kind is the system's), and if it is not a regular file: a directory is
    /// [`IsADirectory`](io::ErrorKind::IsADirectory), a pipe, a socket and a device are
    /// [`InvalidInput`](io::ErrorKind::InvalidInput). Opening a pipe never blocks. The text names the path.
    pub async fn open(path: impl AsRef<Path>) -> io::Result<FileSource> {
        let path: Arc<Path> = path.as_ref().into();
        blocking::unblock(move || {
            let opened = open(&path).and_then(FileSource::new);
            let mut source = opened.map_err(|error| {
                let text = format!("cannot open {}: {error}", path.display());
                io::Error::new(error.kind(), text)
            })?;
            source.path = Some(path);
            Ok(source)
        })
        .await
    }

    /// Uses a file that is already open, with its current length; the position of its cursor does not matter.
    ///
    /// It has no path, so no web server can send it ([`Body::whole_file`]).
    ///
    /// # Errors
    ///
    /// If it is not a regular file, as with [`open`](FileSource::open), and if the system cannot report its type.
    pub fn new(file: File) -> io::Result<FileSource> {
        let facts = file.metadata()?;
        if facts.is_dir() {
            return Err(io::Error::new(
                io::ErrorKind::IsADirectory,
                "it is a directory",
            ));
        }
        if !facts.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is not a regular file",
            ));
        }
        Ok(FileSource {
            length: facts.len(),
            file: Arc::new(file),
            path: None,
        })
    }

    /// Uses an open regular file, whose length is known.
    pub(super) fn with_length(file: File, length: u64) -> FileSource {
        FileSource {
            file: Arc::new(file),
            path: None,
            length,
        }
    }

    #[cfg(feature = "zip")]
    pub(super) fn as_std(&self) -> &File {
        &self.file
    }

    /// Returns the length of the file when it was opened, in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Returns whether the file was empty when it was opened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

/// The whole file.
impl From<FileSource> for Body {
    fn from(source: FileSource) -> Body {
        if source.length <= AT_ONCE {
            return Body::from_segments([Segment::from(source)]);
        }
        let whole = 0..source.length;
        let ahead = ReadAhead::new(source.file, source.path, source.length);
        Body::from_segments([Segment::new(Arc::new(ahead), whole)])
    }
}

/// The whole file.
impl From<FileSource> for Segment {
    fn from(source: FileSource) -> Segment {
        let whole = 0..source.length;
        Segment::new(Arc::new(source), whole)
    }
}

impl ReadAt for FileSource {
    fn read_at(&self, offset: u64, limit: usize) -> SourceRead {
        if self.length <= AT_ONCE
            && let Some(bytes) = read_cached(&self.file, offset, limit)
        {
            return SourceRead::new(bytes);
        }
        let file = self.file.clone();
        SourceRead::from_future(blocking::unblock(move || read(&file, offset, limit)))
    }

    fn as_file(&self) -> Option<(&Path, u64)> {
        Some((self.path.as_deref()?, self.length))
    }
}

/// Opens a pipe without waiting for its other end, and a terminal without becoming its session.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
}

#[cfg(windows)]
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).open(path)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs;
    use std::io::{Read, Seek, SeekFrom, Write};
    use std::path::PathBuf;
    use std::process::Command;

    use pollster::block_on;

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let name = format!("enfilade-file-source-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Folder(path)
        }

        fn file(&self, content: impl AsRef<[u8]>) -> PathBuf {
            let path = self.0.join("file");
            fs::write(&path, content).unwrap();
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_file_is_a_body_of_its_bytes_and_so_are_its_slices() {
        let folder = Folder::new("bytes");
        // More than a buffer, and not a multiple of one.
        let content: Vec<u8> = (0..700_001_u32).map(|n| (n % 251) as u8).collect();
        let path = folder.file(&content);
        let source = block_on(FileSource::open(&path)).unwrap();
        assert_eq!((source.len(), source.is_empty()), (700_001, false));
        let body = Body::from(source.clone());
        assert_eq!(body.whole_file(), Some(&*path));
        assert_eq!(body.known_length(), Some(700_001));
        assert_eq!(block_on(body.collect(700_001)).unwrap(), content);
        for range in [0..1, 5..70_000, 262_143..262_145, 262_144..700_001] {
            let slice = Body::from(source.clone()).slice(range.clone()).unwrap();
            let range = range.start as usize..range.end as usize;
            assert_eq!(block_on(slice.collect(700_001)).unwrap(), content[range]);
        }
    }

    #[test]
    fn a_long_file_has_its_path_and_slices_too() {
        let folder = Folder::new("ahead");
        let length = usize::try_from(AT_ONCE).unwrap() + 300_001;
        let content: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
        let path = folder.file(&content);
        let source = block_on(FileSource::open(&path)).unwrap();
        assert_eq!(Body::from(source.clone()).whole_file(), Some(&*path));
        for start in [0, 1, 262_144, length - 1, length] {
            let rest = Body::from(source.clone()).slice(start as u64..).unwrap();
            assert_eq!(rest.known_length(), Some((length - start) as u64));
            let rest = block_on(rest.collect(length)).unwrap();
            assert!(rest == content[start..], "{start}");
        }
    }

    #[test]
    fn an_open_file_is_read_from_its_beginning_and_keeps_its_cursor() {
        let folder = Folder::new("cursor");
        let mut file = File::open(folder.file("0123456789")).unwrap();
        file.seek(SeekFrom::Start(4)).unwrap();
        let source = FileSource::new(file.try_clone().unwrap()).unwrap();
        assert_eq!(Body::from(source.clone()).whole_file(), None);
        let all = block_on(Body::from(source).collect(10)).unwrap();
        assert_eq!(all, "0123456789");
        let mut rest = String::new();
        file.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "456789");
    }

    #[test]
    fn a_file_that_is_cut_off_fails_and_one_that_grows_keeps_its_length() {
        let folder = Folder::new("length");
        let path = folder.file("0123456789");
        let source = block_on(FileSource::open(&path)).unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"more").unwrap();
        let all = block_on(Body::from(source.clone()).collect(100)).unwrap();
        assert_eq!(all, "0123456789");
        file.set_len(4).unwrap();
        let mut body = Body::from(source);
        let first = block_on(body.frame()).unwrap().unwrap();
        assert_eq!(first.into_data().unwrap(), "0123");
        let error = block_on(body.frame()).unwrap().unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(cause, "its source ends at byte 4 of 10");
    }

    #[test]
    fn a_file_that_is_removed_is_sent_to_its_end() {
        let folder = Folder::new("removed");
        let path = folder.file("0123456789");
        let source = block_on(FileSource::open(&path)).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(
            block_on(Body::from(source).collect(10)).unwrap(),
            "0123456789"
        );
    }

    #[test]
    fn a_file_may_be_longer_than_four_gigabytes() {
        let folder = Folder::new("long");
        let path = folder.file("");
        let length = (5 << 30) + 3;
        let mut file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(length).unwrap();
        file.seek(SeekFrom::Start(length - 3)).unwrap();
        file.write_all(b"end").unwrap();
        let body = Body::from(block_on(FileSource::open(&path)).unwrap());
        assert_eq!(body.known_length(), Some(length));
        let end = body.slice(length - 5..).unwrap();
        assert_eq!(block_on(end.collect(10)).unwrap(), "\0\0end");
        // No system can read at this position.
        let beyond = FileSource::new(File::open(&path).unwrap()).unwrap();
        let segment = Segment::new(Arc::new(beyond), u64::MAX - 2..u64::MAX);
        let mut body = Body::from_segments([segment]);
        assert!(block_on(body.frame()).unwrap().is_err());
    }

    #[test]
    fn an_empty_file_is_an_empty_body() {
        let folder = Folder::new("empty");
        let source = block_on(FileSource::open(folder.file(""))).unwrap();
        assert!(source.is_empty());
        assert!(Body::from(source).is_finished());
    }

    #[test]
    fn what_is_no_regular_file_is_refused_and_nobody_waits_for_it() {
        let folder = Folder::new("refused");
        let pipe = folder.0.join("pipe");
        // A POSIX tool, because the standard library cannot make one.
        assert!(
            Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        let socket = folder.0.join("socket");
        let _socket = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let (no_folder, no_file) = (folder.0.clone(), folder.0.join("none"));
        for (path, kind, why) in [
            (
                pipe,
                io::ErrorKind::InvalidInput,
                "it is not a regular file",
            ),
            (
                PathBuf::from("/dev/zero"),
                io::ErrorKind::InvalidInput,
                "it is not a regular file",
            ),
            (no_folder, io::ErrorKind::IsADirectory, "it is a directory"),
            (
                no_file,
                io::ErrorKind::NotFound,
                "No such file or directory (os error 2)",
            ),
        ] {
            let error = block_on(FileSource::open(&path)).unwrap_err();
            let text = format!("cannot open {}: {why}", path.display());
            assert_eq!((error.kind(), error.to_string()), (kind, text));
        }
        assert!(block_on(FileSource::open(&socket)).is_err());
        let zero = File::open("/dev/zero").unwrap();
        let error = FileSource::new(zero).unwrap_err();
        assert_eq!(error.to_string(), "it is not a regular file");
    }

    #[test]
    fn a_file_that_cannot_be_read_fails_the_body() {
        let folder = Folder::new("unread");
        let path = folder.file("0123");
        let file = OpenOptions::new().write(true).open(path).unwrap();
        let mut body = Body::from(FileSource::new(file).unwrap());
        let error = block_on(body.frame()).unwrap().unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(cause, "Bad file descriptor (os error 9)");
    }
}
