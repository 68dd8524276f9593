//! The arguments of `start_response`: a status line and headers.

use std::fmt;

use enfilade_core::gateway::HOP_BY_HOP;
use enfilade_core::headers::content_length;
use enfilade_core::{Body, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use hyper::ext::ReasonPhrase;

/// Why `start_response`, or the `write` that it returned, fails.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartError {
    /// The status line is not 200 to 999, a space, and a reason without control characters.
    Status(String),
    /// This is not a header name.
    HeaderName(String),
    /// The value of this header has a control character, or a character that is not Latin-1.
    HeaderValue(String),
    /// This header belongs to the connection, and the gateway sets it (PEP 3333, "Other HTTP Features").
    HopByHop(String),
    /// `start_response` was called before.
    Repeated,
    /// The head was sent already and cannot be replaced.
    Sent,
    /// Bytes were written before `start_response` was called.
    NotStarted,
    /// More bytes were written than `Content-Length` says.
    TooLong,
    /// The client disconnected, or the call is over.
    Gone,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Status(line) => {
                write!(f, "{line:?} is not a status line such as \"200 OK\"")
            }
            StartError::HeaderName(name) => write!(f, "{name:?} is not a header name"),
            StartError::HeaderValue(name) => write!(
                f,
                "the value of {name:?} is not valid: it must be Latin-1 without control characters"
            ),
            StartError::HopByHop(name) => {
                write!(
                    f,
                    "{name:?} must not be set by an application: the gateway sets it"
                )
            }
            StartError::Repeated => {
                f.write_str("start_response was called twice: use replace after an error")
            }
            StartError::Sent => f.write_str("the head of the response was sent already"),
            StartError::NotStarted => {
                f.write_str("start_response was not called before the first byte")
            }
            StartError::TooLong => f.write_str("the body is longer than its Content-Length"),
            StartError::Gone => f.write_str("the client disconnected, or the call is over"),
        }
    }
}

impl std::error::Error for StartError {}

/// A valid status line and valid headers.
pub(super) struct ResponseHead {
    pub(super) status: StatusCode,
    /// The reason phrase, if it is not the standard one.
    pub(super) reason: Option<ReasonPhrase>,
    pub(super) headers: HeaderMap,
}

impl ResponseHead {
    pub(super) fn parse(line: &str, list: &[(&str, &str)]) -> Result<ResponseHead, StartError> {
        let (status, reason) =
            parse_status(line).ok_or_else(|| StartError::Status(line.to_owned()))?;
        let mut headers = HeaderMap::with_capacity(list.len());
        for &(name, value) in list {
            let parsed =
                HeaderName::try_from(name).map_err(|_| StartError::HeaderName(name.to_owned()))?;
            if HOP_BY_HOP.contains(&parsed) {
                return Err(StartError::HopByHop(name.to_owned()));
            }
            let value =
                parse_value(value).ok_or_else(|| StartError::HeaderValue(name.to_owned()))?;
            headers.append(parsed, value);
        }
        Ok(ResponseHead {
            status,
            reason,
            headers,
        })
    }
}

impl ResponseHead {
    pub(super) fn declared_length(&self) -> Option<u64> {
        content_length(&self.headers)
    }

    pub(super) fn into_response(self, body: Body) -> Response {
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        if let Some(reason) = self.reason {
            response.extensions_mut().insert(reason);
        }
        response
    }
}

/// Parses `200 OK`. Rejects 1xx, which is not a final response (RFC 9110, section 15.2).
fn parse_status(line: &str) -> Option<(StatusCode, Option<ReasonPhrase>)> {
    let (digits, reason) = line.split_once(' ')?;
    let status = StatusCode::from_bytes(digits.as_bytes())
        .ok()
        .filter(|status| !status.is_informational())?;
    let reason = latin1(reason)?;
    if status
        .canonical_reason()
        .is_some_and(|standard| standard.as_bytes() == reason)
    {
        return Some((status, None));
    }
    Some((status, Some(ReasonPhrase::try_from(reason).ok()?)))
}

fn parse_value(value: &str) -> Option<HeaderValue> {
    HeaderValue::from_bytes(&latin1(value)?).ok()
}

/// WSGI's native strings are Latin-1 (PEP 3333, "A Note On String Types").
fn latin1(text: &str) -> Option<Vec<u8>> {
    text.chars()
        .map(|character| u8::try_from(character).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(line: &str, headers: &[(&str, &str)]) -> Option<StartError> {
        ResponseHead::parse(line, headers).err()
    }

    #[test]
    fn status_lines_are_checked() {
        for line in [
            "200 OK",
            "200 ",
            "404 Not Found",
            "599 Odd",
            "200 Fr\u{f6}hlich",
        ] {
            assert_eq!(refusal(line, &[]), None, "{line}");
        }
        for line in [
            "",
            "200",
            "OK",
            "20 OK",
            "2000 OK",
            "200OK",
            " 200 OK",
            "199 x",
            "200 a\r\nb",
            "200 \u{2603}",
            "+20 x",
        ] {
            assert_eq!(
                refusal(line, &[]),
                Some(StartError::Status(line.to_owned())),
                "{line:?}"
            );
        }
    }

    #[test]
    fn an_unusual_reason_is_kept() {
        assert!(ResponseHead::parse("200 OK", &[]).unwrap().reason.is_none());
        let reason = ResponseHead::parse("200 Froody", &[])
            .unwrap()
            .reason
            .unwrap();
        assert_eq!(reason.as_bytes(), b"Froody");
    }

    #[test]
    fn headers_are_checked() {
        let name = |name: &str| Some(StartError::HeaderName(name.to_owned()));
        let value = |name: &str| Some(StartError::HeaderValue(name.to_owned()));
        let cases = [
            (("X-A", "1"), None),
            (("X-A", "caf\u{e9}"), None),
            (("X A", "1"), name("X A")),
            (("", "1"), name("")),
            (("X-A\r\n", "1"), name("X-A\r\n")),
            (("X-A", "1\r\nSet-Cookie: x"), value("X-A")),
            (("X-A", "a\0b"), value("X-A")),
            (("X-A", "\u{2603}"), value("X-A")),
            (
                ("Connection", "close"),
                Some(StartError::HopByHop("Connection".to_owned())),
            ),
            (
                ("Transfer-Encoding", "chunked"),
                Some(StartError::HopByHop("Transfer-Encoding".to_owned())),
            ),
        ];
        for (header, expected) in cases {
            assert_eq!(refusal("200 OK", &[header]), expected, "{header:?}");
        }
    }
}
