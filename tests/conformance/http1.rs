//! Over a real socket as HTTP/1.1, or as HTTP/1.0 if a case says so.

use enfilade::Application;
use http::{Method, Version};

use crate::observed::{Log, ObservedResponse, Recorder};
use crate::request::Wanted;
use crate::server::{self, PATIENCE, Running};
use crate::socket::Connection;
use crate::transport::{Pending, Session, Transport};
use crate::verdict::{Check, fail};

pub(crate) const TRANSPORT: Transport = Transport {
    name: "HTTP/1",
    protocol: "HTTP/1.1",
    open,
    cannot: &[(
        |said| said.is_incremental_at_once(),
        "a source that is ready at once has ended before the client looks",
    )],
};

/// A server, and the connection to it while both sides keep it.
struct Http1 {
    server: Running,
    kept: Option<Connection>,
    recorder: Recorder,
}

fn open(app: Application, recorder: &Recorder) -> Check<Box<dyn Session>> {
    Ok(Box::new(Http1 {
        server: server::serve(app)?,
        kept: None,
        recorder: recorder.clone(),
    }))
}

impl Session for Http1 {
    fn send(&mut self, wanted: &Wanted) -> Check<ObservedResponse> {
        let mut connection = match self.kept.take() {
            Some(connection) => connection,
            None => Connection::open(self.server.address)?,
        };
        let response = exchange(&mut connection, wanted, &self.recorder)?;
        match wanted.abort {
            true => connection.close(),
            false if is_last(&connection, wanted, &response) => {}
            false => self.kept = Some(connection),
        }
        Ok(response)
    }

    fn start(&mut self, wanted: &Wanted) -> Check<Pending> {
        let mut connection = Connection::open(self.server.address)?;
        let (wanted, recorder) = (wanted.clone(), self.recorder.clone());
        Pending::in_thread(move || exchange(&mut connection, &wanted, &recorder))
    }

    fn send_after(&mut self, wanted: &Wanted) -> Check<Option<ObservedResponse>> {
        match self.kept {
            Some(_) => self.send(wanted).map(Some),
            None => Ok(None),
        }
    }

    fn panics(&self) -> Log {
        self.server.panics.clone()
    }
}

fn exchange(
    connection: &mut Connection,
    wanted: &Wanted,
    recorder: &Recorder,
) -> Check<ObservedResponse> {
    let (head, content) = encode(wanted);
    if wanted.looks.at_interim && wanted.has("expect") && !content.is_empty() {
        return expecting(connection, wanted, &head, &content);
    }
    connection.write(&[head, content].concat());
    if wanted.abort {
        return connection.first_part();
    }
    let mut first_before_end = false;
    if wanted.looks.at_first_bytes {
        connection.wait_for_content()?;
        first_before_end = recorder.lock().sources_ended == 0;
    }
    let response = whole(connection, wanted, Vec::new())?;
    Ok(ObservedResponse {
        first_before_end,
        ..response
    })
}

/// Sends the content if a 100 asks for it (RFC 9110, section 10.1.1), but not if there is a response without it.
fn expecting(
    connection: &mut Connection,
    wanted: &Wanted,
    head: &[u8],
    content: &[u8],
) -> Check<ObservedResponse> {
    connection.write(head);
    match connection.response(wanted.method == Method::HEAD, PATIENCE)? {
        Some(response) if response.status == 100 => {
            connection.write(content);
            whole(connection, wanted, vec![100])
        }
        Some(response) => Ok(response),
        None => fail("the server neither asked for the content nor responded"),
    }
}

/// Returns the response, with the interim responses before it (RFC 9110, section 15.2).
fn whole(
    connection: &mut Connection,
    wanted: &Wanted,
    mut interim: Vec<u16>,
) -> Check<ObservedResponse> {
    loop {
        match connection.response(wanted.method == Method::HEAD, PATIENCE)? {
            Some(response) if matches!(response.status, 100 | 102..=199) => {
                interim.push(response.status)
            }
            Some(response) => {
                return Ok(ObservedResponse {
                    interim,
                    ..response
                });
            }
            None => return fail("the server sent no complete response"),
        }
    }
}

/// Whether the connection is over, or is no longer one of HTTP.
fn is_last(connection: &Connection, wanted: &Wanted, response: &ObservedResponse) -> bool {
    let said = response.lines("connection").contains(&"close");
    connection.closed || said || response.status == 101 || wanted.version == Version::HTTP_10
}

/// Returns the bytes of a request's head and of its content. Adds a host and a length if the case has none, and
/// `TE: trailers` if trailers are expected (RFC 9110, section 6.5.1).
fn encode(wanted: &Wanted) -> (Vec<u8>, Vec<u8>) {
    let (method, target) = (&wanted.method, &wanted.target);
    let mut text = format!("{method} {target} {:?}\r\n", wanted.version);
    if !wanted.has("host") {
        text.push_str("Host: localhost\r\n");
    }
    if wanted.looks.at_trailers && !wanted.has("te") {
        text.push_str("TE: trailers\r\nConnection: TE\r\n");
    }
    let framed = wanted.has("content-length") || wanted.has("transfer-encoding");
    if !framed && !wanted.content.is_sized() {
        text.push_str("Transfer-Encoding: chunked\r\n");
    } else if !framed && !wanted.content.is_empty() {
        let length: usize = wanted.content.parts().map(|part| part.len()).sum();
        text.push_str(&format!("Content-Length: {length}\r\n"));
    }
    let mut bytes = text.into_bytes();
    for (name, value) in &wanted.headers {
        let value = wanted.bytes(value);
        bytes.extend_from_slice(&[name.as_bytes(), b": ", &value, b"\r\n"].concat());
    }
    bytes.extend_from_slice(b"\r\n");
    let mut content = Vec::new();
    write_content(&mut content, wanted);
    (bytes, content)
}

/// Writes the content unchanged if the request has a length, and in chunks if not (RFC 9112, section 7.1).
fn write_content(bytes: &mut Vec<u8>, wanted: &Wanted) {
    let is_stream = wanted.has("transfer-encoding") || !wanted.content.is_sized();
    let is_chunked = is_stream && !wanted.has("content-length");
    for part in wanted.content.parts().filter(|part| !part.is_empty()) {
        if is_chunked {
            bytes.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
        }
        bytes.extend_from_slice(&part);
        if is_chunked {
            bytes.extend_from_slice(b"\r\n");
        }
    }
    if is_chunked {
        bytes.extend_from_slice(b"0\r\n\r\n");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::request;

    #[test]
    fn a_request_is_framed_as_its_body_needs() {
        for (spec, expected) in [
            (
                json!({"method": "GET", "target": "/"}),
                "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            ),
            (
                json!({"method": "PUT", "target": "/", "headers": [["HOST", "h"]], "body": "ab"}),
                "PUT / HTTP/1.1\r\nContent-Length: 2\r\nHOST: h\r\n\r\nab",
            ),
            (
                json!({"method": "PUT", "target": "/", "headers": [["host", "h"]], "body_chunks": ["ab", "", "c"]}),
                "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nhost: h\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
            ),
            (
                json!({"method": "PUT", "target": "/", "headers": [["host", "h"], ["content-length", "2"]],
                       "body_repeat": {"text": "a", "times": 2}}),
                "PUT / HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\naa",
            ),
        ] {
            let (head, content) = encode(&request::parse(&spec).unwrap());
            let bytes = [head, content].concat();
            assert_eq!(String::from_utf8(bytes).unwrap(), expected);
        }
    }
}
