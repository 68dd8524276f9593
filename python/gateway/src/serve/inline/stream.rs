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
}

impl Stream {
    pub(super) fn new(connection: Rc<Connection>) -> Stream {
        Stream {
            connection,
            room: Cell::new(FIRST),
        }
    }

    /// Reads up to `size` bytes.
    fn read(&self, buffer: &mut ReadBuf<'_>, size: usize) -> io::Result<usize> {
        let mut socket = self.connection.socket();
        if size > FIRST {
            let count = socket.read(buffer.initialize_unfilled_to(size))?;
            buffer.advance(count);
            return Ok(count);
        }
        ROOM.with_borrow_mut(|room| {
            let count = socket.read(room.get_mut(..size).unwrap_or_default())?;
            buffer.put_slice(room.get(..count).unwrap_or_default());
            Ok(count)
        })
    }

    fn written(&self, result: io::Result<usize>) -> Poll<io::Result<usize>> {
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.connection.cannot_write();
                Poll::Pending
            }
            result => {
                self.connection.has_written();
                Poll::Ready(result)
            }
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.connection.is_readable() {
            return Poll::Pending;
        }
        let size = buffer.remaining().min(self.room.get());
        match self.read(buffer, size) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.connection.is_read(true);
                Poll::Pending
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
            Ok(count) => {
                if count == size {
                    self.room.set((size * 2).min(MOST));
                } else {
                    self.room.set((size / 2).max(FIRST));
                    self.connection.is_read(count == 0);
                }
                if count > 0 {
                    self.connection.receives();
                }
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.connection.is_writable() {
            true => self.written(self.connection.socket().write(bytes)),
            false => Poll::Pending,
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.connection.is_writable() {
            true => self.written(self.connection.socket().write_vectored(slices)),
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
