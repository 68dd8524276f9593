//! One connection: hyper's HTTP/1 on one side, the application on the other.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use enfilade_core::{Application, Body, Connection, Error, Request, Scheme, gateway};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpStream;

/// How long a client may take to send a head.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How many header lines a request may have.
const MAX_HEADERS: usize = 100;

/// What all connections of a server have in common.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) header_read_timeout: Duration,
    pub(super) max_headers: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            header_read_timeout: HEADER_READ_TIMEOUT,
            max_headers: MAX_HEADERS,
        }
    }
}

impl Settings {
    /// Starts a task that serves one connection to its end.
    pub(super) fn serve(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        app: &Application,
        connections: &GracefulShutdown,
    ) {
        // Without it, the last small segment of an answer waits for the client's acknowledgement. A socket that does
        // not take it still works.
        let _ = stream.set_nodelay(true);
        let mut facts = Connection::new(Scheme::Http).with_peer(peer);
        if let Ok(local) = stream.local_addr() {
            facts = facts.with_local(local);
        }
        let service = Service {
            app: app.clone(),
            connection: facts,
        };
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new());
        http.header_read_timeout(self.header_read_timeout);
        http.max_headers(self.max_headers);
        let connection = http.serve_connection(TokioIo::new(stream), service);
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            // A client that goes away in the middle is no error of this server; hyper has answered what it could.
            let _ = connection.await;
        });
    }
}

/// The application, as hyper calls it.
struct Service {
    app: Application,
    connection: Connection,
}

impl hyper::service::Service<http::Request<Incoming>> for Service {
    type Response = http::Response<Sent>;
    type Error = Infallible;
    type Future = Answered;

    fn call(&self, request: http::Request<Incoming>) -> Answered {
        let (parts, body) = request.into_parts();
        let body = Body::new(body);
        let request = Request::from_parts(parts, body, self.connection.clone());
        Answered(gateway::answer(&self.app, request))
    }
}

/// The gateway's answer, which never fails.
struct Answered(gateway::Answer);

impl Future for Answered {
    type Output = Result<http::Response<Sent>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let response = ready!(Pin::new(&mut self.0).poll(context));
        Poll::Ready(Ok(response.map(|body| Sent { body, error: None })))
    }
}

/// The body of an answer, with a pause before its failure.
///
/// hyper drops the connection when a body fails, and with it what it has not written yet. In the pause it writes, so
/// that the client gets the head and sees that the answer broke off.
struct Sent {
    body: Body,
    error: Option<Error>,
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(error) = self.error.take() {
            return Poll::Ready(Some(Err(error)));
        }
        match ready!(Pin::new(&mut self.body).poll_frame(context)) {
            Some(Err(error)) => {
                self.error = Some(error);
                context.waker().wake_by_ref();
                Poll::Pending
            }
            next => Poll::Ready(next),
        }
    }

    fn is_end_stream(&self) -> bool {
        // A body that failed has nothing more to give, but the failure is not told yet.
        self.error.is_none() && self.body.is_finished()
    }

    fn size_hint(&self) -> SizeHint {
        HttpBody::size_hint(&self.body)
    }
}
