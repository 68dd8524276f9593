//! Connections that speak HTTP/1.1 or HTTP/1.0, by hyper.

use std::net::SocketAddr;
use std::pin::Pin;

use bytes::Bytes;
use http::StatusCode;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};

use crate::listening::Watch;
use crate::server::connection::goodbye::{report, respond};
use crate::server::connection::lifetime::{End, Share};
use crate::server::connection::limits::Limits;
use crate::server::connection::service::Service;
use crate::server::connection::stream::Stream;
use crate::server::connection::upgrade;
use crate::server::refusal::Refusal;

type Http1Connection = http1::Connection<TokioIo<Stream>, Service>;

/// Serves a connection to its end, or until the server ends it.
pub(super) async fn serve(
    stream: TokioIo<Stream>,
    service: Service,
    peer: Option<SocketAddr>,
    share: &mut Share,
    watch: &Watch,
) {
    let (limits, refusals) = (service.limits, service.refusals.clone());
    let activity = service.activity.clone();
    let mut connection = Box::new(builder(&limits).serve_connection(stream, service));
    let finish = |connection: &mut Http1Connection| Pin::new(connection).graceful_shutdown();
    let end = share.drive(&mut *connection, finish, &activity, &limits, watch);
    match end.await {
        End::Ended(Err(error)) => {
            if let Some(refusal) = refused_by_hyper(peer, &error) {
                refusals.report(&refusal);
            }
        }
        End::Ended(Ok(())) => {
            if let Some(upgrade) = activity.take_upgrade() {
                let (stream, ahead) = parts(connection);
                Box::pin(upgrade::run(
                    *upgrade,
                    stream,
                    ahead,
                    share,
                    activity.failures(),
                    watch,
                ))
                .await;
            }
        }
        End::Stopped => {}
        End::Over(reason) => {
            let status = reason.status().filter(|_| !activity.is_in_flight());
            report(&refusals, peer, status, reason);
            if let Some(status) = status {
                let mut stream = connection.into_parts().io.into_inner();
                stream.forget();
                Box::pin(respond(stream, status, "")).await;
            }
        }
    }
}

/// The rest after hyper is done, which must not run on beside it.
fn parts(connection: Box<Http1Connection>) -> (Stream, Bytes) {
    let parts = connection.into_parts();
    (parts.io.into_inner(), parts.read_buf)
}

/// Timeouts of heads and of idle connections are in [`Share::drive`].
fn builder(limits: &Limits) -> http1::Builder {
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

/// The refusal if hyper has responded by itself.
fn refused_by_hyper(peer: Option<SocketAddr>, error: &hyper::Error) -> Option<Refusal> {
    let (status, reason) = match error {
        error if error.is_parse_version_h2() => {
            let reason = "the client speaks HTTP/2, and the feature `http2` is not enabled";
            return Some(Refusal::new(peer, None, reason));
        }
        error if !error.is_parse() => return None,
        error if error.is_parse_too_large() => (
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "the head is too long, or its Content-Length is",
        ),
        _ => (StatusCode::BAD_REQUEST, "the head is not HTTP"),
    };
    Some(Refusal::new(peer, Some(status), reason))
}
