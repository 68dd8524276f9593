//! A connection's bytes, over any transport.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use crate::server::connection::activity::Activity;
use crate::server::connection::wire::Wire;

/// After at most this many bytes that were read ahead, more are read at once.
const FEW: usize = 64;

/// The transport of HTTP.
enum Carrier {
    Plain(Wire),
    #[cfg(feature = "tls")]
    Tls(Box<tokio_rustls::server::TlsStream<Wire>>),
}

/// A connection whose first bytes can be inspected before it is read, and whose reader gets as much as its [`Activity`]
/// allows.
pub(in crate::server) struct Stream {
    carrier: Carrier,
    /// Bytes that arrived and were not read yet.
    ahead: BytesMut,
    activity: Option<Arc<Activity>>,
}

/// The same call for each variant.
macro_rules! forward {
    ($carrier:expr, $stream:ident => $call:expr) => {
        match $carrier {
            Carrier::Plain($stream) => $call,
            #[cfg(feature = "tls")]
            Carrier::Tls($stream) => $call,
        }
    };
}

impl Stream {
    pub(in crate::server) fn new(wire: Wire) -> Stream {
        Stream::of(Carrier::Plain(wire))
    }

    #[cfg(feature = "tls")]
    pub(in crate::server) fn tls(stream: tokio_rustls::server::TlsStream<Wire>) -> Stream {
        Stream::of(Carrier::Tls(Box::new(stream)))
    }

    fn of(carrier: Carrier) -> Stream {
        Stream {
            carrier,
            ahead: BytesMut::new(),
            activity: None,
        }
    }

    /// Reports what is read and written from now on.
    pub(in crate::server) fn watch(&mut self, activity: Arc<Activity>) {
        match &mut self.carrier {
            Carrier::Plain(wire) => wire.watch(activity.clone()),
            #[cfg(feature = "tls")]
            Carrier::Tls(stream) => {
                activity.encrypts();
                stream.get_mut().0.watch(activity.clone());
            }
        }
        self.activity = Some(activity);
    }

    /// Whether these are the first bytes; inspected bytes are read again later. It stops at the first difference.
    pub(in crate::server) async fn begins_with(&mut self, beginning: &[u8]) -> io::Result<bool> {
        loop {
            let count = self.ahead.len().min(beginning.len());
            if self.ahead.get(..count) != beginning.get(..count) {
                return Ok(false);
            }
            if count == beginning.len() {
                return Ok(true);
            }
            let mut more = [0; 16];
            let room = more.get_mut(..beginning.len() - count).unwrap_or_default();
            let read = forward!(&mut self.carrier, stream => stream.read(room).await?);
            if read == 0 {
                return Ok(false);
            }
            self.ahead
                .extend_from_slice(more.get(..read).unwrap_or_default());
        }
    }

    /// Passes on bytes from now on as they arrive, and drops earlier ones.
    pub(super) fn forget(&mut self) {
        self.activity = None;
        self.ahead = BytesMut::new();
    }

    /// Passes on all bytes, `ahead` first, and bytes from now on as they arrive.
    pub(super) fn leave_http(&mut self, ahead: &[u8]) {
        self.activity = None;
        let rest = std::mem::replace(&mut self.ahead, BytesMut::from(ahead));
        self.ahead.extend_from_slice(&rest);
    }

    /// How many of these received bytes may be read now; `None` if the connection is over.
    fn admit(&self, bytes: &[u8]) -> Option<usize> {
        match &self.activity {
            Some(activity) if !bytes.is_empty() => activity.receives(bytes),
            _ => Some(bytes.len()),
        }
    }

    fn note_held(&self) {
        if let Some(activity) = &self.activity {
            activity.holds(self.ahead.len());
        }
    }

    /// Notes bytes that are being sent.
    fn sent<'a>(&self, poll: &Poll<io::Result<usize>>, parts: impl Iterator<Item = &'a [u8]>) {
        if let (Some(activity), Poll::Ready(Ok(count))) = (&self.activity, poll) {
            let mut left = *count;
            activity.sends(parts.map(|part| {
                let count = part.len().min(left);
                left -= count;
                part.get(..count).unwrap_or_default()
            }));
        }
    }

    /// The bytes must not be read: the connection ends when its timeouts are checked, which is next.
    fn end(context: &Context<'_>) -> Poll<io::Result<()>> {
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let is_ahead = !this.ahead.is_empty();
        if is_ahead {
            let count = this.ahead.len().min(buffer.remaining());
            let bytes = this.ahead.get(..count).unwrap_or_default();
            let Some(count) = this.admit(bytes) else {
                return Stream::end(context);
            };
            buffer.put_slice(this.ahead.get(..count).unwrap_or_default());
            this.ahead.advance(count);
            this.note_held();
            if !this.ahead.is_empty() || buffer.remaining() == 0 || count > FEW {
                return Poll::Ready(Ok(()));
            }
            this.ahead = BytesMut::new();
        }
        // After the few bytes that were inspected at the start, more are read at once. An error there is reported on the
        // next read. After many bytes it would look as if they had been decoded: a chunked body, whose first bytes came
        // with its head, would seem to be overhead.
        let before = buffer.filled().len();
        let poll =
            forward!(&mut this.carrier, stream => Pin::new(stream).poll_read(context, buffer));
        match is_ahead {
            true => {}
            false => ready!(poll)?,
        }
        let bytes = buffer.filled().get(before..).unwrap_or_default();
        let Some(count) = this.admit(bytes) else {
            buffer.set_filled(before);
            return Stream::end(context);
        };
        if count < bytes.len() {
            this.ahead
                .extend_from_slice(bytes.get(count..).unwrap_or_default());
            buffer.set_filled(before + count);
            this.note_held();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll =
            forward!(&mut self.carrier, stream => Pin::new(stream).poll_write(context, bytes));
        self.sent(&poll, std::iter::once(bytes));
        poll
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = forward!(
            &mut self.carrier,
            stream => Pin::new(stream).poll_write_vectored(context, slices)
        );
        self.sent(&poll, slices.iter().map(|slice| &**slice));
        poll
    }

    fn is_write_vectored(&self) -> bool {
        forward!(&self.carrier, stream => stream.is_write_vectored())
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(&mut self.carrier, stream => Pin::new(stream).poll_flush(context))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(&mut self.carrier, stream => Pin::new(stream).poll_shutdown(context))
    }
}
