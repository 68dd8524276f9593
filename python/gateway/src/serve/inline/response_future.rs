//! One response on its way from the application to hyper.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use enfilade::server_parts::{ClientSupport, ResponseBody, Watch, prepare_for_hyper};
use enfilade::{BodyError, RequestIdValue, gateway};
use http::HeaderValue;
use http::header::SERVER;

use crate::serve::inline::connection::Connection;
use crate::serve::inline::records::OpenRecord;
use crate::serve::inline::sharing::Sharing;

/// What is notified of a response's body.
pub(super) struct Watched {
    connection: Rc<Connection>,
    record: Option<Box<OpenRecord>>,
}

impl Watch for Watched {
    fn fails(&self, _: &BodyError, _: Option<&RequestIdValue>) {
        // The exception was reported when it was raised.
    }

    fn breaks_off(&self) {
        self.connection.break_off();
    }

    fn ends(&mut self, bytes: u64) {
        if let Some(record) = self.record.take() {
            record.end(bytes);
        }
        self.connection.end();
    }
}

/// The body of a response of an inline server.
pub(super) type InlineBody = ResponseBody<Watched>;

/// The gateway's response, which never fails.
pub(super) struct ResponseFuture {
    response_future: gateway::ResponseFuture,
    client: ClientSupport,
    /// Whether the connection is left to another worker.
    sharing: Rc<Sharing>,
    /// Notified of the body, which the response takes with it.
    watched: Option<Watched>,
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
            watched: Some(Watched { connection, record }),
        }
    }
}

impl Future for ResponseFuture {
    type Output = Result<http::Response<InlineBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let response = ready!(Pin::new(&mut self.response_future).poll(context));
        let watched = self.watched.take().expect("not polled after it was ready");
        let connection = &watched.connection;
        let is_last = connection.is_finishing() || self.sharing.releases(connection.now());
        let mut sent = prepare_for_hyper(response, self.client, Some(watched), is_last, context);
        let name = HeaderValue::from_static("enfilade");
        sent.headers_mut().entry(SERVER).or_insert(name);
        let status = sent.status().as_u16();
        let watched = sent.body_mut().watch_mut();
        if let Some(record) = watched.and_then(|watched| watched.record.as_mut()) {
            record.set_status(status);
        }
        Poll::Ready(Ok(sent))
    }
}
