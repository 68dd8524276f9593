//! The body of a request, with timeouts.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use enfilade_core::BodyError;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep};

use crate::server::connection::activity::InFlight;
use crate::server::connection::malformed::has_malformed_field;

/// How long a body may be below its minimum rate.
const GRACE: Duration = Duration::from_secs(5);

/// How slow a client may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) struct Pace {
    /// The maximum time without data.
    pub(in crate::server) idle: Duration,
    /// The minimum of bytes a second, on average; 0 for any.
    pub(in crate::server) rate: u64,
}

/// A body that fails if its client is too slow: a 408 if the application passes the error on.
pub(in crate::server) struct RequestBody {
    body: Incoming,
    pace: Pace,
    bytes: u64,
    /// The total time of waiting for the client, and the start of the current wait.
    waited: Duration,
    waits_since: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
    /// The server's runtime, because a body may be read on a thread of another.
    runtime: Handle,
    /// Until the end, even if the response is sent earlier.
    in_flight: Option<InFlight>,
}

impl RequestBody {
    pub(in crate::server) fn new(body: Incoming, pace: Pace, in_flight: InFlight) -> RequestBody {
        RequestBody {
            body,
            pace,
            bytes: 0,
            waited: Duration::ZERO,
            waits_since: None,
            sleep: None,
            runtime: Handle::current(),
            in_flight: Some(in_flight),
        }
    }

    /// Notes that data or the end arrived.
    fn go_on(&mut self) {
        if let Some(since) = self.waits_since.take() {
            self.waited += since.elapsed();
        }
    }

    fn poll_timeout(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let max_wait = max_wait(self.pace, self.bytes, self.waited);
        if self.waits_since.is_none() {
            let _entered = self.runtime.enter();
            let now = Instant::now();
            self.waits_since = Some(now);
            match &mut self.sleep {
                Some(sleep) => sleep.as_mut().reset(now + max_wait),
                None => self.sleep = Some(Box::pin(tokio::time::sleep(max_wait))),
            }
        }
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().poll(context),
            None => Poll::Pending,
        }
    }
}

/// The maximum of the current wait: until there was no data for too long, or too little in total.
///
/// Only the time in which the application waits counts, so a slow application does not count as a slow client.
fn max_wait(pace: Pace, bytes: u64, waited: Duration) -> Duration {
    match pace.rate {
        0 => pace.idle,
        rate => {
            let enough_for = GRACE + Duration::from_millis(bytes.saturating_mul(1_000) / rate);
            pace.idle.min(enough_for.saturating_sub(waited))
        }
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(next) => {
                self.go_on();
                if let Some(Ok(frame)) = &next {
                    let count = frame.data_ref().map_or(0, Bytes::len);
                    self.bytes += count as u64;
                    if let Some(in_flight) = &self.in_flight {
                        in_flight.activity().delivers(count);
                    }
                    if self.body.is_end_stream() {
                        self.in_flight = None;
                    }
                    if frame.trailers_ref().is_some_and(has_malformed_field) {
                        let error = "the name of a trailer is not a token, or its value has blanks around it";
                        return Poll::Ready(Some(Err(BodyError::new(error))));
                    }
                } else {
                    self.in_flight = None;
                }
                Poll::Ready(next.map(|result| result.map_err(BodyError::new)))
            }
            Poll::Pending => {
                let max_wait = self.poll_timeout(context);
                max_wait.map(|()| Some(Err(BodyError::timed_out())))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_grows_with_what_came() {
        let seconds = Duration::from_secs;
        let pace = |idle, rate| Pace {
            idle: seconds(idle),
            rate,
        };
        for (pace, bytes, waited, expected) in [
            (pace(30, 0), 0, 1_000, 30),
            (pace(30, 100), 0, 0, 5),
            (pace(30, 100), 0, 4, 1),
            (pace(30, 100), 0, 6, 0),
            (pace(30, 100), 1_000, 6, 9),
            (pace(30, 100), 1_000_000, 6, 30),
            (pace(30, 1), u64::MAX, 6, 30),
        ] {
            assert_eq!(
                max_wait(pace, bytes, seconds(waited)),
                seconds(expected),
                "{pace:?} {bytes} {waited}"
            );
        }
    }
}
