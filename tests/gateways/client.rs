//! One request, and its response.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::wire::PATIENCE;

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: &'static str,
    pub(crate) target: &'static str,
    pub(crate) headers: &'static [(&'static str, &'static [u8])],
    pub(crate) body: Sent,
}

/// How a body is sent.
#[derive(Clone, Debug)]
pub(crate) enum Sent {
    None,
    Measured(Vec<u8>),
    Chunked(Vec<u8>),
}

/// A response, without the headers of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) status: u16,
    /// In alphabetical order; fields of the same name in the order of arrival.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    /// Whether the body is complete.
    pub(crate) is_whole: bool,
}

impl Seen {
    pub(crate) fn new(status: u16, mut headers: Vec<(String, Vec<u8>)>, body: Vec<u8>) -> Seen {
        headers.retain(|(name, _)| {
            ![
                "connection",
                "keep-alive",
                "transfer-encoding",
                "date",
                "server",
                "trailer",
            ]
            .contains(&&**name)
        });
        headers.sort_by(|one, other| one.0.cmp(&other.0));
        Seen {
            status,
            headers,
            body,
            is_whole: true,
        }
    }
}

impl Asked {
    /// Sends the request, with `prefix` before its path, and reads the whole response.
    pub(crate) fn send(&self, address: SocketAddr, prefix: &str) -> Seen {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        // A server may respond before it has read everything, and close. So the client reads and writes at once.
        let (bytes, mut sender) = (self.bytes(prefix), stream.try_clone().unwrap());
        let sending = std::thread::spawn(move || sender.write_all(&bytes));
        let mut all = Vec::new();
        let mut buffer = [0; 16 * 1024];
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => all.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
                Err(error) => panic!(
                    "{} {}: {error}, having read {} bytes",
                    self.method,
                    self.target,
                    all.len()
                ),
            }
        }
        let _ = sending.join().unwrap();
        parse(&all, self.method == "HEAD")
    }

    fn bytes(&self, prefix: &str) -> Vec<u8> {
        let mut bytes = format!(
            "{} {prefix}{} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n",
            self.method, self.target
        )
        .into_bytes();
        for (name, value) in self.headers {
            bytes.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        match &self.body {
            Sent::None => bytes.extend_from_slice(b"\r\n"),
            Sent::Measured(body) => {
                bytes.extend_from_slice(
                    format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes(),
                );
                bytes.extend_from_slice(body);
            }
            Sent::Chunked(body) => {
                bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
                for chunk in body.chunks(1000) {
                    bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    bytes.extend_from_slice(chunk);
                    bytes.extend_from_slice(b"\r\n");
                }
                bytes.extend_from_slice(b"0\r\n\r\n");
            }
        }
        bytes
    }
}

fn parse(all: &[u8], is_head: bool) -> Seen {
    let at = all.windows(4).position(|four| four == b"\r\n\r\n");
    let Some(at) = at else {
        return Seen {
            is_whole: false,
            ..Seen::new(0, Vec::new(), all.to_vec())
        };
    };
    let mut lines = all[..at]
        .split(|&byte| byte == b'\n')
        .map(<[u8]>::trim_ascii);
    let status = std::str::from_utf8(&lines.next().unwrap()[9..12])
        .unwrap()
        .parse()
        .unwrap();
    let headers: Vec<(String, Vec<u8>)> = lines
        .map(|line| {
            let colon = line.iter().position(|&byte| byte == b':').unwrap();
            let name = String::from_utf8(line[..colon].to_ascii_lowercase()).unwrap();
            (name, line[colon + 1..].trim_ascii().to_vec())
        })
        .collect();
    let value = |wanted: &str| {
        headers
            .iter()
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| String::from_utf8(value.clone()).unwrap())
    };
    let length = value("content-length").map(|length| length.parse::<usize>().unwrap());
    let is_chunked = value("transfer-encoding").is_some();
    let rest = &all[at + 4..];
    let has_body = !is_head && status != 304 && status != 204;
    let (body, is_whole) = match (is_chunked, length) {
        _ if !has_body => (rest.to_vec(), rest.is_empty()),
        (true, _) => chunks(rest),
        (false, Some(length)) => (rest.to_vec(), rest.len() == length),
        (false, None) => (rest.to_vec(), true),
    };
    Seen {
        is_whole,
        ..Seen::new(status, headers, body)
    }
}

fn chunks(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else {
            return (body, false);
        };
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            return (body, true);
        }
        let data = &rest[end + 2..];
        if data.len() < size + 2 {
            body.extend_from_slice(data);
            return (body, false);
        }
        body.extend_from_slice(&data[..size]);
        rest = &data[size + 2..];
    }
}
