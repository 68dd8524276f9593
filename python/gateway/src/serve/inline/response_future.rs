//! One response on its way from the application to hyper.
//!
//! `enfilade::Server` does the same, and its code for it is no part of its API: a fault that is mended there is mended here
//! too. It also reads the first piece of a body with a length ahead, to respond 500 if there is none; the bodies of Python
//! applications come with their first block, so that there is nothing to gain here.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use enfilade::headers::{content_length, has_token};
use enfilade::{Response, gateway};
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, SERVER, TE, TRAILER};
use http::{HeaderMap, HeaderValue, Method, Version};

use crate::serve::inline::connection::Connection;
use crate::serve::inline::records::OpenRecord;
use crate::serve::inline::response_body::ResponseBody;

/// What the client supports, as its request says.
#[derive(Clone, Copy)]
pub(super) struct ClientSupport {
    version: Version,
    trailers: bool,
    /// Whether bytes behind the request may be meant for another protocol.
    is_connect: bool,
}

impl ClientSupport {
    pub(super) fn new(method: &Method, version: Version, headers: &HeaderMap) -> ClientSupport {
        ClientSupport {
            version,
            trailers: version == Version::HTTP_11 && has_token(headers, &TE, "trailers"),
            is_connect: method == Method::CONNECT,
        }
    }
}

/// The gateway's response, which never fails.
pub(super) struct ResponseFuture {
    response_future: gateway::ResponseFuture,
    client: ClientSupport,
    /// What goes with the response, until it is there.
    rest: Option<(Rc<Connection>, Option<Box<OpenRecord>>)>,
}

impl ResponseFuture {
    pub(super) fn new(
        response_future: gateway::ResponseFuture,
        client: ClientSupport,
        connection: Rc<Connection>,
        record: Option<Box<OpenRecord>>,
    ) -> ResponseFuture {
        ResponseFuture {
            response_future,
            client,
            rest: Some((connection, record)),
        }
    }
}

impl Future for ResponseFuture {
    type Output = Result<http::Response<ResponseBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut response = ready!(Pin::new(&mut self.response_future).poll(context));
        let name = HeaderValue::from_static("enfilade");
        response.headers_mut().entry(SERVER).or_insert(name);
        let (connection, mut record) = self.rest.take().expect("not polled after it was ready");
        if let Some(record) = &mut record {
            record.set_status(response.status().as_u16());
        }
        if let Some(date) = connection.date() {
            response.headers_mut().entry(DATE).or_insert(date);
        }
        let sent = prepare_for_hyper(response, self.client);
        Poll::Ready(Ok(sent.map(|sent| sent.watched_by(connection, record))))
    }
}

/// Tells hyper what it does not see by itself.
fn prepare_for_hyper(
    mut response: Response,
    client: ClientSupport,
) -> http::Response<ResponseBody> {
    if client.is_connect {
        // Data for the tunnel may have been sent ahead, which must not be read as a request (RFC 9931).
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    if client.version == Version::HTTP_10 && ends_connection(&response) {
        // Of a response in its own version hyper does not promise that the connection is kept, which it would to a
        // client that asked for it.
        *response.version_mut() = Version::HTTP_10;
    }
    let is_stream = response.body().as_bytes().is_none();
    let has_trailers = client.trailers && is_stream && response.headers().contains_key(TRAILER);
    let length = is_stream
        .then(|| content_length(response.headers()))
        .flatten();
    if has_trailers {
        // Trailers follow chunks only (RFC 9112, section 7.1.2), and hyper makes none if it knows the length.
        response.headers_mut().remove(CONTENT_LENGTH);
    }
    response.map(|body| {
        ResponseBody::new(body, client.version)
            .with_length(length)
            .measured(!has_trailers)
    })
}

/// Whether an HTTP/1.0 connection is over with this response: its end is that of the content if no length is said
/// (RFC 9112, section 6.3).
fn ends_connection(response: &Response) -> bool {
    let headers = response.headers();
    let is_measured =
        headers.contains_key(CONTENT_LENGTH) || response.body().known_length().is_some();
    headers.contains_key(CONNECTION) || !is_measured
}
