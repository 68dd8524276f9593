//! The request as an environment of WSGI and CGI.

use std::borrow::Cow;

use http::HeaderName;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST};

use crate::message::request::RemoteUser;
use crate::message::request::Request;
use crate::rules::host::bracketed;
use crate::rules::path;

/// The WSGI/CGI dictionary view of a request (PEP 3333, "environ Variables"; RFC 3875, section 4.1).
///
/// Values are computed from the request's fields on demand, never stored. `PATH_INFO` and `SCRIPT_NAME` are
/// percent-decoded, `QUERY_STRING` is raw. Each header is a variable: `HTTP_` and its name in capitals. Repeated
/// headers are joined by `, ` (`Cookie` by `; `). Bytes that are not UTF-8 are read as Latin-1. `HTTP_HOST` is the
/// authority of the target if it has one, as in HTTP/2, whatever the header says (RFC 9112, section 3.2.2).
///
/// `REMOTE_ADDR`, `REMOTE_PORT` and `wsgi.url_scheme` are the [client's](Request::client_address). So are `SERVER_NAME`
/// and `SERVER_PORT` if a component set a scheme or host that differs from the connection's.
///
/// # Security
///
/// A header with an underscore in its name is left out: `X_User` would read as `X-User`. `Proxy` is left out too:
/// programs would read it as the setting `HTTP_PROXY`.
///
/// # Example
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::Request;
///
/// let mut request = Request::get("/p%61th/?query=test");
/// request.headers_mut().insert("accept", "text/html".parse().unwrap());
/// let environ = request.environ();
/// assert_eq!(environ.get("PATH_INFO").as_deref(), Some("/path/"));
/// assert_eq!(environ.get("QUERY_STRING").as_deref(), Some("query=test"));
/// assert_eq!(environ.get("HTTP_ACCEPT").as_deref(), Some("text/html"));
/// assert_eq!(environ.get("wsgi.url_scheme").as_deref(), Some("http"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Environ<'a>(&'a Request);

/// The variables that do not come from a header; some have no value for some requests.
const NAMES: [&str; 18] = [
    "REQUEST_METHOD",
    "SCRIPT_NAME",
    "PATH_INFO",
    "QUERY_STRING",
    "REQUEST_URI",
    "CONTENT_TYPE",
    "CONTENT_LENGTH",
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_PROTOCOL",
    "REMOTE_ADDR",
    "REMOTE_PORT",
    "REMOTE_USER",
    "wsgi.url_scheme",
    "wsgi.multithread",
    "wsgi.multiprocess",
    "wsgi.run_once",
    "wsgi.input_terminated",
];

impl<'a> Environ<'a> {
    pub(crate) fn new(request: &'a Request) -> Environ<'a> {
        Environ(request)
    }

    /// The value of the variable `name`, if this request has it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        let request = self.0;
        Some(match name {
            "REQUEST_METHOD" => request.method().as_str().into(),
            "SCRIPT_NAME" => decoded(request.script_name()),
            "PATH_INFO" => decoded(request.path()),
            "QUERY_STRING" => request.query_string().unwrap_or_default().into(),
            "REQUEST_URI" => match request.uri().path_and_query() {
                Some(target) => target.as_str().into(),
                None => request.uri().path().into(),
            },
            "CONTENT_TYPE" => return self.header(&CONTENT_TYPE),
            "CONTENT_LENGTH" => return self.header(&CONTENT_LENGTH),
            "SERVER_NAME" => match (request.server(), request.hostname()) {
                (Some(local), _) => bracketed(local.ip()).into(),
                // PEP 3333 does not allow an empty value.
                (None, name) => name.unwrap_or("localhost").into(),
            },
            "SERVER_PORT" => request.port().to_string().into(),
            "SERVER_PROTOCOL" => request.protocol().into(),
            "REMOTE_ADDR" => request.client_address()?.to_string().into(),
            "REMOTE_PORT" => request.client_port()?.to_string().into(),
            "REMOTE_USER" => request.extensions().get::<RemoteUser>()?.name().into(),
            "wsgi.url_scheme" => request.scheme().as_str().into(),
            "wsgi.multithread" | "wsgi.input_terminated" => "true".into(),
            "wsgi.multiprocess" | "wsgi.run_once" => "false".into(),
            _ => return self.header_variable(name),
        })
    }

    /// All variables of this request, with their values.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> + use<'a> {
        let this = *self;
        let own = NAMES
            .iter()
            .filter_map(move |name| Some((Cow::Borrowed(*name), this.get(name)?)));
        let headers = self.0.headers().keys().filter_map(move |name| {
            let variable = variable_of(name)?;
            Some((Cow::Owned(variable), this.header(name)?))
        });
        // The loop over headers misses it if there is no such header.
        let is_only_in_target = !self.0.headers().contains_key(HOST);
        let host = self.0.host().filter(|_| is_only_in_target);
        let host = host.map(|host| (Cow::Borrowed("HTTP_HOST"), Cow::Borrowed(host)));
        own.chain(host).chain(headers)
    }

    fn header_variable(&self, variable: &str) -> Option<Cow<'a, str>> {
        let name = variable.strip_prefix("HTTP_")?;
        if name
            .bytes()
            .any(|byte| byte == b'-' || byte.is_ascii_lowercase())
        {
            return None;
        }
        let name = HeaderName::try_from(name.replace('_', "-")).ok()?;
        variable_of(&name)?;
        self.header(&name)
    }

    fn header(&self, name: &HeaderName) -> Option<Cow<'a, str>> {
        if name == HOST && self.0.uri().authority().is_some() {
            return self.0.host().map(Cow::Borrowed);
        }
        let lines = self.0.headers().get_all(name).iter();
        let mut values = lines.map(|line| text(line.as_bytes().into()));
        let first = values.next()?;
        let separator = if name == COOKIE { "; " } else { ", " };
        Some(values.fold(first, |all, next| format!("{all}{separator}{next}").into()))
    }
}

/// The variable for a header; `None` for headers that are left out or have a variable of their own.
fn variable_of(name: &HeaderName) -> Option<String> {
    let left_out = name == CONTENT_TYPE || name == CONTENT_LENGTH || name == "proxy";
    if left_out || name.as_str().contains('_') {
        return None;
    }
    Some(format!(
        "HTTP_{}",
        name.as_str().to_ascii_uppercase().replace('-', "_")
    ))
}

/// A path, percent-decoded.
fn decoded(raw: &str) -> Cow<'_, str> {
    text(path::decode_bytes(raw))
}

/// Bytes as text: UTF-8 if valid, otherwise Latin-1, so that no byte is lost (PEP 3333, "Unicode Issues").
fn text(bytes: Cow<'_, [u8]>) -> Cow<'_, str> {
    let latin1 = |bytes: &[u8]| bytes.iter().copied().map(char::from).collect::<String>();
    match bytes {
        Cow::Borrowed(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => text.into(),
            Err(_) => latin1(bytes).into(),
        },
        Cow::Owned(bytes) => match String::from_utf8(bytes) {
            Ok(text) => text.into(),
            Err(error) => latin1(error.as_bytes()).into(),
        },
    }
}

impl Request {
    /// The request as an environment of WSGI.
    #[must_use]
    pub fn environ(&self) -> Environ<'_> {
        Environ::new(self)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::message::connection::Connection;
    use crate::message::connection::Scheme;

    fn request(target: &'static str, headers: &[(&str, &[u8])]) -> Request {
        let mut request = Request::get(target);
        for (name, value) in headers {
            let name = HeaderName::try_from(*name).unwrap();
            request
                .headers_mut()
                .append(name, HeaderValue::from_bytes(value).unwrap());
        }
        request
    }

    #[test]
    fn variables_are_read_from_the_request() {
        let mut request = request(
            "/app/caf%C3%A9?q=%20",
            &[("content-type", b"text/plain"), ("content-length", b"1")],
        );
        request.mount("/app").unwrap();
        request.extensions_mut().insert(RemoteUser::new("ada"));
        let connection =
            Connection::new(Scheme::Https).with_peer("192.0.2.7:4711".parse().unwrap());
        request.set_connection(connection.with_local("127.0.0.1:8443".parse().unwrap()));
        let expected = [
            ("REQUEST_METHOD", "GET"),
            ("SCRIPT_NAME", "/app"),
            ("PATH_INFO", "/café"),
            ("QUERY_STRING", "q=%20"),
            ("REQUEST_URI", "/app/caf%C3%A9?q=%20"),
            ("CONTENT_TYPE", "text/plain"),
            ("CONTENT_LENGTH", "1"),
            ("SERVER_NAME", "127.0.0.1"),
            ("SERVER_PORT", "8443"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("REMOTE_ADDR", "192.0.2.7"),
            ("REMOTE_PORT", "4711"),
            ("REMOTE_USER", "ada"),
            ("wsgi.url_scheme", "https"),
            ("wsgi.multithread", "true"),
            ("wsgi.multiprocess", "false"),
            ("wsgi.run_once", "false"),
            ("wsgi.input_terminated", "true"),
        ];
        let all: Vec<_> = request.environ().iter().collect();
        let all: Vec<_> = all
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        assert_eq!(all, expected);
    }

    #[test]
    fn a_path_that_is_no_utf8_is_read_as_latin_1() {
        let mut request = request("/%E9t%E9/a%FFb%2Fc%C3%A9", &[]);
        request.advance("/%E9t%E9".len()).unwrap();
        let environ = request.environ();
        assert_eq!(environ.get("SCRIPT_NAME").as_deref(), Some("/été"));
        // One byte that is not UTF-8 makes all of the value Latin-1, as with headers.
        let expected = "/a\u{ff}b/c\u{c3}\u{a9}";
        assert_eq!(environ.get("PATH_INFO").as_deref(), Some(expected));
    }

    #[test]
    fn an_ipv6_address_has_brackets() {
        for (local, expected) in [
            ("[2001:db8::1]:8443", "[2001:db8::1]"),
            ("192.0.2.1:80", "192.0.2.1"),
        ] {
            let mut request = request("/", &[]);
            let connection = Connection::default().with_local(local.parse().unwrap());
            request.set_connection(connection);
            let name = request.environ().get("SERVER_NAME");
            assert_eq!(name.as_deref(), Some(expected), "{local}");
        }
        let named = request("/", &[("host", b"[2001:db8::2]:81")]);
        let name = named.environ().get("SERVER_NAME");
        assert_eq!(name.as_deref(), Some("[2001:db8::2]"));
    }

    #[test]
    fn headers_are_joined_and_read_as_text() {
        let headers: &[(&str, &[u8])] = &[
            ("x-a", b"1"),
            ("x-a", b"2"),
            ("cookie", b"a=1"),
            ("cookie", b"b=2"),
            ("x-latin", b"caf\xe9"),
            ("x-utf8", "café".as_bytes()),
        ];
        let request = request("/", headers);
        let environ = request.environ();
        assert_eq!(environ.get("HTTP_X_A").as_deref(), Some("1, 2"));
        assert_eq!(environ.get("HTTP_COOKIE").as_deref(), Some("a=1; b=2"));
        assert_eq!(environ.get("HTTP_X_LATIN").as_deref(), Some("café"));
        assert_eq!(environ.get("HTTP_X_UTF8").as_deref(), Some("café"));
        assert_eq!(environ.get("HTTP_X_B"), None);
    }

    #[test]
    fn the_host_of_the_target_wins() {
        let cases: [(&'static str, Option<&str>, Option<&str>); 4] = [
            ("/", Some("a"), Some("a")),
            ("http://b:81/", Some("a"), Some("b:81")),
            ("http://b/", None, Some("b")),
            ("/", None, None),
        ];
        for (target, host, expected) in cases {
            let header = host.map(|host| ("host", host.as_bytes()));
            let request = request(target, header.as_slice());
            let environ = request.environ();
            assert_eq!(environ.get("HTTP_HOST").as_deref(), expected, "{target}");
            let all: Vec<_> = environ.iter().collect();
            let hosts = all.iter().filter(|(name, _)| name == "HTTP_HOST");
            let hosts: Vec<_> = hosts.map(|(_, value)| &**value).collect();
            assert_eq!(hosts, Vec::from_iter(expected), "{target}");
        }
    }

    #[test]
    fn names_that_collide_or_mislead_are_left_out() {
        let headers: &[(&str, &[u8])] = &[
            ("x-user", b"real"),
            ("x_user", b"forged"),
            ("proxy", b"http://evil"),
            ("content-type", b"a/b"),
        ];
        let request = request("/", headers);
        let environ = request.environ();
        assert_eq!(environ.get("HTTP_X_USER").as_deref(), Some("real"));
        for name in [
            "HTTP_PROXY",
            "HTTP_CONTENT_TYPE",
            "HTTP_X-USER",
            "HTTP_x_user",
            "HTTP_",
            "PATH",
            "",
        ] {
            assert_eq!(environ.get(name), None, "{name}");
        }
        let names: Vec<_> = environ
            .iter()
            .map(|(name, _)| name)
            .filter(|name| name.starts_with("HTTP_"))
            .collect();
        assert_eq!(names, ["HTTP_X_USER"]);
    }
}
