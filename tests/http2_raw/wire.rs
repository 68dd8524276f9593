//! A client's end of a connection, which reads whole frames.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// A received frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The four bytes at a position of the payload, as a number.
    pub(crate) fn number(&self, at: usize) -> Option<u32> {
        let bytes = self.payload.get(at..at + 4)?;
        bytes.try_into().ok().map(u32::from_be_bytes)
    }
}

/// The next event.
#[derive(Debug)]
pub(crate) enum Next {
    Frame(Frame),
    /// The server closed the connection.
    End,
    /// Nothing arrived before the timeout.
    Silence,
}

pub(crate) struct Wire {
    stream: TcpStream,
    ahead: Vec<u8>,
}

impl Wire {
    pub(crate) fn connect(address: SocketAddr) -> std::io::Result<Wire> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Wire {
            stream,
            ahead: Vec::new(),
        })
    }

    /// Sends bytes to a server that may have closed the connection; the next frame shows it.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// The next frame.
    pub(crate) fn next(&mut self, patience: Duration) -> Next {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(frame) = self.take() {
                return Next::Frame(frame);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Next::Silence;
            }
            self.stream.set_read_timeout(Some(left)).unwrap();
            let mut buffer = [0; 16 * 1024];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Next::End,
                Ok(count) => self.ahead.extend(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    return Next::Silence;
                }
                // A server that closes before it has read everything resets the connection.
                Err(_) => return Next::End,
            }
        }
    }

    fn take(&mut self) -> Option<Frame> {
        let (header, rest) = self.ahead.split_first_chunk::<9>()?;
        let [a, b, c, kind, flags, stream @ ..] = *header;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let frame = Frame {
            kind,
            flags,
            stream: u32::from_be_bytes(stream),
            payload: rest.get(..length)?.to_vec(),
        };
        self.ahead.drain(..9 + length);
        Some(frame)
    }
}
