//! A body whose frames are inspected.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::message::body::Body;
use crate::message::error::BodyError;

/// The result of polling a body for a frame.
pub type NextFrame = Poll<Option<Result<Frame<Bytes>, BodyError>>>;

impl Body {
    /// Calls `inspect` each time a frame of this body is polled, with the function that polls it.
    ///
    /// A body in memory is left alone: it cannot fail and never waits. So is an upgrade, which has no frames.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use std::sync::mpsc;
    ///
    /// use enfilade::Body;
    ///
    /// let (sender, frames) = mpsc::channel();
    /// let body = Body::from_iterator(["a", "b"]).inspect_frames(move |next| {
    ///     let frame = next();
    ///     sender.send(frame.is_ready()).unwrap();
    ///     frame
    /// });
    /// assert_eq!(pollster::block_on(body.collect(10)).unwrap(), "ab");
    /// assert_eq!(frames.iter().count(), 3);
    /// ```
    #[must_use]
    pub fn inspect_frames<F>(self, inspect: F) -> Body
    where
        F: FnMut(&mut dyn FnMut() -> NextFrame) -> NextFrame + Send + Unpin + 'static,
    {
        match self.is_in_memory() || self.is_upgrade() {
            true => self,
            false => Body::new(Inspected {
                body: self,
                inspect,
            }),
        }
    }
}

struct Inspected<F> {
    body: Body,
    inspect: F,
}

impl<F> HttpBody for Inspected<F>
where
    F: FnMut(&mut dyn FnMut() -> NextFrame) -> NextFrame + Unpin,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> NextFrame {
        let Inspected { body, inspect } = &mut *self;
        inspect(&mut || Pin::new(&mut *body).poll_frame(context))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
