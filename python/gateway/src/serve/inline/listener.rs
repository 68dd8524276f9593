//! A socket on which an inline server accepts connections.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use socket2::Socket;

pub(super) struct Listening {
    socket: Socket,
    is_ready: Cell<bool>,
}

/// The two ends of a connection, where they have addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) peer: Option<SocketAddr>,
    pub(super) local: Option<SocketAddr>,
}

impl Listening {
    pub(super) fn new(socket: OwnedFd) -> io::Result<Listening> {
        let socket = Socket::from(socket);
        // It stays so: other processes may have the same socket, and one of them may accept for the first time just when
        // this one ends.
        socket.set_nonblocking(true)?;
        Ok(Listening {
            socket,
            is_ready: Cell::new(true),
        })
    }

    pub(super) fn descriptor(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    pub(super) fn set_ready(&self, is_ready: bool) {
        self.is_ready.set(is_ready);
    }

    /// Whether somebody may wait to be accepted.
    pub(super) fn is_ready(&self) -> bool {
        self.is_ready.get()
    }

    /// The next connection; `None` where there is none now, or its client took it back.
    pub(super) fn accept(&self) -> io::Result<Option<(Socket, Ends)>> {
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
                Ok(Some((socket, Ends { peer, local })))
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
