//! What a request says of ranges, kept until its response is there.

use enfilade_core::Request;
use http::header::{IF_RANGE, RANGE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

/// What a request says of ranges.
pub(crate) enum RangeRequest {
    /// Nothing, or it is a HEAD, for which ranges are not defined (RFC 9110, section 14.2).
    Whole,
    /// A part, if the condition holds.
    Part {
        range: HeaderValue,
        condition: Condition,
    },
}

/// What `If-Range` says.
pub(crate) enum Condition {
    None,
    Is(HeaderValue),
    /// It is repeated, so it cannot hold.
    Invalid,
}

impl RangeRequest {
    /// Reads a request; `None` if ranges are not defined for its method, so that its response says nothing of them.
    pub(crate) fn of(request: &Request) -> Option<RangeRequest> {
        let headers = request.headers();
        match *request.method() {
            Method::HEAD => Some(RangeRequest::Whole),
            Method::GET => Some(match only(headers, &RANGE) {
                Ok(Some(range)) => RangeRequest::Part {
                    range,
                    condition: match only(headers, &IF_RANGE) {
                        Ok(Some(value)) => Condition::Is(value),
                        Ok(None) => Condition::None,
                        Err(Repeated) => Condition::Invalid,
                    },
                },
                // The header takes one value (RFC 9110, section 14.2), and both together are no valid one.
                Ok(None) | Err(Repeated) => RangeRequest::Whole,
            }),
            _ => None,
        }
    }
}

struct Repeated;

fn only(headers: &HeaderMap, name: &HeaderName) -> Result<Option<HeaderValue>, Repeated> {
    let mut values = headers.get_all(name).into_iter();
    let first = values.next();
    match values.next() {
        Some(_) => Err(Repeated),
        None => Ok(first.cloned()),
    }
}
