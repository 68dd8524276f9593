//! The byte stream of a connection for hyper.

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::serve::inline::connection::Connection;

/// The first and the largest size of a read: a socket that fills the buffer has more to read.
const FIRST: usize = 64 * 1024;
const MOST: usize = 128 * 1024;

thread_local! {
    /// The buffer for small reads: copying costs less than clearing room for the largest read.
    static ROOM: RefCell<Vec<u8>> = RefCell::new(vec![0; FIRST]);
}

/// The socket of a connection.
///
/// It needs no wakers: every event of the socket polls the connection, and no other task uses the socket.
pub(super) struct Stream {
    connection: Rc<Connection>,
    room: Cell<usize>,
    /// Bytes that arrived, and wait until hyper is done with those before.
    ahead: Vec<u8>,
}

impl Stream {
    pub(super) fn new(connection: Rc<Connection>) -> Stream {
        Stream {
            connection,
            room: Cell::new(FIRST),
            ahead: Vec::new(),
        }
    }

    /// Reads up to `size` bytes. hyper gets those that it may have now, and the others later.
    fn read(&mut self, buffer: &mut ReadBuf<'_>, size: usize) -> io::Result<usize> {
        let mut socket = self.connection.socket();
        if size > FIRST {
            let room = buffer.initialize_unfilled_to(size);
            let count = socket.read(room)?;
            let bytes = room.get(..count).unwrap_or_default();
            let admitted = admit(&self.connection, &mut self.ahead, bytes);
            buffer.advance(admitted);
            return Ok(count);
        }
        ROOM.with_borrow_mut(|room| {
            let count = socket.read(room.get_mut(..size).unwrap_or_default())?;
            let bytes = room.get(..count).unwrap_or_default();
            let admitted = admit(&self.connection, &mut self.ahead, bytes);
            buffer.put_slice(bytes.get(..admitted).unwrap_or_default());
            Ok(count)
        })
    }

    /// Passes on bytes that arrived before.
    fn read_ahead(&mut self, buffer: &mut ReadBuf<'_>) {
        let bytes = std::mem::take(&mut self.ahead);
        let (now, later) = bytes.split_at(bytes.len().min(buffer.remaining()));
        let admitted = admit(&self.connection, &mut self.ahead, now);
        buffer.put_slice(now.get(..admitted).unwrap_or_default());
        self.ahead.extend_from_slice(later);
    }

    fn written(
        &self,
        context: &Context<'_>,
        result: io::Result<usize>,
        of: usize,
    ) -> Poll<io::Result<usize>> {
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.connection.cannot_write();
                Poll::Pending
            }
            result => {
                let count = *result.as_ref().unwrap_or(&0);
                self.connection.has_written(count == of);
                if self.connection.is_refused() {
                    // The reason may be sent now.
                    context.waker().wake_by_ref();
                }
                Poll::Ready(result)
            }
        }
    }
}

/// Returns how many of these bytes hyper may have now; the others are added to those that wait.
fn admit(connection: &Connection, ahead: &mut Vec<u8>, bytes: &[u8]) -> usize {
    if bytes.is_empty() {
        return 0;
    }
    connection.receives();
    match connection.admit(bytes) {
        Some(count) => {
            ahead.extend_from_slice(bytes.get(count..).unwrap_or_default());
            count
        }
        None => 0,
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.connection.is_refused() && !self.ahead.is_empty() {
            self.read_ahead(buffer);
        } else if !self.connection.is_refused() {
            if !self.connection.is_readable() {
                return Poll::Pending;
            }
            let size = buffer.remaining().min(self.room.get());
            match self.read(buffer, size) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.connection.is_read(true);
                    return Poll::Pending;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Err(error) => return Poll::Ready(Err(error)),
                Ok(count) if count == size => self.room.set((size * 2).min(MOST)),
                Ok(count) => {
                    self.room.set((size / 2).max(FIRST));
                    self.connection.is_read(count == 0);
                }
            }
        }
        if !self.connection.is_refused() {
            return Poll::Ready(Ok(()));
        }
        self.connection.refuse();
        if self.connection.is_over.get() {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.connection.is_writable() {
            true => {
                let result = self.connection.socket().write(bytes);
                self.written(context, result, bytes.len())
            }
            false => Poll::Pending,
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.connection.is_writable() {
            true => {
                let result = self.connection.socket().write_vectored(slices);
                self.written(
                    context,
                    result,
                    slices.iter().map(|slice| slice.len()).sum(),
                )
            }
            false => Poll::Pending,
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.connection.socket().shutdown(std::net::Shutdown::Write))
    }
}
