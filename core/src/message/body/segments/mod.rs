//! A body of segments: sent in order, sliced without reading.

use std::collections::VecDeque;
use std::ops::{Bound, Range, RangeBounds};
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use sync_wrapper::SyncWrapper;

use super::read::take_piece;
use super::source::{Part, ReadAt, ReadFuture, ReadState, Segment, SourceRead};
use super::{Body, Content};
use crate::message::error::BodyError;
use crate::message::unwind::{Panic, drop_quietly};

/// The largest read of a source, in bytes.
const READ: usize = 256 * 1024;
/// How many pieces of the gateway's size one read has: with small pieces, many streams hold less memory.
const PIECES: usize = 4;

impl Body {
    /// A body of segments, sent in this order; its length is the sum of their lengths.
    ///
    /// If a source ends before its segment does, the body fails: the response is cut short and never padded. If a
    /// source has grown, nothing beyond its segment is sent.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use std::sync::Arc;
    ///
    /// use enfilade::{Body, ReadAt, Segment};
    /// use enfilade::bytes::Bytes;
    ///
    /// let file: Arc<dyn ReadAt> = Arc::new(Bytes::from("hall, salon, cellar"));
    /// let body = Body::from_segments([
    ///     Segment::from("--part\r\n\r\n"),
    ///     Segment::new(file, 6..11),
    ///     Segment::from("\r\n--part--\r\n"),
    /// ]);
    /// assert_eq!(body.known_length(), Some(27));
    /// let all = pollster::block_on(body.collect(100)).unwrap();
    /// assert_eq!(all, "--part\r\n\r\nsalon\r\n--part--\r\n");
    /// ```
    pub fn from_segments(segments: impl IntoIterator<Item: Into<Segment>>) -> Body {
        let segments = segments.into_iter().map(Into::into);
        Body::of(content(segments.collect()))
    }

    /// Whether [`slice`](Body::slice) works: the body is in memory or made of segments, so its length is known too.
    #[must_use]
    pub fn can_be_sliced(&self) -> bool {
        self.is_in_memory() || matches!(&*self.content, Content::Segments(_))
    }

    /// Keeps only this range of the body's bytes, counted from the next byte to be sent.
    ///
    /// Nothing is read or copied, and end reports stay with the body. Call [`can_be_sliced`](Body::can_be_sliced) first.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::{Body, BodyErrorKind};
    ///
    /// let body = Body::from_list(["hall, ", "salon"]).slice(4..8).unwrap();
    /// assert_eq!(pollster::block_on(body.collect(100)).unwrap(), ", sa");
    /// assert_eq!(Body::from("hall").slice(2..9).unwrap_err().kind(), BodyErrorKind::OutOfRange);
    /// ```
    ///
    /// # Errors
    ///
    /// If the range is outside the body, or if the body is a stream or has trailers. Then the body is dropped.
    pub fn slice(self, range: impl RangeBounds<u64>) -> Result<Body, BodyError> {
        let segments = self.segments(range)?;
        Ok(self.with_segments(segments))
    }

    /// The segments that make up this range of the body's bytes.
    ///
    /// Pass them to [`with_segments`](Body::with_segments) to make another body of the same content, such as several
    /// ranges with text between them.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::{Body, Segment};
    ///
    /// let body = Body::from("hall, salon");
    /// let mut parts = vec![Segment::from("1: ")];
    /// parts.extend(body.segments(6..).unwrap());
    /// parts.push(Segment::from(" 2: "));
    /// parts.extend(body.segments(..4).unwrap());
    /// let body = body.with_segments(parts);
    /// assert_eq!(pollster::block_on(body.collect(100)).unwrap(), "1: salon 2: hall");
    /// ```
    ///
    /// # Errors
    ///
    /// If the range is outside the body, or if the body is a stream or has trailers.
    pub fn segments(&self, range: impl RangeBounds<u64>) -> Result<Vec<Segment>, BodyError> {
        let part = |bytes: &Bytes| Segment(Part::Memory(bytes.clone()));
        let all: Vec<Segment> = match &*self.content {
            Content::Empty => Vec::new(),
            Content::Full(bytes) => vec![part(bytes)],
            Content::List(list, _) => list.as_slice().iter().map(part).collect(),
            Content::Segments(segments) => segments.parts.iter().cloned().collect(),
            Content::Stream(_) | Content::Rest(..) | Content::Upgrade(_) => {
                return Err(BodyError::not_sliceable());
            }
        };
        let range = checked(
            range,
            all.iter().map(Segment::len).fold(0, u64::saturating_add),
        )?;
        let mut start: u64 = 0;
        let parts = all.into_iter().map(|segment| {
            let own = range.start.saturating_sub(start)..range.end.saturating_sub(start);
            start = start.saturating_add(segment.len());
            segment.within(&own)
        });
        Ok(parts.filter(|segment| !segment.is_empty()).collect())
    }

    /// Replaces the content by these segments; end reports stay with the body.
    #[must_use]
    pub fn with_segments(mut self, segments: impl IntoIterator<Item: Into<Segment>>) -> Body {
        *self.content = content(segments.into_iter().map(Into::into).collect());
        self
    }

    /// The path of the file, if this body is one whole file; `None` for any other body.
    ///
    /// By the time the path is opened again, it may name another file.
    #[must_use]
    pub fn whole_file(&self) -> Option<&Path> {
        let Content::Segments(segments) = &*self.content else {
            return None;
        };
        let mut parts = segments.parts.iter();
        match (parts.next(), parts.next()) {
            (Some(Segment(Part::Source(source, range))), None) => {
                let (path, length) = source.as_file()?;
                (*range == (0..length)).then_some(path)
            }
            _ => None,
        }
    }
}

/// These segments as content; in memory if all of them are.
fn content(mut segments: VecDeque<Segment>) -> Content {
    segments.retain(|segment| !segment.is_empty());
    let in_memory = |segment: &Segment| match &segment.0 {
        Part::Memory(bytes) => Some(bytes.clone()),
        Part::Source(..) => None,
    };
    if let Some(buffers) = segments.iter().map(in_memory).collect::<Option<Vec<_>>>() {
        return Content::from_buffers(buffers);
    }
    let length = segments.iter().map(Segment::len);
    Content::Segments(Box::new(Segments {
        length: length.fold(0, u64::saturating_add),
        parts: segments,
        reading: None,
    }))
}

/// The range as numbers, if it is within `length` bytes.
fn checked(range: impl RangeBounds<u64>, length: u64) -> Result<Range<u64>, BodyError> {
    let start = match range.start_bound() {
        Bound::Included(start) => Some(*start),
        Bound::Excluded(before) => before.checked_add(1),
        Bound::Unbounded => Some(0),
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.checked_add(1),
        Bound::Excluded(end) => Some(*end),
        Bound::Unbounded => Some(length),
    };
    match (start, end) {
        (Some(start), Some(end)) if start <= end && end <= length => Ok(start..end),
        _ => Err(BodyError::out_of_range(length)),
    }
}

/// The rest of a body of segments, of which at least one was a source.
pub(super) struct Segments {
    /// In order; no part is empty. Bytes that were read stand before the rest of their source.
    parts: VecDeque<Segment>,
    /// The sum of their lengths.
    pub(super) length: u64,
    /// The read in progress; it reads the first of the parts.
    reading: Option<Reading>,
}

struct Reading {
    future: SyncWrapper<ReadFuture>,
    limit: usize,
}

impl Segments {
    /// The next bytes, at most `limit`; `None` at the end.
    pub(super) fn poll_piece(
        &mut self,
        context: &mut Context<'_>,
        limit: usize,
    ) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            let (source, range) = match self.parts.front_mut().map(|segment| &mut segment.0) {
                None => return Poll::Ready(None),
                Some(Part::Memory(bytes)) => {
                    let piece = take_piece(bytes, limit);
                    if bytes.is_empty() {
                        self.parts.pop_front();
                    }
                    self.length = self.length.saturating_sub(piece.len() as u64);
                    return Poll::Ready(Some(Ok(piece)));
                }
                Some(Part::Source(source, range)) => (source, range),
            };
            match ready!(poll_read(&mut self.reading, source, range, context, limit)) {
                Ok(bytes) => {
                    range.start += bytes.len() as u64;
                    if range.is_empty() {
                        self.parts.pop_front();
                    }
                    self.parts.push_front(Segment::from(bytes));
                }
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }

    pub(super) fn count(&self) -> usize {
        self.parts.len()
    }
}

/// Starts a read of `range`, or continues it.
fn poll_read(
    reading: &mut Option<Reading>,
    source: &Arc<dyn ReadAt>,
    range: &Range<u64>,
    context: &mut Context<'_>,
    limit: usize,
) -> Poll<Result<Bytes, BodyError>> {
    let (read, limit) = match reading {
        None => {
            let left = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
            let limit = left.min(READ).min(limit.saturating_mul(PIECES));
            match Panic::catch(|| source.read_at(range.start, limit)) {
                Ok(SourceRead(ReadState::Ready(read))) => (Ok(read), limit),
                Ok(SourceRead(ReadState::Pending(future))) => {
                    let future = SyncWrapper::new(future);
                    *reading = Some(Reading { future, limit });
                    return poll_read(reading, source, range, context, limit);
                }
                Err(panic) => (Err(panic), limit),
            }
        }
        Some(Reading { future, limit }) => {
            let limit = *limit;
            let read = match Panic::catch(|| future.get_mut().as_mut().poll(context)) {
                Ok(Poll::Pending) => return Poll::Pending,
                Ok(Poll::Ready(read)) => Ok(read),
                Err(panic) => Err(panic),
            };
            // The values in the future may panic again when dropped.
            drop_quietly(reading.take());
            (read, limit)
        }
    };
    Poll::Ready(match read {
        Ok(Ok(bytes)) if bytes.is_empty() => Err(BodyError::new(format!(
            "its source ends at byte {} of {}",
            range.start, range.end
        ))),
        Ok(Ok(mut bytes)) => {
            bytes.truncate(limit);
            Ok(bytes)
        }
        Ok(Err(error)) => Err(BodyError::new(error)),
        Err(panic) => Err(BodyError::panicked(panic)),
    })
}

#[cfg(test)]
mod tests;
