//! Reads bodies: frame by frame, piece by piece, or whole.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};

use super::end::Outcome;
use super::{Body, Content};
use crate::message::error::BodyError;

impl Body {
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
}

/// Splits off at most `limit` bytes.
pub(super) fn take_piece(bytes: &mut Bytes, limit: usize) -> Bytes {
    if bytes.len() > limit {
        bytes.split_to(limit)
    } else {
        std::mem::take(bytes)
    }
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
