//! The status line and the headers of `start_response`.

use std::borrow::Cow;

use enfilade::gateway::HOP_BY_HOP;
use enfilade::{Body, Response};
use http::header::{CONTENT_LENGTH, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TRAILER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use hyper::ext::ReasonPhrase;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};

/// RFC 2616's name for the field `Trailer` in its list of hop-by-hop headers.
const TRAILERS: &str = "trailers";

/// A valid status line and valid headers.
pub(crate) struct ResponseHead {
    pub(crate) status: StatusCode,
    /// The reason phrase, if it is not the standard one.
    reason: Option<ReasonPhrase>,
    headers: HeaderMap,
    /// The `Content-Length`, if it is set.
    pub(crate) length: Option<u64>,
}

impl ResponseHead {
    /// Parses the arguments of `start_response`.
    ///
    /// Rejects what PEP 3333 forbids ("The `start_response()` Callable").
    pub(crate) fn parse(
        status: &Bound<'_, PyAny>,
        list: &Bound<'_, PyAny>,
    ) -> PyResult<ResponseHead> {
        let line = status
            .cast::<PyString>()
            .map_err(|_| PyTypeError::new_err("the status must be a str"))?;
        let list = list
            .cast::<PyList>()
            .map_err(|_| PyTypeError::new_err("the headers must be a list"))?;
        let (status, reason) = parse_status(line)?;
        let mut headers = HeaderMap::with_capacity(list.len() + 3);
        for pair in list.iter() {
            let (name, value) = parse_header(&pair)?;
            headers.append(name, value);
        }
        let length = parse_length(&headers)?;
        Ok(ResponseHead {
            status,
            reason,
            headers,
            length,
        })
    }

    pub(crate) fn into_response(self, body: Body) -> Response {
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        if let Some(reason) = self.reason {
            response.extensions_mut().insert(reason);
        }
        response
    }
}

/// Returns the bytes of a native string; `None` if a character is not Latin-1.
fn latin1<'a>(text: &'a Bound<'_, PyString>) -> Option<Cow<'a, [u8]>> {
    let text = text.to_str().ok()?;
    if text.is_ascii() {
        return Some(Cow::Borrowed(text.as_bytes()));
    }
    let bytes = text.chars().map(|character| u8::try_from(character).ok());
    bytes.collect::<Option<Vec<u8>>>().map(Cow::Owned)
}

/// Parses `200 OK`. Rejects 1xx, which is not a final response (RFC 9110, section 15.2).
fn parse_status(line: &Bound<'_, PyString>) -> PyResult<(StatusCode, Option<ReasonPhrase>)> {
    let refused = || {
        let line = line.repr().map(|text| text.to_string()).unwrap_or_default();
        PyValueError::new_err(format!(
            "{line} is not a valid status: write it like '200 OK'"
        ))
    };
    let bytes = latin1(line).ok_or_else(refused)?;
    let (digits, rest) = bytes.split_at_checked(3).ok_or_else(refused)?;
    let status = StatusCode::from_bytes(digits).map_err(|_| refused())?;
    let reason = rest.strip_prefix(b" ").ok_or_else(refused)?;
    if status.is_informational() {
        return Err(refused());
    }
    let standard = status.canonical_reason().unwrap_or_default();
    if standard.as_bytes() == reason {
        return Ok((status, None));
    }
    let reason = ReasonPhrase::try_from(reason).map_err(|_| refused())?;
    Ok((status, Some(reason)))
}

fn parse_header(pair: &Bound<'_, PyAny>) -> PyResult<(HeaderName, HeaderValue)> {
    let no_pair = || PyTypeError::new_err("a header must be a tuple of two str");
    let pair = pair.cast::<PyTuple>().map_err(|_| no_pair())?;
    if pair.len() != 2 {
        return Err(no_pair());
    }
    let (name, value) = (pair.get_item(0)?, pair.get_item(1)?);
    let name = name.cast::<PyString>().map_err(|_| no_pair())?;
    let value = value.cast::<PyString>().map_err(|_| no_pair())?;
    let refused = |why: &str| {
        let name = name.repr().map(|text| text.to_string()).unwrap_or_default();
        PyValueError::new_err(format!("{name} {why}"))
    };
    let text = name
        .to_str()
        .map_err(|_| refused("is not a valid header name"))?;
    let parsed = HeaderName::from_bytes(text.as_bytes())
        .map_err(|_| refused("is not a valid header name"))?;
    // PEP 3333, "Other HTTP Features".
    if is_hop_by_hop(&parsed) {
        return Err(refused(
            "must not be set by an application: the server sets it",
        ));
    }
    let value = latin1(value).and_then(|bytes| HeaderValue::from_bytes(&bytes).ok());
    let value = value
        .ok_or_else(|| refused("has an invalid value: use Latin-1 without control characters"))?;
    Ok((parsed, value))
}

/// Whether the name has the length of a hop-by-hop header. This excludes most headers.
fn may_be_hop_by_hop(name: &HeaderName) -> bool {
    matches!(name.as_str().len(), 2 | 7 | 8 | 10 | 16..=19)
}

/// Whether the header belongs to the connection.
///
/// These are the headers of HTTP/1.1 today and those of RFC 2616, section 13.5.1, which PEP 3333 cites.
fn is_hop_by_hop(name: &HeaderName) -> bool {
    may_be_hop_by_hop(name)
        && (HOP_BY_HOP.contains(name)
            || [PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TRAILER].contains(name)
            || name == TRAILERS)
}

fn parse_length(headers: &HeaderMap) -> PyResult<Option<u64>> {
    let mut values = headers.get_all(CONTENT_LENGTH).into_iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let text = value.to_str().ok().filter(|text| {
        // `str::parse` accepts a sign, but RFC 9110, section 8.6 allows only digits.
        text.bytes().all(|byte| byte.is_ascii_digit())
    });
    let length = text.and_then(|text| text.parse().ok());
    match (length, values.next()) {
        (Some(length), None) => Ok(Some(length)),
        _ => Err(PyValueError::new_err("Content-Length must be one number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hop_by_hop_header_has_a_known_length() {
        let names = HOP_BY_HOP
            .into_iter()
            .chain([PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TRAILER])
            .chain([HeaderName::from_static(TRAILERS)]);
        for name in names {
            assert!(is_hop_by_hop(&name), "{name}");
        }
        for name in ["content-type", "content-length", "via", "x-trail"] {
            assert!(!is_hop_by_hop(&HeaderName::from_static(name)), "{name}");
        }
    }
}
