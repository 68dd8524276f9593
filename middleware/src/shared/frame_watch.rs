//! A body of which somebody looks at each frame.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use enfilade_core::{Body, Error};
use http_body::{Body as HttpBody, Frame, SizeHint};

/// What asking a body for a frame gives.
pub(crate) type NextFrame = Poll<Option<Result<Frame<Bytes>, Error>>>;

/// Calls `watch` whenever a frame is asked for, with the way to ask the body itself.
///
/// A body that is in memory is given back as it is, as it cannot fail and there is nothing to wait for.
pub(crate) fn watch_frames<W>(body: Body, watch: W) -> Body
where
    W: FnMut(&mut dyn FnMut() -> NextFrame) -> NextFrame + Send + Unpin + 'static,
{
    match body.is_in_memory() {
        true => body,
        false => Body::new(Watched { body, watch }),
    }
}

struct Watched<W> {
    body: Body,
    watch: W,
}

impl<W> HttpBody for Watched<W>
where
    W: FnMut(&mut dyn FnMut() -> NextFrame) -> NextFrame + Unpin,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> NextFrame {
        let Watched { body, watch } = &mut *self;
        watch(&mut || Pin::new(&mut *body).poll_frame(context))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
