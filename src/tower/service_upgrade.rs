//! Upgrades of a service: it waits for hyper's connection, and the application has another one.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use enfilade_core::{Body, Request, Response, Upgrade, Upgraded, unpoisoned};
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Method, StatusCode, Version};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, copy, duplex, split};
use tokio::runtime::Handle;

use crate::race::{First, race};
use crate::upgraded::TokioStream;

/// How much may be on its way in the process, each way.
const PIPE: usize = 64 * 1024;

/// The protocols that the client of a request offers.
pub(super) struct ServiceUpgrade {
    offered: Vec<Upgrade>,
    /// Whether the client said it with an extended CONNECT.
    is_connect: bool,
}

impl ServiceUpgrade {
    /// Where the service can wait for the connection: in a runtime of tokio.
    pub(super) fn of(request: &Request) -> Option<ServiceUpgrade> {
        let offered = request.offered_upgrades();
        let offered: Vec<Upgrade> = offered.filter_map(|name| request.upgrade(name)).collect();
        let is_possible = !offered.is_empty() && Handle::try_current().is_ok();
        is_possible.then(|| ServiceUpgrade {
            offered,
            is_connect: request.version() == Version::HTTP_2,
        })
    }

    /// Leaves in the request what a service of hyper looks for, and returns the other end of it.
    pub(super) async fn offer(&self, request: &mut http::Request<Body>) -> Option<DuplexStream> {
        let (pipe, upgrade) = connection_of_hyper().await.ok()?;
        request.extensions_mut().insert(upgrade);
        if self.is_connect {
            // As the client sent it.
            *request.method_mut() = Method::CONNECT;
            request.headers_mut().remove(CONNECTION);
            request.headers_mut().remove(UPGRADE);
        }
        Some(pipe)
    }

    /// The response, with the pipe behind it if it changes to another protocol.
    pub(super) fn connect(self, mut pipe: DuplexStream, response: Response) -> Response {
        let status = response.status();
        let is_upgrade = match self.is_connect {
            true => status.is_success(),
            false => status == StatusCode::SWITCHING_PROTOCOLS,
        };
        if !is_upgrade || is_dropped(&mut pipe) {
            // The gateway has a word for a change that nobody stands behind.
            return response;
        }
        let chosen = response.headers().get(UPGRADE);
        let chosen = chosen.and_then(|name| name.to_str().ok());
        let is_chosen = |upgrade: &Upgrade| {
            chosen.is_none_or(|chosen| chosen.eq_ignore_ascii_case(upgrade.protocol()))
        };
        let Some(upgrade) = self.offered.into_iter().find(is_chosen) else {
            return response;
        };
        let (mut head, _) = response.into_parts();
        head.status = StatusCode::SWITCHING_PROTOCOLS;
        // The gateway writes them.
        head.headers.remove(CONNECTION);
        head.headers.remove(UPGRADE);
        let (_, body) = upgrade
            .respond(|connection| relay(connection, pipe))
            .into_parts();
        Response::from_parts(head, body)
    }
}

/// Whether the other end is gone.
fn is_dropped(pipe: &mut DuplexStream) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    let written = Pin::new(pipe).poll_write(&mut context, &[]);
    matches!(written, Poll::Ready(Err(_)))
}

/// A pipe, and its other end as hyper gives it to services: nothing else can make one but a connection that hyper serves.
async fn connection_of_hyper() -> io::Result<(DuplexStream, OnUpgrade)> {
    let (mut near, far) = duplex(PIPE);
    near.write_all(b"GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: pipe\r\n\r\n")
        .await?;
    let found = Arc::new(Mutex::new(None));
    let service = service_fn(async |mut request: http::Request<hyper::body::Incoming>| {
        *unpoisoned(found.lock()) = Some(hyper::upgrade::on(&mut request));
        let mut response = http::Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("pipe"));
        Ok::<_, Infallible>(response)
    });
    http1::Builder::new()
        .serve_connection(TokioIo::new(far), service)
        .with_upgrades()
        .await
        .map_err(io::Error::other)?;
    // The head is there as a whole, and nothing behind it yet.
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if near.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let upgrade = unpoisoned(found.lock()).take();
    upgrade
        .map(|upgrade| (near, upgrade))
        .ok_or_else(|| io::ErrorKind::NotConnected.into())
}

/// Passes on bytes both ways until the service is gone, or both sides have ended.
async fn relay(connection: Upgraded, pipe: DuplexStream) -> io::Result<()> {
    let (mut from_client, mut to_client) = split(TokioStream::new(connection));
    let (mut from_service, mut to_service) = split(pipe);
    let inward = async {
        copy(&mut from_client, &mut to_service).await?;
        to_service.shutdown().await
    };
    let outward = async {
        copy(&mut from_service, &mut to_client).await?;
        to_client.shutdown().await
    };
    let mut inward = std::pin::pin!(inward);
    let mut outward = std::pin::pin!(outward);
    match race(&mut outward, &mut inward).await {
        First::Right(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        // What the service wrote before it went away still goes out.
        First::Right(_) => outward.await,
        First::Left(Err(error)) => Err(error),
        First::Left(Ok(())) => Ok(()),
    }
}
