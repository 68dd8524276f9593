//! Bodies: empty, in memory, segments of sources, or a stream; each reports its end reliably.

pub(in crate::message) mod end;
mod from;
pub(crate) mod inspect;
pub(crate) mod peek;
mod read;
mod segments;
pub(crate) mod source;
mod stream;
mod upgrade;

use std::any::Any;
use std::fmt;
use std::mem::ManuallyDrop;

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use http::HeaderMap;

use self::end::Watch;
pub use self::end::{BodyEnd, Outcome};
use self::segments::Segments;
use self::stream::{BoxStream, FromStream, Iter, Mapped, WithTrailers};
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

    /// The buffers of a body in memory, in order, to look at them; `None` if it is not in memory.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::Body;
    ///
    /// let body = Body::from_list(["hall, ", "salon"]);
    /// assert_eq!(body.buffers().unwrap(), ["hall, ", "salon"]);
    /// assert!(Body::from_iterator(["hall"]).buffers().is_none());
    /// ```
    #[must_use]
    pub fn buffers(&self) -> Option<&[Bytes]> {
        match &*self.content {
            Content::Empty => Some(&[]),
            Content::Full(bytes) => Some(std::slice::from_ref(bytes)),
            Content::List(list, _) => Some(list.as_slice()),
            Content::Segments(_) | Content::Stream(_) | Content::Rest(..) | Content::Upgrade(_) => {
                None
            }
        }
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

    fn take_content(&mut self) -> Content {
        std::mem::replace(&mut *self.content, Content::Empty)
    }
}

fn join(list: std::vec::IntoIter<Bytes>, length: u64) -> Bytes {
    let mut all = BytesMut::with_capacity(usize::try_from(length).unwrap_or(0));
    list.for_each(|bytes| all.extend_from_slice(&bytes));
    all.freeze()
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
