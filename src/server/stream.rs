//! A connection's bytes, whatever carries them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::activity::Activity;
use crate::listening::Socket;

/// What carries the bytes of HTTP.
enum Carrier {
    Plain(Socket),
    #[cfg(feature = "tls")]
    Tls(Box<tokio_rustls::server::TlsStream<Stream>>),
}

/// A connection whose first bytes may be looked at before it is read, and whose writes do not wait for ever.
pub(super) struct Stream {
    carrier: Carrier,
    /// What was looked at and is not read yet.
    seen: Vec<u8>,
    activity: Option<Arc<Activity>>,
    write_timeout: Duration,
    /// When a write that waits for the client is given up.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Stream {
    pub(super) fn new(socket: Socket, write_timeout: Duration) -> Stream {
        Stream::of(Carrier::Plain(socket), write_timeout)
    }

    #[cfg(feature = "tls")]
    pub(super) fn tls(
        stream: tokio_rustls::server::TlsStream<Stream>,
        write_timeout: Duration,
    ) -> Stream {
        Stream::of(Carrier::Tls(Box::new(stream)), write_timeout)
    }

    fn of(carrier: Carrier, write_timeout: Duration) -> Stream {
        Stream {
            carrier,
            seen: Vec::new(),
            activity: None,
            write_timeout,
            stalled: None,
        }
    }

    /// Tells of what is read from now on.
    pub(super) fn watch(&mut self, activity: Arc<Activity>) {
        self.activity = Some(activity);
    }

    /// Whether the first bytes are these; what was looked at is read again later. It stops at the first that differs.
    pub(super) async fn begins_with(&mut self, beginning: &[u8]) -> io::Result<bool> {
        loop {
            let count = self.seen.len().min(beginning.len());
            if self.seen.get(..count) != beginning.get(..count) {
                return Ok(false);
            }
            if count == beginning.len() {
                return Ok(true);
            }
            if !self.look_further(beginning.len() - count).await? {
                return Ok(false);
            }
        }
    }

    /// Looks at up to so many bytes more; answers whether there were any.
    pub(super) async fn look_further(&mut self, count: usize) -> io::Result<bool> {
        let mut more = [0; 64];
        let room = more.get_mut(..count.min(64)).unwrap_or_default();
        let read = self.carrier.read(room).await?;
        self.seen
            .extend_from_slice(more.get(..read).unwrap_or_default());
        Ok(read > 0)
    }

    /// What was looked at so far.
    #[cfg(feature = "proxy-protocol")]
    pub(super) fn seen(&self) -> &[u8] {
        &self.seen
    }

    /// Takes so much of it away.
    #[cfg(feature = "proxy-protocol")]
    pub(super) fn skip(&mut self, count: usize) {
        self.seen.drain(..count.min(self.seen.len()));
    }

    /// Gives up where the client has not taken anything for too long.
    fn poll_stalled(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let limit = self.write_timeout;
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        stalled.as_mut().poll(context).map(|()| {
            let message = "the client takes nothing of the answer";
            Err(io::Error::new(io::ErrorKind::TimedOut, message))
        })
    }

    fn written(
        &mut self,
        context: &mut Context<'_>,
        poll: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match poll {
            Poll::Ready(result) => {
                self.stalled = None;
                Poll::Ready(result)
            }
            Poll::Pending => self.poll_stalled(context),
        }
    }
}

impl AsyncRead for Carrier {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Carrier::Plain(socket) => Pin::new(socket).poll_read(context, buffer),
            #[cfg(feature = "tls")]
            Carrier::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let poll = if this.seen.is_empty() {
            Pin::new(&mut this.carrier).poll_read(context, buffer)
        } else {
            let count = this.seen.len().min(buffer.remaining());
            buffer.put_slice(this.seen.get(..count).unwrap_or_default());
            this.seen.drain(..count);
            // What comes after it is read at once, as a reader of a few bytes makes room for many more. What goes wrong
            // there is told the next time.
            if this.seen.is_empty() && buffer.remaining() > 0 {
                this.seen = Vec::new();
                let _ = Pin::new(&mut this.carrier).poll_read(context, buffer);
            }
            Poll::Ready(Ok(()))
        };
        let read = buffer.filled().get(before..).unwrap_or_default();
        if let Some(activity) = &this.activity
            && !activity.receives(read)
        {
            // Nobody is to read it: the connection is over when its time is looked at, which is next.
            buffer.set_filled(before);
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        poll
    }
}

impl AsyncWrite for Carrier {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Carrier::Plain(socket) => Pin::new(socket).poll_write(context, bytes),
            #[cfg(feature = "tls")]
            Carrier::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Carrier::Plain(socket) => Pin::new(socket).poll_write_vectored(context, slices),
            #[cfg(feature = "tls")]
            Carrier::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Carrier::Plain(socket) => socket.is_write_vectored(),
            #[cfg(feature = "tls")]
            Carrier::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Carrier::Plain(socket) => Pin::new(socket).poll_flush(context),
            #[cfg(feature = "tls")]
            Carrier::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Carrier::Plain(socket) => Pin::new(socket).poll_shutdown(context),
            #[cfg(feature = "tls")]
            Carrier::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let poll = Pin::new(&mut this.carrier).poll_write(context, bytes);
        this.written(context, poll)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let poll = Pin::new(&mut this.carrier).poll_write_vectored(context, slices);
        this.written(context, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.carrier.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.carrier).poll_flush(context) {
            Poll::Pending => this.poll_stalled(context).map_ok(drop),
            ready => ready,
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.carrier).poll_shutdown(context) {
            Poll::Pending => this.poll_stalled(context).map_ok(drop),
            ready => ready,
        }
    }
}
