//! The part of HTTP/2 that a client needs to misuse its windows (RFC 9113, section 4.1).

use std::io::{self, Read, Write};
use std::net::TcpStream;

// Types of frames, and flags.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

pub(crate) struct Connection(TcpStream);

impl Connection {
    /// Connects, with this window for each stream.
    pub(crate) fn open(address: &str, window: u32) -> Connection {
        let mut stream = super::connect(address);
        let preface = stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let mut connection = Connection(stream);
        let [a, b, c, d] = window.to_be_bytes();
        let settings = connection.send(SETTINGS, 0, 0, &[0, 4, a, b, c, d]);
        preface.and(settings).expect("a server");
        connection
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).expect("a short frame");
        let mut frame = length.to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.0.write_all(&frame)
    }

    pub(crate) fn get(&mut self, stream: u32, path: &str) -> io::Result<()> {
        let mut block = vec![0x82, 0x86, 0x01, 1, b'h', 0x04];
        block.push(u8::try_from(path.len()).expect("a short path"));
        block.extend(path.as_bytes());
        self.send(HEADERS, END_STREAM | END_HEADERS, stream, &block)
    }

    pub(crate) fn ping(&mut self) -> io::Result<()> {
        self.send(PING, 0, 0, &[0; 8])
    }

    pub(crate) fn open_window(&mut self, stream: u32, bytes: u32) -> io::Result<()> {
        self.send(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes())
    }

    pub(crate) fn reset(&mut self, stream: u32) -> io::Result<()> {
        self.send(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
    }

    /// Sends a request and reads to the end; returns whether the response was whole.
    pub(crate) fn is_whole(&mut self, stream: u32, path: &str) -> bool {
        self.get(stream, path).is_ok() && self.read(stream).unwrap_or(false)
    }

    fn read(&mut self, stream: u32) -> io::Result<bool> {
        loop {
            let mut header = [0; 9];
            self.0.read_exact(&mut header)?;
            let [a, b, c, kind, flags, of @ ..] = header;
            let length = u32::from_be_bytes([0, a, b, c]);
            let mut payload = vec![0; length as usize];
            self.0.read_exact(&mut payload)?;
            if kind == DATA && length > 0 {
                self.open_window(0, length)?;
            }
            match kind {
                GOAWAY => return Ok(false),
                RST_STREAM if u32::from_be_bytes(of) == stream => return Ok(false),
                DATA | HEADERS if flags & END_STREAM != 0 && u32::from_be_bytes(of) == stream => {
                    return Ok(true);
                }
                _ => {}
            }
        }
    }
}
