//! The body of a request, with a timeout.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use enfilade::{BodyError, unpoisoned};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};

/// Whether a body is awaited, and since when. The server checks it regularly.
#[derive(Debug, Default)]
pub(super) struct BodyTimeout(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    since: Option<(Instant, Waker)>,
    is_over: bool,
    /// How many bytes of it reached the application.
    delivered: u64,
    /// Whether the whole body has come, or was dropped.
    is_done: bool,
}

impl BodyTimeout {
    /// Whether more of the body may come.
    pub(super) fn is_open(&self) -> bool {
        self.delivered().is_some()
    }

    /// Returns how many bytes of the body reached the application, if more of it may come.
    pub(super) fn delivered(&self) -> Option<u64> {
        let waiting = unpoisoned(self.0.lock());
        (!waiting.is_done).then_some(waiting.delivered)
    }

    /// Ends the wait after the timeout.
    pub(super) fn check(&self, now: Instant, limit: Duration) {
        let mut waiting = unpoisoned(self.0.lock());
        let is_late = |since: Instant| now.saturating_duration_since(since) >= limit;
        if waiting
            .since
            .as_ref()
            .is_some_and(|(since, _)| is_late(*since))
        {
            waiting.is_over = true;
            if let Some((_, waker)) = waiting.since.take() {
                waker.wake();
            }
        }
    }
}

/// A body that fails if its client is too slow.
pub(super) struct RequestBody {
    body: Incoming,
    body_timeout: Arc<BodyTimeout>,
}

impl RequestBody {
    pub(super) fn new(body: Incoming, body_timeout: Arc<BodyTimeout>) -> RequestBody {
        RequestBody { body, body_timeout }
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let body_timeout = self.body_timeout.clone();
        let mut waiting = unpoisoned(body_timeout.0.lock());
        match polled {
            Poll::Ready(next) => {
                waiting.since = None;
                if let Some(Ok(frame)) = &next {
                    waiting.delivered += frame.data_ref().map_or(0, |data| data.len() as u64);
                }
                waiting.is_done = !matches!(next, Some(Ok(_))) || self.body.is_end_stream();
                Poll::Ready(next.map(|result| result.map_err(BodyError::new)))
            }
            Poll::Pending if waiting.is_over => Poll::Ready(Some(Err(BodyError::timed_out()))),
            Poll::Pending => {
                let since = waiting
                    .since
                    .as_ref()
                    .map_or_else(Instant::now, |(since, _)| *since);
                waiting.since = Some((since, context.waker().clone()));
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let mut waiting = unpoisoned(self.body_timeout.0.lock());
        waiting.is_done = true;
        waiting.since = None;
    }
}
