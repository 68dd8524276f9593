//! Formats of lines, compiled when the stack is built.
//!
//! A line is written in one go, when the response body has ended; the head of the request is kept until then. Other
//! facts (from components, and from the head of the response) are captured when they are known.

use std::mem;

use enfilade_core::{Head, Request, Response};

use super::captured::Captured;
use super::clock::{Moment, TimeFormat};
use super::directive::{self, FormatPiece};
use super::field::{
    self, Context, EitherField, EndField, Field, RequestEnd, RequestField, ResponseField,
};
use crate::error::Error;
use crate::error::ErrorKind;
use crate::shared::authorization;
use crate::shared::escape::Syntax;
use crate::shared::redaction::Redaction;

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
    items: Vec<Item>,
    /// The text after the last item.
    rest: Literal,
    /// Which items are captured from the request, and which from the head of the response.
    from_request: Vec<usize>,
    from_response: Vec<usize>,
}

/// A field, and the text before it.
#[derive(Clone)]
struct Item {
    before: Literal,
    field: Field,
    form: FieldForm,
}

/// How a field is written, and its replacement if it is missing.
#[derive(Clone, Copy, PartialEq)]
enum FieldForm {
    /// As it is, or `-`.
    Text,
    /// An address, or the address of no host: analysers reject a line without one.
    Address,
    /// As it is, or nothing.
    Part,
    /// A JSON string, whose first quote is written before it, or `null`.
    Quoted,
    /// A JSON number, or `null`.
    Number,
}

/// Text that is the same in each line.
#[derive(Clone)]
enum Literal {
    /// This many bytes, copied together with the bytes after them: copying a fixed number compiles to no function call.
    Short([u8; SHORT], usize),
    Long(Vec<u8>),
}

/// The address of no host (RFC 1122, section 3.2.1.3), for a client without an address, as on a Unix socket.
const NO_HOST: &[u8] = b"0.0.0.0";
/// The maximum length of a short literal, in bytes.
const SHORT: usize = 16;

impl Format {
    /// Compiles a format in Apache's syntax.
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
                return wrong(format!("log member {name:?} is repeated"));
            }
            let pieces = match directive::parse(text, &mut format.times) {
                Ok(pieces) => pieces,
                Err((at, why)) => {
                    return wrong(format!("log member {name:?}, at byte {at}: {why}"));
                }
            };
            format.push_raw(if names.is_empty() { "{\"" } else { ",\"" });
            format.push(FormatPiece::Literal(name.to_owned()));
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
            items: Vec::new(),
            rest: Literal::EMPTY,
            from_request: Vec::new(),
            from_response: Vec::new(),
        }
    }

    /// Adds the value of a member: of a single directive, or a text.
    fn push_value(&mut self, mut pieces: Vec<FormatPiece>) {
        match pieces.pop() {
            Some(FormatPiece::Field(field)) if pieces.is_empty() => {
                if field.is_number() {
                    return self.push_field(field, FieldForm::Number);
                }
                self.push_raw("\"");
                if !field.is_always_there() {
                    return self.push_field(field, FieldForm::Quoted);
                }
                self.push_field(field, FieldForm::Part);
                self.push_raw("\"");
            }
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

    fn push(&mut self, piece: FormatPiece) {
        match (piece, self.syntax) {
            (FormatPiece::Field(field), Syntax::Text) if field.is_address() => {
                self.push_field(field, FieldForm::Address);
            }
            (FormatPiece::Field(field), _) => {
                let is_missed = field.is_missed();
                self.push_field(
                    field,
                    if is_missed {
                        FieldForm::Text
                    } else {
                        FieldForm::Part
                    },
                );
            }
            // Text that is not from a peer needs no escapes, unless it would not be valid JSON.
            (FormatPiece::Literal(text), Syntax::Text) => self.push_raw(&text),
            (FormatPiece::Literal(text), Syntax::Json) => {
                let mut escaped = Vec::new();
                self.syntax.escape(&mut escaped, text.as_bytes());
                self.push_bytes(&escaped);
            }
        }
    }

    fn push_raw(&mut self, text: &str) {
        self.push_bytes(text.as_bytes());
    }

    /// Adds text that is the same in each line.
    fn push_bytes(&mut self, text: &[u8]) {
        self.rest = Literal::of([self.rest.as_bytes(), text].concat());
    }

    fn push_field(&mut self, field: Field, form: FieldForm) {
        let at = self.items.len();
        if matches!(field, Field::Variable(..) | Field::Either(_)) {
            self.from_request.push(at);
        }
        if matches!(field, Field::Response(_) | Field::Either(_)) {
            self.from_response.push(at);
        }
        self.items.push(Item {
            before: mem::replace(&mut self.rest, Literal::EMPTY),
            field,
            form,
        });
    }

    fn fields(&self) -> impl Iterator<Item = &Field> {
        self.items.iter().map(|item| &item.field)
    }

    /// Sets how much of each field is shown.
    pub(super) fn redact(&mut self, redaction: &Redaction) {
        for item in &mut self.items {
            item.field.redact(redaction);
        }
    }

    /// Shows the user that a request claims to be from, if no component identified the user.
    pub(super) fn claim_user(&mut self) {
        for item in &mut self.items {
            if item.field == Field::Either(EitherField::User) {
                item.field = Field::Either(EitherField::ClaimedUser);
            }
        }
    }

    pub(super) fn claims_user(&self) -> bool {
        let claimed = Field::Either(EitherField::ClaimedUser);
        self.fields().any(|field| *field == claimed)
    }

    /// The facts that this format needs.
    pub(super) fn required_facts(&self) -> RequiredFacts {
        use EndField::{FirstByte, Microseconds, Milliseconds, Seconds};
        let has = |is: fn(&Field) -> bool| self.fields().any(is);
        RequiredFacts {
            now: has(|field| matches!(field, Field::Request(RequestField::Time(_)))),
            elapsed: has(|field| {
                matches!(
                    field,
                    Field::RequestEnd(Seconds | Milliseconds | Microseconds | FirstByte)
                )
            }),
            first_byte: has(|field| *field == Field::RequestEnd(FirstByte)),
            route: has(|field| *field == Field::Response(ResponseField::Route)),
            sizes: has(|field| {
                matches!(
                    field,
                    Field::RequestEnd(EndField::Received | EndField::Sent)
                )
            }),
        }
    }

    /// Captures facts of the request that are not in its head.
    pub(super) fn capture_request(
        &self,
        captured: &mut Captured,
        request: &Request,
        context: &Context<'_>,
    ) {
        for (at, field) in self.fields_at(&self.from_request) {
            if *field == Field::Either(EitherField::ClaimedUser) {
                captured.add(at, |text| {
                    if let Some(user) =
                        authorization::basic(request.headers()).map(|(user, _)| user)
                    {
                        context.syntax.escape_name(text, &user);
                    }
                });
            }
            if matches!(field, Field::Either(_)) && request.extensions().is_empty() {
                continue;
            }
            captured.add(at, |text| match field {
                Field::Either(field) => {
                    field.write_to(text, request.extensions(), context.syntax);
                }
                Field::Variable(name, shown) => {
                    field::variable(text, request, (name, *shown), context);
                }
                _ => {}
            });
        }
    }

    /// Captures facts from the head of the response, which replace those of the request.
    pub(super) fn capture_response(
        &self,
        captured: &mut Captured,
        response: &Response,
        context: &Context<'_>,
    ) {
        for (at, field) in self.fields_at(&self.from_response) {
            if matches!(field, Field::Either(_)) && response.extensions().is_empty() {
                continue;
            }
            captured.add(at, |text| match field {
                Field::Either(field) => {
                    field.write_to(text, response.extensions(), context.syntax);
                }
                Field::Response(field) => field.write_to(text, response, context),
                _ => {}
            });
        }
    }

    fn fields_at<'a>(&'a self, places: &'a [usize]) -> impl Iterator<Item = (usize, &'a Field)> {
        let field = |at: &usize| Some((*at, &self.items.get(*at)?.field));
        places.iter().filter_map(field)
    }

    /// Appends the line, without its end.
    pub(super) fn write(&self, line: &mut Vec<u8>, inputs: &LineInputs<'_>, context: &Context<'_>) {
        for (at, item) in self.items.iter().enumerate() {
            item.before.write_to(line);
            let start = line.len();
            match &item.field {
                Field::Request(field) => field.write_to(line, inputs.head, inputs.at, context),
                Field::RequestEnd(field) => field.write_to(line, inputs.end, context),
                Field::Either(_) | Field::Response(_) | Field::Variable(..) => {
                    line.extend_from_slice(inputs.captured.get(at));
                }
            }
            match item.form {
                FieldForm::Quoted if line.len() > start => line.push(b'"'),
                _ if line.len() > start => {}
                FieldForm::Text => line.push(b'-'),
                FieldForm::Address => line.extend_from_slice(NO_HOST),
                FieldForm::Part => {}
                FieldForm::Quoted => {
                    line.pop();
                    line.extend_from_slice(b"null");
                }
                FieldForm::Number => line.extend_from_slice(b"null"),
            }
        }
        self.rest.write_to(line);
    }
}

impl Literal {
    const EMPTY: Literal = Literal::Short([0; SHORT], 0);

    fn of(text: Vec<u8>) -> Literal {
        let mut bytes = [0; SHORT];
        match bytes.get_mut(..text.len()) {
            Some(place) => {
                place.copy_from_slice(&text);
                Literal::Short(bytes, text.len())
            }
            None => Literal::Long(text),
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Literal::Short(bytes, length) => bytes.get(..*length).unwrap_or_default(),
            Literal::Long(text) => text,
        }
    }

    #[inline]
    fn write_to(&self, line: &mut Vec<u8>) {
        match self {
            Literal::Short(bytes, length) => {
                let end = line.len() + length;
                line.extend_from_slice(bytes);
                line.truncate(end);
            }
            Literal::Long(text) => line.extend_from_slice(text),
        }
    }
}

/// The facts about a request when its line is written.
pub(super) struct LineInputs<'a> {
    pub(super) head: &'a Head,
    /// When it arrived.
    pub(super) at: Moment,
    pub(super) captured: &'a Captured,
    pub(super) end: &'a RequestEnd,
}

/// The facts that a format needs, besides those that are always there.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "a set of independent facts")]
pub(super) struct RequiredFacts {
    pub(super) now: bool,
    pub(super) elapsed: bool,
    pub(super) first_byte: bool,
    pub(super) route: bool,
    pub(super) sizes: bool,
}
