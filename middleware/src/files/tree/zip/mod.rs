//! The files of a zip archive.

mod archive;
mod inflate;

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use enfilade_core::conditional::EntityTag;
use enfilade_core::{Description, OptionValue, Segment};
use rawzip::time::ZipDateTimeKind;
use rawzip::{CompressionMethod, ZipArchiveEntryWayfinder, ZipFileHeaderRecord};
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time};

use self::archive::Archive;
use self::inflate::Inflate;
use super::FileTree;
use super::TreeReply;
use super::entry::{Entry, FileEntry, ListedEntry, Precompressed};
use super::index::Index;
use super::path::TreePath;
use crate::error::{Error, ErrorKind};

/// The header of a gzip member without a name and a time, of an unknown system (RFC 1952, section 2.3).
const GZIP: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\0\xff";
/// The longest file that is inflated by default, in bytes.
const INFLATED: u64 = 64 * 1024 * 1024;

/// The files of a zip archive: a whole site in one file.
///
/// A compressed entry is sent as gzip without being inflated: gzip is the same stream with 10 bytes before it and 8 after
/// it. So nothing is compressed at run time, the length is known, and ranges work. Only for clients that do not accept
/// gzip it is inflated while it is sent, if it is not longer than 64 MiB
/// ([`inflate_limit`](ZipTree::inflate_limit)).
///
/// Only the directory of the archive is read when it is opened. Entries that are encrypted, links, compressed by another
/// method than deflate, or whose names are not paths (such as `../x`) are left out. Tags are weak, made of the checksum and
/// the length. Times without a zone are read as UTC.
///
/// To replace the archive of a running program, put the [`Files`](crate::Files) of it into a [`Swap`](crate::Swap). Do not
/// write into a served archive.
///
/// # Example
///
/// ```no_run
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::Application;
/// use enfilade::middleware::{Files, ZipTree};
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
/// let app = Application::new(Files::new(ZipTree::open("site.zip")?));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ZipTree {
    archive: Arc<Archive>,
    files: Arc<Index<ZipFile>>,
    inflate_limit: u64,
}

#[derive(Clone)]
struct ZipFile {
    place: ZipArchiveEntryWayfinder,
    method: CompressionMethod,
    checksum: u32,
    length: u64,
    modified: Option<OffsetDateTime>,
    /// Where its data is, once its own header was read.
    data: OnceLock<Range<u64>>,
}

impl ZipTree {
    /// Opens an archive on disk, and reads its directory.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or is not a zip archive; the text has its path.
    pub fn open(path: impl AsRef<Path>) -> Result<ZipTree, Error> {
        let path = path.as_ref();
        let opened = File::open(path).map_err(|error| error.to_string());
        let tree = opened.and_then(|file| ZipTree::of(Archive::file(file)?));
        tree.map_err(|error| {
            let text = format!("cannot serve the archive {}: {error}", path.display());
            Error::new(ErrorKind::Directory, text)
        })
    }

    /// Reads an archive that is in memory, such as one that the program embeds.
    ///
    /// # Errors
    ///
    /// If it is not a zip archive.
    pub fn from_bytes(archive: impl Into<Bytes>) -> Result<ZipTree, Error> {
        ZipTree::of(Archive::memory(archive.into())).map_err(|error| {
            let text = format!("cannot serve an archive: {error}");
            Error::new(ErrorKind::Directory, text)
        })
    }

    fn of(archive: Archive) -> Result<ZipTree, String> {
        let archive = Arc::new(archive);
        let files = read_directory(&archive).map_err(|error| error.to_string())?;
        Ok(ZipTree {
            archive,
            files: Arc::new(files),
            inflate_limit: INFLATED,
        })
    }

    /// Sets the length of the longest file that is inflated for clients without gzip, in bytes; 64 MiB by default.
    ///
    /// For longer ones they get a 406. A range near the end costs as much as the whole file.
    #[must_use]
    pub fn inflate_limit(mut self, bytes: u64) -> ZipTree {
        self.inflate_limit = bytes;
        self
    }

    /// The entry of a file; it blocks if the archive is on disk and the file was not requested before.
    fn entry(&self, file: &ZipFile) -> io::Result<Entry> {
        let data = match file.data.get() {
            Some(data) => data.clone(),
            None => {
                let data = self.archive.data_of(file.place, file.place_end())?;
                file.data.get_or_init(|| data).clone()
            }
        };
        let compressed = Segment::new(self.archive.source(), data.clone());
        if file.method == CompressionMethod::STORE {
            let entry = FileEntry::from_segments([compressed]);
            return Ok(Entry::File(file.described(entry, "")));
        }
        let mut end = [0; 8];
        let (checksum, length) = end.split_at_mut(4);
        checksum.copy_from_slice(&file.checksum.to_le_bytes());
        // The length modulo 2^32 (RFC 1952, section 2.3.1).
        let short = u32::try_from(file.length & u64::from(u32::MAX)).unwrap_or_default();
        length.copy_from_slice(&short.to_le_bytes());
        let gzip = FileEntry::from_segments([
            Segment::from(GZIP),
            compressed,
            Segment::from(Bytes::copy_from_slice(&end)),
        ]);
        let inflate = Inflate::new(self.archive.clone(), data, file.length, file.checksum);
        let mut entry = file.described(FileEntry::new(Arc::new(inflate), file.length), "");
        if file.length > self.inflate_limit {
            entry = entry.only_encoded();
        }
        let gzip = file.described(gzip, "-gzip");
        Ok(Entry::File(entry.encoded(Precompressed::Gzip, gzip)))
    }
}

impl ZipFile {
    fn new(record: &ZipFileHeaderRecord<'_>) -> Option<(String, ZipFile)> {
        let method = record.compression_method();
        let is_known = [CompressionMethod::STORE, CompressionMethod::DEFLATE].contains(&method);
        if record.is_dir()
            || !is_known
            || record.flags().is_encrypted()
            || record.mode().is_symlink()
        {
            return None;
        }
        let name = std::str::from_utf8(record.file_path().as_bytes()).ok()?;
        let file = ZipFile {
            place: record.wayfinder(),
            method,
            checksum: record.crc32(),
            length: record.uncompressed_size_hint(),
            modified: modified(record.last_modified()),
            data: OnceLock::new(),
        };
        Some((name.to_owned(), file))
    }

    /// The number of bytes that its data has in the archive.
    fn place_end(&self) -> Option<u64> {
        (self.method == CompressionMethod::STORE).then_some(self.length)
    }

    fn described(&self, entry: FileEntry, suffix: &str) -> FileEntry {
        let tag = format!("{:08x}-{:x}{suffix}", self.checksum, self.length);
        let entry = match EntityTag::weak(tag) {
            Ok(tag) => entry.tag(tag),
            Err(_) => entry,
        };
        match self.modified {
            Some(time) => entry.modified(time),
            None => entry,
        }
    }
}

fn read_directory(archive: &Archive) -> Result<Index<ZipFile>, rawzip::Error> {
    let mut buffer = vec![0; rawzip::RECOMMENDED_BUFFER_SIZE];
    let zip = archive.open(&mut buffer)?;
    let mut buffer = vec![0; rawzip::RECOMMENDED_BUFFER_SIZE];
    let mut entries = zip.entries(&mut buffer);
    let mut files = Index::default();
    while let Some(record) = entries.next_entry()? {
        let Some((name, file)) = ZipFile::new(&record) else {
            continue;
        };
        if let Some(path) = TreePath::from_text(&name).filter(|path| !path.is_root()) {
            files.insert(&path, file);
        }
    }
    Ok(files)
}

/// The time of an entry; none if it is the first day of 1980, which tools set if they know no time.
fn modified(time: ZipDateTimeKind) -> Option<OffsetDateTime> {
    let (year, month, day, hour, minute, second) = match time {
        ZipDateTimeKind::Utc(time) => (
            time.year(),
            time.month(),
            time.day(),
            time.hour(),
            time.minute(),
            time.second(),
        ),
        ZipDateTimeKind::Local(time) => (
            time.year(),
            time.month(),
            time.day(),
            time.hour(),
            time.minute(),
            time.second(),
        ),
    };
    let month = Month::try_from(month).ok()?;
    let date = Date::from_calendar_date(i32::from(year), month, day).ok()?;
    let time = Time::from_hms(hour, minute, second.min(59)).ok()?;
    let is_unknown = year <= 1980 && date.ordinal() == 1;
    (!is_unknown).then(|| PrimitiveDateTime::new(date, time).assume_utc())
}

impl FileTree for ZipTree {
    fn look_up(&self, path: &TreePath<'_>) -> TreeReply<Option<Entry>> {
        let Some(file) = self.files.get(path) else {
            let is_directory = self.files.is_directory(path);
            return TreeReply::new(Ok(is_directory.then_some(Entry::Directory)));
        };
        if file.data.get().is_some() || self.archive.is_in_memory() {
            return TreeReply::new(self.entry(file).map(Some));
        }
        let (tree, path) = (self.clone(), path.clone().into_owned());
        TreeReply::from_future(blocking::unblock(move || {
            tree.files
                .get(&path)
                .map(|file| tree.entry(file))
                .transpose()
        }))
    }

    fn list(&self, path: &TreePath<'_>, limit: usize) -> TreeReply<Option<Vec<ListedEntry>>> {
        let listed = |name: &str, file: &ZipFile| {
            let entry = ListedEntry::file(name).length(file.length);
            match file.modified {
                Some(time) => entry.modified(time),
                None => entry,
            }
        };
        TreeReply::new(Ok(self.files.list(path, limit, listed)))
    }

    fn describe(&self) -> Description {
        Description::new("ZipTree")
            .option("files", self.files.len())
            .option("inflate_limit", OptionValue::size(self.inflate_limit))
    }
}

impl fmt::Debug for ZipTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZipTree")
            .field("files", &self.files.len())
            .field("inflate_limit", &self.inflate_limit)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
