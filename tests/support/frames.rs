//! A client of HTTP/2 that sends single frames (RFC 9113, section 4.1).

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::wire::PATIENCE;

/// The type of a frame (RFC 9113, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind(pub(crate) u8);

impl Kind {
    pub(crate) const DATA: Kind = Kind(0);
    pub(crate) const HEADERS: Kind = Kind(1);
    pub(crate) const PRIORITY: Kind = Kind(2);
    pub(crate) const RST_STREAM: Kind = Kind(3);
    pub(crate) const SETTINGS: Kind = Kind(4);
    pub(crate) const PING: Kind = Kind(6);
    pub(crate) const GOAWAY: Kind = Kind(7);
    pub(crate) const WINDOW_UPDATE: Kind = Kind(8);
}

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A client's end of a connection.
pub(crate) struct Frames {
    stream: TcpStream,
}

#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frames {
    /// Connects, with this window for each stream.
    pub(crate) fn connect(address: SocketAddr, window: u32) -> Frames {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .unwrap();
        let mut frames = Frames { stream };
        let [a, b, c, d] = window.to_be_bytes();
        frames.send(Kind::SETTINGS, 0, 0, &[0, 4, a, b, c, d]);
        frames
    }

    pub(crate) fn try_send(
        &mut self,
        kind: Kind,
        flags: u8,
        stream: u32,
        payload: &[u8],
    ) -> io::Result<()> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind.0, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.stream.write_all(&frame)
    }

    pub(crate) fn send(&mut self, kind: Kind, flags: u8, stream: u32, payload: &[u8]) {
        self.try_send(kind, flags, stream, payload).unwrap();
    }

    /// Requests a path.
    pub(crate) fn get(&mut self, stream: u32, path: &str) {
        // `:method: GET`, `:scheme: http`, `:authority: h`, and `:path` as it is (RFC 7541, appendix A, section 6.2.2).
        let mut block = vec![0x82, 0x86, 0x01, 1, b'h', 0x04];
        block.push(u8::try_from(path.len()).unwrap());
        block.extend(path.as_bytes());
        self.send(Kind::HEADERS, END_STREAM | END_HEADERS, stream, &block);
    }

    /// Opens a window further.
    pub(crate) fn open(&mut self, stream: u32, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap().to_be_bytes();
        self.send(Kind::WINDOW_UPDATE, 0, stream, &bytes);
    }

    /// The next frame; `None` at the end of the connection.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        let mut header = [0; 9];
        self.stream.read_exact(&mut header).ok()?;
        let [a, b, c, kind, flags, stream @ ..] = header;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.stream.read_exact(&mut payload).ok()?;
        Some(Frame {
            kind: Kind(kind),
            flags,
            stream: u32::from_be_bytes(stream),
            payload,
        })
    }

    /// Reads the content of a stream's response to its end.
    pub(crate) fn content(&mut self, stream: u32) -> Vec<u8> {
        let mut content = Vec::new();
        loop {
            let frame = self.next().expect("the connection goes on");
            assert_ne!(frame.kind, Kind::GOAWAY, "{frame:?}");
            if frame.stream != stream {
                continue;
            }
            assert_ne!(frame.kind, Kind::RST_STREAM, "{frame:?}");
            if frame.kind == Kind::DATA {
                content.extend(frame.payload);
            }
            if frame.flags & END_STREAM != 0 {
                return content;
            }
        }
    }
}
