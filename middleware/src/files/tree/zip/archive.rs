//! The bytes of an archive: a file on disk, or in memory.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use enfilade_core::ReadAt;
use rawzip::{ReaderAt, ZipArchive, ZipArchiveEntryWayfinder, ZipLocator};

use crate::files::file_source::FileSource;
use crate::files::reading::read_file_at;

#[derive(Debug)]
pub(super) struct Archive {
    bytes: Place,
    length: u64,
}

#[derive(Debug)]
enum Place {
    File(FileSource),
    Memory(Bytes),
}

impl Archive {
    pub(super) fn file(file: File) -> Result<Archive, String> {
        let source = FileSource::new(file).map_err(|error| error.to_string())?;
        Ok(Archive {
            length: source.len(),
            bytes: Place::File(source),
        })
    }

    pub(super) fn memory(bytes: Bytes) -> Archive {
        Archive {
            length: bytes.len() as u64,
            bytes: Place::Memory(bytes),
        }
    }

    pub(super) fn is_in_memory(&self) -> bool {
        matches!(self.bytes, Place::Memory(_))
    }

    /// The bytes as the source of a body.
    pub(super) fn source(&self) -> Arc<dyn ReadAt> {
        match &self.bytes {
            Place::File(source) => Arc::new(source.clone()),
            Place::Memory(bytes) => Arc::new(bytes.clone()),
        }
    }

    pub(super) fn open(&self, buffer: &mut [u8]) -> Result<ZipArchive<&Archive>, rawzip::Error> {
        let located = ZipLocator::new().locate_in_reader(self, buffer, self.length);
        located.map_err(|(_, error)| error)
    }

    /// Where the data of an entry is. It reads the header of the entry.
    pub(super) fn data_of(
        &self,
        place: ZipArchiveEntryWayfinder,
        stored: Option<u64>,
    ) -> io::Result<Range<u64>> {
        let mut buffer = vec![0; rawzip::RECOMMENDED_BUFFER_SIZE];
        let archive = self.open(&mut buffer).map_err(io::Error::other)?;
        let entry = archive.get_entry(place).map_err(io::Error::other)?;
        let (start, end) = entry.compressed_data_range();
        let is_whole = stored.is_none_or(|length| end.checked_sub(start) == Some(length));
        if start > end || end > self.length || !is_whole {
            let text = "the place of an entry in the archive is wrong";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(start..end)
    }
}

impl ReaderAt for &Archive {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match &self.bytes {
            Place::File(source) => read_file_at(source.as_std(), buffer, offset),
            Place::Memory(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let rest = bytes.get(start..).unwrap_or_default();
                let count = rest.len().min(buffer.len());
                let (to, from) = (buffer.get_mut(..count), rest.get(..count));
                if let (Some(to), Some(from)) = (to, from) {
                    to.copy_from_slice(from);
                }
                Ok(count)
            }
        }
    }
}

/// The bytes of an entry, one after the other.
pub(super) struct Section {
    pub(super) archive: Arc<Archive>,
    pub(super) data: Range<u64>,
}

impl io::Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.data.end - self.data.start).unwrap_or(usize::MAX);
        let count = left.min(buffer.len());
        let room = buffer.get_mut(..count).unwrap_or_default();
        let count = (&*self.archive).read_at(room, self.data.start)?;
        self.data.start += count as u64;
        Ok(count)
    }
}
