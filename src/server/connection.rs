//! One connection: hyper on one side, the application on the other.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use enfilade_core::{Application, Body, Connection, HttpError, Request, Scheme, gateway};
use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderValue, Method, StatusCode, Version};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;

use super::answer::{Answered, Sent, Takes};
use super::lifetime::Share;

/// How long a client may take to send a head.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait for the rest of a connection's first word.
const PEEK_AGAIN: Duration = Duration::from_millis(5);
/// How many header lines a request may have.
const MAX_HEADERS: usize = 100;

/// What all connections of a server have in common.
#[derive(Clone, Copy, Debug)]
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
    /// Starts a task that serves one connection to its end, or as far as the server lets it.
    pub(super) fn serve(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        app: &Application,
        share: Share,
    ) {
        // Without it, the last small segment of an answer waits for the client's acknowledgement. A socket that does
        // not take it still works.
        let _ = stream.set_nodelay(true);
        let service = Service {
            app: app.clone(),
            connection: facts(&stream, peer),
            max_headers: self.max_headers,
        };
        let settings = *self;
        tokio::spawn(async move { settings.drive(stream, service, share).await });
    }

    async fn drive(self, stream: TcpStream, service: Service, mut share: Share) {
        let sniffed = tokio::time::timeout(self.header_read_timeout, speaks_http2(&stream));
        // One that says nothing is no loss, and is gone with the server.
        let Some(Ok(Ok(http2))) = share.until_finishing(sniffed).await else {
            return;
        };
        let stream = TokioIo::new(stream);
        if http2 {
            let mut http = http2::Builder::new(TokioExecutor::new());
            http.timer(TokioTimer::new());
            let connection = http.serve_connection(stream, service);
            share
                .drive(connection, http2::Connection::graceful_shutdown)
                .await;
        } else {
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new());
            http.header_read_timeout(self.header_read_timeout);
            http.max_headers(self.max_headers);
            let connection = http.serve_connection(stream, service);
            share
                .drive(connection, http1::Connection::graceful_shutdown)
                .await;
        }
    }
}

/// Whether the first bytes are those of HTTP/2 (RFC 9113, section 3.4); they stay where they are.
///
/// Four of them tell: no HTTP/1 method is, or will be, called `PRI` (section 11.6).
async fn speaks_http2(stream: &TcpStream) -> io::Result<bool> {
    const BEGINNING: &[u8] = b"PRI ";
    let mut seen = [0; BEGINNING.len()];
    loop {
        let count = stream.peek(&mut seen).await?;
        let begins = BEGINNING.starts_with(seen.get(..count).unwrap_or_default());
        if count == 0 || count == seen.len() || !begins {
            return Ok(begins && count == seen.len());
        }
        // A few bytes are there already, so peeking again does not wait by itself.
        tokio::time::sleep(PEEK_AGAIN).await;
    }
}

fn facts(stream: &TcpStream, peer: SocketAddr) -> Connection {
    let facts = Connection::new(Scheme::Http).with_peer(peer);
    match stream.local_addr() {
        Ok(local) => facts.with_local(local),
        Err(_) => facts,
    }
}

/// The application, as hyper calls it.
struct Service {
    app: Application,
    connection: Connection,
    max_headers: usize,
}

impl hyper::service::Service<http::Request<Incoming>> for Service {
    type Response = http::Response<Sent>;
    type Error = Infallible;
    type Future = Answered;

    fn call(&self, request: http::Request<Incoming>) -> Answered {
        let (mut parts, body) = request.into_parts();
        // In HTTP/1 hyper has counted them.
        let has_too_many =
            parts.version == Version::HTTP_2 && parts.headers.len() > self.max_headers;
        name_host(&mut parts);
        let takes = Takes::new(parts.version, &parts.headers);
        let body = Body::new(body);
        let request = Request::from_parts(parts, body, self.connection.clone());
        let answer = match *request.method() {
            // hyper takes an answer of success for the beginning of a tunnel, and would close without a word.
            Method::CONNECT => gateway::answer(&Application::new(refuse_tunnel), request),
            _ if has_too_many => gateway::answer(&Application::new(refuse_headers), request),
            _ => gateway::answer(&self.app, request),
        };
        Answered::new(answer, takes)
    }
}

/// An origin server need not know CONNECT (RFC 9110, section 9.3.6), and this one does not.
fn refuse_tunnel(_: Request) -> HttpError {
    HttpError::new(StatusCode::NOT_IMPLEMENTED)
}

/// There are more header lines than [`Settings::max_headers`].
fn refuse_headers(_: Request) -> HttpError {
    HttpError::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
}

/// Says in `Host` what HTTP/2 says in `:authority` (RFC 9113, section 8.3.1), as applications look for it there, those
/// that know WSGI's `HTTP_HOST` among them.
fn name_host(parts: &mut Parts) {
    if parts.version != Version::HTTP_2 || parts.headers.contains_key(HOST) {
        return;
    }
    let authority = parts.uri.authority().map(Authority::as_str);
    if let Some(Ok(host)) = authority.map(HeaderValue::from_str) {
        parts.headers.insert(HOST, host);
    }
}
