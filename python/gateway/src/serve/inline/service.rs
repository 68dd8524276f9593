//! The application of an inline server, as hyper calls it.

use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;

use enfilade::server_parts::{ClientSupport, MessageBody};
use enfilade::{Application, Body, HttpError, Request, Scheme, gateway};
use http::{Method, StatusCode};
use hyper::body::{Body as _, Incoming};

use crate::serve::inline::connection::Connection;
use crate::serve::inline::listener::ConnectionEnds;
use crate::serve::inline::records::Records;
use crate::serve::inline::request_body::{BodyTimeout, RequestBody};
use crate::serve::inline::response_future::{InlineBody, ResponseFuture};
use crate::serve::inline::sharing::Sharing;

/// The application, with the facts of its connection.
pub(super) struct Service {
    pub(super) app: Application,
    pub(super) connection: Rc<Connection>,
    pub(super) facts: enfilade::Connection,
    pub(super) taken: Rc<Cell<u64>>,
    pub(super) sharing: Rc<Sharing>,
    /// The records of requests, if there is a hook.
    pub(super) records: Option<Records>,
}

impl hyper::service::Service<http::Request<Incoming>> for Service {
    type Response = http::Response<InlineBody>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn call(&self, request: http::Request<Incoming>) -> ResponseFuture {
        let (parts, body) = request.into_parts();
        self.connection.begin(match body.is_end_stream() {
            true => MessageBody::Known(0),
            false => body
                .size_hint()
                .exact()
                .map_or(MessageBody::Chunked, MessageBody::Known),
        });
        self.taken.set(self.taken.get() + 1);
        let client = ClientSupport::new(&parts.method, parts.version, &parts.headers);
        let body = match body.is_end_stream() {
            true => Body::empty(),
            false => self.receive(body),
        };
        let request = Request::from_parts(parts, body, self.facts.clone());
        let record = self.records.as_ref().map(|records| records.begin(&request));
        let response_future = match *request.method() {
            // hyper takes a 2xx response for the start of a tunnel, and would close without an error.
            Method::CONNECT => gateway::respond(&Application::new(refuse_tunnel), request),
            _ => gateway::respond(&self.app, request),
        };
        let (sharing, connection) = (self.sharing.clone(), self.connection.clone());
        ResponseFuture::new(response_future, client, sharing, connection, record)
    }
}

impl Service {
    fn receive(&self, body: Incoming) -> Body {
        let body_timeout = Arc::new(BodyTimeout::default());
        *self.connection.body_timeout.borrow_mut() = Some(body_timeout.clone());
        Body::new(RequestBody::new(body, body_timeout))
    }
}

/// Returns the facts of a connection for applications.
pub(super) fn facts(ends: ConnectionEnds) -> enfilade::Connection {
    let facts = enfilade::Connection::new(Scheme::Http);
    let facts = ends
        .peer
        .into_iter()
        .fold(facts, enfilade::Connection::with_peer);
    ends.local
        .into_iter()
        .fold(facts, enfilade::Connection::with_local)
}

/// An origin server need not implement CONNECT (RFC 9110, section 9.3.6), and this one does not.
fn refuse_tunnel(_: Request) -> HttpError {
    HttpError::new(StatusCode::NOT_IMPLEMENTED)
}
