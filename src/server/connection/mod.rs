//! One connection: hyper on one side, the application on the other.

mod activity;
mod answer;
mod clock;
mod close_reason;
pub(super) mod date;
mod frames;
mod framing;
pub(super) mod lifetime;
pub(super) mod limits;
mod malformed;
pub(super) mod progress;
pub(super) mod received;
mod sent;
pub(super) mod stream;
mod streams;
pub(super) mod wire;

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use enfilade_core::{Application, Body, Connection, HttpError, Request, Scheme, gateway};
use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderValue, Method, StatusCode, Version};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::listening::Socket;
use crate::panics::PanicHook;
use crate::server::admission::Admitted;
use crate::server::connection::activity::Activity;
use crate::server::connection::answer::{Answered, ClientSupport, MalformedRequest};
use crate::server::connection::close_reason::CloseReason;
use crate::server::connection::framing::Content;
use crate::server::connection::lifetime::{End, Share};
use crate::server::connection::limits::Limits;
use crate::server::connection::malformed::{Malformed, is_malformed};
use crate::server::connection::received::Received;
use crate::server::connection::sent::Sent;
use crate::server::connection::stream::Stream;
use crate::server::connection::streams::Streams;
use crate::server::connection::wire::Wire;
use crate::server::refusal::{Refusal, RefusalHooks};

/// How long saying goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);
/// How much of what a client sends then is taken, in KiB.
const LINGER: usize = 256;

/// What all connections of a listener have in common.
#[derive(Clone)]
pub(super) struct Serving {
    pub(super) limits: Limits,
    pub(super) app: Application,
    pub(super) refusals: RefusalHooks,
    pub(super) on_panic: PanicHook,
    #[cfg(feature = "tls")]
    pub(super) certificates: Option<crate::server::tls::Certificates>,
    #[cfg(feature = "proxy-protocol")]
    pub(super) proxies: Option<crate::server::proxy_protocol::Proxies>,
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
        let watch = socket.watch();
        let facts = facts(&socket, peer, &share);
        let limits = self.limits;
        let refusals = self.refusals.clone();
        // What is in a box of its own does not take room in every connection's task, which is as large as its largest part.
        let begun = Box::pin(tokio::time::timeout(
            limits.header_read_timeout,
            self.begin(socket, facts),
        ));
        // One that says nothing is no loss, and is gone with the server.
        let (mut stream, facts, is_http2) = match share.until_finishing(begun).await {
            Some(Ok(Ok(begun))) => begun,
            Some(Ok(Err(error))) => {
                if error.kind() == io::ErrorKind::InvalidData {
                    let reason = "the connection does not begin as it has to";
                    refusals.tell(&Refusal::new(peer, None, reason));
                }
                return;
            }
            Some(Err(_)) => {
                let reason = "the connection does not begin in time";
                return refusals.tell(&Refusal::new(peer, None, reason));
            }
            None => return,
        };
        let activity = Arc::new(match is_http2 {
            true => Activity::http2(limits.http2_max_control_frames, self.on_panic),
            false => Activity::http1(limits.max_request_line, self.on_panic),
        });
        stream.watch(activity.clone());
        // Behind a proxy that says so, the peer is the client.
        let peer = facts.peer();
        let service = Service {
            app: self.app,
            connection: facts,
            limits,
            refusals: self.refusals,
            activity: activity.clone(),
        };
        let stream = TokioIo::new(stream);
        if is_http2 {
            let mut connection =
                Box::new(http2(&limits, activity.clone()).serve_connection(stream, service));
            let finish = |connection: &mut Http2| Pin::new(connection).graceful_shutdown();
            let end = share.drive(&mut *connection, finish, &activity, &limits, &watch);
            match end.await {
                End::Ended(Err(error)) if is_protocol_error(&error) => {
                    let reason = "HTTP/2 does not allow what the client sends";
                    refusals.tell(&Refusal::new(peer, None, reason));
                }
                End::Ended(_) | End::Stopped => {}
                End::Over(reason) => {
                    tell(&refusals, peer, None, reason);
                    // hyper says goodbye, a GOAWAY, when it is told to finish.
                    finish(&mut connection);
                    poll_fn(|context| {
                        Poll::Ready(Pin::new(&mut connection).poll(context).is_ready())
                    })
                    .await;
                }
            }
        } else {
            let mut connection = Box::new(http1(&limits).serve_connection(stream, service));
            let finish = |connection: &mut Http1| Pin::new(connection).graceful_shutdown();
            let end = share.drive(&mut *connection, finish, &activity, &limits, &watch);
            match end.await {
                End::Ended(Err(error)) => {
                    if let Some(refusal) = refused_by_hyper(peer, &error) {
                        refusals.tell(&refusal);
                    }
                }
                End::Ended(Ok(())) | End::Stopped => {}
                End::Over(reason) => {
                    let status = goodbye(reason).filter(|_| !activity.is_in_flight());
                    tell(&refusals, peer, status, reason);
                    if let Some(status) = status {
                        let mut stream = connection.into_parts().io.into_inner();
                        stream.forget();
                        Box::pin(say(stream, status, "")).await;
                    }
                }
            }
        }
        if activity.must_reset() {
            watch.reset_on_close();
        }
        drop(admitted);
    }

    /// Shakes hands if there is TLS, and finds out which version of HTTP the client speaks.
    async fn begin(
        &self,
        socket: Socket,
        facts: Connection,
    ) -> io::Result<(Stream, Connection, bool)> {
        #[cfg_attr(
            not(feature = "proxy-protocol"),
            expect(unused_mut, reason = "nothing is read of it here")
        )]
        let mut wire = Wire::new(socket, self.limits.write_pace);
        #[cfg(feature = "proxy-protocol")]
        let facts = match (&self.proxies, facts.peer()) {
            (Some(proxies), Some(peer)) if proxies.include(peer.ip()) => {
                crate::server::proxy_protocol::read(&mut wire, facts).await?
            }
            _ => facts,
        };
        #[cfg(feature = "tls")]
        if let Some(certificates) = &self.certificates {
            let (mut stream, tls, is_http2) = certificates.accept(wire).await?;
            let facts = facts.with_scheme(Scheme::Https).with_tls(tls);
            let is_http2 = match is_http2 {
                Some(is_http2) => is_http2,
                None => stream.begins_with(HTTP2).await?,
            };
            return Ok((stream, facts, is_http2));
        }
        let mut stream = Stream::new(wire);
        let is_http2 = stream.begins_with(HTTP2).await?;
        Ok((stream, facts, is_http2))
    }
}

type Http1 = http1::Connection<TokioIo<Stream>, Service>;
type Http2 = http2::Connection<TokioIo<Stream>, Service, Streams>;

/// How a connection of HTTP/2 begins (RFC 9113, section 3.4). Four bytes tell: no HTTP/1 method is, or will be, called
/// `PRI` (section 11.6).
const HTTP2: &[u8] = b"PRI ";

/// Of slow heads and idle connections [`Share::drive`] keeps the time.
fn http1(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new());
    http.header_read_timeout(None);
    // A client that has sent its request and closed its side still gets its response; see `Share::drive`.
    http.half_close(true);
    http.keep_alive(limits.is_kept_alive);
    http.title_case_headers(limits.is_title_case);
    http.max_headers(limits.max_headers);
    http.max_header_size(limits.max_header_size);
    http
}

fn http2(limits: &Limits, activity: Arc<Activity>) -> http2::Builder<Streams> {
    let mut http = http2::Builder::new(Streams {
        pace: limits.write_pace,
        activity,
    });
    http.timer(TokioTimer::new());
    http.max_concurrent_streams(limits.max_concurrent_streams);
    http.max_pending_accept_reset_streams(limits.max_reset_streams);
    http.max_header_list_size(u32::try_from(limits.max_header_size).unwrap_or(u32::MAX));
    http.keep_alive_interval(limits.http2_ping_interval);
    http.keep_alive_timeout(limits.http2_ping_timeout);
    http
}

/// What is said to a client whose connection is over, if anything is: that its head was too slow (RFC 9110, section
/// 15.5.9), its target too long (section 15.5.15) or no target.
fn goodbye(reason: CloseReason) -> Option<StatusCode> {
    match reason {
        CloseReason::SlowHead => Some(StatusCode::REQUEST_TIMEOUT),
        CloseReason::LongLine => Some(StatusCode::URI_TOO_LONG),
        CloseReason::Fragment => Some(StatusCode::BAD_REQUEST),
        CloseReason::Overhead
        | CloseReason::CheapFrames
        | CloseReason::Idle
        | CloseReason::Gone => None,
    }
}

fn tell(
    refusals: &RefusalHooks,
    peer: Option<SocketAddr>,
    status: Option<StatusCode>,
    reason: CloseReason,
) {
    let reason = match reason {
        CloseReason::SlowHead => "the head is not complete in time",
        CloseReason::LongLine => "the request line is too long",
        CloseReason::Fragment => "the target has a fragment",
        CloseReason::Overhead => "the chunked body has too little content",
        CloseReason::CheapFrames => "too many frames that ask for nothing",
        // These are no fault of the client's, and a log of the application has them.
        CloseReason::Idle | CloseReason::Gone => return,
    };
    refusals.tell(&Refusal::new(peer, status, reason));
}

/// Whether the library `h2` has ended the connection.
fn is_protocol_error(error: &hyper::Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref());
    source.is_some_and(|source: &h2::Error| source.is_go_away() && source.is_library())
}

/// What hyper has answered by itself.
fn refused_by_hyper(peer: Option<SocketAddr>, error: &hyper::Error) -> Option<Refusal> {
    let (status, reason) = match error {
        error if error.is_parse_version_h2() || !error.is_parse() => return None,
        error if error.is_parse_too_large() => (
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "the head is too long, or says that the body is",
        ),
        _ => (StatusCode::BAD_REQUEST, "the head is not HTTP"),
    };
    Some(Refusal::new(peer, Some(status), reason))
}

/// Says to a client that there is no room for it.
pub(super) async fn refuse(socket: Socket, limits: &Limits) {
    let stream = Stream::new(Wire::new(socket, limits.write_pace));
    let status = StatusCode::SERVICE_UNAVAILABLE;
    say(stream, status, "retry-after: 1\r\n").await;
}

/// Says this, and takes for a moment what the client sends: a socket that is closed with unread bytes is reset, and what
/// was said is lost (RFC 9112, section 9.6).
async fn say(mut stream: Stream, status: StatusCode, headers: &str) {
    let date = date::now();
    let date = date.to_str().unwrap_or_default();
    let end = format!("connection: close\r\ncontent-length: 0\r\ndate: {date}\r\n\r\n");
    let response = format!("HTTP/1.1 {status}\r\n{headers}{end}");
    let said = async {
        stream.write_all(response.as_bytes()).await?;
        stream.flush().await?;
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
    refusals: RefusalHooks,
    activity: Arc<Activity>,
}

impl hyper::service::Service<http::Request<Incoming>> for Service {
    type Response = http::Response<Sent>;
    type Error = Malformed;
    type Future = Answered;

    fn call(&self, request: http::Request<Incoming>) -> Answered {
        let (mut parts, body) = request.into_parts();
        let in_flight = self.activity.begin(match body.is_end_stream() {
            true => Content::Known(0),
            false => body
                .size_hint()
                .exact()
                .map_or(Content::Chunked, Content::Known),
        });
        let client = ClientSupport::new(&parts.method, parts.version, &parts.headers);
        if is_malformed(&parts) {
            self.refuse(None, "the HTTP/2 request is malformed");
            return Answered::new(Err(MalformedRequest), client, in_flight);
        }
        // In HTTP/1 hyper has counted them.
        let has_too_many =
            parts.version == Version::HTTP_2 && parts.headers.len() > self.limits.max_headers;
        name_host(&mut parts);
        let body = match body.is_end_stream() {
            true => Body::empty(),
            false => Body::new(Received::new(body, self.limits.pace, self.activity.read())),
        };
        let request = Request::from_parts(parts, body, self.connection.clone());
        let version = request.version();
        let answer = match *request.method() {
            // hyper takes a response of success for the beginning of a tunnel, and would close without a word.
            Method::CONNECT => self.refuse_all(request, StatusCode::NOT_IMPLEMENTED, "CONNECT"),
            _ if has_too_many => {
                let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
                self.refuse_all(request, status, "too many header lines")
            }
            _ => gateway::answer(&self.app, request),
        };
        if let Some(error) = answer.refusal() {
            self.refuse(Some(error.status()), "HTTP does not allow the request");
        }
        // Over HTTP/1 hyper writes it without a header of its own.
        let answer = match version {
            Version::HTTP_2 => answer,
            _ => answer.leave_length(),
        };
        Answered::new(Ok(answer), client, in_flight)
    }
}

impl Service {
    fn refuse(&self, status: Option<StatusCode>, reason: &'static str) {
        let peer = self.connection.peer();
        self.refusals.tell(&Refusal::new(peer, status, reason));
    }

    /// The response to a request that no application gets: an origin server need not know CONNECT (RFC 9110, section
    /// 9.3.6), and there may be more header lines than [`Limits::max_headers`].
    fn refuse_all(
        &self,
        request: Request,
        status: StatusCode,
        reason: &'static str,
    ) -> gateway::Answer {
        let app = Application::new(move |_: Request| HttpError::new(status));
        let answer = gateway::answer(&app, request);
        if answer.refusal().is_none() {
            self.refuse(Some(status), reason);
        }
        answer
    }
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
