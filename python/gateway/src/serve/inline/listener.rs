//! The sockets on which an inline server accepts connections.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use socket2::Socket;

/// How long to wait if the system has no descriptor or memory for another connection.
const PAUSE: Duration = Duration::from_millis(100);

/// All listening sockets of a server.
pub(super) struct Listeners {
    all: RefCell<Vec<ListeningSocket>>,
    /// No connection is accepted before this time.
    pause: Cell<Option<Instant>>,
}

impl Listeners {
    /// Registers the sockets. The tokens of their events begin at `first`.
    pub(super) fn new(
        sockets: Vec<OwnedFd>,
        registry: &Registry,
        first: usize,
    ) -> io::Result<Listeners> {
        let mut all = Vec::new();
        for (at, socket) in sockets.into_iter().enumerate() {
            let listening = ListeningSocket::new(socket)?;
            registry.register(
                &mut SourceFd(&listening.descriptor()),
                Token(first + at),
                Interest::READABLE,
            )?;
            all.push(listening);
        }
        Ok(Listeners {
            all: RefCell::new(all),
            pause: Cell::new(None),
        })
    }

    /// Notes that a connection may wait at this socket.
    pub(super) fn set_ready(&self, at: usize) {
        if let Some(listening) = self.all.borrow().get(at) {
            listening.is_ready.set(true);
        }
    }

    /// Whether a connection may wait to be accepted.
    pub(super) fn has_waiting(&self) -> bool {
        self.all.borrow().iter().any(ListeningSocket::is_ready)
    }

    /// Whether accepting is paused.
    pub(super) fn is_pausing(&self) -> bool {
        self.pause.get().is_some()
    }

    /// Ends the pause if its time has passed. Returns whether connections may be accepted.
    pub(super) fn resume(&self, now: Instant) -> bool {
        let until = self.pause.get().filter(|until| now < *until);
        self.pause.set(until);
        until.is_none()
    }

    /// Accepts nothing for a moment.
    pub(super) fn pause(&self, now: Instant) {
        self.pause.set(Some(now + PAUSE));
    }

    /// Ends the pause at once.
    pub(super) fn unpause(&self) {
        self.pause.set(None);
    }

    /// Returns the next connection, if one waits.
    ///
    /// Fails if the system has no descriptor or memory for it.
    pub(super) fn accept(&self) -> io::Result<Option<(Socket, ConnectionEnds)>> {
        let all = self.all.borrow();
        while let Some(listening) = all.iter().find(|one| one.is_ready()) {
            if let Some(accepted) = listening.accept()? {
                return Ok(Some(accepted));
            }
        }
        Ok(None)
    }

    /// Stops accepting.
    pub(super) fn close(&self) {
        self.all.borrow_mut().clear();
    }
}

struct ListeningSocket {
    socket: Socket,
    is_ready: Cell<bool>,
}

/// The addresses of both ends of a connection, if they have one.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectionEnds {
    pub(super) peer: Option<SocketAddr>,
    pub(super) local: Option<SocketAddr>,
}

impl ListeningSocket {
    fn new(socket: OwnedFd) -> io::Result<ListeningSocket> {
        let socket = Socket::from(socket);
        // Never set back: other processes may share the socket, and one may accept for the first time just when this
        // one ends.
        socket.set_nonblocking(true)?;
        Ok(ListeningSocket {
            socket,
            is_ready: Cell::new(true),
        })
    }

    fn descriptor(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    fn is_ready(&self) -> bool {
        self.is_ready.get()
    }

    /// Returns the next connection; `None` if none waits, or if its client has disconnected.
    fn accept(&self) -> io::Result<Option<(Socket, ConnectionEnds)>> {
        use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, WouldBlock};
        match self.socket.accept() {
            Ok((socket, peer)) => {
                socket.set_nonblocking(true)?;
                let peer = peer.as_socket();
                if peer.is_some() {
                    // Without it, the last small segment of a response waits for the client's acknowledgement. The
                    // socket works even if setting it fails.
                    let _ = socket.set_tcp_nodelay(true);
                }
                let local = peer.and_then(|_| socket.local_addr().ok()?.as_socket());
                Ok(Some((socket, ConnectionEnds { peer, local })))
            }
            Err(error) if error.kind() == WouldBlock => {
                self.is_ready.set(false);
                Ok(None)
            }
            Err(error)
                if matches!(
                    error.kind(),
                    ConnectionAborted | ConnectionReset | Interrupted
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
