//! A client's end of an HTTP/1 connection, which shows every byte.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::observed::ObservedResponse;
use crate::server::PATIENCE;
use crate::verdict::{Check, fail};
use crate::wire::{self, Parsed};

/// One connection from the client's side.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    pub(crate) closed: bool,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Check<Connection> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE);
        let stream = stream.or_else(|error| fail(format!("connecting: {error}")))?;
        // If a server neither reads nor closes, the response is missing.
        let _ = stream.set_write_timeout(Some(PATIENCE));
        Ok(Connection {
            stream,
            buffer: Vec::new(),
            closed: false,
        })
    }

    /// Writes all bytes; a server that rejects them may close before it has read everything.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        // The response shows the result.
        let _ = self.stream.write_all(bytes);
    }

    pub(crate) fn close(self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Reads more; returns `false` at the end, or after the timeout.
    pub(crate) fn fill(&mut self, patience: Duration) -> bool {
        let mut chunk = [0; 16 * 1024];
        let _ = self.stream.set_read_timeout(Some(patience));
        match self.stream.read(&mut chunk) {
            Ok(0) => self.closed = true,
            Ok(length) => {
                self.buffer.extend_from_slice(&chunk[..length]);
                return true;
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => return true,
            // A reset closes it too.
            Err(_) => self.closed = true,
        }
        false
    }

    /// Returns the next response; `None` if the connection ends before it, or after the timeout.
    pub(crate) fn response(
        &mut self,
        to_head: bool,
        patience: Duration,
    ) -> Check<Option<ObservedResponse>> {
        loop {
            match wire::parse(&self.buffer, to_head, self.closed)? {
                Parsed::Response(response, length) => {
                    self.buffer.drain(..length);
                    return Ok(Some(response));
                }
                Parsed::Incomplete if self.closed => return Ok(None),
                Parsed::Incomplete => {}
            }
            if !self.fill(patience) && !self.closed {
                return Ok(None);
            }
        }
    }

    /// Reads until some of the body has arrived, or the end.
    pub(crate) fn wait_for_content(&mut self) -> Check {
        let is_there = |buffer: &[u8]| {
            wire::head(buffer).map(|head| head.is_some_and(|head| buffer.len() > head.length))
        };
        while !is_there(&self.buffer)? && self.fill(PATIENCE) {}
        Ok(())
    }

    /// Reads the head of a response and some of the body.
    pub(crate) fn first_part(&mut self) -> Check<ObservedResponse> {
        while self.fill(PATIENCE) {
            if let Some(head) = wire::head(&self.buffer)?
                && self.buffer.len() > head.length
            {
                return Ok(ObservedResponse {
                    status: head.status,
                    headers: head.headers,
                    body: self.buffer[head.length..].to_vec(),
                    ..ObservedResponse::default()
                });
            }
        }
        fail("the server sent no response")
    }
}
