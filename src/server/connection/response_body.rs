//! The body of a response, as hyper reads it.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use enfilade_core::{Body, BodyError, RequestIdValue};
use http::Version;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Sleep;

use crate::server::connection::piece::Piece;

/// How long the connection of HTTP/2 may take to write the data before a failure.
const WRITING: Duration = Duration::from_millis(10);
/// How many bytes are passed on at a time over HTTP/1, to see whether the client reads them.
pub(super) const PIECE: usize = 64 * 1024;
const WRONG_LENGTH: &str = "the body is not as long as its Content-Length";

/// What is notified of a body.
pub trait Watch: Unpin + 'static {
    /// The body has failed; `id` is that of its request.
    fn fails(&self, error: &BodyError, id: Option<&RequestIdValue>);

    /// The body has failed, and the end of the connection must not look like its end.
    fn breaks_off(&self);

    /// The body ends, complete or not, after this many bytes.
    fn ends(&mut self, bytes: u64) {
        let _ = bytes;
    }
}

/// The body of a response, in pieces, with a pause before its failure.
///
/// When a body fails, hyper drops the data that it has not written yet. In the pause hyper writes it, so that the
/// client gets the head and sees that the response was aborted.
pub struct ResponseBody<W: Watch> {
    body: Body,
    /// A frame that was read from the body and is not passed on yet.
    first: Option<Result<Frame<Bytes>, BodyError>>,
    failure: Option<(BodyError, Pause)>,
    version: Version,
    /// The expected number of bytes, and the number so far.
    length: Option<u64>,
    count: u64,
    /// Whether hyper may know the length of the body.
    is_measured: bool,
    /// For the log, if the body panics.
    request_id: Option<RequestIdValue>,
    /// The request counts as in flight until its response is passed on.
    watch: Option<W>,
}

impl<W: Watch> ResponseBody<W> {
    pub(super) fn new(body: Body, version: Version, watch: Option<W>) -> ResponseBody<W> {
        ResponseBody {
            body,
            first: None,
            failure: None,
            version,
            length: None,
            count: 0,
            is_measured: true,
            request_id: None,
            watch,
        }
    }

    /// Returns what is notified of the body.
    pub fn watch_mut(&mut self) -> Option<&mut W> {
        self.watch.as_mut()
    }

    /// Sets a frame that was read from the body already.
    pub(super) fn with_first(mut self, first: Option<Frame<Bytes>>) -> ResponseBody<W> {
        self.first = first.map(Ok);
        self
    }

    /// Sets the ID of the request.
    pub(super) fn with_request_id(mut self, id: Option<RequestIdValue>) -> ResponseBody<W> {
        self.request_id = id;
        self
    }

    /// Sets the number of bytes that the response declares.
    pub(super) fn with_length(mut self, length: Option<u64>) -> ResponseBody<W> {
        self.length = length;
        self
    }

    /// Sets whether hyper may know the length of the body.
    pub(super) fn measured(mut self, is_measured: bool) -> ResponseBody<W> {
        self.is_measured = is_measured;
        self
    }

    /// The next piece of the body, or its failure; a body whose length differs from the declared one fails.
    fn poll_body(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let limit = match self.version {
            Version::HTTP_2 => Piece::limit(),
            _ => PIECE,
        };
        let next = match self.first.take() {
            Some(first) => Some(first),
            None => ready!(self.body.poll_piece(context, limit)),
        };
        let is_data = matches!(&next, Some(Ok(frame)) if frame.is_data());
        if let Some(Ok(frame)) = &next {
            self.count += frame.data_ref().map_or(0, Bytes::len) as u64;
        }
        let is_wrong = |length| match is_data {
            true => self.count > length,
            false => self.count != length,
        };
        let is_wrong = self.length.is_some_and(is_wrong);
        if is_data && self.length == Some(self.count) && !self.body.is_finished() {
            // Over HTTP/1 hyper reads nothing beyond the length, so a longer body is detected here.
            match self.body.poll_piece(context, limit) {
                Poll::Ready(Some(Ok(frame))) if frame.data_ref().is_some_and(Bytes::is_empty) => {}
                Poll::Ready(Some(Ok(frame))) if frame.is_data() => {
                    return Poll::Ready(Some(Err(BodyError::new(WRONG_LENGTH))));
                }
                // It is passed on next.
                Poll::Ready(Some(next)) => self.first = Some(next),
                Poll::Ready(None) | Poll::Pending => {}
            }
        }
        Poll::Ready(match next {
            Some(Err(error)) => Some(Err(error)),
            _ if is_wrong => Some(Err(BodyError::new(WRONG_LENGTH))),
            next => next,
        })
    }
}

impl<W: Watch> HttpBody for ResponseBody<W> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.failure.is_none() {
            Piece::record(None);
            match ready!(self.poll_body(context)) {
                Some(Err(error)) => {
                    if let Some(watch) = &self.watch {
                        watch.fails(&error, self.request_id.as_ref());
                    }
                    let pause = Pause::of(self.version);
                    self.failure = Some((error, pause));
                    if let (Version::HTTP_10, Some(watch)) = (self.version, &self.watch) {
                        // The end of the connection ends the content, and must not look like a complete response.
                        watch.breaks_off();
                    }
                }
                next => {
                    if let Some(Ok(frame)) = &next {
                        Piece::record(frame.data_ref().map(Bytes::len));
                    }
                    return Poll::Ready(next);
                }
            }
        }
        if let Some((_, pause)) = &mut self.failure {
            ready!(pause.poll(context));
        }
        Poll::Ready(self.failure.take().map(|(error, _)| Err(error)))
    }

    fn is_end_stream(&self) -> bool {
        // A failed body has no more data, but the failure is not reported yet.
        self.first.is_none()
            && self.failure.is_none()
            && self.body.is_finished()
            && (self.count == 0 || self.length.is_none_or(|length| length == self.count))
    }

    fn size_hint(&self) -> SizeHint {
        if !self.is_measured {
            return SizeHint::default();
        }
        // A frame that was read ahead belongs to a response that declares its length.
        match (&self.first, self.length) {
            (Some(_), Some(length)) => SizeHint::with_exact(length),
            _ => HttpBody::size_hint(&self.body),
        }
    }
}

impl<W: Watch> Drop for ResponseBody<W> {
    fn drop(&mut self) {
        if let Some(watch) = &mut self.watch {
            watch.ends(self.count);
        }
    }
}

impl<W: Watch> fmt::Debug for ResponseBody<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody")
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

/// How long hyper needs to write.
enum Pause {
    /// One turn, which is over on the second poll: the task that polls an HTTP/1 body also writes.
    Turn { is_over: bool },
    /// A moment: the connection of HTTP/2 is another task than its streams.
    Moment(Pin<Box<Sleep>>),
}

impl Pause {
    fn of(version: Version) -> Pause {
        match version {
            Version::HTTP_2 => Pause::Moment(Box::pin(tokio::time::sleep(WRITING))),
            _ => Pause::Turn { is_over: false },
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match self {
            Pause::Moment(moment) => moment.as_mut().poll(context),
            Pause::Turn { is_over: true } => Poll::Ready(()),
            Pause::Turn { is_over } => {
                *is_over = true;
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}
