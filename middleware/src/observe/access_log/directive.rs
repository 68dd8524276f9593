//! The syntax of formats, which is Apache's.

use http::HeaderName;

use super::clock::TimeFormat;
use super::field::{EitherField, EndField, Field, RequestField, ResponseField};
use crate::shared::redaction::Visibility;

/// A part of a format.
#[derive(Debug, PartialEq)]
pub(super) enum FormatPiece {
    Literal(String),
    Field(Field),
}

/// The position of a mistake in a format, and its description.
pub(super) type FormatMistake = (usize, String);

/// Parses a format; the formats of its times are appended to `times`.
pub(super) fn parse(
    text: &str,
    times: &mut Vec<TimeFormat>,
) -> Result<Vec<FormatPiece>, FormatMistake> {
    let is_control = |character: char| character.is_control() && character != '\t';
    if let Some(at) = text.find(is_control) {
        let why = "a control character, which would break the line";
        return Err((at, why.to_owned()));
    }
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((literal, directive)) = rest.split_once('%') {
        let at = text.len() - directive.len() - 1;
        if !literal.is_empty() {
            pieces.push(FormatPiece::Literal(literal.to_owned()));
        }
        let (piece, after) = parse_directive(directive, times).map_err(|why| (at, why))?;
        pieces.push(piece);
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(FormatPiece::Literal(rest.to_owned()));
    }
    Ok(pieces)
}

/// Parses the directive after a `%`, and returns the rest.
fn parse_directive<'a>(
    text: &'a str,
    times: &mut Vec<TimeFormat>,
) -> Result<(FormatPiece, &'a str), String> {
    if let Some(inner) = text.strip_prefix('{') {
        let (argument, after) = inner
            .split_once('}')
            .ok_or("the brace of \"%{\" is not closed")?;
        let mut letters = after.chars();
        let letter = letters
            .next()
            .ok_or_else(|| format!("no letter after \"%{{{argument}}}\""))?;
        let field = with_argument(argument, letter, times)?;
        return Ok((FormatPiece::Field(field), letters.as_str()));
    }
    if let Some(after) = text.strip_prefix("^FB") {
        return Ok((
            FormatPiece::Field(Field::RequestEnd(EndField::FirstByte)),
            after,
        ));
    }
    // There is only one status, that of the final response.
    let text = match text.strip_prefix('>') {
        Some(after) if after.starts_with('s') => after,
        Some(_) => return Err("\">\" stands only before \"s\"".to_owned()),
        None => text,
    };
    let mut letters = text.chars();
    let letter = letters.next().ok_or("nothing after \"%\"")?;
    Ok((without_argument(letter, times)?, letters.as_str()))
}

fn without_argument(letter: char, times: &mut Vec<TimeFormat>) -> Result<FormatPiece, String> {
    let request = |field| Ok(FormatPiece::Field(Field::Request(field)));
    let end = |field| Ok(FormatPiece::Field(Field::RequestEnd(field)));
    match letter {
        '%' => Ok(FormatPiece::Literal("%".to_owned())),
        // RFC 1413 is no longer used; the column stays.
        'l' => Ok(FormatPiece::Literal("-".to_owned())),
        'h' | 'a' => request(RequestField::Client),
        'u' => Ok(FormatPiece::Field(Field::Either(EitherField::User))),
        't' => Ok(FormatPiece::Field(time("", times)?)),
        'r' => request(RequestField::Line),
        'm' => request(RequestField::Method),
        'U' => request(RequestField::Path),
        'q' => request(RequestField::Query),
        'H' => request(RequestField::Protocol),
        'v' | 'V' => request(RequestField::Host),
        'p' => request(RequestField::Port),
        'P' => request(RequestField::Process),
        's' => end(EndField::Status),
        'b' => end(EndField::BytesOrDash),
        'B' => end(EndField::Bytes),
        'I' => end(EndField::Received),
        'O' => end(EndField::Sent),
        'D' => end(EndField::Microseconds),
        'T' => end(EndField::Seconds),
        'X' => end(EndField::Connection),
        'i' | 'o' => required(letter, "a header name", "Name"),
        'C' => required(letter, "a cookie's name", "name"),
        'e' => required(letter, "a variable's name", "name"),
        'x' => required(letter, "a word", "route"),
        other => Err(format!("{:?} is not a directive", format!("%{other}"))),
    }
}

fn required(letter: char, what: &str, name: &str) -> Result<FormatPiece, String> {
    Err(format!(
        "\"%{letter}\" needs {what}: \"%{{{name}}}{letter}\""
    ))
}

fn with_argument(
    argument: &str,
    letter: char,
    times: &mut Vec<TimeFormat>,
) -> Result<Field, String> {
    let header =
        || HeaderName::try_from(argument).map_err(|_| format!("{argument:?} is not a header name"));
    let name = || match argument {
        "" => Err(format!("\"%{{}}{letter}\" names nothing")),
        _ => Ok(argument.to_owned()),
    };
    Ok(match (argument, letter) {
        (_, 'i') => Field::Request(RequestField::Header(header()?, Visibility::Whole)),
        (_, 'o') => Field::Response(ResponseField::Header(header()?, Visibility::Whole)),
        (_, 'C') => Field::Request(RequestField::Cookie(name()?)),
        (_, 'e') => Field::Variable(name()?, Visibility::Whole),
        (_, 't') => time(argument, times)?,
        ("c", 'a') => Field::Request(RequestField::Peer),
        ("s", 'T') => Field::RequestEnd(EndField::Seconds),
        ("ms", 'T') => Field::RequestEnd(EndField::Milliseconds),
        ("us", 'T') => Field::RequestEnd(EndField::Microseconds),
        (_, 'T') => {
            return Err(format!(
                "{argument:?} is not a unit: \"s\", \"ms\" or \"us\""
            ));
        }
        ("pid", 'P') => Field::Request(RequestField::Process),
        ("error", 'x') => Field::Response(ResponseField::Error),
        ("route", 'x') => Field::Response(ResponseField::Route),
        ("id", 'x') => Field::Either(EitherField::Id),
        ("outcome", 'x') => Field::RequestEnd(EndField::Outcome),
        (_, 'x') => {
            return Err(format!(
                "{argument:?} is not one of \"error\", \"route\", \"id\" and \"outcome\""
            ));
        }
        (_, other) => {
            let directive = format!("%{{{argument}}}{other}");
            return Err(format!("{directive:?} is not a directive"));
        }
    })
}

fn time(argument: &str, times: &mut Vec<TimeFormat>) -> Result<Field, String> {
    let (argument, is_end) = match (
        argument.strip_prefix("begin:"),
        argument.strip_prefix("end:"),
    ) {
        (_, Some(argument)) => (argument, true),
        (begin, None) => (begin.unwrap_or(argument), false),
    };
    let format = TimeFormat::parse(argument)?;
    let found = times.iter().position(|other| *other == format);
    let number = found.unwrap_or(times.len());
    if found.is_none() {
        times.push(format);
    }
    Ok(match is_end {
        true => Field::RequestEnd(EndField::Time(number)),
        false => Field::Request(RequestField::Time(number)),
    })
}
