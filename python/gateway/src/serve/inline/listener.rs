//! The sockets on which an inline server accepts connections.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use socket2::Socket;

/// How long to wait where the system has no descriptor or memory for another connection.
const PAUSE: Duration = Duration::from_millis(100);

/// All listening sockets of a server.
pub(super) struct Listeners {
    all: RefCell<Vec<ListeningSocket>>,
    /// Until when nothing is accepted.
    pause: Cell<Option<Instant>>,
}

impl Listeners {
    /// Takes the sockets, whose events have the tokens from `first` on.
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

    /// Somebody may wait at this one.
    pub(super) fn set_ready(&self, at: usize) {
        if let Some(listening) = self.all.borrow().get(at) {
            listening.is_ready.set(true);
        }
    }

    /// Whether somebody may wait to be accepted.
    pub(super) fn has_waiting(&self) -> bool {
        self.all.borrow().iter().any(ListeningSocket::is_ready)
    }

    /// Whether it waits before it accepts again.
    pub(super) fn is_pausing(&self) -> bool {
        self.pause.get().is_some()
    }

    /// Ends the pause if it is time; returns whether there is none.
    pub(super) fn resume(&self, now: Instant) -> bool {
        let until = self.pause.get().filter(|until| now < *until);
        self.pause.set(until);
        until.is_none()
    }

    /// The next connection, if there is one now.
    pub(super) fn accept(&self, now: Instant) -> Option<(Socket, ConnectionEnds)> {
        let all = self.all.borrow();
        loop {
            match all.iter().find(|one| one.is_ready())?.accept() {
                Ok(Some(accepted)) => return Some(accepted),
                Ok(None) => {}
                Err(_) => {
                    self.pause.set(Some(now + PAUSE));
                    return None;
                }
            }
        }
    }

    /// Accepts nothing more.
    pub(super) fn close(&self) {
        self.all.borrow_mut().clear();
    }
}

struct ListeningSocket {
    socket: Socket,
    is_ready: Cell<bool>,
}

/// The two ends of a connection, where they have addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectionEnds {
    pub(super) peer: Option<SocketAddr>,
    pub(super) local: Option<SocketAddr>,
}

impl ListeningSocket {
    fn new(socket: OwnedFd) -> io::Result<ListeningSocket> {
        let socket = Socket::from(socket);
        // It stays so: other processes may have the same socket, and one of them may accept for the first time just when
        // this one ends.
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

    /// The next connection; `None` where there is none now, or its client took it back.
    fn accept(&self) -> io::Result<Option<(Socket, ConnectionEnds)>> {
        use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, WouldBlock};
        match self.socket.accept() {
            Ok((socket, peer)) => {
                socket.set_nonblocking(true)?;
                let peer = peer.as_socket();
                if peer.is_some() {
                    // Without it, the last small segment of an answer waits for the client's acknowledgement. A socket
                    // that does not take it still works.
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
