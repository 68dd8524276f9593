//! Connections that speak HTTP/2, by hyper and the library `h2`.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};

use crate::listening::Watch;
use crate::server::connection::goodbye::report;
use crate::server::connection::lifetime::{End, Share};
use crate::server::connection::limits::Limits;
use crate::server::connection::service::Service;
use crate::server::connection::stream::Stream;
use crate::server::connection::stream_upgrade::UpgradeContext;
use crate::server::connection::streams::Streams;
use crate::server::refusal::Refusal;

type Http2Connection = http2::Connection<TokioIo<Stream>, Service, Streams>;

/// Serves a connection to its end, or until the server ends it.
pub(super) async fn serve(
    stream: TokioIo<Stream>,
    mut service: Service,
    peer: Option<SocketAddr>,
    share: &mut Share,
    watch: &Watch,
) {
    let (limits, refusals) = (service.limits, service.refusals.clone());
    let activity = service.activity.clone();
    let streams = Streams {
        pace: limits.write_pace,
        activity: activity.clone(),
        waiting: Arc::default(),
    };
    // Tasks of upgraded streams end with the connection.
    let (_alive, gone) = tokio::sync::watch::channel(());
    service.upgrades = Some(UpgradeContext {
        streams: streams.clone(),
        gone,
    });
    let mut connection = Box::new(builder(&limits, streams).serve_connection(stream, service));
    let finish = |connection: &mut Http2Connection| Pin::new(connection).graceful_shutdown();
    let end = share.drive(&mut *connection, finish, &activity, &limits, watch);
    match end.await {
        End::Ended(Err(error)) if is_protocol_error(&error) => {
            let reason = "the client violates HTTP/2";
            refusals.report(&Refusal::new(peer, None, reason));
        }
        End::Ended(_) | End::Stopped => {}
        End::Over(reason) => {
            report(&refusals, peer, None, reason);
            // hyper sends a GOAWAY when it is asked to finish.
            finish(&mut connection);
            poll_fn(|context| Poll::Ready(Pin::new(&mut connection).poll(context).is_ready()))
                .await;
        }
    }
}

/// The timeout of idle connections is in [`Share::drive`].
fn builder(limits: &Limits, streams: Streams) -> http2::Builder<Streams> {
    let mut http = http2::Builder::new(streams);
    http.timer(TokioTimer::new());
    http.enable_connect_protocol();
    http.max_concurrent_streams(limits.http2.max_concurrent_streams);
    http.max_pending_accept_reset_streams(limits.http2.max_reset_streams);
    http.max_header_list_size(u32::try_from(limits.max_header_size).unwrap_or(u32::MAX));
    http.keep_alive_interval(limits.http2.ping_interval);
    http.keep_alive_timeout(limits.http2.ping_timeout);
    http
}

/// Whether the library `h2` has ended the connection.
fn is_protocol_error(error: &hyper::Error) -> bool {
    let source = error.source().and_then(<dyn Error>::downcast_ref);
    source.is_some_and(|source: &h2::Error| source.is_go_away() && source.is_library())
}
