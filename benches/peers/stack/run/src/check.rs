//! Checks the responses of a server before they are measured.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use stack::{Case, HEADERS};

use crate::Result;
use crate::process::Requests;

const TIMEOUT: Duration = Duration::from_secs(5);

/// A response.
pub struct Reply {
    /// The status code.
    pub status: u16,
    headers: Vec<(String, String)>,
    /// The content, as it was sent.
    pub body: Vec<u8>,
}

impl Reply {
    /// Returns the values of a header, whose name is in lower case.
    pub fn values(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(other, _)| other == name);
        named.map(|(_, value)| value.as_str()).collect()
    }
}

/// Returns the bytes of the body on the wire if all of the response is right; `compresses` is whether the server can.
pub fn check(address: SocketAddr, case: &Case, compresses: bool) -> Result<usize> {
    let reply = ask(address, &case.into())?;
    if reply.status != case.status {
        return Err(format!("status {} and not {}", reply.status, case.status).into());
    }
    for (name, value) in HEADERS {
        if reply.values(name) != [value] {
            return Err(format!("{name} is {:?}", reply.values(name)).into());
        }
    }
    let media_type = match case.path {
        "/data" => "application/json",
        _ => "text/plain",
    };
    let types = reply.values("content-type");
    let [only] = types[..] else {
        return Err(format!("the media types {types:?}").into());
    };
    if !only.starts_with(media_type) {
        return Err(format!("{only} and not {media_type}").into());
    }
    let content = content(&reply, case, compresses)?;
    if content != case.content().as_bytes() {
        let text = String::from_utf8_lossy(&content).into_owned();
        return Err(format!("the content {:.100}", text).into());
    }
    Ok(reply.body.len())
}

/// Some compress whatever the client accepts, however short; a case that needs gzip must have it.
fn content(reply: &Reply, case: &Case, compresses: bool) -> Result<Vec<u8>> {
    let asked = case
        .headers
        .iter()
        .any(|(name, _)| *name == "accept-encoding");
    match reply.values("content-encoding")[..] {
        [] if case.is_compressed && compresses => Err("no gzip".into()),
        [] => Ok(reply.body.clone()),
        ["gzip"] if asked => {
            let mut content = Vec::new();
            flate2::read::GzDecoder::new(&reply.body[..]).read_to_end(&mut content)?;
            Ok(content)
        }
        ref codings => Err(format!("the codings {codings:?}").into()),
    }
}

/// Sends one request, and reads the response.
pub fn ask(address: SocketAddr, requests: &Requests<'_>) -> Result<Reply> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let mut request = format!(
        "GET {} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n",
        requests.path
    );
    for (name, value) in &requests.headers {
        request += &format!("{name}: {value}\r\n");
    }
    stream.write_all((request + "\r\n").as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    read(&bytes)
}

fn read(bytes: &[u8]) -> Result<Reply> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.ok_or("a response whose head has no end")?;
    let head = String::from_utf8(bytes[..end].to_vec())?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let status = status.ok_or("a response without a status")?.parse()?;
    let headers: Option<Vec<_>> = lines
        .map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        })
        .collect();
    let mut reply = Reply {
        status,
        headers: headers.ok_or("a header without a colon")?,
        body: bytes[end + 4..].to_vec(),
    };
    if reply.values("transfer-encoding") == ["chunked"] {
        reply.body = unchunked(&reply.body).ok_or("chunks that are none")?;
    } else if status != 304 && reply.values("content-length") != [reply.body.len().to_string()] {
        return Err("a length that is not the content's".into());
    }
    Ok(reply)
}

/// RFC 9112, 7.1, without extensions and trailers.
fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end]).ok()?;
        let size = usize::from_str_radix(size, 16).ok()?;
        rest = &rest[end + 2..];
        if size == 0 {
            return (rest == b"\r\n").then_some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size..)?.strip_prefix(b"\r\n")?;
    }
}
