//! Bodies: empty, in memory, segments of sources, or a stream; each reports its end reliably.

pub(in crate::message) mod end;
mod from;
pub(crate) mod inspect;
mod segments;
pub(crate) mod source;
mod stream;
mod upgrade;

use std::any::Any;
use std::fmt;
use std::future::poll_fn;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use http::HeaderMap;
use http_body::{Frame, SizeHint};

use self::end::Watch;
pub use self::end::{BodyEnd, Outcome};
use self::segments::Segments;
use self::stream::{BoxStream, FromStream, Iter, Mapped, WithTrailers};
use crate::message::error::BodyError;
use crate::message::error::BoxError;
use crate::message::upgrade::task::UpgradeTask;

/// The content of a request or response.
///
/// A body is empty, one buffer, a list of buffers (WSGI's list of byte strings), a list of [segments](crate::Segment)
/// of sources such as files, or a stream of frames, so trailers survive. A body in memory stays in memory through every
/// wrapper that does not need to change it: [`as_bytes`](Body::as_bytes) returns it.
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::Body;
///
/// assert_eq!(Body::from("salon").as_bytes().unwrap(), "salon");
/// let list = Body::from_list(["hall, ", "salon"]);
/// assert_eq!(list.known_length(), Some(11));
/// let all = pollster::block_on(list.collect(1024)).unwrap();
/// assert_eq!(all, "hall, salon");
/// ```
pub struct Body {
    /// Dropped by `Drop` alone, so that dropping a body, which code all over a program does, is a call and not a copy of
    /// this in each place.
    content: ManuallyDrop<Content>,
    watch: Watch,
}

enum Content {
    Empty,
    Full(Bytes),
    /// In order, with the sum of their lengths; no buffer is empty.
    List(std::vec::IntoIter<Bytes>, u64),
    Segments(Box<Segments>),
    Stream(BoxStream),
    /// Data that was read from a stream and not passed on yet, and the stream.
    Rest(Box<(Bytes, BoxStream)>),
    /// No content: the task that takes over the connection after the head.
    Upgrade(Box<UpgradeTask>),
}

impl Content {
    /// Makes content from buffers, without the empty ones.
    fn from_buffers(mut buffers: Vec<Bytes>) -> Content {
        match buffers.len() {
            0 => Content::Empty,
            1 => Content::Full(buffers.remove(0)),
            _ => {
                let length = buffers.iter().map(|bytes| bytes.len() as u64).sum();
                Content::List(buffers.into_iter(), length)
            }
        }
    }
}

impl Body {
    /// An empty body.
    #[must_use]
    pub fn empty() -> Body {
        Body::of(Content::Empty)
    }

    /// Makes a body from any `http_body::Body`; one of this type is passed through.
    pub fn new<B>(body: B) -> Body
    where
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let mut body = Some(body);
        let any: &mut dyn Any = &mut body;
        if let Some(same) = any.downcast_mut::<Option<Body>>().and_then(Option::take) {
            return same;
        }
        match body {
            Some(body) if !body.is_end_stream() => {
                Body::of(Content::Stream(BoxStream::new(Mapped::new(body))))
            }
            _ => Body::empty(),
        }
    }

    /// A body of buffers that are all in memory: their total length is known.
    pub fn from_list(list: impl IntoIterator<Item: Into<Bytes>>) -> Body {
        let buffers = list
            .into_iter()
            .map(Into::into)
            .filter(|bytes| !bytes.is_empty());
        Body::of(Content::from_buffers(buffers.collect()))
    }

    /// A body whose buffers are made one at a time, when the gateway is ready to send them.
    ///
    /// The iterator runs on the event loop, so it must not block. It is dropped at its end, or as soon as the client
    /// disconnects.
    pub fn from_iterator<I>(iterator: I) -> Body
    where
        I: IntoIterator<Item: Into<Bytes>, IntoIter: Send + Unpin + 'static>,
    {
        Body::of(Content::Stream(BoxStream::new(Iter::new(
            iterator.into_iter(),
        ))))
    }

    /// A body of a stream of buffers.
    ///
    /// An error of the stream aborts the response, so that the client sees it is incomplete.
    pub fn from_stream<S, T, E>(stream: S) -> Body
    where
        S: Stream<Item = Result<T, E>> + Send + 'static,
        T: Into<Bytes> + 'static,
        E: Into<BoxError> + 'static,
    {
        Body::of(Content::Stream(BoxStream::new(FromStream::new(stream))))
    }

    /// Sends `trailers` after the content, and after the content's own trailers.
    #[must_use]
    pub fn with_trailers(self, trailers: HeaderMap) -> Body {
        if self.is_upgrade() {
            return self;
        }
        Body::of(Content::Stream(BoxStream::new(WithTrailers::new(
            self, trailers,
        ))))
    }

    fn of(content: Content) -> Body {
        Body {
            content: ManuallyDrop::new(content),
            watch: Watch::none(),
        }
    }

    /// The whole body, if it is in memory as one buffer; empty bytes for an empty body.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&Bytes> {
        static EMPTY: Bytes = Bytes::new();
        match &*self.content {
            Content::Empty => Some(&EMPTY),
            Content::Full(bytes) => Some(bytes),
            Content::List(..)
            | Content::Segments(_)
            | Content::Stream(_)
            | Content::Rest(..)
            | Content::Upgrade(_) => None,
        }
    }

    /// Whether the whole body is in memory, in one or more buffers; see [`try_into_bytes`](Body::try_into_bytes).
    #[must_use]
    pub fn is_in_memory(&self) -> bool {
        matches!(
            *self.content,
            Content::Empty | Content::Full(_) | Content::List(..)
        )
    }

    /// Takes the whole body if it is in memory, joining a list; then its end is reported as complete.
    ///
    /// # Errors
    ///
    /// Returns the body if it is not in memory.
    pub fn try_into_bytes(mut self) -> Result<Bytes, Body> {
        let bytes = match self.take_content() {
            Content::Empty => Bytes::new(),
            Content::Full(bytes) => bytes,
            Content::List(list, length) => join(list, length),
            other @ (Content::Segments(_)
            | Content::Stream(_)
            | Content::Rest(..)
            | Content::Upgrade(_)) => {
                *self.content = other;
                return Err(self);
            }
        };
        self.watch.count(bytes.len());
        self.watch.end(Outcome::Complete);
        Ok(bytes)
    }

    /// The number of bytes still to come, if known.
    #[must_use]
    pub fn known_length(&self) -> Option<u64> {
        http_body::Body::size_hint(self).exact()
    }

    /// Whether nothing is left: no bytes and no trailers.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        match &*self.content {
            Content::Empty => true,
            Content::Full(bytes) => bytes.is_empty(),
            Content::List(_, length) => *length == 0,
            Content::Segments(segments) => segments.count() == 0,
            Content::Stream(stream) => stream.is_end_stream(),
            Content::Rest(..) | Content::Upgrade(_) => false,
        }
    }

    /// Calls `report` exactly once, when this body has ended: sent to its end, failed, or dropped early.
    ///
    /// The body itself is not changed: a body in memory stays in memory. Several wrappers' reports are called in the
    /// order in which they were added, innermost first.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::{Body, Outcome};
    /// use std::sync::mpsc;
    ///
    /// let (sender, receiver) = mpsc::channel();
    /// let body = Body::from("four").on_end(move |end| sender.send((end.bytes(), end.outcome())).unwrap());
    /// pollster::block_on(body.collect(100)).unwrap();
    /// assert_eq!(receiver.recv().unwrap(), (4, Outcome::Complete));
    /// ```
    #[must_use]
    pub fn on_end(mut self, report: impl FnOnce(BodyEnd) + Send + 'static) -> Body {
        self.watch.add(Box::new(report));
        self
    }

    /// Drops content that HTTP does not send (a response to HEAD, a 304), and reports a complete end.
    ///
    /// Dropping the body instead would report that the client disconnected.
    pub fn discard(mut self) {
        drop(self.take_content());
        self.watch.end(Outcome::Complete);
    }

    /// The next frame: data or trailers; `None` at the end.
    ///
    /// # Errors
    ///
    /// If the source of the body failed; nothing follows the error.
    pub async fn frame(&mut self) -> Option<Result<Frame<Bytes>, BodyError>> {
        poll_fn(|context| http_body::Body::poll_frame(Pin::new(&mut *self), context)).await
    }

    /// Reads the body to its end; trailers are ignored.
    ///
    /// # Errors
    ///
    /// If it is longer than `limit` bytes (nothing beyond the limit is kept), or if its source failed.
    pub async fn collect(mut self, limit: usize) -> Result<Bytes, BodyError> {
        if self
            .known_length()
            .is_some_and(|length| length > limit as u64)
        {
            return Err(BodyError::too_large());
        }
        self = match self.try_into_bytes() {
            Ok(bytes) => return Ok(bytes),
            Err(stream) => stream,
        };
        let mut all = BytesMut::new();
        while let Some(frame) = self.frame().await {
            if let Ok(data) = frame?.into_data() {
                if data.len() > limit - all.len() {
                    return Err(BodyError::too_large());
                }
                all.extend_from_slice(&data);
            }
        }
        Ok(all.freeze())
    }

    /// Polls the next frame, with at most `limit` bytes of data; the rest comes next, without a copy.
    ///
    /// Otherwise as [`http_body::Body::poll_frame`]. It lets a gateway measure how fast its client reads: the body has
    /// not ended while a piece of it is left.
    ///
    /// # Panics
    ///
    /// Panics if `limit` is 0.
    pub fn poll_piece(
        &mut self,
        context: &mut Context<'_>,
        limit: usize,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        assert!(limit > 0, "a piece has at least one byte");
        let next = self.next(context, limit);
        match &next {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Some(Ok(frame))) => {
                self.watch.count(frame.data_ref().map_or(0, Bytes::len));
                // A reader that sees that the end is reached does not poll again, so report the end now.
                if self.is_finished() {
                    self.watch.end(Outcome::Complete);
                }
            }
            Poll::Ready(Some(Err(_))) => {
                // The source of a failed body stops now, and nothing can follow the error.
                *self.content = Content::Empty;
                self.watch.end(Outcome::Failed);
            }
            Poll::Ready(None) => {
                *self.content = Content::Empty;
                self.watch.end(Outcome::Complete);
            }
        }
        next
    }

    fn next(
        &mut self,
        context: &mut Context<'_>,
        limit: usize,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let bytes = match &mut *self.content {
            Content::Empty => None,
            Content::Full(bytes) => {
                let piece = take_piece(bytes, limit);
                if bytes.is_empty() {
                    *self.content = Content::Empty;
                }
                (!piece.is_empty()).then_some(piece)
            }
            Content::List(list, length) => {
                let bytes = match list.as_mut_slice().first_mut() {
                    Some(bytes) if bytes.len() > limit => Some(bytes.split_to(limit)),
                    _ => list.next(),
                };
                *length -= bytes.as_ref().map_or(0, Bytes::len) as u64;
                bytes
            }
            Content::Segments(segments) => {
                let next = ready!(segments.poll_piece(context, limit));
                return Poll::Ready(next.map(|bytes| bytes.map(Frame::data)));
            }
            Content::Stream(stream) => match ready!(stream.poll_frame(context)) {
                Some(Ok(frame)) if frame.data_ref().is_some_and(|data| data.len() > limit) => {
                    let mut rest = frame.into_data().unwrap_or_default();
                    let piece = take_piece(&mut rest, limit);
                    if let Content::Stream(stream) = self.take_content() {
                        *self.content = Content::Rest(Box::new((rest, stream)));
                    }
                    Some(piece)
                }
                next => return Poll::Ready(next),
            },
            Content::Rest(rest) => {
                let piece = take_piece(&mut rest.0, limit);
                if rest.0.is_empty()
                    && let Content::Rest(rest) = self.take_content()
                {
                    *self.content = Content::Stream(rest.1);
                }
                Some(piece)
            }
            Content::Upgrade(_) => {
                let error = BodyError::new("an upgrade has no content");
                return Poll::Ready(Some(Err(error)));
            }
        };
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn take_content(&mut self) -> Content {
        std::mem::replace(&mut *self.content, Content::Empty)
    }
}

/// Splits off at most `limit` bytes.
fn take_piece(bytes: &mut Bytes, limit: usize) -> Bytes {
    if bytes.len() > limit {
        bytes.split_to(limit)
    } else {
        std::mem::take(bytes)
    }
}

fn join(list: std::vec::IntoIter<Bytes>, length: u64) -> Bytes {
    let mut all = BytesMut::with_capacity(usize::try_from(length).unwrap_or(0));
    list.for_each(|bytes| all.extend_from_slice(&bytes));
    all.freeze()
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.poll_piece(context, usize::MAX)
    }

    fn is_end_stream(&self) -> bool {
        self.is_finished()
    }

    fn size_hint(&self) -> SizeHint {
        match &*self.content {
            Content::Empty => SizeHint::with_exact(0),
            Content::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::List(_, length) => SizeHint::with_exact(*length),
            Content::Segments(segments) => SizeHint::with_exact(segments.length),
            Content::Stream(stream) => stream.size_hint(),
            Content::Rest(rest) => {
                let (rest, hint) = (rest.0.len() as u64, rest.1.size_hint());
                let mut all = SizeHint::new();
                all.set_lower(hint.lower().saturating_add(rest));
                if let Some(upper) = hint.upper() {
                    all.set_upper(upper.saturating_add(rest));
                }
                all
            }
            Content::Upgrade(_) => SizeHint::new(),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if !self.watch.is_done() {
            let outcome = if self.is_finished() {
                Outcome::Complete
            } else {
                Outcome::Dropped
            };
            // The source of the body stops before its end is reported.
            *self.content = Content::Empty;
            self.watch.end(outcome);
        } else {
            *self.content = Content::Empty;
        }
    }
}

impl Default for Body {
    fn default() -> Body {
        Body::empty()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.content {
            Content::Empty => f.write_str("Body(empty)"),
            Content::Full(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Content::List(list, length) => {
                write!(f, "Body({length} bytes in {} buffers)", list.len())
            }
            Content::Segments(segments) => {
                let (length, count) = (segments.length, segments.count());
                write!(f, "Body({length} bytes in {count} segments)")
            }
            Content::Stream(_) | Content::Rest(..) => f.write_str("Body(stream)"),
            Content::Upgrade(task) => write!(f, "Body(upgrade to {})", task.protocol()),
        }
    }
}

#[cfg(test)]
mod tests;
