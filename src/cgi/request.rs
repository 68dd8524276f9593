//! Requests from a web server's variables.

use std::net::{IpAddr, SocketAddr};

use enfilade_core::{Body, Connection, HttpError, RemoteUser, Request, Scheme};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};

use super::target::Target;
use super::variables::Variables;

/// The maximum number of headers of a request, as in the built-in server.
const MAX_HEADERS: usize = 100;

/// Makes a request (RFC 3875, section 4.1; PEP 3333, "environ Variables").
///
/// # Errors
///
/// A 400 that names the missing or invalid variable, a 414, or a 431.
pub(crate) fn request(variables: &Variables, body: Body) -> Result<Request, HttpError> {
    let target = Target::read(variables)?;
    let (mut parts, ()) = http::Request::new(()).into_parts();
    parts.method = method(variables)?;
    parts.uri = target.uri.clone();
    parts.version = version(variables);
    parts.headers = headers(variables)?;
    let mut request = Request::from_parts(parts, body, connection(variables));
    target.mount(&mut request);
    if let Some(name) = variables.get("REMOTE_USER") {
        let user = RemoteUser::new(name);
        request.extensions_mut().insert(user);
    }
    request.extensions_mut().insert(variables.clone());
    Ok(request)
}

fn bad(name: &str) -> HttpError {
    let name: String = name.chars().take(100).collect();
    HttpError::new(StatusCode::BAD_REQUEST).message(format!("Invalid {}", name.escape_debug()))
}

fn method(variables: &Variables) -> Result<Method, HttpError> {
    let missing = || {
        HttpError::new(StatusCode::BAD_REQUEST)
            .message("REQUEST_METHOD is missing: this program must be started by a web server")
    };
    let name = variables.bytes("REQUEST_METHOD").ok_or_else(missing)?;
    Method::from_bytes(name).map_err(|_| bad("REQUEST_METHOD"))
}

/// `INCLUDED` and unknown versions are treated as the oldest (RFC 3875, section 4.1.16).
fn version(variables: &Variables) -> Version {
    match variables.bytes("SERVER_PROTOCOL") {
        Some(b"HTTP/1.1") => Version::HTTP_11,
        Some(b"HTTP/2.0" | b"HTTP/2") => Version::HTTP_2,
        Some(b"HTTP/3.0" | b"HTTP/3") => Version::HTTP_3,
        _ => Version::HTTP_10,
    }
}

fn headers(variables: &Variables) -> Result<HeaderMap, HttpError> {
    let mut headers = HeaderMap::new();
    for (variable, value) in variables.pairs() {
        let Some(name) = variable.strip_prefix(b"HTTP_") else {
            continue;
        };
        let name = header_name(name).ok_or_else(|| bad(&String::from_utf8_lossy(variable)))?;
        if is_left_out(&name) {
            continue;
        }
        let value = HeaderValue::from_bytes(value);
        let value = value.map_err(|_| bad(&String::from_utf8_lossy(variable)))?;
        if headers.len() == MAX_HEADERS {
            return Err(HttpError::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
        }
        headers.append(name, value);
    }
    if let Some(value) = variables.bytes("CONTENT_TYPE") {
        let value = HeaderValue::from_bytes(value).map_err(|_| bad("CONTENT_TYPE"))?;
        headers.insert(CONTENT_TYPE, value);
    }
    if let Some(length) = content_length(variables)? {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    Ok(headers)
}

fn header_name(name: &[u8]) -> Option<HeaderName> {
    let dashed: Vec<u8> = name
        .iter()
        .map(|&byte| if byte == b'_' { b'-' } else { byte })
        .collect();
    HeaderName::from_bytes(&dashed).ok()
}

/// Two headers have variables of their own. The server has removed the transfer coding (RFC 3875, section 4.2). With a
/// header that still names it beside a length, the next program would read the body wrongly.
fn is_left_out(name: &HeaderName) -> bool {
    *name == CONTENT_TYPE || *name == CONTENT_LENGTH || *name == TRANSFER_ENCODING
}

/// The length of the body; `None` if it is not declared.
///
/// # Errors
///
/// A 400 if it is not a number, or there are two different ones.
pub(crate) fn content_length(variables: &Variables) -> Result<Option<u64>, HttpError> {
    let mut found = None;
    let given = variables.all("CONTENT_LENGTH");
    for value in given.filter(|value| !value.is_empty()) {
        let digits = value.iter().all(u8::is_ascii_digit);
        let text = std::str::from_utf8(value).ok().filter(|_| digits);
        let length = text.and_then(|text| text.parse::<u64>().ok());
        let length = length.ok_or_else(|| bad("CONTENT_LENGTH"))?;
        if found.replace(length).is_some_and(|before| before != length) {
            return Err(bad("CONTENT_LENGTH"));
        }
    }
    Ok(found)
}

fn connection(variables: &Variables) -> Connection {
    let mut connection = Connection::new(scheme(variables));
    if let Some(peer) = address(variables, "REMOTE_ADDR", "REMOTE_PORT") {
        connection = connection.with_peer(peer);
    }
    // RFC 3875 has only the name, which may be an address; most servers also send the address.
    let mut names = ["SERVER_ADDR", "SERVER_NAME"].into_iter();
    let local = names.find_map(|name| address(variables, name, "SERVER_PORT"));
    if let Some(local) = local {
        connection = connection.with_local(local);
    }
    connection
}

/// All servers send `HTTPS`; some also send `REQUEST_SCHEME`.
fn scheme(variables: &Variables) -> Scheme {
    let https = variables
        .get("HTTPS")
        .unwrap_or_default()
        .to_ascii_lowercase();
    let scheme = variables.get("REQUEST_SCHEME").unwrap_or_default();
    match &*https {
        "on" | "1" | "yes" | "true" => Scheme::Https,
        "" if scheme.eq_ignore_ascii_case("https") => Scheme::Https,
        _ => Scheme::Http,
    }
}

/// An address with its port, or 0 if that is not known; `None` for other text, such as `unix:`.
fn address(variables: &Variables, name: &str, port: &str) -> Option<SocketAddr> {
    let address = variables.get(name)?;
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let address: IpAddr = address.parse().ok()?;
    let port = variables.get(port).and_then(|port| port.parse().ok());
    Some(SocketAddr::new(address, port.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASIC: [(&str, &str); 3] = [
        ("REQUEST_METHOD", "GET"),
        ("REQUEST_URI", "/app/a%2Fb?q"),
        ("SCRIPT_NAME", "/app"),
    ];

    fn with(more: &[(&'static str, &'static str)]) -> Result<Request, HttpError> {
        let pairs = BASIC.iter().chain(more).copied();
        request(&Variables::from_iter(pairs), Body::empty())
    }

    #[test]
    fn a_request_is_what_the_variables_say() {
        let request = with(&[
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("CONTENT_TYPE", "text/plain"),
            ("CONTENT_LENGTH", "4"),
            ("HTTP_HOST", "h"),
            ("HTTP_X_A", "1"),
            ("HTTP_X_A", "2"),
            ("HTTP_CONTENT_LENGTH", "7"),
            ("HTTP_TRANSFER_ENCODING", "chunked"),
            ("HTTP_PROXY", "http://evil"),
            ("REMOTE_ADDR", "192.0.2.7"),
            ("REMOTE_PORT", "4711"),
            ("REMOTE_USER", "ada"),
            ("SERVER_ADDR", "::1"),
            ("SERVER_PORT", "443"),
            ("HTTPS", "on"),
        ])
        .unwrap();
        assert_eq!(request.method(), Method::GET);
        assert_eq!((request.script_name(), request.path()), ("/app", "/a%2Fb"));
        assert_eq!(request.version(), Version::HTTP_11);
        let headers: Vec<_> = request.headers().iter().collect();
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        let expected = [
            ("host", "h"),
            ("x-a", "1"),
            ("x-a", "2"),
            ("content-type", "text/plain"),
            ("content-length", "4"),
        ];
        assert_eq!(headers, expected);
        assert_eq!(
            request.connection().peer(),
            Some("192.0.2.7:4711".parse().unwrap())
        );
        assert_eq!(
            request.connection().local(),
            Some("[::1]:443".parse().unwrap())
        );
        assert_eq!(request.scheme(), Scheme::Https);
        assert_eq!(request.environ().get("REMOTE_USER").as_deref(), Some("ada"));
        let all = request.extensions().get::<Variables>().unwrap();
        assert_eq!(all.get("HTTP_PROXY"), None);
    }

    #[test]
    fn the_environ_says_what_the_web_server_said() {
        let pairs: [(&[u8], &[u8]); 6] = [
            (b"REQUEST_METHOD", b"GET"),
            (b"SCRIPT_NAME", b"/\xe9t\xe9"),
            (b"PATH_INFO", b"/a\xffb"),
            (b"HTTP_HOST", b""),
            (b"SERVER_ADDR", b"2001:db8::1"),
            (b"SERVER_PORT", b"8080"),
        ];
        let variables = Variables::from_iter(pairs);
        let request = request(&variables, Body::empty()).unwrap();
        let environ = request.environ();
        for (name, expected) in [
            ("SCRIPT_NAME", "/été"),
            ("PATH_INFO", "/aÿb"),
            ("SERVER_NAME", "[2001:db8::1]"),
            ("SERVER_PORT", "8080"),
            ("wsgi.input_terminated", "true"),
        ] {
            assert_eq!(environ.get(name).as_deref(), Some(expected), "{name}");
        }
        assert_eq!(request.url(), "http://[2001:db8::1]:8080/%E9t%E9/a%FFb");
    }

    /// Variables besides the basic ones, and the status and text of the response.
    type Case = (&'static [(&'static str, &'static str)], u16, &'static str);

    #[test]
    fn bad_variables_are_named() {
        let cases: [Case; 8] = [
            (&[("REQUEST_METHOD", "G T")], 400, "Invalid REQUEST_METHOD"),
            (&[("CONTENT_LENGTH", "+1")], 400, "Invalid CONTENT_LENGTH"),
            (
                &[("CONTENT_LENGTH", "99999999999999999999")],
                400,
                "Invalid CONTENT_LENGTH",
            ),
            (
                &[("CONTENT_LENGTH", "1"), ("CONTENT_LENGTH", "2")],
                400,
                "Invalid CONTENT_LENGTH",
            ),
            (&[("HTTP_A B", "1")], 400, "Invalid HTTP_A B"),
            (&[("HTTP_A", "1\r\n")], 400, "Invalid HTTP_A"),
            (&[("CONTENT_TYPE", "a\n")], 400, "Invalid CONTENT_TYPE"),
            (&[("SCRIPT_NAME", "app")], 400, "Invalid SCRIPT_NAME"),
        ];
        for (more, status, message) in cases {
            let error = with(more).unwrap_err();
            assert_eq!(
                (error.status().as_u16(), error.client_message()),
                (status, Some(message))
            );
        }
        let none = request(&Variables::default(), Body::empty()).unwrap_err();
        assert_eq!(
            none.to_string(),
            "400 REQUEST_METHOD is missing: this program must be started by a web server"
        );
        let many: Vec<_> = (0..101).map(|_| ("HTTP_X", "1")).collect();
        assert_eq!(with(&many).unwrap_err().status(), 431);
        assert_eq!(with(&many[1..]).unwrap().headers().len(), 100);
    }

    #[test]
    fn schemes_and_addresses_are_read_as_servers_write_them() {
        for (pairs, scheme) in [
            (&[("HTTPS", "1")], Scheme::Https),
            (&[("HTTPS", "off")], Scheme::Http),
            (&[("REQUEST_SCHEME", "https")], Scheme::Https),
            (&[("REQUEST_SCHEME", "http")], Scheme::Http),
        ] {
            assert_eq!(with(pairs).unwrap().scheme(), scheme, "{pairs:?}");
        }
        for (name, value, expected) in [
            (
                "SERVER_NAME",
                "[2001:db8::1]",
                "http://[2001:db8::1]:8080/app/a%2Fb?q",
            ),
            (
                "SERVER_NAME",
                "192.0.2.1",
                "http://192.0.2.1:8080/app/a%2Fb?q",
            ),
            ("SERVER_ADDR", "::1", "http://[::1]:8080/app/a%2Fb?q"),
        ] {
            let request = with(&[(name, value), ("SERVER_PORT", "8080")]).unwrap();
            assert_eq!(request.url(), expected, "{name}");
        }
        for (value, expected) in [
            ("unix:", None),
            ("[::1]", Some("[::1]:0")),
            ("192.0.2.1", Some("192.0.2.1:0")),
        ] {
            let request = with(&[("REMOTE_ADDR", value)]).unwrap();
            assert_eq!(
                request.connection().peer(),
                expected.map(|peer| peer.parse().unwrap())
            );
        }
    }
}
