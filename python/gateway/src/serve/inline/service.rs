//! The application of an inline server, as hyper calls it.

use std::cell::Cell;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use enfilade::headers::has_token;
use enfilade::{Application, Body, Error, HttpError, Request, Response, Scheme, gateway};
use http::header::{CONNECTION, CONTENT_LENGTH, SERVER, TE, TRAILER};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};

use crate::serve::access_hook::Record;
use crate::serve::inline::connection::Connection;
use crate::serve::inline::listener::Ends;
use crate::serve::inline::received::{BodyTimeout, Received};

/// What was answered and not told yet.
#[derive(Default)]
pub(super) struct Records(Arc<Mutex<Vec<Record>>>);

impl Records {
    pub(super) fn take(&self) -> Vec<Record> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

pub(super) struct Service {
    pub(super) app: Application,
    pub(super) connection: Rc<Connection>,
    pub(super) facts: enfilade::Connection,
    pub(super) taken: Rc<Cell<u64>>,
    pub(super) hook: Option<Rc<Records>>,
}

impl hyper::service::Service<http::Request<Incoming>> for Service {
    type Response = http::Response<Sent>;
    type Error = Infallible;
    type Future = Answered;

    fn call(&self, request: http::Request<Incoming>) -> Answered {
        self.connection.begin();
        self.taken.set(self.taken.get() + 1);
        let (parts, body) = request.into_parts();
        let takes = Takes::new(parts.version, &parts.headers);
        let body = match body.is_end_stream() {
            true => Body::empty(),
            false => self.receive(body),
        };
        let request = Request::from_parts(parts, body, self.facts.clone());
        let record = self
            .hook
            .as_ref()
            .map(|records| (Record::of(&request), records.0.clone()));
        let answer = match *request.method() {
            // hyper takes an answer of success for the beginning of a tunnel, and would close without a word.
            Method::CONNECT => gateway::answer(&Application::new(refuse_tunnel), request),
            _ => gateway::answer(&self.app, request),
        };
        Answered {
            answer,
            takes,
            connection: Some(self.connection.clone()),
            record,
        }
    }
}

impl Service {
    fn receive(&self, body: Incoming) -> Body {
        let body_timeout = Arc::new(BodyTimeout::default());
        *self.connection.body_timeout.borrow_mut() = Some(body_timeout.clone());
        Body::new(Received::new(body, body_timeout))
    }
}

/// What applications may know of a connection.
pub(super) fn facts(ends: Ends) -> enfilade::Connection {
    let facts = enfilade::Connection::new(Scheme::Http);
    let facts = ends
        .peer
        .into_iter()
        .fold(facts, enfilade::Connection::with_peer);
    ends.local
        .into_iter()
        .fold(facts, enfilade::Connection::with_local)
}

/// An origin server need not know CONNECT (RFC 9110, section 9.3.6), and this one does not.
fn refuse_tunnel(_: Request) -> HttpError {
    HttpError::new(StatusCode::NOT_IMPLEMENTED)
}

/// What the client can take, as its request says.
#[derive(Clone, Copy)]
struct Takes {
    version: Version,
    trailers: bool,
}

impl Takes {
    fn new(version: Version, headers: &HeaderMap) -> Takes {
        let trailers = version == Version::HTTP_11 && has_token(headers, &TE, "trailers");
        Takes { version, trailers }
    }
}

/// The gateway's answer, which never fails.
pub(super) struct Answered {
    answer: gateway::Answer,
    takes: Takes,
    connection: Option<Rc<Connection>>,
    record: Option<(Record, Arc<Mutex<Vec<Record>>>)>,
}

impl Future for Answered {
    type Output = Result<http::Response<Sent>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut response = ready!(Pin::new(&mut self.answer).poll(context));
        let name = HeaderValue::from_static("enfilade");
        response.headers_mut().entry(SERVER).or_insert(name);
        if let Some((mut record, records)) = self.record.take() {
            record.status = response.status().as_u16();
            response = response.map(|body| {
                body.on_end(move |end| {
                    record.bytes = end.bytes();
                    records
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(record);
                })
            });
        }
        Poll::Ready(Ok(fit(response, self.takes, self.connection.take())))
    }
}

/// Tells hyper what it does not see by itself.
fn fit(
    mut response: Response,
    takes: Takes,
    connection: Option<Rc<Connection>>,
) -> http::Response<Sent> {
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
        is_measured: !has_trailers,
        connection,
    })
}

/// Whether an HTTP/1.0 connection is over with this answer: its end is that of the content where no length is said
/// (RFC 9112, section 6.3).
fn ends_connection(response: &Response) -> bool {
    let headers = response.headers();
    let is_measured = headers.contains_key(CONTENT_LENGTH) || response.body().is_finished();
    headers.contains_key(CONNECTION) || !is_measured
}

/// The body of an answer, with a turn before its failure.
///
/// hyper drops what it has not written yet when a body fails. In that turn it writes, so that the client gets the head
/// and sees that the answer broke off.
pub(super) struct Sent {
    body: Body,
    failure: Option<Error>,
    is_measured: bool,
    connection: Option<Rc<Connection>>,
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(error) = self.failure.take() {
            return Poll::Ready(Some(Err(error)));
        }
        match ready!(Pin::new(&mut self.body).poll_frame(context)) {
            Some(Err(error)) => {
                self.failure = Some(error);
                context.waker().wake_by_ref();
                Poll::Pending
            }
            next => Poll::Ready(next),
        }
    }

    fn is_end_stream(&self) -> bool {
        // A body that failed has nothing more to give, but the failure is not told yet.
        self.failure.is_none() && self.body.is_finished()
    }

    fn size_hint(&self) -> SizeHint {
        match self.is_measured {
            true => HttpBody::size_hint(&self.body),
            false => SizeHint::default(),
        }
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        if let Some(connection) = &self.connection {
            connection.end();
        }
    }
}
