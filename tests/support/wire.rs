//! A connection that shows every byte, for tests over real sockets.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The timeout for what must come; far longer than it takes, for machines under load.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A client's end of a connection.
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    /// The bytes that arrived and were not read yet.
    ahead: Vec<u8>,
}

/// A response as it was on the wire.
#[derive(Debug)]
pub(crate) struct WireResponse {
    /// The status line and the header lines, without the line ends.
    pub(crate) lines: Vec<String>,
    pub(crate) body: Vec<u8>,
}

impl WireResponse {
    /// The code and the phrase.
    pub(crate) fn status(&self) -> &str {
        let line = &self.lines[0];
        line.split_once(' ').unwrap().1
    }

    /// The values of a header, joined by `, ` if there are several fields.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let values = self.lines[1..].iter().filter_map(|line| {
            let (found, value) = line.split_once(": ").unwrap();
            found.eq_ignore_ascii_case(name).then_some(value)
        });
        let values: Vec<_> = values.collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// The body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Wire {
    /// Connects.
    pub(crate) fn connect(address: SocketAddr) -> Wire {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Wire {
            stream,
            ahead: Vec::new(),
        }
    }

    /// Sends bytes, unchanged.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Wire {
        self.try_send(bytes).unwrap();
        self
    }

    /// Sends bytes to a server that may have closed the connection.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Reads a response with its body, which a 204 does not have.
    pub(crate) fn response(&mut self) -> WireResponse {
        let mut response = self.head();
        response.body = match response.header("content-length") {
            Some(length) => self.exactly(length.parse().unwrap()),
            None if response.header("transfer-encoding").is_some() => self.chunks(),
            None if response.status().starts_with("204") => Vec::new(),
            None => self.rest(),
        };
        response
    }

    /// Reads the head of a response, and not its body.
    pub(crate) fn head(&mut self) -> WireResponse {
        let mut lines = Vec::new();
        loop {
            let line = self.line();
            if line.is_empty() {
                break;
            }
            lines.push(line);
        }
        WireResponse {
            lines,
            body: Vec::new(),
        }
    }

    /// Reads all chunks and the trailers, which it drops.
    fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let chunk = self.chunk();
            if chunk.is_empty() {
                while !self.line().is_empty() {}
                return body;
            }
            body.extend_from_slice(&chunk);
        }
    }

    /// Reads one chunk; the last one is empty, and trailers follow it.
    pub(crate) fn chunk(&mut self) -> Vec<u8> {
        let size = usize::from_str_radix(&self.line(), 16).unwrap();
        let data = self.exactly(size);
        if size > 0 {
            assert_eq!(self.line(), "");
        }
        data
    }

    /// Reads a line and returns it without its end.
    pub(crate) fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.ahead.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.exactly(end);
                self.ahead.drain(..2);
                return String::from_utf8(line).unwrap();
            }
            assert!(self.more(), "the connection ended in {:?}", self.ahead);
        }
    }

    fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.ahead.len() < count {
            let (found, more) = (self.ahead.len(), self.more());
            assert!(more, "the connection ended after {found} of {count} bytes");
        }
        self.ahead.drain(..count).collect()
    }

    /// Resets the connection.
    pub(crate) fn reset(self) {
        let socket = socket2::SockRef::from(&self.stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Reads the rest without its date, which tests cannot know.
    pub(crate) fn rest_without_date(&mut self) -> String {
        let rest = String::from_utf8(self.rest()).unwrap();
        let lines = rest.split_inclusive("\r\n");
        lines.filter(|line| !line.starts_with("date: ")).collect()
    }

    /// Reads until the server closes or resets the connection.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.more() {}
        std::mem::take(&mut self.ahead)
    }

    /// Reads the available bytes; `false` at the end of the connection.
    fn more(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(count) => {
                self.ahead.extend_from_slice(&buffer[..count]);
                true
            }
            // A server that closes before it has read everything resets the connection.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("{error}, having read {:?}", self.ahead),
        }
    }
}
