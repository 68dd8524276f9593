//! Parses HTTP/1 responses strictly: a lenient parser would hide mistakes of a server.

use crate::observed::ObservedResponse;
use crate::verdict::{Check, fail};

/// The front of a buffer.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// A response, and its number of bytes.
    Response(ObservedResponse, usize),
    Incomplete,
}

/// The head of a response, and its number of bytes.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) length: usize,
}

pub(crate) fn head(buffer: &[u8]) -> Check<Option<Head>> {
    let Some(end) = find(buffer, b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&buffer[..end]);
    let mut lines = text.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let status = match first.split(' ').collect::<Vec<_>>()[..] {
        ["HTTP/1.1" | "HTTP/1.0", status, ..] if status.len() == 3 => status.parse().ok(),
        _ => None,
    };
    let Some(status) = status else {
        return fail(format!("{first:?} is not a status line"));
    };
    let headers = lines.map(field).collect::<Check<_>>()?;
    Ok(Some(Head {
        status,
        headers,
        length: end + 4,
    }))
}

fn field(line: &str) -> Check<(String, String)> {
    match line.split_once(':') {
        Some((name, value)) => {
            let value = value.trim_matches([' ', '\t']);
            Ok((name.to_ascii_lowercase(), value.to_owned()))
        }
        None => fail(format!("{line:?} is not a header line")),
    }
}

/// Parses the response at the front of `buffer`; `closed` means that no more bytes follow.
pub(crate) fn parse(buffer: &[u8], to_head: bool, closed: bool) -> Check<Parsed> {
    let Some(head) = head(buffer)? else {
        return Ok(Parsed::Incomplete);
    };
    let rest = &buffer[head.length..];
    let mut response = ObservedResponse {
        status: head.status,
        headers: head.headers,
        ..ObservedResponse::default()
    };
    let no_body = to_head || matches!(head.status, 100..=199 | 204 | 304);
    let taken = match no_body {
        true => Some(0),
        false => body(rest, &mut response, closed)?,
    };
    match taken {
        Some(taken) => Ok(Parsed::Response(response, head.length + taken)),
        None if closed => {
            response.broken = Some("the connection was closed in the body".to_owned());
            Ok(Parsed::Response(response, buffer.len()))
        }
        None => Ok(Parsed::Incomplete),
    }
}

/// Parses the body; returns its number of bytes, or `None` if more must come (RFC 9112, section 6.3).
fn body(buffer: &[u8], response: &mut ObservedResponse, closed: bool) -> Check<Option<usize>> {
    if response.lines("transfer-encoding") == ["chunked"] {
        return chunked(buffer, response);
    }
    let length = content_length(response)?;
    let available = buffer.len();
    response.body = buffer[..length.unwrap_or(available).min(available)].to_vec();
    Ok(match length {
        Some(length) => (available >= length).then_some(length),
        None => closed.then_some(available),
    })
}

fn content_length(response: &ObservedResponse) -> Check<Option<usize>> {
    match response.lines("content-length")[..] {
        [] => Ok(None),
        [value] => match value.parse() {
            Ok(length) => Ok(Some(length)),
            Err(_) => fail(format!("Content-Length is {value:?}")),
        },
        ref values => fail(format!("Content-Length is {values:?}")),
    }
}

/// Parses chunks and trailers (RFC 9112, section 7.1); returns `None` if more must come.
fn chunked(buffer: &[u8], response: &mut ObservedResponse) -> Check<Option<usize>> {
    let mut at = 0;
    loop {
        let rest = &buffer[at..];
        let Some(end) = find(rest, b"\r\n") else {
            return Ok(None);
        };
        let line = String::from_utf8_lossy(&rest[..end]);
        let Ok(size) = usize::from_str_radix(&line, 16) else {
            return fail(format!("{line:?} is not a chunk size"));
        };
        at += end + 2;
        if size == 0 {
            let taken = trailers(&buffer[at..], response)?;
            return Ok(taken.map(|taken| at + taken));
        }
        let Some(data) = buffer.get(at..at + size + 2) else {
            response
                .body
                .extend_from_slice(&buffer[at..buffer.len().min(at + size)]);
            return Ok(None);
        };
        if !data.ends_with(b"\r\n") {
            return fail("a chunk is longer than its size");
        }
        response.body.extend_from_slice(&data[..size]);
        at += size + 2;
    }
}

fn trailers(buffer: &[u8], response: &mut ObservedResponse) -> Check<Option<usize>> {
    if buffer.starts_with(b"\r\n") {
        return Ok(Some(2));
    }
    let Some(end) = find(buffer, b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&buffer[..end]);
    response.trailers = text.split("\r\n").map(field).collect::<Check<_>>()?;
    Ok(Some(end + 4))
}

fn find(buffer: &[u8], wanted: &[u8]) -> Option<usize> {
    buffer
        .windows(wanted.len())
        .position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(bytes: &[u8], to_head: bool, closed: bool) -> Option<(String, bool, usize)> {
        match parse(bytes, to_head, closed).unwrap() {
            Parsed::Response(response, length) => {
                let text = String::from_utf8(response.body).unwrap();
                Some((text, response.broken.is_some(), length))
            }
            Parsed::Incomplete => None,
        }
    }

    #[test]
    fn a_body_ends_where_its_framing_says() {
        let sized = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabNEXT";
        let chunks =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n";
        let open = b"HTTP/1.0 200 OK\r\n\r\nab";
        let whole = |length| Some(("ab".to_owned(), false, length));
        let cut = |text: &str, length| Some((text.to_owned(), true, length));
        assert_eq!(parsed(sized, false, false), whole(sized.len() - 4));
        assert_eq!(parsed(chunks, false, false), whole(chunks.len()));
        assert_eq!(parsed(open, false, true), whole(open.len()));
        assert_eq!(parsed(open, false, false), None);
        assert_eq!(parsed(&sized[..39], false, false), None);
        assert_eq!(parsed(&sized[..39], false, true), cut("a", 39));
        let most = chunks.len() - 5;
        assert_eq!(parsed(&chunks[..most], false, true), cut("ab", most));
        assert_eq!(parsed(sized, true, false), Some((String::new(), false, 38)));
        assert_eq!(parsed(b"HTTP/1.1 200 OK\r\n", false, true), None);
    }

    #[test]
    fn an_invalid_response_is_a_failure() {
        for bytes in [
            &b"HTTP/2 200 OK\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\nx\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        ] {
            assert!(parse(bytes, false, false).is_err());
        }
    }
}
