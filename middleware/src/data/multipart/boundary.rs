//! The boundary that a `Content-Type` names.

use http::HeaderMap;
use http::header::CONTENT_TYPE;

use super::error::MultipartError;
use super::parameters::parameters;

/// The maximum length of a boundary (RFC 2046, section 5.1.1).
const LONGEST: usize = 70;

/// What a `Content-Type` says of a form.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FormType {
    /// `multipart/form-data`, with its boundary.
    Multipart(Vec<u8>),
    /// Something else, or nothing.
    Other,
}

/// Reads the boundary of `multipart/form-data` (RFC 7578, section 4.1).
///
/// Two boundaries are an error: this and another parser could take different ones (CVE-2026-26961).
pub(super) fn form_type(headers: &HeaderMap) -> Result<FormType, MultipartError> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Ok(FormType::Other);
    };
    let value = value.as_bytes();
    let end = value
        .iter()
        .position(|byte| *byte == b';')
        .unwrap_or(value.len());
    let (media_type, rest) = value.split_at(end);
    if !media_type
        .trim_ascii()
        .eq_ignore_ascii_case(b"multipart/form-data")
    {
        return Ok(FormType::Other);
    }
    let mut boundary = None;
    for parameter in parameters(rest) {
        let (name, value) = parameter?;
        if name.eq_ignore_ascii_case(b"boundary") && boundary.replace(value).is_some() {
            return Err(MultipartError::malformed(
                "the content type has two boundaries",
            ));
        }
    }
    let boundary = boundary.ok_or(MultipartError::malformed(
        "the content type has no boundary",
    ))?;
    check(&boundary)?;
    Ok(FormType::Multipart(boundary))
}

/// `bcharsnospace` and spaces, but no space at the end (RFC 2046, section 5.1.1).
pub(super) fn check(boundary: &[u8]) -> Result<(), MultipartError> {
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(byte);
    match boundary {
        [] => Err(MultipartError::malformed("the boundary is empty")),
        [.., b' '] => Err(MultipartError::malformed("the boundary ends with a space")),
        _ if boundary.len() > LONGEST => Err(MultipartError::malformed(
            "the boundary is longer than 70 characters",
        )),
        _ if !boundary.iter().all(is_allowed) => Err(MultipartError::malformed(
            "the boundary has a character that it cannot have",
        )),
        _ => Ok(()),
    }
}
