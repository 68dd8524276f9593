//! Sockets that accept, and those that are accepted.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};

use super::listener::Bound;
#[cfg(unix)]
use super::listener::SocketFile;

/// How long to wait where the system has no descriptor or memory for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A socket that accepts.
pub(crate) enum Accepting {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(
        UnixListener,
        #[expect(dead_code, reason = "removes the file when it is dropped")] Option<SocketFile>,
    ),
}

impl Accepting {
    /// Begins in the runtime that it is called in.
    pub(crate) fn start(bound: Bound) -> io::Result<Accepting> {
        Ok(match bound {
            Bound::Tcp(listener) => Accepting::Tcp(TcpListener::from_std(listener)?),
            #[cfg(unix)]
            Bound::Unix(listener, file) => Accepting::Unix(UnixListener::from_std(listener)?, file),
        })
    }

    pub(crate) fn poll_accept(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<(Socket, Option<SocketAddr>)>> {
        match self {
            Accepting::Tcp(listener) => listener
                .poll_accept(context)
                .map_ok(|(stream, peer)| (Socket::Tcp(stream), Some(peer))),
            #[cfg(unix)]
            Accepting::Unix(listener, _) => listener
                .poll_accept(context)
                .map_ok(|(stream, _)| (Socket::Unix(stream), None)),
        }
    }
}

/// Waits where accepting failed for want of descriptors or memory, which other connections give back in time.
///
/// A connection that its client took back before it was accepted is no reason to wait.
pub(crate) async fn pause_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    if !matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    ) {
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

/// What was accepted.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Socket {
    /// Without it, the last small segment of an answer waits for the client's acknowledgement. A socket that does not
    /// take it still works.
    pub(crate) fn send_at_once(&self) {
        match self {
            Socket::Tcp(stream) => _ = stream.set_nodelay(true),
            #[cfg(unix)]
            Socket::Unix(_) => {}
        }
    }

    #[cfg(feature = "server")]
    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Socket::Tcp(stream) => stream.local_addr().ok(),
            #[cfg(unix)]
            Socket::Unix(_) => None,
        }
    }
}

/// The same call for whichever it is.
macro_rules! forward {
    ($socket:expr, $call:ident($($argument:expr),*)) => {
        match $socket.get_mut() {
            Socket::Tcp(stream) => Pin::new(stream).$call($($argument),*),
            #[cfg(unix)]
            Socket::Unix(stream) => Pin::new(stream).$call($($argument),*),
        }
    };
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        forward!(self, poll_read(context, buffer))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        forward!(self, poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        forward!(self, poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, poll_shutdown(context))
    }
}
