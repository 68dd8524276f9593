//! The fields of a line, and how each is written.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use enfilade_core::{
    Head, HttpError, MatchedPattern, Outcome, RemoteUser, Request, RequestIdValue, Response,
};
use http::header::COOKIE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};

use super::clock::{Clock, Moment};
use crate::shared::escape::{EscapeWriter, Syntax};
use crate::shared::header_values::SCAN_LIMIT;
use crate::shared::redaction::{Redaction, TextEscape, Visibility};

/// A part of a line that depends on the request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Field {
    /// Known from the head of the request.
    Request(RequestField),
    /// A variable of the environ, known when the request arrives.
    Variable(String, Visibility),
    /// Known from the response, otherwise from the request.
    Either(EitherField),
    /// Known from the head of the response.
    Response(ResponseField),
    /// Known when the body has ended.
    RequestEnd(EndField),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum RequestField {
    Client,
    Peer,
    /// A time in the format with this index.
    Time(usize),
    Line,
    Method,
    Path,
    Query,
    Protocol,
    Host,
    Port,
    Process,
    Header(HeaderName, Visibility),
    Cookie(String),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum EitherField {
    User,
    /// The same, or the user that the request claims to be from.
    ClaimedUser,
    Id,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum ResponseField {
    Error,
    Route,
    Header(HeaderName, Visibility),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum EndField {
    Status,
    Bytes,
    BytesOrDash,
    Received,
    Sent,
    Seconds,
    Milliseconds,
    Microseconds,
    FirstByte,
    Connection,
    Outcome,
    /// A time in the format with this index.
    Time(usize),
}

/// The context for writing fields.
pub(super) struct Context<'a> {
    pub(super) syntax: Syntax,
    pub(super) clock: &'a Clock,
    pub(super) redaction: &'a Redaction,
}

/// The facts that are known when a request has ended.
pub(super) struct RequestEnd {
    pub(super) status: StatusCode,
    pub(super) bytes: u64,
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) outcome: Outcome,
    pub(super) elapsed: Duration,
    pub(super) first_byte: Option<Duration>,
}

impl Field {
    /// Whether it is a number, which JSON writes without quotes.
    pub(super) fn is_number(&self) -> bool {
        use EndField::{Connection, Outcome, Time};
        match self {
            Field::Request(field) => matches!(field, RequestField::Port | RequestField::Process),
            Field::Variable(..) | Field::Either(_) | Field::Response(_) => false,
            Field::RequestEnd(field) => !matches!(field, Connection | Outcome | Time(_)),
        }
    }

    /// Sets how much of the value is shown.
    pub(super) fn redact(&mut self, redaction: &Redaction) {
        match self {
            Field::Request(RequestField::Header(name, shown))
            | Field::Response(ResponseField::Header(name, shown)) => {
                *shown = redaction.header_visibility(name);
            }
            Field::Variable(name, shown) => *shown = redaction.variable_visibility(name),
            _ => {}
        }
    }

    /// Whether every request has it.
    pub(super) fn is_always_there(&self) -> bool {
        use RequestField::{Line, Method, Protocol};
        matches!(
            self,
            Field::Request(Line | Method | Protocol)
                | Field::RequestEnd(EndField::Outcome | EndField::Connection)
        )
    }

    /// Whether it is an address.
    pub(super) fn is_address(&self) -> bool {
        matches!(
            self,
            Field::Request(RequestField::Client | RequestField::Peer)
        )
    }

    /// Whether `-` is written if it is missing; a path without a query is complete.
    pub(super) fn is_missed(&self) -> bool {
        !matches!(self, Field::Request(RequestField::Query))
    }
}

impl RequestField {
    pub(super) fn write_to(
        &self,
        line: &mut Vec<u8>,
        head: &Head,
        now: Moment,
        context: &Context<'_>,
    ) {
        let syntax = context.syntax;
        match self {
            RequestField::Client => address(line, head.client_address()),
            RequestField::Peer => {
                let peer = head.connection().peer();
                address(line, peer.map(|peer| peer.ip().to_canonical()));
            }
            RequestField::Time(format) => context.clock.write_to(line, *format, now),
            RequestField::Line => request_line(line, head, context),
            RequestField::Method => method(line, head.method()),
            RequestField::Path => syntax.escape(line, head.uri().path().as_bytes()),
            RequestField::Query => query(line, head.query(), context),
            RequestField::Protocol => protocol(line, head),
            RequestField::Host => {
                let host = head.host().unwrap_or_default();
                syntax.escape_word(line, without_port(host).as_bytes());
            }
            RequestField::Port => number(line, head.port()),
            RequestField::Process => number(line, std::process::id()),
            RequestField::Header(name, shown) => {
                header(line, head.headers(), (name, *shown), context);
            }
            RequestField::Cookie(name) => {
                let value = cookie(head.headers(), name);
                syntax.escape(line, value.unwrap_or_default());
            }
        }
    }
}

impl EitherField {
    pub(super) fn write_to(
        self,
        line: &mut Vec<u8>,
        extensions: &http::Extensions,
        syntax: Syntax,
    ) {
        match self {
            EitherField::User | EitherField::ClaimedUser => {
                if let Some(user) = extensions.get::<RemoteUser>() {
                    syntax.escape_name(line, user.name().as_bytes());
                }
            }
            EitherField::Id => {
                if let Some(id) = extensions.get::<RequestIdValue>() {
                    syntax.escape_word(line, id.as_str().as_bytes());
                }
            }
        }
    }
}

impl ResponseField {
    pub(super) fn write_to(&self, line: &mut Vec<u8>, response: &Response, context: &Context<'_>) {
        match self {
            ResponseField::Error => {
                if let Some(error) = response.extensions().get::<Arc<HttpError>>() {
                    context.syntax.escape(line, causes(error).as_bytes());
                }
            }
            ResponseField::Route => {
                let pattern = response.extensions().get();
                let pattern = pattern.map_or("", MatchedPattern::as_str);
                context.syntax.escape(line, pattern.as_bytes());
            }
            ResponseField::Header(name, shown) => {
                header(line, response.headers(), (name, *shown), context);
            }
        }
    }
}

/// The causes of an error, outermost first; without causes the error's own text, which the client saw.
fn causes(error: &HttpError) -> String {
    let Some(source) = error.source() else {
        return error.to_string();
    };
    let mut text = source.to_string();
    let mut cause = source.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

impl EndField {
    /// Appends the field; appends nothing if it is missing.
    pub(super) fn write_to(self, line: &mut Vec<u8>, end: &RequestEnd, context: &Context<'_>) {
        match self {
            EndField::Status => line.extend_from_slice(end.status.as_str().as_bytes()),
            EndField::BytesOrDash if end.bytes == 0 => {}
            EndField::BytesOrDash | EndField::Bytes => number(line, end.bytes),
            EndField::Received => number(line, end.received),
            EndField::Sent => number(line, end.sent),
            EndField::Seconds => number(line, end.elapsed.as_secs()),
            EndField::Milliseconds => number(line, micros(end.elapsed) / 1_000),
            EndField::Microseconds => number(line, micros(end.elapsed)),
            EndField::FirstByte => {
                if let Some(time) = end.first_byte {
                    number(line, micros(time));
                }
            }
            EndField::Connection => line.push(match end.outcome {
                Outcome::Complete => b'+',
                _ => b'X',
            }),
            EndField::Outcome => match end.outcome {
                Outcome::Complete => line.extend_from_slice(b"complete"),
                Outcome::Failed => line.extend_from_slice(b"failed"),
                _ => line.extend_from_slice(b"gone"),
            },
            EndField::Time(format) => {
                context.clock.write_to(line, format, context.clock.now());
            }
        }
    }
}

/// The length of a request's head in HTTP/1.1, in bytes.
pub(super) fn request_head(request: &Request) -> u64 {
    let uri = request.uri();
    let authority = uri
        .authority()
        .map_or(0, |authority| authority.as_str().len());
    let target = uri
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    let target = match (uri.scheme_str(), request.version() > Version::HTTP_11) {
        (Some(scheme), false) => scheme.len() + "://".len() + authority + target,
        (None, false) if target == 0 => authority,
        _ => target,
    };
    let line = request.method().as_str().len() + target + request.protocol().len() + "  \r\n".len();
    line as u64 + header_lines(request.headers())
}

/// The length of a response's head in HTTP/1.1, in bytes, without headers that the gateway adds.
pub(super) fn response_head(response: &Response) -> u64 {
    let reason = response.status().canonical_reason().unwrap_or_default();
    let line = "HTTP/1.1 200 \r\n".len() + reason.len();
    line as u64 + header_lines(response.headers())
}

fn header_lines(headers: &HeaderMap) -> u64 {
    let line = |(name, value): (&HeaderName, &HeaderValue)| {
        name.as_str().len() + value.len() + ": \r\n".len()
    };
    let lines: usize = headers.iter().map(line).sum();
    (lines + "\r\n".len()) as u64
}

fn unquoted(syntax: Syntax, is_word: bool) -> TextEscape {
    TextEscape { syntax, is_word }
}

/// A variable of the request's environ, named as in CGI.
pub(super) fn variable(
    line: &mut Vec<u8>,
    request: &Request,
    (name, shown): (&str, Visibility),
    context: &Context<'_>,
) {
    if let Some(value) = request.environ().get(name) {
        let write = unquoted(context.syntax, false);
        context
            .redaction
            .write(line, value.as_bytes(), shown, write);
    }
}

/// The request line with the target as received; nothing is decoded.
fn request_line(line: &mut Vec<u8>, head: &Head, context: &Context<'_>) {
    let uri = head.uri();
    let (syntax, redaction) = (context.syntax, context.redaction);
    method(line, head.method());
    line.push(b' ');
    // HTTP/2 and 3 have no request line, but a pseudo-header for each part; a request line would usually have the path.
    let is_path = uri.authority().is_none() || head.version() > Version::HTTP_11;
    match uri.path_and_query().filter(|_| is_path) {
        Some(target) => {
            redaction.write_url(line, target.as_str().as_bytes(), unquoted(syntax, true));
        }
        None if redaction.is_of_urls() => {
            redaction.write_url(line, uri.to_string().as_bytes(), unquoted(syntax, true));
        }
        None => {
            write!(EscapeWriter(syntax, line), "{uri}").expect("memory takes all that is written")
        }
    }
    line.push(b' ');
    protocol(line, head);
}

/// A token needs no escapes (RFC 9110, section 5.6.2).
fn method(line: &mut Vec<u8>, method: &Method) {
    match *method {
        // Copying a fixed number of bytes compiles to no function call.
        Method::GET => line.extend_from_slice(b"GET"),
        Method::POST => line.extend_from_slice(b"POST"),
        _ => line.extend_from_slice(method.as_str().as_bytes()),
    }
}

fn protocol(line: &mut Vec<u8>, head: &Head) {
    // All of them have the same length.
    match head.protocol().as_bytes().first_chunk::<8>() {
        Some(text) if head.protocol().len() == 8 => line.extend_from_slice(text),
        _ => line.extend_from_slice(head.protocol().as_bytes()),
    }
}

fn query(line: &mut Vec<u8>, query: Option<&str>, context: &Context<'_>) {
    if let Some(query) = query {
        line.push(b'?');
        let write = unquoted(context.syntax, false);
        context.redaction.write_query(line, query.as_bytes(), write);
    }
}

/// All values of a header, joined by commas as in RFC 9110, section 5.3.
fn header(
    line: &mut Vec<u8>,
    headers: &HeaderMap,
    (name, shown): (&HeaderName, Visibility),
    context: &Context<'_>,
) {
    // Comparing a few names takes less time than a lookup, and most requested headers are missing.
    if headers.len() <= SCAN_LIMIT && headers.keys().all(|other| other != name) {
        return;
    }
    let Some(first) = headers.get(name) else {
        return;
    };
    let shown = as_shown(line, first, shown, context);
    // Further values exist only if some header is repeated; the number of secret values is not shown.
    if headers.len() > headers.keys_len() && shown != Visibility::Nothing {
        for value in headers.get_all(name).into_iter().skip(1) {
            line.extend_from_slice(b", ");
            if as_shown(line, value, shown, context) == Visibility::Nothing {
                return;
            }
        }
    }
}

/// Appends one value, and returns how much of it was shown: nothing if a component marked it as sensitive.
fn as_shown(
    line: &mut Vec<u8>,
    value: &HeaderValue,
    shown: Visibility,
    context: &Context<'_>,
) -> Visibility {
    let shown = match value.is_sensitive() {
        true => Visibility::Nothing,
        false => shown,
    };
    let write = unquoted(context.syntax, false);
    context
        .redaction
        .write(line, value.as_bytes(), shown, write);
    shown
}

/// The host alone; the gateway has checked that it is valid.
fn without_port(host: &str) -> &str {
    let length = match host.bytes().rposition(|byte| matches!(byte, b':' | b']')) {
        Some(at) if host.as_bytes().get(at) == Some(&b':') => at,
        _ => host.len(),
    };
    host.get(..length).unwrap_or(host)
}

/// The first cookie with this name (RFC 6265, section 4.2.1).
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let lines = headers.get_all(COOKIE).into_iter();
    let mut pairs = lines.flat_map(|line| line.as_bytes().split(|&byte| byte == b';'));
    pairs.find_map(|pair| {
        let at = pair.iter().position(|&byte| byte == b'=')?;
        let (found, value) = pair.split_at_checked(at)?;
        let value = value.split_first()?.1;
        (found.trim_ascii() == name.as_bytes()).then_some(value.trim_ascii())
    })
}

/// Each octet as digits followed by a dot, and the number of bytes.
const OCTETS: [[u8; 5]; 256] = {
    let mut all = [[b'.'; 5]; 256];
    let mut octet = 0;
    while octet < all.len() {
        let digits = [octet / 100, octet / 10 % 10, octet % 10];
        let mut at = if octet >= 100 {
            0
        } else if octet >= 10 {
            1
        } else {
            2
        };
        let mut length = 0;
        while at < digits.len() {
            all[octet][length] = b'0' + digits[at] as u8;
            at += 1;
            length += 1;
        }
        all[octet][4] = length as u8 + 1;
        octet += 1;
    }
    all
};

fn address(line: &mut Vec<u8>, address: Option<IpAddr>) {
    match address {
        // The usual case needs no formatter.
        Some(IpAddr::V4(address)) => {
            for octet in address.octets() {
                let [text @ .., length] = OCTETS[usize::from(octet)];
                let end = line.len() + usize::from(length);
                line.extend_from_slice(&text);
                line.truncate(end);
            }
            // Removes the last dot.
            line.pop();
        }
        Some(IpAddr::V6(address)) => {
            write!(line, "{address}").expect("memory takes all that is written");
        }
        None => {}
    }
}

fn number(line: &mut Vec<u8>, number: impl itoa::Integer) {
    line.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// In microseconds; an overflow, after half a million years, is the maximum.
fn micros(time: Duration) -> u64 {
    let whole = time.as_secs().saturating_mul(1_000_000);
    whole.saturating_add(u64::from(time.subsec_micros()))
}

#[cfg(test)]
mod tests;
