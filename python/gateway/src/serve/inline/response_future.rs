//! One response on its way from the application to hyper.
//!
//! `enfilade::Server` does the same, but its code is not part of its API: a bug that is fixed there must be fixed here
//! too. It also reads the first frame of a body with a length ahead, to respond with 500 if that fails. The bodies
//! of Python applications come with their first block, so that would gain nothing here.

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
use crate::serve::inline::sharing::Sharing;

/// Features of the client, according to its request.
#[derive(Clone, Copy)]
pub(super) struct ClientSupport {
    version: Version,
    trailers: bool,
    /// Whether bytes after the request may belong to another protocol.
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
    /// Whether the connection is left to another worker.
    sharing: Rc<Sharing>,
    /// The connection and the record, until the response takes them.
    rest: Option<(Rc<Connection>, Option<Box<OpenRecord>>)>,
}

impl ResponseFuture {
    pub(super) fn new(
        response_future: gateway::ResponseFuture,
        client: ClientSupport,
        sharing: Rc<Sharing>,
        connection: Rc<Connection>,
        record: Option<Box<OpenRecord>>,
    ) -> ResponseFuture {
        ResponseFuture {
            response_future,
            client,
            sharing,
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
        if connection.is_finishing() || self.sharing.releases(connection.now()) {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        let sent = prepare_for_hyper(response, self.client);
        Poll::Ready(Ok(sent.map(|sent| sent.watched_by(connection, record))))
    }
}

/// Prepares the response for hyper, which misses some cases.
fn prepare_for_hyper(
    mut response: Response,
    client: ClientSupport,
) -> http::Response<ResponseBody> {
    if client.is_connect {
        // The client may have sent data for the tunnel ahead, which must not be read as a request (RFC 9931).
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    if client.version == Version::HTTP_10 && ends_connection(&response) {
        // In a response of HTTP/1.1, hyper would promise to keep the connection to a client that asked for it. In one
        // of HTTP/1.0 it does not.
        *response.version_mut() = Version::HTTP_10;
    }
    let is_stream = response.body().as_bytes().is_none();
    let has_trailers = client.trailers && is_stream && response.headers().contains_key(TRAILER);
    let length = is_stream
        .then(|| content_length(response.headers()))
        .flatten();
    if has_trailers {
        // Only chunks can have trailers (RFC 9112, section 7.1.2), and hyper sends no chunks if it knows the length.
        response.headers_mut().remove(CONTENT_LENGTH);
    }
    response.map(|body| {
        ResponseBody::new(body, client.version)
            .with_length(length)
            .measured(!has_trailers)
    })
}

/// Whether an HTTP/1.0 connection ends with this response.
///
/// Without a length, the end of the connection ends the content (RFC 9112, section 6.3).
fn ends_connection(response: &Response) -> bool {
    let headers = response.headers();
    let is_measured =
        headers.contains_key(CONTENT_LENGTH) || response.body().known_length().is_some();
    headers.contains_key(CONNECTION) || !is_measured
}
