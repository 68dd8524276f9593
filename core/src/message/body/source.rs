//! Sources that are read at an offset, and their segments, which make up a body.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use crate::message::error::BoxError;

/// A source whose bytes are read at an offset: a file, an entry of an archive, bytes in memory.
///
/// Many bodies may read one source at the same time, so a read moves no position.
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::{Body, ReadAt, Segment, SourceRead};
/// use std::sync::Arc;
///
/// /// An endless run of zeros.
/// struct Zeros;
///
/// impl ReadAt for Zeros {
///     fn read_at(&self, _offset: u64, limit: usize) -> SourceRead {
///         SourceRead::new(vec![0; limit.min(1024)])
///     }
/// }
///
/// let body = Body::from_segments([Segment::new(Arc::new(Zeros), 0..5000)]);
/// assert_eq!(body.known_length(), Some(5000));
/// assert_eq!(pollster::block_on(body.collect(5000)).unwrap(), vec![0; 5000]);
/// ```
pub trait ReadAt: Send + Sync + 'static {
    /// Reads at least one and at most `limit` bytes from `offset` on; no bytes mean that the source ends there.
    ///
    /// It runs on the event loop, so it must not block: a source that takes time returns [`SourceRead::from_future`].
    /// The future is dropped when its bytes are no longer needed.
    fn read_at(&self, offset: u64, limit: usize) -> SourceRead;

    /// The path and the length, if this source is a file; `None` by default.
    ///
    /// With it a web server can send the file by itself; see [`Body::whole_file`](crate::Body::whole_file).
    fn as_file(&self) -> Option<(&Path, u64)> {
        None
    }
}

/// Bytes in memory; reads do not copy them.
impl ReadAt for Bytes {
    fn read_at(&self, offset: u64, limit: usize) -> SourceRead {
        let start = usize::try_from(offset).map_or(self.len(), |offset| offset.min(self.len()));
        SourceRead::new(self.slice(start..self.len().min(start.saturating_add(limit))))
    }
}

/// The result of [`ReadAt::read_at`]: the bytes, if they are in memory, or a future of them.
#[must_use = "a read that is not looked at reads nothing"]
pub struct SourceRead(pub(super) ReadState);

pub(super) type ReadResult = Result<Bytes, BoxError>;

pub(super) enum ReadState {
    Ready(ReadResult),
    Pending(ReadFuture),
}

pub(super) type ReadFuture = Pin<Box<dyn Future<Output = ReadResult> + Send>>;

impl SourceRead {
    /// These bytes, at once; no bytes mean that the source ends here.
    pub fn new(bytes: impl Into<Bytes>) -> SourceRead {
        SourceRead(ReadState::Ready(Ok(bytes.into())))
    }

    /// A source that cannot be read: the body fails.
    pub fn failed(error: impl Into<BoxError>) -> SourceRead {
        SourceRead(ReadState::Ready(Err(error.into())))
    }

    /// Bytes that come later.
    pub fn from_future(
        future: impl Future<Output = Result<Bytes, BoxError>> + Send + 'static,
    ) -> SourceRead {
        SourceRead(ReadState::Pending(Box::pin(future)))
    }
}

impl fmt::Debug for SourceRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            ReadState::Ready(read) => f.debug_tuple("Ready").field(read).finish(),
            ReadState::Pending(_) => f.write_str("Pending"),
        }
    }
}

/// A part of a body: bytes in memory, or a range of a source that is read when it is sent.
///
/// A clone copies no bytes.
#[derive(Clone)]
pub struct Segment(pub(super) Part);

#[derive(Clone)]
pub(super) enum Part {
    Memory(Bytes),
    Source(Arc<dyn ReadAt>, Range<u64>),
}

impl Segment {
    /// This range of the bytes of `source`; a range whose end is not after its start is empty.
    pub fn new(source: Arc<dyn ReadAt>, range: Range<u64>) -> Segment {
        Segment(Part::Source(source, range))
    }

    /// The number of bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        match &self.0 {
            Part::Memory(bytes) => bytes.len() as u64,
            Part::Source(_, range) => range.end.saturating_sub(range.start),
        }
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The part within `range`, which counts from the segment's own start and may go beyond its end.
    pub(super) fn within(&self, range: &Range<u64>) -> Segment {
        let start = range.start.min(self.len());
        let end = range.end.clamp(start, self.len());
        Segment(match &self.0 {
            Part::Memory(bytes) => {
                // The length in memory is a `usize`, and the offsets are within it.
                let at = |offset: u64| usize::try_from(offset).unwrap_or(bytes.len());
                Part::Memory(bytes.slice(at(start)..at(end)))
            }
            Part::Source(source, whole) => {
                Part::Source(source.clone(), whole.start + start..whole.start + end)
            }
        })
    }
}

impl<T: Into<Bytes>> From<T> for Segment {
    fn from(bytes: T) -> Segment {
        Segment(Part::Memory(bytes.into()))
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Part::Memory(bytes) => write!(f, "Segment({} bytes in memory)", bytes.len()),
            Part::Source(_, range) => write!(f, "Segment({}..{})", range.start, range.end),
        }
    }
}
