//! The body of a response, as hyper reads it.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use enfilade::{Body, BodyError};
use http::Version;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use crate::serve::inline::connection::Connection;
use crate::serve::inline::records::OpenRecord;

/// The body of a response, pending once before it fails.
///
/// If a body fails, hyper drops what it has not written yet. The pending poll lets hyper write first, so that the
/// client gets the head and sees that the response was aborted.
pub(super) struct ResponseBody {
    body: Body,
    failure: Option<BodyError>,
    version: Version,
    /// The announced number of bytes, and the number so far.
    length: Option<u64>,
    count: u64,
    /// Whether hyper may know the length of the body.
    is_measured: bool,
    connection: Option<Rc<Connection>>,
    record: Option<Box<OpenRecord>>,
}

impl ResponseBody {
    pub(super) fn new(body: Body, version: Version) -> ResponseBody {
        ResponseBody {
            body,
            failure: None,
            version,
            length: None,
            count: 0,
            is_measured: true,
            connection: None,
            record: None,
        }
    }

    /// Sets the number of bytes that the response announces.
    pub(super) fn with_length(mut self, length: Option<u64>) -> ResponseBody {
        self.length = length;
        self
    }

    /// Sets whether hyper may know the length of the body.
    pub(super) fn measured(mut self, is_measured: bool) -> ResponseBody {
        self.is_measured = is_measured;
        self
    }

    /// Sets the connection and the record that are notified of its end.
    pub(super) fn watched_by(
        mut self,
        connection: Rc<Connection>,
        record: Option<Box<OpenRecord>>,
    ) -> ResponseBody {
        self.connection = Some(connection);
        self.record = record;
        self
    }

    /// Counts the bytes of a frame.
    ///
    /// Returns true if the body has another length than the response announces.
    fn is_wrong(&mut self, next: Option<&Frame<Bytes>>) -> bool {
        let data = next.and_then(Frame::data_ref);
        let count = self.count + data.map_or(0, |data| data.len() as u64);
        let is_wrong = self.length.is_some_and(|length| match data {
            Some(_) => count > length,
            None => count != length,
        });
        if !is_wrong {
            self.count = count;
        }
        is_wrong
    }

    /// Fails on the next poll.
    #[cold]
    fn fail(&mut self, error: BodyError, context: &Context<'_>) {
        self.failure = Some(error);
        if let (Version::HTTP_10, Some(connection)) = (self.version, &self.connection) {
            // The end of the connection ends the content, so it must not look like a regular end.
            connection.break_off();
        }
        context.waker().wake_by_ref();
    }
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(error) = self.failure.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let next = ready!(Pin::new(&mut self.body).poll_frame(context));
        let error = match next {
            Some(Err(error)) => error,
            next => match self.is_wrong(next.as_ref().and_then(|next| next.as_ref().ok())) {
                true => BodyError::new("the body does not have the length of its Content-Length"),
                false => return Poll::Ready(next),
            },
        };
        self.fail(error, context);
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        // A body that failed has no more data, but the failure was not returned yet.
        self.failure.is_none()
            && self.body.is_finished()
            && (self.count == 0 || self.length.is_none_or(|length| length == self.count))
    }

    fn size_hint(&self) -> SizeHint {
        match self.is_measured {
            true => HttpBody::size_hint(&self.body),
            false => SizeHint::default(),
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if let Some(record) = self.record.take() {
            record.end(self.count);
        }
        if let Some(connection) = &self.connection {
            connection.end();
        }
    }
}
