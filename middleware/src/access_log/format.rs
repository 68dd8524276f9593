//! Formats of lines, compiled when the stack is built.
//!
//! The fields of a line are known at three moments: when the request comes, when the response's head is there, and when
//! its body has ended. What is known early is captured in the buffer in which the line is put together later, each
//! run of such fields behind its length, so that one buffer serves a request from its first field to the finished line.

use std::ops::Range;

use enfilade_core::{Request, Response};
use http::Extensions;

use super::clock::{Moment, TimeFormat};
use super::directive::{self, Piece};
use super::escape::Syntax;
use super::field::{Context, End, EndField, Field, RequestField, ResponseField};
use super::queue::Line;
use super::redaction::Redaction;
use crate::{Error, ErrorKind};

pub(super) const COMMON: &str = r#"%h %l %u %t "%r" %>s %b"#;
pub(super) const COMBINED: &str = r#"%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i""#;
pub(super) const VHOST_COMBINED: &str =
    r#"%v:%p %h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i""#;
pub(super) const JSON: [(&str, &str); 15] = [
    ("time", "%{rfc3339}t"),
    ("client", "%h"),
    ("user", "%u"),
    ("method", "%m"),
    ("host", "%v"),
    ("target", "%U%q"),
    ("protocol", "%H"),
    ("status", "%s"),
    ("outcome", "%{outcome}x"),
    ("bytes", "%B"),
    ("first_byte_us", "%^FB"),
    ("total_us", "%D"),
    ("referer", "%{Referer}i"),
    ("user_agent", "%{User-Agent}i"),
    ("id", "%{id}x"),
];

/// A compiled format.
#[derive(Clone)]
pub(super) struct Format {
    pub(super) syntax: Syntax,
    pub(super) times: Vec<TimeFormat>,
    parts: Vec<Part>,
}

/// Items that are known at the same time; what is the same in each line belongs to those before it.
#[derive(Clone)]
struct Part {
    known: Known,
    items: Vec<Item>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Known {
    /// When the request comes.
    First,
    /// Then, or better when the response's head is there.
    Either,
    /// When the response's head is there.
    Second,
    /// When the body has ended.
    Last,
}

#[derive(Clone)]
enum Item {
    Literal(Vec<u8>),
    Field(Field),
    /// A field that is a value of JSON by itself.
    Value(Field),
}

impl Format {
    /// Compiles a format in Apache's language.
    pub(super) fn text(text: &str) -> Result<Format, Error> {
        let mut format = Format::new(Syntax::Text);
        let pieces = directive::parse(text, &mut format.times).map_err(|(at, why)| {
            let message = format!("log format, at byte {at}: {why}");
            Error::new(ErrorKind::LogFormat, message)
        })?;
        pieces.into_iter().for_each(|piece| format.push(piece));
        Ok(format)
    }

    /// Compiles the members of a JSON object, each with its name and its format.
    pub(super) fn json<'a>(
        members: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Format, Error> {
        let wrong = |message: String| Err(Error::new(ErrorKind::LogFormat, message));
        let mut format = Format::new(Syntax::Json);
        let mut names = Vec::new();
        for (name, text) in members {
            if names.contains(&name) {
                return wrong(format!("log member {name:?} is there twice"));
            }
            let pieces = match directive::parse(text, &mut format.times) {
                Ok(pieces) => pieces,
                Err((at, why)) => {
                    return wrong(format!("log member {name:?}, at byte {at}: {why}"));
                }
            };
            format.push_raw(if names.is_empty() { "{\"" } else { ",\"" });
            format.push(Piece::Literal(name.to_owned()));
            format.push_raw("\":");
            format.push_value(pieces);
            names.push(name);
        }
        format.push_raw(if names.is_empty() { "{}" } else { "}" });
        Ok(format)
    }

    fn new(syntax: Syntax) -> Format {
        Format {
            syntax,
            times: Vec::new(),
            parts: Vec::new(),
        }
    }

    /// Adds the value of a member: that of one directive by itself, or a text.
    fn push_value(&mut self, mut pieces: Vec<Piece>) {
        match pieces.pop() {
            Some(Piece::Field(field)) if pieces.is_empty() => self.push_item(Item::Value(field)),
            last => {
                self.push_raw("\"");
                pieces
                    .into_iter()
                    .chain(last)
                    .for_each(|piece| self.push(piece));
                self.push_raw("\"");
            }
        }
    }

    fn push(&mut self, piece: Piece) {
        match (piece, self.syntax) {
            (Piece::Field(field), _) => self.push_item(Item::Field(field)),
            // What is not a peer's need not be escaped, unless it would not be JSON.
            (Piece::Literal(text), Syntax::Text) => self.push_raw(&text),
            (Piece::Literal(text), Syntax::Json) => {
                let mut escaped = Vec::new();
                self.syntax.escape(&mut escaped, text.as_bytes());
                self.push_bytes(&escaped);
            }
        }
    }

    fn push_raw(&mut self, text: &str) {
        self.push_bytes(text.as_bytes());
    }

    /// Adds what is the same in each line; such items that meet become one.
    fn push_bytes(&mut self, text: &[u8]) {
        let items = self.parts.last_mut().map(|part| &mut part.items);
        match items.and_then(|items| items.last_mut()) {
            Some(Item::Literal(before)) => before.extend_from_slice(text),
            _ => self.push_item(Item::Literal(text.to_vec())),
        }
    }

    fn push_item(&mut self, item: Item) {
        let known = match &item {
            Item::Literal(_) => None,
            Item::Field(field) | Item::Value(field) => Some(match field {
                Field::Request(_) => Known::First,
                Field::Either(_) => Known::Either,
                Field::Response(_) => Known::Second,
                Field::End(_) => Known::Last,
            }),
        };
        match self.parts.last_mut() {
            // Of an item that is captured twice only the item itself is.
            Some(part)
                if part.known != Known::Either && known.is_none_or(|known| known == part.known) =>
            {
                part.items.push(item);
            }
            _ => self.parts.push(Part {
                known: known.unwrap_or(Known::First),
                items: vec![item],
            }),
        }
    }

    fn fields(&self) -> impl Iterator<Item = &Field> {
        let items = self.parts.iter().flat_map(|part| &part.items);
        items.filter_map(|item| match item {
            Item::Literal(_) => None,
            Item::Field(field) | Item::Value(field) => Some(field),
        })
    }

    /// Finds out how much is shown of each field.
    pub(super) fn redact(&mut self, redaction: &Redaction) {
        let items = self.parts.iter_mut().flat_map(|part| &mut part.items);
        for item in items {
            if let Item::Field(field) | Item::Value(field) = item {
                field.redact(redaction);
            }
        }
    }

    /// How much room a request gets at first, so that most need no more.
    pub(super) fn room(&self) -> usize {
        match self.syntax {
            Syntax::Text => 1024,
            Syntax::Json => 1536,
        }
    }

    /// What has to be found out for this format.
    pub(super) fn needs(&self) -> Needs {
        use EndField::{FirstByte, Microseconds, Milliseconds, Seconds};
        let has = |is: fn(&Field) -> bool| self.fields().any(is);
        Needs {
            now: has(|field| matches!(field, Field::Request(RequestField::Time(_)))),
            elapsed: has(|field| {
                matches!(
                    field,
                    Field::End(Seconds | Milliseconds | Microseconds | FirstByte)
                )
            }),
            first_byte: has(|field| *field == Field::End(FirstByte)),
            route: has(|field| *field == Field::Response(ResponseField::Route)),
            sizes: has(|field| matches!(field, Field::End(EndField::Received | EndField::Sent))),
        }
    }

    /// Captures what is known from the request.
    pub(super) fn capture_request(
        &self,
        buffer: &mut Vec<u8>,
        request: &Request,
        now: Moment,
        context: &Context<'_>,
    ) {
        for part in &self.parts {
            match part.known {
                Known::First => capture(buffer, |line| {
                    part.write(line, |line, field| {
                        if let Field::Request(field) = field {
                            field.write_to(line, request, now, context);
                        }
                    });
                }),
                Known::Either => part.capture_either(buffer, request.extensions(), context.syntax),
                Known::Second | Known::Last => {}
            }
        }
    }

    /// Captures what is known from the head of the response.
    pub(super) fn capture_response(
        &self,
        buffer: &mut Vec<u8>,
        response: &Response,
        context: &Context<'_>,
    ) {
        for part in &self.parts {
            match part.known {
                Known::Second => capture(buffer, |line| {
                    part.write(line, |line, field| {
                        if let Field::Response(field) = field {
                            field.write_to(line, response, context);
                        }
                    });
                }),
                Known::Either => part.capture_either(buffer, response.extensions(), context.syntax),
                Known::First | Known::Last => {}
            }
        }
    }

    /// Puts the line together behind what was captured; that of the response is at `response_at`, where there was one.
    pub(super) fn assemble(
        &self,
        mut buffer: Vec<u8>,
        response_at: Option<usize>,
        end: &End,
        context: &Context<'_>,
    ) -> Line {
        let start = buffer.len();
        let mut request = Captured { at: Some(0) };
        let mut response = Captured { at: response_at };
        for part in &self.parts {
            match part.known {
                Known::First => {
                    let found = request.next(&buffer);
                    buffer.extend_from_within(found);
                }
                Known::Either => {
                    let (outer, inner) = (request.next(&buffer), response.next(&buffer));
                    let found = if inner.is_empty() { outer } else { inner };
                    part.write(&mut buffer, |line, _| {
                        line.extend_from_within(found.clone())
                    });
                }
                Known::Second if response_at.is_none() => part.write(&mut buffer, |_, _| {}),
                Known::Second => {
                    let found = response.next(&buffer);
                    buffer.extend_from_within(found);
                }
                Known::Last => part.write(&mut buffer, |line, field| {
                    if let Field::End(field) = field {
                        field.write_to(line, end, context);
                    }
                }),
            }
        }
        Line { buffer, start }
    }
}

impl Part {
    /// Appends the items, with what stands for a field where `write` writes nothing.
    #[inline]
    fn write(&self, line: &mut Vec<u8>, write: impl Fn(&mut Vec<u8>, &Field)) {
        for item in &self.items {
            match item {
                Item::Literal(text) => line.extend_from_slice(text),
                Item::Field(field) => {
                    let before = line.len();
                    write(line, field);
                    if line.len() == before {
                        line.extend_from_slice(field.missing().as_bytes());
                    }
                }
                Item::Value(field) => value(line, field, &write),
            }
        }
    }

    fn capture_either(&self, buffer: &mut Vec<u8>, extensions: &Extensions, syntax: Syntax) {
        for item in &self.items {
            if let Item::Field(Field::Either(field)) | Item::Value(Field::Either(field)) = item {
                capture(buffer, |line| field.write_to(line, extensions, syntax));
            }
        }
    }
}

/// What a format has to be told, besides what is there in any case.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "a set of independent facts")]
pub(super) struct Needs {
    pub(super) now: bool,
    pub(super) elapsed: bool,
    pub(super) first_byte: bool,
    pub(super) route: bool,
    pub(super) sizes: bool,
}

/// Appends a field as a value of JSON; `null` where it is not there.
fn value(line: &mut Vec<u8>, field: &Field, write: impl Fn(&mut Vec<u8>, &Field)) {
    let is_quoted = !field.is_number();
    if is_quoted {
        line.push(b'"');
    }
    let before = line.len();
    write(line, field);
    if line.len() == before {
        line.truncate(before - usize::from(is_quoted));
        line.extend_from_slice(b"null");
    } else if is_quoted {
        line.push(b'"');
    }
}

type Length = [u8; size_of::<usize>()];

/// Appends something behind its length.
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

/// Where what was captured next is; `None` where nothing was captured.
struct Captured {
    at: Option<usize>,
}

impl Captured {
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
