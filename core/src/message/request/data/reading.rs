//! Reads a body of a certain type, up to a limit.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::message::body::Body;
use crate::message::body::peek::Peeked;
use crate::message::error::BodyErrorKind;
use crate::message::http_error::HttpError;
use crate::message::request::Request;
use crate::rules::headers::MediaType;
use crate::rules::unprintable::is_unprintable;

/// A 415 that names what is accepted (RFC 9110, sections 12.5.1 and 15.5.16), unless the request has one such type.
pub(super) fn expect_type(
    request: &Request,
    accepted: &'static str,
    is_accepted: impl Fn(&MediaType<'_>) -> bool,
) -> Result<(), HttpError> {
    if content_type(request.headers()).is_some_and(|sent| is_accepted(&sent)) {
        return Ok(());
    }
    Err(HttpError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE)
        .message(format!("the content type must be {accepted}"))
        .header(ACCEPT, HeaderValue::from_static(accepted)))
}

/// The media type of the body; `None` if it is missing, repeated or malformed.
fn content_type(headers: &HeaderMap) -> Option<MediaType<'_>> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    MediaType::parse(value.to_str().ok()?)
}

/// Reads the whole body, and leaves it in the request for the next reader.
pub(super) async fn read(request: &mut Request, limit: usize) -> Result<Bytes, HttpError> {
    match request.body_mut().read_ahead(limit).await {
        Peeked::Whole(content) => return Ok(content),
        Peeked::TooLong => return Err(too_long()),
        Peeked::Failed => {}
    }
    let failed = std::mem::replace(request.body_mut(), Body::interrupted());
    failed
        .collect(limit)
        .await
        .map_err(|error| match error.kind() {
            // It may be the limit of a component outside, so no number.
            BodyErrorKind::TooLarge => too_long().caused_by(error),
            _ => error.into(),
        })
}

/// A 413 for a body.
pub(super) fn too_long() -> HttpError {
    HttpError::new(StatusCode::PAYLOAD_TOO_LARGE).message("the body is longer than the limit")
}

/// Text with what a client sent, on one line and not longer than a message should be.
pub(super) fn short(text: &str) -> String {
    const LONGEST: usize = 300;
    let mut short = String::new();
    for character in text.chars() {
        if short.len() > LONGEST {
            short.push('…');
            break;
        }
        match is_unprintable(character) {
            true => short.extend(character.escape_default()),
            false => short.push(character),
        }
    }
    short
}

/// A 422 for a value at a place, which is `.` for the whole.
pub(super) fn unprocessable(
    path: &str,
    error: impl std::error::Error + Send + Sync + 'static,
) -> HttpError {
    let unprocessable = HttpError::new(StatusCode::UNPROCESSABLE_ENTITY);
    let (text, path) = (short(&error.to_string()), &*short(path));
    // What is missing has no place: serde names the field, and the place is that of its struct.
    let missing = text
        .strip_prefix("missing field `")
        .and_then(|rest| rest.split('`').next());
    let (text, field) = match (path, missing) {
        (".", None) => return unprocessable.message(text).caused_by(error),
        (".", Some(field)) => (text.clone(), field.to_owned()),
        (path, Some(field)) => (format!("{path}: {text}"), format!("{path}.{field}")),
        (path, None) => (format!("{path}: {text}"), path.to_owned()),
    };
    unprocessable
        .message(text)
        .member("field", field)
        .caused_by(error)
}
