//! The content of a compressed entry, inflated while it is read.

use std::fmt;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use enfilade_core::{BoxError, ReadAt, SourceRead, unpoisoned};
use flate2::Crc;
use flate2::bufread::DeflateDecoder;

use super::archive::{Archive, Section};

/// How much of the archive is read at once, in bytes.
const READ: usize = 32 * 1024;
/// The number of places from which reads can continue: several bodies may read one source.
const PLACES: usize = 8;

/// A compressed entry as a source.
///
/// A read that continues where another ended goes on from there; any other begins at the start of the entry. So a body,
/// which reads from its start to its end, inflates the entry once, in little memory.
#[derive(Clone)]
pub(super) struct Inflate(Arc<Shared>);

struct Shared {
    archive: Arc<Archive>,
    data: Range<u64>,
    length: u64,
    checksum: u32,
    places: Mutex<Vec<Inflating>>,
}

/// A place in the content.
struct Inflating {
    position: u64,
    decoder: DeflateDecoder<io::BufReader<Section>>,
    checksum: Crc,
}

impl Inflate {
    pub(super) fn new(
        archive: Arc<Archive>,
        data: Range<u64>,
        length: u64,
        checksum: u32,
    ) -> Inflate {
        Inflate(Arc::new(Shared {
            archive,
            data,
            length,
            checksum,
            places: Mutex::default(),
        }))
    }
}

impl ReadAt for Inflate {
    fn read_at(&self, offset: u64, limit: usize) -> SourceRead {
        let shared = self.0.clone();
        SourceRead::from_future(blocking::unblock(move || shared.read(offset, limit)))
    }
}

impl Shared {
    fn read(&self, offset: u64, limit: usize) -> Result<Bytes, BoxError> {
        let mut place = self.take(offset);
        place.skip_to(offset)?;
        let left = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let content = place.read(limit.min(left))?;
        let is_over = place.position == self.length;
        if is_over && !content.is_empty() && place.checksum.sum() != self.checksum {
            return Err("the checksum of an entry of the archive is wrong".into());
        }
        if !is_over {
            let mut places = unpoisoned(self.places.lock());
            if places.len() >= PLACES {
                places.remove(0);
            }
            places.push(place);
        }
        Ok(content)
    }

    /// A place at this offset, or the start.
    fn take(&self, offset: u64) -> Inflating {
        let mut places = unpoisoned(self.places.lock());
        let known = places.iter().position(|place| place.position == offset);
        match known {
            Some(at) => places.remove(at),
            None => Inflating {
                position: 0,
                decoder: DeflateDecoder::new(io::BufReader::with_capacity(
                    READ,
                    Section {
                        archive: self.archive.clone(),
                        data: self.data.clone(),
                    },
                )),
                checksum: Crc::new(),
            },
        }
    }
}

impl Inflating {
    fn skip_to(&mut self, offset: u64) -> io::Result<()> {
        while self.position < offset {
            let left = usize::try_from(offset - self.position).unwrap_or(usize::MAX);
            if self.read(left.min(READ))?.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Reads this many bytes, or up to the end of the stream.
    fn read(&mut self, count: usize) -> io::Result<Bytes> {
        let mut content = Vec::with_capacity(count);
        let read = (&mut self.decoder)
            .take(count as u64)
            .read_to_end(&mut content)?;
        self.position += read as u64;
        self.checksum.update(&content);
        Ok(content.into())
    }
}

impl fmt::Debug for Inflate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inflate({} bytes)", self.0.length)
    }
}
