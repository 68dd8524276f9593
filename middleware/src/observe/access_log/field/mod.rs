//! The fields of a line, and how each is written.

mod write;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use enfilade_core::{
    Head, HttpError, MatchedPattern, Outcome, RemoteUser, Request, RequestIdValue, Response,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};

use self::write::{
    address, cookie, header, method, micros, number, protocol, query, request_line, without_port,
};
use super::clock::{Clock, Moment};
use crate::shared::escape::Syntax;
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
            RequestField::Query => query(line, head.query_string(), context),
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

#[cfg(test)]
mod tests;
