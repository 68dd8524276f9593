//! Makes a request of an environ.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use enfilade::{Body, BoxError, Connection, Request, Scheme, path};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};
use http_body::Frame;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::call::blocks;

/// The size of one read from another server's `wsgi.input`, in bytes.
const BLOCK: usize = 64 * 1024;

/// Makes the request of an environ.
pub(super) fn request(environ: &Bound<'_, PyDict>) -> PyResult<Request> {
    let text = |name: &str| -> PyResult<String> {
        let value = environ.get_item(name)?;
        value.map_or_else(|| Ok(String::new()), |value| value.extract())
    };
    let invalid = |what: &str| PyValueError::new_err(format!("the environ has an invalid {what}"));
    let method = Method::from_bytes(text("REQUEST_METHOD")?.as_bytes());
    let method = method.map_err(|_| invalid("REQUEST_METHOD"))?;
    // Both are made canonical separately, because the outer server has mounted this: dots must not lead out of the
    // mount.
    let (script, rest) = (encoded(&text("SCRIPT_NAME")?), encoded(&text("PATH_INFO")?));
    let (script, rest) = (path::canonical(&script), path::canonical(&rest));
    let query = text("QUERY_STRING")?;
    let mut target = match script.is_empty() && rest.is_empty() {
        true => "/".to_owned(),
        false => format!("{script}{rest}"),
    };
    if !query.is_empty() {
        target = format!("{target}?{}", path::encode_invalid(&query));
    }
    let uri = Uri::try_from(target).map_err(|_| invalid("PATH_INFO"))?;
    let (mut parts, ()) = http::Request::new(()).into_parts();
    parts.method = method;
    parts.uri = uri;
    parts.headers = headers(environ)?;
    parts.version = match (
        &*text("SERVER_PROTOCOL")?,
        parts.headers.contains_key("host"),
    ) {
        // Only HTTP/1.1 requires a host, and checking that is the outer server's task.
        ("HTTP/1.0", _) | (_, false) => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    let scheme = match &*text("wsgi.url_scheme")? {
        "https" => Scheme::Https,
        _ => Scheme::Http,
    };
    let mut connection = Connection::new(scheme);
    if let Ok(address) = text("REMOTE_ADDR")?.parse::<IpAddr>() {
        let port = text("REMOTE_PORT")?.parse().unwrap_or_default();
        connection = connection.with_peer(SocketAddr::new(address, port));
    }
    let body = body(environ, &parts.headers)?;
    let mut request = Request::from_parts(parts, body, connection);
    if request.advance(script.len()).is_err() {
        return Err(invalid(
            "SCRIPT_NAME: it must end at the slash that PATH_INFO begins with",
        ));
    }
    Ok(request)
}

/// Encodes a path; each character of a native string is a byte.
fn encoded(text: &str) -> String {
    let bytes: Vec<u8> = text
        .chars()
        .map(|character| u8::try_from(character).unwrap_or(b'?'))
        .collect();
    let mut encoded = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'/' => encoded.push('/'),
            byte if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte) => {
                encoded.push(char::from(byte))
            }
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn headers(environ: &Bound<'_, PyDict>) -> PyResult<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(environ.len());
    for (key, value) in environ.iter() {
        let (Ok(key), Ok(value)) = (key.cast::<PyString>(), value.cast::<PyString>()) else {
            continue;
        };
        let key = key.to_str()?;
        let name = match key.strip_prefix("HTTP_") {
            Some(name) => name,
            None if key == "CONTENT_TYPE" || key == "CONTENT_LENGTH" => key,
            None => continue,
        };
        let value = value.to_str().unwrap_or_default();
        if value.is_empty() && !key.starts_with("HTTP_") {
            continue;
        }
        let bytes: Option<Vec<u8>> = value
            .chars()
            .map(|character| u8::try_from(character).ok())
            .collect();
        let name = HeaderName::try_from(name.replace('_', "-"));
        let value = bytes.and_then(|bytes| HeaderValue::try_from(bytes).ok());
        // An invalid header cannot have come from a client.
        if let (Ok(name), Some(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    Ok(headers)
}

/// Returns the body, which reads `wsgi.input` on demand, and never beyond its length.
fn body(environ: &Bound<'_, PyDict>, headers: &HeaderMap) -> PyResult<Body> {
    let py = environ.py();
    let length = headers.get(http::header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    let ends = environ.get_item("wsgi.input_terminated")?;
    let ends = ends.map_or(Ok(false), |ends| ends.is_truthy())?;
    let left = match length {
        Some(0) | None if !ends => return Ok(Body::empty()),
        length => length,
    };
    let Some(input) = environ.get_item(intern!(py, "wsgi.input"))? else {
        return Ok(Body::empty());
    };
    Ok(Body::new(WsgiInputBody {
        input: input.unbind(),
        left,
    }))
}

/// The `wsgi.input` of another server, as a body.
struct WsgiInputBody {
    input: Py<PyAny>,
    left: Option<u64>,
}

impl WsgiInputBody {
    fn read(&mut self) -> PyResult<Option<Bytes>> {
        let left = self.left.and_then(|left| usize::try_from(left).ok());
        let size = left.unwrap_or(BLOCK).min(BLOCK);
        if size == 0 {
            return Ok(None);
        }
        Python::attach(|py| {
            let read = self
                .input
                .bind(py)
                .call_method1(intern!(py, "read"), (size,))?;
            let block = blocks::block(&read)?;
            if let Some(left) = &mut self.left {
                if block.is_empty() {
                    return Err(pyo3::exceptions::PyConnectionAbortedError::new_err(
                        "the client aborted the request body",
                    ));
                }
                *left = left.saturating_sub(block.len() as u64);
            }
            Ok(Some(block).filter(|block| !block.is_empty()))
        })
    }
}

impl http_body::Body for WsgiInputBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let next = self.read().transpose();
        Poll::Ready(next.map(|block| block.map(Frame::data).map_err(BoxError::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.left.map_or_else(
            http_body::SizeHint::default,
            http_body::SizeHint::with_exact,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::encoded;

    #[test]
    fn characters_of_native_strings_are_bytes_of_a_path() {
        for (text, expected) in [
            ("/a/b", "/a/b"),
            ("/a b", "/a%20b"),
            ("/caf\u{c3}\u{a9}", "/caf%C3%A9"),
            ("/100%?#", "/100%25%3F%23"),
            ("/-._~!$&'()*+,;=:@", "/-._~!$&'()*+,;=:@"),
            ("/\u{20ac}", "/%3F"),
        ] {
            assert_eq!(encoded(text), expected, "{text:?}");
        }
    }
}
