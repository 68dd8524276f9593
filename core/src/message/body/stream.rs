//! The sources of a streaming body.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;
use sync_wrapper::SyncWrapper;

use super::Body;
use crate::message::error::BodyError;
use crate::message::error::BoxError;
use crate::message::unwind::{Panic, drop_quietly};

pub(super) trait Source: HttpBody<Data = Bytes, Error = BodyError> + Send {}

impl<S: HttpBody<Data = Bytes, Error = BodyError> + Send> Source for S {}

type NextFrame<E> = Poll<Option<Result<Frame<Bytes>, E>>>;

/// A boxed source that threads may share, and whose panic is a failure of the body.
///
/// The box is only reached through `&mut`, which makes this type `Sync`. Its size hint and end are asked for through
/// `&`, so they are noted after each frame.
pub(super) struct BoxStream {
    source: SyncWrapper<Pin<Box<dyn Source>>>,
    hint: SizeHint,
    ended: bool,
}

impl BoxStream {
    pub(super) fn new(source: impl Source + 'static) -> BoxStream {
        let (hint, ended) = (source.size_hint(), source.is_end_stream());
        BoxStream {
            source: SyncWrapper::new(Box::pin(source)),
            hint,
            ended,
        }
    }

    pub(super) fn poll_frame(&mut self, context: &mut Context<'_>) -> NextFrame<BodyError> {
        let source = self.source.get_mut();
        let polled = Panic::catch(|| {
            let next = ready!(source.as_mut().poll_frame(context));
            let ended = next.is_none() || source.is_end_stream();
            Poll::Ready((next, source.size_hint(), ended))
        });
        let (next, hint, ended) = match polled {
            Ok(polled) => ready!(polled),
            Err(panic) => return Poll::Ready(Some(Err(self.give_up(panic)))),
        };
        (self.hint, self.ended) = (hint, ended);
        Poll::Ready(next)
    }

    /// The values in the source may panic again when dropped.
    fn give_up(&mut self, panic: Panic) -> BodyError {
        let empty = SyncWrapper::new(Box::pin(Body::empty()) as Pin<Box<dyn Source>>);
        let source = std::mem::replace(&mut self.source, empty);
        drop_quietly(source);
        (self.hint, self.ended) = (SizeHint::with_exact(0), true);
        BodyError::panicked(panic)
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.ended
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.hint
    }
}

pin_project! {
    /// A foreign body, with its error converted to ours.
    pub(super) struct Mapped<B> {
        #[pin]
        body: B,
    }
}

impl<B> Mapped<B> {
    pub(super) fn new(body: B) -> Mapped<B> {
        Mapped { body }
    }
}

impl<B> HttpBody for Mapped<B>
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> NextFrame<BodyError> {
        self.project()
            .body
            .poll_frame(context)
            .map_err(BodyError::new)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The buffers of an iterator; empty ones are skipped.
pub(super) struct Iter<I>(Option<I>);

impl<I: Iterator<Item: Into<Bytes>>> Iter<I> {
    pub(super) fn new(iterator: I) -> Iter<I> {
        Iter(Some(iterator))
    }
}

impl<I: Iterator<Item: Into<Bytes>> + Unpin> HttpBody for Iter<I> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> NextFrame<BodyError> {
        let next = self.0.as_mut().and_then(|iterator| {
            iterator
                .map(Into::into)
                .find(|bytes: &Bytes| !bytes.is_empty())
        });
        if next.is_none() {
            self.0 = None;
        }
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }
}

pin_project! {
    /// The buffers of a stream; empty ones are skipped.
    pub(super) struct FromStream<S> {
        #[pin]
        stream: S,
    }
}

impl<S> FromStream<S> {
    pub(super) fn new(stream: S) -> FromStream<S> {
        FromStream { stream }
    }
}

impl<S, T, E> HttpBody for FromStream<S>
where
    S: Stream<Item = Result<T, E>>,
    T: Into<Bytes>,
    E: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> NextFrame<BodyError> {
        let mut stream = self.project().stream;
        loop {
            let next = ready!(stream.as_mut().poll_next(context)).map(|item| item.map(Into::into));
            match next {
                Some(Ok(bytes)) if Bytes::is_empty(&bytes) => {}
                next => {
                    return Poll::Ready(
                        next.map(|item| item.map(Frame::data).map_err(BodyError::new)),
                    );
                }
            }
        }
    }
}

/// A body, followed by trailers.
pub(super) struct WithTrailers {
    body: Body,
    trailers: Option<HeaderMap>,
}

impl WithTrailers {
    pub(super) fn new(body: Body, trailers: HeaderMap) -> WithTrailers {
        WithTrailers {
            body,
            trailers: Some(trailers),
        }
    }
}

impl HttpBody for WithTrailers {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> NextFrame<BodyError> {
        let next = ready!(Pin::new(&mut self.body).poll_frame(context));
        let own = match next {
            Some(Ok(frame)) => match frame.into_trailers() {
                Ok(own) => own,
                Err(data) => return Poll::Ready(Some(Ok(data))),
            },
            None => HeaderMap::new(),
            failed => return Poll::Ready(failed),
        };
        // The content's own trailers and ours are sent as one section (RFC 9112, section 7.1.2).
        let trailers = self.trailers.take().map(|ours| join(own, ours));
        Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn join(mut first: HeaderMap, second: HeaderMap) -> HeaderMap {
    for (name, value) in &second {
        first.append(name, value.clone());
    }
    first
}
