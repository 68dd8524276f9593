//! Upgrades of a service, which gets hyper's connection as a pipe to the application's connection.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};

use enfilade_core::{Body, Request, Response, Upgrade, Upgraded, unpoisoned};
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Method, StatusCode, Version};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, copy, duplex, split};
use tokio::runtime::Handle;
use tokio::sync::oneshot::{self, error::TryRecvError};

use crate::race::{First, race};
use crate::upgraded::{Lent, TokioStream};

/// The size of the pipe's buffer in each direction, in bytes.
const PIPE: usize = 64 * 1024;

/// The protocols that the client of a request offers.
pub(super) struct ServiceUpgrade {
    offered: Vec<Upgrade>,
    /// Whether the client used an extended CONNECT.
    is_connect: bool,
}

impl ServiceUpgrade {
    /// Returns `None` outside of a tokio runtime, because the service could not wait for the connection.
    pub(super) fn of(request: &Request) -> Option<ServiceUpgrade> {
        let offered: Vec<Upgrade> = request.upgrades().collect();
        let is_possible = !offered.is_empty() && Handle::try_current().is_ok();
        is_possible.then(|| ServiceUpgrade {
            offered,
            is_connect: request.version() == Version::HTTP_2,
        })
    }

    /// Inserts hyper's `OnUpgrade` into the request, and returns the other end of the pipe.
    pub(super) async fn offer(&self, request: &mut http::Request<Body>) -> Option<Pipe> {
        let (pipe, upgrade) = connection_of_hyper().await.ok()?;
        request.extensions_mut().insert(upgrade);
        if self.is_connect {
            // The request as the client sent it.
            *request.method_mut() = Method::CONNECT;
            request.headers_mut().remove(CONNECTION);
            request.headers_mut().remove(UPGRADE);
        }
        Some(pipe)
    }

    /// Returns the response, with the pipe behind it if it upgrades to another protocol.
    pub(super) fn connect(self, mut pipe: Pipe, response: Response) -> Response {
        let status = response.status();
        let is_upgrade = match self.is_connect {
            true => status.is_success(),
            false => status == StatusCode::SWITCHING_PROTOCOLS,
        };
        if !is_upgrade || !matches!(pipe.service_end.try_recv(), Err(TryRecvError::Empty)) {
            // The gateway turns an upgrade without a task into an error.
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
        // The gateway writes these headers.
        head.headers.remove(CONNECTION);
        head.headers.remove(UPGRADE);
        let (_, body) = upgrade
            .respond(|connection| relay(connection, pipe))
            .into_parts();
        Response::from_parts(head, body)
    }
}

/// The end of the connection that the service does not hold.
pub(super) struct Pipe {
    stream: DuplexStream,
    /// Ready when the service drops its end.
    service_end: oneshot::Receiver<DuplexStream>,
}

/// Makes a pipe and an `OnUpgrade` for its other end.
///
/// Only a connection that hyper serves can make an `OnUpgrade`.
async fn connection_of_hyper() -> io::Result<(Pipe, OnUpgrade)> {
    let (mut near, far) = duplex(PIPE);
    let (far, service_end) = Lent::new(far);
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
    // The head is complete, and no bytes follow it yet.
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if near.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let upgrade = unpoisoned(found.lock()).take();
    let pipe = Pipe {
        stream: near,
        service_end,
    };
    upgrade
        .map(|upgrade| (pipe, upgrade))
        .ok_or_else(|| io::ErrorKind::NotConnected.into())
}

/// Copies bytes both ways, until both sides have ended or one has closed.
///
/// A side that has ended may read on, as in a tunnel: only its end is passed on.
async fn relay(connection: Upgraded, pipe: Pipe) -> io::Result<()> {
    let (mut from_client, mut to_client) = split(TokioStream::new(connection));
    let (mut from_service, mut to_service) = split(pipe.stream);
    let inward = async {
        copy(&mut from_client, &mut to_service).await?;
        to_service.shutdown().await
    };
    // If the service has dropped its end, the bytes that it wrote before are still sent.
    let inward = async {
        match race(inward, pipe.service_end).await {
            First::Left(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            First::Left(_) | First::Right(_) => Ok(()),
        }
    };
    let outward = async {
        copy(&mut from_service, &mut to_client).await?;
        to_client.shutdown().await
    };
    let (mut inward, mut outward) = (std::pin::pin!(inward), std::pin::pin!(outward));
    match race(&mut outward, &mut inward).await {
        First::Left(Ok(())) => inward.await,
        First::Right(Ok(())) => outward.await,
        First::Left(Err(error)) | First::Right(Err(error)) => Err(error),
    }
}
