//! One answer on its way from the application to hyper.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use enfilade_core::headers::has_token;
use enfilade_core::{Body, Error, Response, gateway};
use http::header::{CONNECTION, CONTENT_LENGTH, TE, TRAILER};
use http::{HeaderMap, Version};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Sleep;

use super::activity::InFlight;

/// How long the connection of HTTP/2 gets to write what came before a failure.
const WRITING: Duration = Duration::from_millis(10);

/// What the client can take, as its request says.
#[derive(Clone, Copy)]
pub(super) struct Takes {
    version: Version,
    trailers: bool,
}

impl Takes {
    pub(super) fn new(version: Version, headers: &HeaderMap) -> Takes {
        let trailers = version == Version::HTTP_11 && has_token(headers, &TE, "trailers");
        Takes { version, trailers }
    }
}

/// The gateway's answer, which never fails.
pub(super) struct Answered {
    answer: gateway::Answer,
    takes: Takes,
    in_flight: Option<InFlight>,
}

impl Answered {
    pub(super) fn new(answer: gateway::Answer, takes: Takes, in_flight: InFlight) -> Answered {
        Answered {
            answer,
            takes,
            in_flight: Some(in_flight),
        }
    }
}

impl Future for Answered {
    type Output = Result<http::Response<Sent>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let takes = self.takes;
        let answered = Pin::new(&mut self.answer).poll(context);
        answered.map(|response| Ok(fit(response, takes, self.in_flight.take())))
    }
}

/// Tells hyper what it does not see by itself.
fn fit(mut response: Response, takes: Takes, in_flight: Option<InFlight>) -> http::Response<Sent> {
    if takes.version == Version::HTTP_10 && ends_connection(&response) {
        // Of an answer in its own version hyper does not promise that the connection is kept, which it would to a
        // client that asked for it.
        *response.version_mut() = Version::HTTP_10;
    }
    let is_stream = response.body().as_bytes().is_none();
    let has_trailers = takes.trailers && is_stream && response.headers().contains_key(TRAILER);
    if has_trailers {
        // Trailers follow chunks only (RFC 9112, section 7.1.2), and hyper makes none where it knows the length.
        response.headers_mut().remove(CONTENT_LENGTH);
    }
    response.map(|body| Sent {
        body,
        failure: None,
        version: takes.version,
        is_measured: !has_trailers,
        _in_flight: in_flight,
    })
}

/// Whether an HTTP/1.0 connection is over with this answer: its end is that of the content where no length is said
/// (RFC 9112, section 6.3).
fn ends_connection(response: &Response) -> bool {
    let headers = response.headers();
    let is_measured =
        headers.contains_key(CONTENT_LENGTH) || response.body().known_length().is_some();
    headers.contains_key(CONNECTION) || !is_measured
}

/// The body of an answer, with a pause before its failure.
///
/// hyper drops what it has not written yet when a body fails. In the pause it writes, so that the client gets the head
/// and sees that the answer broke off.
pub(super) struct Sent {
    body: Body,
    failure: Option<(Error, Pause)>,
    version: Version,
    /// Whether hyper may know how long the body is.
    is_measured: bool,
    /// The request counts until its answer is sent.
    _in_flight: Option<InFlight>,
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.failure.is_none() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Err(error)) => self.failure = Some((error, Pause::of(self.version))),
                next => return Poll::Ready(next),
            }
        }
        if let Some((_, pause)) = &mut self.failure {
            ready!(pause.poll(context));
        }
        Poll::Ready(self.failure.take().map(|(error, _)| Err(error)))
    }

    fn is_end_stream(&self) -> bool {
        // A body that failed has nothing more to give, but the failure is not told yet.
        self.failure.is_none() && self.body.is_finished()
    }

    fn size_hint(&self) -> SizeHint {
        if self.is_measured {
            HttpBody::size_hint(&self.body)
        } else {
            SizeHint::default()
        }
    }
}

/// How long hyper needs to write.
enum Pause {
    /// One turn, which is over the second time: the task that polls a body of HTTP/1 is the one that writes.
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
