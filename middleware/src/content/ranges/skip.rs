//! A part of a stream: what is before it is dropped, and what is after it is not made.

use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use enfilade_core::{Body, BodyError, NextFrame};
use http_body::{Body as HttpBody, Frame, SizeHint};

/// How many frames are dropped before other tasks have their turn.
const FRAMES_AT_ONCE: usize = 256;

/// This range of a stream.
pub(super) struct Skip {
    body: Body,
    before: u64,
    left: u64,
}

impl Skip {
    pub(super) fn new(body: Body, range: Range<u64>) -> Skip {
        Skip {
            body,
            before: range.start,
            left: range.end - range.start,
        }
    }

    /// Returns the bytes of a frame that are in the range.
    fn inside(&mut self, mut data: Bytes) -> Bytes {
        let length = |data: &Bytes| data.len() as u64;
        let before = self.before.min(length(&data));
        let taken = self.left.min(length(&data) - before);
        self.before -= before;
        self.left -= taken;
        // Both are at most the length of a buffer, so they are a `usize`.
        let at = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        drop(data.split_to(at(before)));
        data.truncate(at(taken));
        data
    }
}

impl HttpBody for Skip {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> NextFrame {
        for _ in 0..FRAMES_AT_ONCE {
            if self.left == 0 {
                return Poll::Ready(None);
            }
            let data = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    let text = "the stream is shorter than its length";
                    return Poll::Ready(Some(Err(BodyError::new(text))));
                }
            };
            let data = self.inside(data);
            if self.left == 0 {
                // The producer stops now, and for those who watch it the response is complete.
                std::mem::take(&mut self.body).discard();
            }
            if !data.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
