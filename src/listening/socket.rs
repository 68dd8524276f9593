//! Sockets that accept, and accepted sockets.

use std::io;
#[cfg(feature = "server")]
use std::mem::MaybeUninit;
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
#[cfg(feature = "server")]
use std::pin::pin;
use std::sync::Arc;
#[cfg(feature = "server")]
use std::task::Waker;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
#[cfg(feature = "server")]
use socket2::TcpKeepalive;
#[cfg(feature = "server")]
use tokio::io::Ready;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};

use super::listener::Bound;
#[cfg(unix)]
use super::listener::SocketFile;

/// How long to wait if the system has no descriptor or memory for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How many unsent bytes the system may hold.
#[cfg(any(target_os = "android", target_os = "linux"))]
const UNSENT: u32 = 128 * 1024;
/// How often to check for a reset that the system does not report: on Unix sockets, and on some systems on all sockets.
#[cfg(feature = "server")]
const LOOKS: Duration = Duration::from_secs(30);
/// How often the system checks whether a silent client is still there.
#[cfg(feature = "server")]
const PROBES: Duration = Duration::from_secs(15);

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
    /// Registers with the current runtime.
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
                .map_ok(|(stream, peer)| (Socket::tcp(stream), Some(peer))),
            #[cfg(unix)]
            Accepting::Unix(listener, _) => listener
                .poll_accept(context)
                .map_ok(|(stream, _)| (Socket::unix(stream), None)),
        }
    }
}

#[cfg(feature = "server")]
impl Accepting {
    /// Returns a connection that waits to be accepted, if there is one, even if the runtime has not noticed it yet.
    pub(crate) fn accept_waiting(&self) -> Option<(Socket, Option<SocketAddr>)> {
        let listener = match self {
            Accepting::Tcp(listener) => SockRef::from(listener),
            #[cfg(unix)]
            Accepting::Unix(listener, _) => SockRef::from(listener),
        };
        let (socket, peer) = listener.accept().ok()?;
        socket.set_nonblocking(true).ok()?;
        let socket = match self {
            Accepting::Tcp(_) => Socket::tcp(TcpStream::from_std(socket.into()).ok()?),
            #[cfg(unix)]
            Accepting::Unix(..) => Socket::unix(UnixStream::from_std(socket.into()).ok()?),
        };
        Some((socket, peer.as_socket()))
    }
}

/// Waits after accepting failed for lack of descriptors or memory, which other connections free in time.
///
/// If a client closed its connection before it was accepted, there is no need to wait.
pub(crate) async fn pause_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    if !matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    ) {
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

/// An accepted socket.
#[derive(Debug)]
pub(crate) struct Socket(SharedSocket);

/// The same socket, to watch it while another owner reads and writes.
#[derive(Debug)]
pub(crate) struct Watch(SharedSocket);

/// Shared, so that a connection can be watched.
#[derive(Clone, Debug)]
enum SharedSocket {
    Tcp(Arc<TcpStream>),
    #[cfg(unix)]
    Unix(Arc<UnixStream>),
}

/// The same call for each variant.
macro_rules! forward {
    ($shared:expr, $stream:ident => $call:expr) => {
        match $shared {
            SharedSocket::Tcp($stream) => $call,
            #[cfg(unix)]
            SharedSocket::Unix($stream) => $call,
        }
    };
}

impl Socket {
    fn tcp(stream: TcpStream) -> Socket {
        Socket(SharedSocket::Tcp(Arc::new(stream)))
    }

    #[cfg(unix)]
    fn unix(stream: UnixStream) -> Socket {
        Socket(SharedSocket::Unix(Arc::new(stream)))
    }

    /// Without it, the last small segment of a response waits for the client's acknowledgement. A socket that rejects
    /// the option still works.
    pub(crate) fn send_at_once(&self) {
        match &self.0 {
            SharedSocket::Tcp(stream) => {
                let _ = stream.set_nodelay(true);
                // Otherwise Linux allows no write before a third of its buffer is free, which may be megabytes: a
                // client that reads steadily would look like one that reads nothing.
                #[cfg(any(target_os = "android", target_os = "linux"))]
                let _ = SockRef::from(&**stream).set_tcp_notsent_lowat(UNSENT);
            }
            #[cfg(unix)]
            SharedSocket::Unix(_) => {}
        }
    }

    #[cfg(feature = "server")]
    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        match &self.0 {
            SharedSocket::Tcp(stream) => stream.local_addr().ok(),
            #[cfg(unix)]
            SharedSocket::Unix(_) => None,
        }
    }

    pub(crate) fn watch(&self) -> Watch {
        Watch(self.0.clone())
    }
}

#[cfg(feature = "server")]
impl Watch {
    fn readiness(&self) -> Ready {
        let wanted = Interest::READABLE | Interest::WRITABLE | Interest::ERROR;
        let mut context = Context::from_waker(Waker::noop());
        let ready = forward!(&self.0, stream => pin!(stream.ready(wanted)).poll(&mut context));
        match ready {
            Poll::Ready(Ok(ready)) => ready,
            Poll::Ready(Err(_)) | Poll::Pending => Ready::EMPTY,
        }
    }

    /// Whether the client has reset the connection, or a client on this machine has closed its end.
    pub(crate) fn is_reset(&self) -> bool {
        let ready = self.readiness();
        ready.is_error() || ready.is_write_closed()
    }

    /// Waits until [`is_reset`](Watch::is_reset), without a timer that fires every second for each idle connection.
    pub(crate) async fn reset(&self) {
        loop {
            let reported = forward!(&self.0, stream => {
                tokio::time::timeout(LOOKS, stream.ready(Interest::ERROR)).await
            });
            if reported.is_ok() || self.is_reset() {
                return;
            }
        }
    }

    /// Whether the client will send no more than the unread bytes.
    pub(crate) fn is_read_closed(&self) -> bool {
        self.readiness().is_read_closed()
    }

    /// How many bytes are unread, up to `most`.
    pub(crate) fn unread(&self, most: usize) -> usize {
        let mut seen = vec![MaybeUninit::uninit(); most];
        let seen = forward!(&self.0, stream => SockRef::from(&**stream).peek(&mut seen));
        seen.unwrap_or_default()
    }

    /// Lets the system check from time to time whether the client is still there; a dead client's host replies with a
    /// reset.
    pub(crate) fn probe(&self) {
        match &self.0 {
            SharedSocket::Tcp(stream) => {
                let probes = TcpKeepalive::new().with_time(PROBES).with_interval(PROBES);
                // Without it, a dead client is only noticed when data is sent.
                let _ = SockRef::from(&**stream).set_tcp_keepalive(&probes);
            }
            // Its readiness shows it.
            #[cfg(unix)]
            SharedSocket::Unix(_) => {}
        }
    }
}

impl Watch {
    /// Resets the connection when it is closed. A Unix socket has no reset, and is just closed.
    pub(crate) fn reset_on_close(&self) {
        if let SharedSocket::Tcp(stream) = &self.0 {
            // A socket without this option is just closed.
            let _ = SockRef::from(&**stream).set_linger(Some(Duration::ZERO));
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        forward!(&self.0, stream => loop {
            ready!(stream.poll_read_ready(context))?;
            let before = buffer.filled().len();
            // A read of less than the room means that no more was there. Saying so here, as tokio does for sockets that
            // it owns, saves the call that finds nothing.
            let read = stream.try_io(Interest::READABLE, || {
                let read = stream.try_read_buf(buffer)?;
                match read > 0 && buffer.remaining() > 0 {
                    true => Err(io::ErrorKind::WouldBlock.into()),
                    false => Ok(()),
                }
            });
            match read {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if buffer.filled().len() > before {
                        return Poll::Ready(Ok(()));
                    }
                }
                read => return Poll::Ready(read),
            }
        })
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        forward!(&self.0, stream => loop {
            ready!(stream.poll_write_ready(context))?;
            match stream.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        })
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        forward!(&self.0, stream => loop {
            ready!(stream.poll_write_ready(context))?;
            match stream.try_write_vectored(slices) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        })
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(forward!(&self.0, stream => SockRef::from(&**stream).shutdown(Shutdown::Write)))
    }
}
