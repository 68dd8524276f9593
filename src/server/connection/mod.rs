//! One connection: hyper on one side, the application on the other.

pub(super) mod activity;
mod clock;
pub(super) mod close_reason;
pub mod date;
mod frames;
pub(super) mod framing;
pub(super) mod goodbye;
mod http1;
#[cfg(feature = "http2")]
mod http2;
pub(super) mod lifetime;
pub(super) mod limits;
mod malformed;
mod pending_upgrade;
mod piece;
pub(super) mod prepared;
pub(super) mod progress;
pub(super) mod request_body;
pub(super) mod response_body;
mod response_future;
mod service;
pub(super) mod stream;
#[cfg(feature = "http2")]
mod stream_upgrade;
#[cfg(feature = "http2")]
mod streams;
mod upgrade;
pub(super) mod wire;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use enfilade_core::{Application, Connection, Scheme};
use hyper_util::rt::TokioIo;

use crate::background::Spawner;
use crate::failures::FailureHooks;
use crate::listening::Socket;
use crate::server::admission::Admitted;
use crate::server::connection::activity::Activity;
use crate::server::connection::lifetime::Share;
use crate::server::connection::limits::Limits;
use crate::server::connection::service::Service;
use crate::server::connection::stream::Stream;
use crate::server::connection::wire::Wire;
use crate::server::crowd::Seat;
use crate::server::refusal::{Refusal, RefusalHooks};

/// The common settings of all connections of a listener.
#[derive(Clone)]
pub(super) struct ServeContext {
    pub(super) limits: Limits,
    pub(super) app: Application,
    pub(super) refusals: RefusalHooks,
    pub(super) failures: FailureHooks,
    pub(super) spawner: Spawner,
    #[cfg(feature = "tls")]
    pub(super) certificates: Option<crate::server::tls::Certificates>,
    #[cfg(feature = "proxy-protocol")]
    pub(super) proxies: Option<crate::server::proxy_protocol::Proxies>,
}

impl ServeContext {
    /// Serves one connection to its end, or until the server ends it.
    pub(super) async fn drive(
        self,
        socket: Socket,
        peer: Option<SocketAddr>,
        admitted: Admitted,
        seat: Arc<Seat>,
        mut share: Share,
    ) {
        socket.send_at_once();
        let watch = socket.watch();
        let facts = facts(&socket, peer, &share, &self.spawner);
        let limits = self.limits;
        let refusals = self.refusals.clone();
        // Boxed, because every connection's task is as large as its largest part.
        let begun = Box::pin(tokio::time::timeout(
            limits.header_read_timeout,
            self.begin(socket, facts),
        ));
        // A connection without any bytes can be dropped, and ends with the server.
        let (mut stream, facts, is_http2) = match share.until_finishing(begun).await {
            Some(Ok(Ok(begun))) => begun,
            Some(Ok(Err(error))) => {
                if error.kind() == io::ErrorKind::InvalidData {
                    let reason = "the connection begins with invalid bytes";
                    refusals.report(&Refusal::new(peer, None, reason));
                }
                return;
            }
            Some(Err(_)) => {
                let reason = "timed out waiting for the start of the connection";
                return refusals.report(&Refusal::new(peer, None, reason));
            }
            None => return,
        };
        let activity = Arc::new(match is_http2 {
            true => Activity::http2(limits.max_control_frames, self.failures),
            false => Activity::http1(limits.max_request_line, self.failures),
        });
        stream.watch(activity.clone());
        seat.begins(activity.clone());
        // With the PROXY protocol, the peer is the client.
        let peer = facts.peer();
        let service = Service {
            app: self.app,
            connection: facts,
            limits,
            refusals: self.refusals,
            activity: activity.clone(),
            #[cfg(feature = "http2")]
            upgrades: None,
        };
        let stream = TokioIo::new(stream);
        match is_http2 {
            #[cfg(feature = "http2")]
            true => http2::serve(stream, service, peer, &mut share, &watch).await,
            _ => http1::serve(stream, service, peer, &mut share, &watch).await,
        }
        if activity.must_reset() {
            watch.reset_on_close();
        }
        drop((admitted, seat));
    }

    /// Does the TLS handshake, if there is TLS, and detects which version of HTTP the client speaks.
    async fn begin(
        &self,
        socket: Socket,
        facts: Connection,
    ) -> io::Result<(Stream, Connection, bool)> {
        #[cfg_attr(
            not(feature = "proxy-protocol"),
            expect(unused_mut, reason = "no bytes are read from it here")
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
                None => begins_http2(&mut stream).await?,
            };
            return Ok((stream, facts, is_http2));
        }
        let mut stream = Stream::new(wire);
        let is_http2 = begins_http2(&mut stream).await?;
        Ok((stream, facts, is_http2))
    }
}

/// How a connection of HTTP/2 begins (RFC 9113, section 3.4). Four bytes are enough: no HTTP/1 method is, or will be,
/// called `PRI` (section 11.6).
const HTTP2: &[u8] = b"PRI ";

/// Whether the client speaks HTTP/2, and the server too.
async fn begins_http2(stream: &mut Stream) -> io::Result<bool> {
    let begins = stream.begins_with(HTTP2).await?;
    Ok(begins && cfg!(feature = "http2"))
}

fn facts(
    socket: &Socket,
    peer: Option<SocketAddr>,
    share: &Share,
    spawner: &Spawner,
) -> Connection {
    let facts = Connection::new(Scheme::Http);
    let facts = peer.into_iter().fold(facts, Connection::with_peer);
    let facts = socket
        .local_addr()
        .into_iter()
        .fold(facts, Connection::with_local);
    let facts = facts.with_spawner(spawner.clone());
    let watch = share.clone();
    facts.with_shutdown(move || {
        let mut watch = watch.clone();
        async move { watch.finishing().await }
    })
}
