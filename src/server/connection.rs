//! One connection: hyper on one side, the application on the other.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use enfilade_core::{Application, Body, Connection, HttpError, Request, Scheme, gateway};
use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderValue, Method, StatusCode, Version};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::activity::{Activity, Over};
use super::admission::Admitted;
use super::answer::{Answered, Sent, Takes};
use super::lifetime::Share;
use super::limits::Limits;
use super::received::Received;
use super::stream::Stream;
use crate::listening::Socket;

/// How long saying goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);
/// How much of what a client sends then is taken, in KiB.
const LINGER: usize = 256;

/// What all connections of a listener have in common.
#[derive(Clone)]
pub(super) struct Serving {
    pub(super) limits: Limits,
    pub(super) app: Application,
    #[cfg(feature = "tls")]
    pub(super) certificates: Option<super::tls::Certificates>,
    #[cfg(feature = "proxy-protocol")]
    pub(super) proxies: Option<super::proxy_protocol::Proxies>,
}

impl Serving {
    /// Serves one connection to its end, or as far as the server lets it.
    pub(super) async fn drive(
        self,
        socket: Socket,
        peer: Option<SocketAddr>,
        admitted: Admitted,
        mut share: Share,
    ) {
        socket.send_at_once();
        let facts = facts(&socket, peer, &share);
        let limits = self.limits;
        // What is in a box of its own does not take room in every connection's task, which is as large as its largest part.
        let begun = Box::pin(tokio::time::timeout(
            limits.header_read_timeout,
            self.begin(socket, facts),
        ));
        // One that says nothing is no loss, and is gone with the server.
        let Some(Ok(Ok((mut stream, facts, is_http2)))) = share.until_finishing(begun).await else {
            return;
        };
        let activity = Arc::new(Activity::new(limits.max_request_line));
        if !is_http2 {
            // Frames of HTTP/2 come while nothing is asked, and have no lines.
            stream.watch(activity.clone());
        }
        let service = Service {
            app: self.app,
            connection: facts,
            limits,
            activity: activity.clone(),
        };
        let stream = TokioIo::new(stream);
        if is_http2 {
            let mut connection = Box::new(http2(&limits).serve_connection(stream, service));
            let finish = |connection: &mut Http2| Pin::new(connection).graceful_shutdown();
            share
                .drive(&mut *connection, finish, &activity, &limits)
                .await;
        } else {
            let mut connection = Box::new(http1(&limits).serve_connection(stream, service));
            let finish = |connection: &mut Http1| Pin::new(connection).graceful_shutdown();
            if let Some(over) = share
                .drive(&mut *connection, finish, &activity, &limits)
                .await
            {
                let stream = connection.into_parts().io.into_inner();
                Box::pin(say_goodbye(stream, over)).await;
            }
        }
        drop(admitted);
    }

    /// Shakes hands where there is TLS, and finds out which version of HTTP the client speaks.
    async fn begin(
        &self,
        socket: Socket,
        facts: Connection,
    ) -> io::Result<(Stream, Connection, bool)> {
        let mut stream = Stream::new(socket, self.limits.write_timeout);
        #[cfg(feature = "proxy-protocol")]
        let facts = match (&self.proxies, facts.peer()) {
            (Some(proxies), Some(peer)) if proxies.include(peer.ip()) => {
                super::proxy_protocol::read(&mut stream, facts).await?
            }
            _ => facts,
        };
        #[cfg(feature = "tls")]
        if let Some(certificates) = &self.certificates {
            let (mut stream, tls, is_http2) = certificates
                .accept(stream, self.limits.write_timeout)
                .await?;
            let facts = facts.with_scheme(Scheme::Https).with_tls(tls);
            let is_http2 = match is_http2 {
                Some(is_http2) => is_http2,
                None => stream.begins_with(HTTP2).await?,
            };
            return Ok((stream, facts, is_http2));
        }
        let is_http2 = stream.begins_with(HTTP2).await?;
        Ok((stream, facts, is_http2))
    }
}

type Http1 = http1::Connection<TokioIo<Stream>, Service>;
type Http2 = http2::Connection<TokioIo<Stream>, Service, TokioExecutor>;

/// How a connection of HTTP/2 begins (RFC 9113, section 3.4). Four bytes tell: no HTTP/1 method is, or will be, called
/// `PRI` (section 11.6).
const HTTP2: &[u8] = b"PRI ";

/// Of slow heads and idle connections [`Share::drive`] keeps the time.
fn http1(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new());
    http.header_read_timeout(None);
    http.keep_alive(limits.is_kept_alive);
    http.title_case_headers(limits.is_title_case);
    http.max_headers(limits.max_headers);
    http.max_header_size(limits.max_header_size);
    http
}

fn http2(limits: &Limits) -> http2::Builder<TokioExecutor> {
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new());
    http.max_concurrent_streams(limits.max_concurrent_streams);
    http.max_pending_accept_reset_streams(limits.max_reset_streams);
    http.max_header_list_size(u32::try_from(limits.max_header_size).unwrap_or(u32::MAX));
    http.keep_alive_interval(limits.http2_ping_interval);
    http.keep_alive_timeout(limits.http2_ping_timeout);
    http
}

/// Says to a client why its connection is over: its head was too slow (RFC 9110, section 15.5.9), or its target too long
/// (section 15.5.15).
async fn say_goodbye(stream: Stream, over: Over) {
    let status = match over {
        Over::SlowHead => "408 Request Timeout",
        Over::LongLine => "414 URI Too Long",
        Over::Idle => return,
    };
    say(stream, &format!("HTTP/1.1 {status}\r\n{END}")).await;
}

/// Says to a client that there is no room for it.
pub(super) async fn refuse(socket: Socket) {
    let head = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n";
    say(Stream::new(socket, GOODBYE), &format!("{head}{END}")).await;
}

const END: &str = "connection: close\r\ncontent-length: 0\r\n\r\n";

/// Says this, and takes for a moment what the client sends: a socket that is closed with unread bytes is reset, and what
/// was said is lost (RFC 9112, section 9.6).
async fn say(mut stream: Stream, answer: &str) {
    let said = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        let mut rest = [0; 1024];
        for _ in 0..LINGER {
            if stream.read(&mut rest).await? == 0 {
                break;
            }
        }
        io::Result::Ok(())
    };
    // It is gone then, with or without it.
    let _ = tokio::time::timeout(GOODBYE, said).await;
}

fn facts(socket: &Socket, peer: Option<SocketAddr>, share: &Share) -> Connection {
    let facts = Connection::new(Scheme::Http);
    let facts = peer.into_iter().fold(facts, Connection::with_peer);
    let facts = socket
        .local_addr()
        .into_iter()
        .fold(facts, Connection::with_local);
    let watch = share.clone();
    facts.with_shutdown(move || {
        let mut watch = watch.clone();
        async move { watch.finishing().await }
    })
}

/// The application, as hyper calls it.
struct Service {
    app: Application,
    connection: Connection,
    limits: Limits,
    activity: Arc<Activity>,
}

impl hyper::service::Service<http::Request<Incoming>> for Service {
    type Response = http::Response<Sent>;
    type Error = Infallible;
    type Future = Answered;

    fn call(&self, request: http::Request<Incoming>) -> Answered {
        let in_flight = self.activity.begin();
        let (mut parts, body) = request.into_parts();
        // In HTTP/1 hyper has counted them.
        let has_too_many =
            parts.version == Version::HTTP_2 && parts.headers.len() > self.limits.max_headers;
        name_host(&mut parts);
        let takes = Takes::new(parts.version, &parts.headers);
        let body = match body.is_end_stream() {
            true => Body::empty(),
            false => Body::new(Received::new(body, self.limits.pace, self.activity.read())),
        };
        let request = Request::from_parts(parts, body, self.connection.clone());
        let version = request.version();
        let answer = match *request.method() {
            // hyper takes an answer of success for the beginning of a tunnel, and would close without a word.
            Method::CONNECT => gateway::answer(&Application::new(refuse_tunnel), request),
            _ if has_too_many => gateway::answer(&Application::new(refuse_headers), request),
            _ => gateway::answer(&self.app, request),
        };
        // Over HTTP/1 hyper writes it without a header of its own.
        let answer = match version {
            Version::HTTP_2 => answer,
            _ => answer.leave_length(),
        };
        Answered::new(answer, takes, in_flight)
    }
}

/// An origin server need not know CONNECT (RFC 9110, section 9.3.6), and this one does not.
fn refuse_tunnel(_: Request) -> HttpError {
    HttpError::new(StatusCode::NOT_IMPLEMENTED)
}

/// There are more header lines than [`Limits::max_headers`].
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
