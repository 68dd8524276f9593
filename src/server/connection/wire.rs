//! The socket of a connection, with timeouts for writes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::listening::Socket;
use crate::server::connection::activity::Activity;
use crate::server::connection::progress::{Progress, WritePace};

/// A socket that gives up a client that does not read what is written.
///
/// It is below TLS, where it sees how much the client reads.
pub(in crate::server) struct Wire {
    socket: Socket,
    progress: Progress,
    activity: Option<Arc<Activity>>,
}

impl Wire {
    pub(in crate::server) fn new(socket: Socket, pace: WritePace) -> Wire {
        Wire {
            socket,
            progress: Progress::new(pace),
            activity: None,
        }
    }

    /// Reports what is written from now on.
    pub(in crate::server) fn watch(&mut self, activity: Arc<Activity>) {
        self.activity = Some(activity);
    }

    fn written(
        &mut self,
        context: &mut Context<'_>,
        poll: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Some(activity) = &self.activity {
            activity.writes(poll.is_ready());
        }
        match poll {
            Poll::Ready(result) => {
                self.progress.takes(*result.as_ref().unwrap_or(&0) as u64);
                Poll::Ready(result)
            }
            Poll::Pending => self.progress.poll_wait(context).map(|()| {
                let message = "timed out writing the response";
                Err(io::Error::new(io::ErrorKind::TimedOut, message))
            }),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.written(context, poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.socket).poll_write_vectored(context, slices);
        self.written(context, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
