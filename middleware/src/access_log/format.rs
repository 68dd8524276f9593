//! Formats of lines, compiled when the stack is built.
//!
//! The fields of a line are known at three moments: when the request comes, when the response's head is there, and when
//! its body has ended. What is known early is captured in the buffer in which the line is put together later, each
//! field behind its length, so that one buffer serves a request from its first field to the finished line.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::IpAddr;
use std::ops::Range;
use std::time::Duration;

use enfilade_core::{Outcome, RemoteUser, Request, Response};
use http::{HeaderMap, HeaderName, Version};

use super::clock::Clock;
use super::escape::{Escaped, escape, escape_word};
use super::writer::Line;
use crate::{Error, ErrorKind};

pub(super) const COMMON: &str = r#"%h %l %u %t "%r" %>s %b"#;
pub(super) const COMBINED: &str = r#"%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i""#;

/// A compiled format.
#[derive(Clone)]
pub(super) struct Format {
    pieces: Vec<Piece>,
}

#[derive(Clone)]
enum Piece {
    Literal(String),
    /// Known from the request.
    Request(RequestField),
    /// Known from the response, else from the request.
    User,
    /// Known from the response's head.
    Response(ResponseField),
    /// Known when the body has ended.
    End(EndField),
}

#[derive(Clone)]
enum RequestField {
    Client,
    Peer,
    Time,
    Line,
    Method,
    Path,
    Query,
    Protocol,
    Host,
    Port,
    Header(HeaderName),
}

#[derive(Clone)]
enum ResponseField {
    Status,
    Header(HeaderName),
}

#[derive(Clone, Copy)]
enum EndField {
    Bytes,
    BytesOrDash,
    Seconds,
    Milliseconds,
    Microseconds,
    Connection,
}

/// What is known when a request is over.
pub(super) struct End {
    pub(super) bytes: u64,
    pub(super) outcome: Outcome,
    pub(super) elapsed: Duration,
}

impl Format {
    /// Compiles a format.
    pub(super) fn parse(text: &str) -> Result<Format, Error> {
        let wrong = |at: usize, why: &str| {
            let message = format!("log format, at byte {at}: {why}");
            Error::new(ErrorKind::LogFormat, message)
        };
        let is_control = |character: char| character.is_control() && character != '\t';
        if let Some(at) = text.find(is_control) {
            return Err(wrong(at, "a control character, which would break the line"));
        }
        let mut format = Format { pieces: Vec::new() };
        let mut rest = text;
        while let Some((literal, directive)) = rest.split_once('%') {
            let at = text.len() - directive.len() - 1;
            format.push(Piece::Literal(literal.to_owned()));
            let (piece, after) = parse_directive(directive).map_err(|why| wrong(at, &why))?;
            format.push(piece);
            rest = after;
        }
        format.push(Piece::Literal(rest.to_owned()));
        Ok(format)
    }

    /// Adds a piece; literals that meet become one.
    fn push(&mut self, piece: Piece) {
        match (self.pieces.last_mut(), piece) {
            (_, Piece::Literal(text)) if text.is_empty() => {}
            (Some(Piece::Literal(before)), Piece::Literal(text)) => before.push_str(&text),
            (_, piece) => self.pieces.push(piece),
        }
    }

    pub(super) fn needs_elapsed(&self) -> bool {
        use EndField::{Microseconds, Milliseconds, Seconds};
        let is_time =
            |piece: &Piece| matches!(piece, Piece::End(Seconds | Milliseconds | Microseconds));
        self.pieces.iter().any(is_time)
    }

    /// Captures what is known from the request.
    pub(super) fn capture_request(&self, buffer: &mut Vec<u8>, request: &Request, clock: &Clock) {
        for piece in &self.pieces {
            match piece {
                Piece::Request(RequestField::Time) => capture(buffer, |line| clock.write_to(line)),
                Piece::Request(field) => capture(buffer, |line| field.write_to(line, request)),
                Piece::User => {
                    let user = request.extensions().get();
                    capture(buffer, |line| write_user(line, user));
                }
                Piece::Literal(_) | Piece::Response(_) | Piece::End(_) => {}
            }
        }
    }

    /// Captures what is known from the head of the response.
    pub(super) fn capture_response(&self, buffer: &mut Vec<u8>, response: &Response) {
        for piece in &self.pieces {
            match piece {
                Piece::Response(field) => capture(buffer, |line| field.write_to(line, response)),
                Piece::User => {
                    let user = response.extensions().get();
                    capture(buffer, |line| write_user(line, user));
                }
                Piece::Literal(_) | Piece::Request(_) | Piece::End(_) => {}
            }
        }
    }

    /// Puts the line together behind what was captured; that of the response is at `response_at`, where there was one.
    pub(super) fn assemble(
        &self,
        mut buffer: Vec<u8>,
        response_at: Option<usize>,
        end: &End,
    ) -> Line {
        let start = buffer.len();
        let mut request = Captured { at: Some(0) };
        let mut response = Captured { at: response_at };
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => buffer.extend_from_slice(text.as_bytes()),
                Piece::Request(field) => {
                    let found = request.next(&buffer);
                    append(&mut buffer, found, field.missing());
                }
                Piece::User => {
                    let (outer, inner) = (request.next(&buffer), response.next(&buffer));
                    let found = if inner.is_empty() { outer } else { inner };
                    append(&mut buffer, found, "-");
                }
                Piece::Response(_) => {
                    let found = response.next(&buffer);
                    append(&mut buffer, found, "-");
                }
                Piece::End(field) => field.write_to(&mut buffer, end),
            }
        }
        Line { buffer, start }
    }
}

/// Reads the directive behind a `%`, and gives what comes after it.
fn parse_directive(text: &str) -> Result<(Piece, &str), String> {
    if let Some(inner) = text.strip_prefix('{') {
        let (argument, after) = inner
            .split_once('}')
            .ok_or("the brace of \"%{\" is not closed")?;
        let mut letters = after.chars();
        let letter = letters
            .next()
            .ok_or_else(|| format!("no letter after \"%{{{argument}}}\""))?;
        return Ok((with_argument(argument, letter)?, letters.as_str()));
    }
    // The status of the final answer is the only one there is.
    let text = match text.strip_prefix('>') {
        Some(after) if after.starts_with('s') => after,
        Some(_) => return Err("\">\" stands only before \"s\"".to_owned()),
        None => text,
    };
    let mut letters = text.chars();
    let letter = letters.next().ok_or("nothing after \"%\"")?;
    Ok((without_argument(letter)?, letters.as_str()))
}

fn without_argument(letter: char) -> Result<Piece, String> {
    Ok(match letter {
        '%' => Piece::Literal("%".to_owned()),
        // Nobody asks RFC 1413 any more; the column stays.
        'l' => Piece::Literal("-".to_owned()),
        'h' | 'a' => Piece::Request(RequestField::Client),
        'u' => Piece::User,
        't' => Piece::Request(RequestField::Time),
        'r' => Piece::Request(RequestField::Line),
        'm' => Piece::Request(RequestField::Method),
        'U' => Piece::Request(RequestField::Path),
        'q' => Piece::Request(RequestField::Query),
        'H' => Piece::Request(RequestField::Protocol),
        'v' | 'V' => Piece::Request(RequestField::Host),
        'p' => Piece::Request(RequestField::Port),
        's' => Piece::Response(ResponseField::Status),
        'b' => Piece::End(EndField::BytesOrDash),
        'B' => Piece::End(EndField::Bytes),
        'D' => Piece::End(EndField::Microseconds),
        'T' => Piece::End(EndField::Seconds),
        'X' => Piece::End(EndField::Connection),
        'i' | 'o' => {
            return Err(format!(
                "\"%{letter}\" needs a header name: \"%{{Name}}{letter}\""
            ));
        }
        'P' => return Err("\"%P\" is not supported: there is one process".to_owned()),
        other => return Err(format!("{:?} is not a directive", format!("%{other}"))),
    })
}

fn with_argument(argument: &str, letter: char) -> Result<Piece, String> {
    let name =
        || HeaderName::try_from(argument).map_err(|_| format!("{argument:?} is not a header name"));
    Ok(match (argument, letter) {
        (_, 'i') => Piece::Request(RequestField::Header(name()?)),
        (_, 'o') => Piece::Response(ResponseField::Header(name()?)),
        ("c", 'a') => Piece::Request(RequestField::Peer),
        ("s", 'T') => Piece::End(EndField::Seconds),
        ("ms", 'T') => Piece::End(EndField::Milliseconds),
        ("us", 'T') => Piece::End(EndField::Microseconds),
        (_, 'T') => {
            return Err(format!(
                "{argument:?} is not a unit: \"s\", \"ms\" or \"us\""
            ));
        }
        (_, 't') => return Err("\"%t\" has one form and takes no argument".to_owned()),
        (_, other) => {
            let directive = format!("%{{{argument}}}{other}");
            return Err(format!("{directive:?} is not a directive"));
        }
    })
}

impl RequestField {
    fn write_to(&self, line: &mut Vec<u8>, request: &Request) {
        match self {
            RequestField::Client => address(line, request.client_address()),
            RequestField::Peer => {
                let peer = request.connection().peer();
                address(line, peer.map(|peer| peer.ip().to_canonical()));
            }
            // The clock is not the request's, so `capture_request` does this.
            RequestField::Time => {}
            RequestField::Line => write_request_line(line, request),
            RequestField::Method => escape(line, request.method().as_str().as_bytes()),
            RequestField::Path => escape(line, request.uri().path().as_bytes()),
            RequestField::Query => write_query(line, request.query()),
            RequestField::Protocol => line.extend_from_slice(request.protocol().as_bytes()),
            RequestField::Host => {
                let host = request.hostname().unwrap_or_default();
                escape_word(line, host.as_bytes());
            }
            RequestField::Port => number(line, request.port()),
            RequestField::Header(name) => write_header(line, request.headers(), name),
        }
    }

    /// What stands for a field that the request does not have; a path without a query is whole.
    fn missing(&self) -> &'static str {
        match self {
            RequestField::Query => "",
            _ => "-",
        }
    }
}

impl ResponseField {
    fn write_to(&self, line: &mut Vec<u8>, response: &Response) {
        match self {
            ResponseField::Status => number(line, response.status().as_u16()),
            ResponseField::Header(name) => write_header(line, response.headers(), name),
        }
    }
}

impl EndField {
    fn write_to(self, line: &mut Vec<u8>, end: &End) {
        match self {
            EndField::BytesOrDash if end.bytes == 0 => line.push(b'-'),
            EndField::BytesOrDash | EndField::Bytes => number(line, end.bytes),
            EndField::Seconds => number(line, end.elapsed.as_secs()),
            EndField::Milliseconds => number(line, end.elapsed.as_millis()),
            EndField::Microseconds => number(line, end.elapsed.as_micros()),
            EndField::Connection => line.push(match end.outcome {
                Outcome::Complete => b'+',
                _ => b'X',
            }),
        }
    }
}

/// The request line with the target as it was received; nothing in it is decoded.
fn write_request_line(line: &mut Vec<u8>, request: &Request) {
    let uri = request.uri();
    escape_word(line, request.method().as_str().as_bytes());
    line.push(b' ');
    // HTTP/2 and 3 have no request line, but a pseudo-header for each part; the usual one would have had the path.
    let is_path = uri.authority().is_none() || request.version() > Version::HTTP_11;
    match uri.path_and_query().filter(|_| is_path) {
        Some(target) => escape_word(line, target.as_str().as_bytes()),
        None => write!(Escaped(line), "{uri}").expect("memory takes all that is written"),
    }
    line.push(b' ');
    line.extend_from_slice(request.protocol().as_bytes());
}

fn write_query(line: &mut Vec<u8>, query: Option<&str>) {
    if let Some(query) = query {
        line.push(b'?');
        escape(line, query.as_bytes());
    }
}

/// All lines of a header, with commas between them as RFC 9110, section 5.3, joins them.
fn write_header(line: &mut Vec<u8>, headers: &HeaderMap, name: &HeaderName) {
    for (at, value) in headers.get_all(name).into_iter().enumerate() {
        if at > 0 {
            line.extend_from_slice(b", ");
        }
        escape(line, value.as_bytes());
    }
}

fn write_user(line: &mut Vec<u8>, user: Option<&RemoteUser>) {
    escape_word(line, user.map_or("", RemoteUser::name).as_bytes());
}

fn address(line: &mut Vec<u8>, address: Option<IpAddr>) {
    if let Some(address) = address {
        write!(line, "{address}").expect("memory takes all that is written");
    }
}

fn number(line: &mut Vec<u8>, number: impl std::fmt::Display) {
    write!(line, "{number}").expect("memory takes all that is written");
}

type Length = [u8; size_of::<usize>()];

/// Appends a field behind its length.
fn capture(buffer: &mut Vec<u8>, field: impl FnOnce(&mut Vec<u8>)) {
    let at = buffer.len();
    buffer.extend_from_slice(&Length::default());
    let start = buffer.len();
    field(buffer);
    let length = (buffer.len() - start).to_ne_bytes();
    if let Some(place) = buffer.get_mut(at..start) {
        place.copy_from_slice(&length);
    }
}

/// Where the next captured field is; `None` where nothing was captured.
struct Captured {
    at: Option<usize>,
}

impl Captured {
    /// The place of the next field, which is empty where nothing was captured.
    fn next(&mut self, buffer: &[u8]) -> Range<usize> {
        let found = self.at.and_then(|at| {
            let (length, _) = buffer.get(at..)?.split_first_chunk()?;
            let start = at + size_of::<Length>();
            Some(start..start + usize::from_ne_bytes(*length))
        });
        self.at = found.as_ref().map(|found| found.end);
        found.unwrap_or(0..0)
    }
}

fn append(buffer: &mut Vec<u8>, captured: Range<usize>, missing: &str) {
    if captured.is_empty() {
        buffer.extend_from_slice(missing.as_bytes());
    } else {
        buffer.extend_from_within(captured);
    }
}
