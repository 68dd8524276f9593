//! Two ends of a connection in this process.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use enfilade_core::unpoisoned;
use futures_io::{AsyncRead, AsyncWrite};

/// The maximum number of bytes in transit in one direction.
const ROOM: usize = 64 * 1024;

/// One end. Bytes written here are read at the other end, which sees the end of the stream when this is closed or
/// dropped.
#[derive(Debug)]
pub(super) struct Pipe {
    incoming: Arc<Mutex<Channel>>,
    outgoing: Arc<Mutex<Channel>>,
}

/// One direction.
#[derive(Debug, Default)]
struct Channel {
    bytes: VecDeque<u8>,
    /// No more bytes will be written.
    is_closed: bool,
    /// The reading end was dropped.
    is_dropped: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Channel {
    fn wake(waker: &mut Option<Waker>) {
        if let Some(waker) = waker.take() {
            waker.wake();
        }
    }
}

impl Pipe {
    pub(super) fn new() -> (Pipe, Pipe) {
        let (one, other) = (Arc::default(), Arc::default());
        let near = Pipe {
            incoming: Arc::clone(&one),
            outgoing: Arc::clone(&other),
        };
        let far = Pipe {
            incoming: other,
            outgoing: one,
        };
        (near, far)
    }

    fn close(&mut self) {
        let mut outgoing = unpoisoned(self.outgoing.lock());
        outgoing.is_closed = true;
        Channel::wake(&mut outgoing.reader);
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.close();
        let mut incoming = unpoisoned(self.incoming.lock());
        incoming.is_dropped = true;
        Channel::wake(&mut incoming.writer);
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut incoming = unpoisoned(self.incoming.lock());
        if incoming.bytes.is_empty() && !incoming.is_closed && !buffer.is_empty() {
            incoming.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        let count = io::Read::read(&mut incoming.bytes, buffer)?;
        Channel::wake(&mut incoming.writer);
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut outgoing = unpoisoned(self.outgoing.lock());
        if outgoing.is_dropped || outgoing.is_closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let count = bytes.len().min(ROOM - outgoing.bytes.len());
        if count == 0 && !bytes.is_empty() {
            outgoing.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        outgoing.bytes.extend(bytes.iter().take(count));
        Channel::wake(&mut outgoing.reader);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.close();
        Poll::Ready(Ok(()))
    }
}
