//! HTTP/2 streams after an upgrade.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{oneshot, watch};

use crate::race::{First, race};
use crate::server::connection::activity::InFlight;
use crate::server::connection::pending_upgrade::PendingUpgrade;
use crate::server::connection::streams::{StreamProgress, Streams};
use crate::upgraded::FuturesStream;

/// A way to take over the stream of a request.
pub(super) struct StreamUpgrade {
    pub(super) stream: OnUpgrade,
    pub(super) context: UpgradeContext,
}

/// The common part of a connection's upgrades.
#[derive(Clone)]
pub(super) struct UpgradeContext {
    pub(super) streams: Streams,
    /// Ready when the connection has ended; nothing is ever sent.
    pub(super) gone: watch::Receiver<()>,
}

impl StreamUpgrade {
    /// Runs the upgrade over the stream, until it, the stream or the connection ends.
    ///
    /// hyper passes on the stream within this poll of the request.
    pub(super) fn start(self, pending: PendingUpgrade, in_flight: InFlight) {
        let (sender, ended) = oneshot::channel();
        Streams::link(sender);
        tokio::spawn(self.run(pending, in_flight, ended));
    }

    async fn run(self, pending: PendingUpgrade, in_flight: InFlight, ended: oneshot::Receiver<()>) {
        // An error means that the head could not be written, and the task is dropped.
        let Ok(upgraded) = self.stream.await else {
            return;
        };
        let UpgradeContext { streams, mut gone } = self.context;
        let stream = UpgradedStream {
            io: TokioIo::new(upgraded),
            progress: StreamProgress::new(streams),
            is_closed: Arc::default(),
        };
        let is_closed = stream.is_closed.clone();
        // The application may wait for something other than the stream.
        let is_reset = async {
            // An error means that hyper's part is over.
            let _ = ended.await;
            if is_closed.load(Ordering::Relaxed) {
                std::future::pending().await
            }
        };
        let is_over = race(gone.changed(), is_reset);
        let task = pending.task.run(FuturesStream(stream));
        if let First::Left(Err(error)) = race(task, is_over).await {
            let failures = in_flight.failures();
            failures.body_failed(&error, pending.request_id.as_ref());
        }
    }
}

/// A stream whose client must read what is written, as with a body.
struct UpgradedStream {
    io: TokioIo<Upgraded>,
    progress: StreamProgress,
    /// Whether this side is closed, after which hyper's part is over too.
    is_closed: Arc<AtomicBool>,
}

/// hyper's error kind does not show that the client has reset the stream, which is not a failure of the application.
fn reset(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::Other => io::Error::new(io::ErrorKind::ConnectionReset, error),
        _ => error,
    }
}

impl UpgradedStream {
    fn io(&mut self) -> Pin<&mut TokioIo<Upgraded>> {
        Pin::new(&mut self.io)
    }
}

impl AsyncRead for UpgradedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.io().poll_read(context, buffer).map_err(reset)
    }
}

impl AsyncWrite for UpgradedStream {
    /// hyper copies all that it gets, and holds it until the client reads it: so it gets only as much as of a body.
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = bytes.len().min(self.progress.limit());
        let piece = bytes.get(..count).unwrap_or_default();
        match self.io().poll_write(context, piece) {
            Poll::Ready(written) => {
                let count = written.as_ref().map_or(0, |count| *count as u64);
                self.progress.hands_over(0, count);
                self.progress.waits(false);
                Poll::Ready(written.map_err(reset))
            }
            Poll::Pending => {
                self.progress.waits(true);
                self.progress.poll_wait(context).map(|()| {
                    let message = "timed out writing to the client";
                    Err(io::Error::new(io::ErrorKind::TimedOut, message))
                })
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_flush(context).map_err(reset)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_closed.store(true, Ordering::Relaxed);
        self.io().poll_shutdown(context).map_err(reset)
    }
}

impl Drop for UpgradedStream {
    fn drop(&mut self) {
        self.is_closed.store(true, Ordering::Relaxed);
    }
}
