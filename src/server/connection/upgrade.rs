//! Connections that have left HTTP.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use enfilade_core::{RequestIdValue, UpgradeTask};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

use crate::failures::FailureHooks;
use crate::race::{First, race};
use crate::server::connection::goodbye::part;
use crate::server::connection::lifetime::Share;
use crate::server::connection::stream::Stream;
use crate::upgraded::FuturesStream;

/// What is done with a connection once the head of the response is written.
#[derive(Debug)]
pub(super) struct PendingUpgrade {
    pub(super) task: UpgradeTask,
    /// For the log, if it panics.
    pub(super) request_id: Option<RequestIdValue>,
}

impl PendingUpgrade {
    /// Runs it over a connection of HTTP/1, to its end or as far as the server lets it; `ahead` was read already.
    pub(super) async fn run(
        self,
        mut stream: Stream,
        ahead: Bytes,
        share: &mut Share,
        failures: &FailureHooks,
    ) {
        stream.leave_http(&ahead);
        let (lent, mut back) = Lent::new(stream);
        let task = self.task.run(FuturesStream(lent));
        let stream = match race(task, share.over()).await {
            First::Left(Ok(())) => match back.try_recv() {
                // Something that the application has begun still has it.
                Err(oneshot::error::TryRecvError::Empty) => match race(back, share.over()).await {
                    First::Left(stream) => stream.ok(),
                    First::Right(()) => None,
                },
                stream => stream.ok(),
            },
            First::Left(Err(error)) => {
                failures.body_failed(&error, self.request_id.as_ref());
                None
            }
            First::Right(()) => None,
        };
        if let Some(mut stream) = stream {
            // What it wrote last is not lost.
            part(&mut stream).await;
        }
    }

    /// Runs it over a stream of HTTP/2, to its end or that of the connection.
    #[cfg(feature = "http2")]
    pub(super) async fn run_stream(
        self,
        upgrade: hyper::upgrade::OnUpgrade,
        mut gone: tokio::sync::watch::Receiver<()>,
        in_flight: super::activity::InFlight,
    ) {
        // An error says that the head could not be written, and the task is dropped.
        let Ok(upgraded) = upgrade.await else {
            return;
        };
        let stream = FuturesStream(hyper_util::rt::TokioIo::new(upgraded));
        // Nothing is ever sent.
        if let First::Left(Err(error)) = race(self.task.run(stream), gone.changed()).await {
            in_flight
                .failures()
                .body_failed(&error, self.request_id.as_ref());
        }
    }
}

/// A connection that comes back when the application drops it, so that it is closed in good order.
struct Lent {
    stream: Option<Stream>,
    back: Option<oneshot::Sender<Stream>>,
}

impl Lent {
    fn new(stream: Stream) -> (Lent, oneshot::Receiver<Stream>) {
        let (sender, receiver) = oneshot::channel();
        let lent = Lent {
            stream: Some(stream),
            back: Some(sender),
        };
        (lent, receiver)
    }

    fn stream(&mut self) -> Pin<&mut Stream> {
        Pin::new(self.stream.as_mut().expect("it is there until the drop"))
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(stream), Some(back)) = (self.stream.take(), self.back.take()) {
            // Nobody waits for it if the server is gone.
            let _ = back.send(stream);
        }
    }
}

impl AsyncRead for Lent {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream().poll_read(context, buffer)
    }
}

impl AsyncWrite for Lent {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(Stream::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(context)
    }
}
