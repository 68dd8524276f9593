//! One connection: hyper's HTTP/1 on one side, the application on the other.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use enfilade_core::{Application, Body, Connection, HttpError, Request, Scheme, gateway};
use http::{Method, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::answer::{Answered, Sent, Takes};

/// How long a client may take to send a head.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How long dropping what is broken off may take.
const BREAK_OFF_TIMEOUT: Duration = Duration::from_secs(1);
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
    /// Starts a task that serves one connection to its end, or until the other side of `alive` is gone.
    pub(super) fn serve(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        app: &Application,
        connections: &GracefulShutdown,
        mut alive: watch::Receiver<()>,
    ) {
        // Without it, the last small segment of an answer waits for the client's acknowledgement. A socket that does
        // not take it still works.
        let _ = stream.set_nodelay(true);
        let service = Service {
            app: app.clone(),
            connection: facts(&stream, peer),
        };
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new());
        http.header_read_timeout(self.header_read_timeout);
        http.max_headers(self.max_headers);
        let connection = http.serve_connection(TokioIo::new(stream), service);
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            tokio::select! {
                // A client that goes away in the middle is no error of this server; hyper has answered what it could.
                _ = connection => {}
                _ = alive.changed() => {}
            }
        });
    }
}

fn facts(stream: &TcpStream, peer: SocketAddr) -> Connection {
    let facts = Connection::new(Scheme::Http).with_peer(peer);
    match stream.local_addr() {
        Ok(local) => facts.with_local(local),
        Err(_) => facts,
    }
}

/// Breaks off the connections that are left, and waits until they are dropped.
///
/// It does not wait long for one whose application blocks and so cannot be dropped.
pub(super) async fn break_off(alive: watch::Sender<()>) {
    alive.send_replace(());
    let _ = tokio::time::timeout(BREAK_OFF_TIMEOUT, alive.closed()).await;
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
        let takes = Takes::new(parts.version, &parts.headers);
        let body = Body::new(body);
        let request = Request::from_parts(parts, body, self.connection.clone());
        let answer = match *request.method() {
            // hyper takes an answer of success for the beginning of a tunnel, and would close without a word.
            Method::CONNECT => gateway::answer(&Application::new(refuse_tunnel), request),
            _ => gateway::answer(&self.app, request),
        };
        Answered::new(answer, takes)
    }
}

/// An origin server need not know CONNECT (RFC 9110, section 9.3.6), and this one does not.
fn refuse_tunnel(_: Request) -> HttpError {
    HttpError::new(StatusCode::NOT_IMPLEMENTED)
}
