//! Redirects to the same path at another host or scheme, for several wrappers.

use std::fmt::Display;

use enfilade_core::{
    Description, HttpError, IntoResponse, OptionValue, Request, Response, Scheme, path,
};
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};

use crate::error::Error;
use crate::error::ErrorKind;
use crate::shared::valid_status::ValidStatus;

/// How to redirect requests, and which are exempt.
#[derive(Clone, Debug)]
pub(crate) struct HostRedirect {
    status: StatusCode,
    exceptions: Vec<String>,
}

impl HostRedirect {
    pub(crate) fn new() -> HostRedirect {
        HostRedirect {
            status: StatusCode::PERMANENT_REDIRECT,
            exceptions: Vec::new(),
        }
    }

    pub(crate) fn status(mut self, status: StatusCode) -> Result<HostRedirect, Error> {
        self.status = ValidStatus::Redirect.check(status)?;
        Ok(self)
    }

    pub(crate) fn except(mut self, prefix: &str) -> Result<HostRedirect, Error> {
        if !prefix.starts_with('/') {
            let message = format!("{prefix:?} does not begin with a slash");
            return Err(Error::new(ErrorKind::Route, message));
        }
        self.exceptions.push(prefix.to_owned());
        Ok(self)
    }

    /// Whether a request for `path` is exempt.
    pub(crate) fn is_exempt(&self, path: &str) -> bool {
        let is_under = |prefix: &String| path::match_prefix(path, prefix).is_some();
        self.exceptions.iter().any(is_under)
    }

    /// Returns the redirect to the request's own path at `authority`.
    pub(crate) fn response(
        &self,
        request: &Request,
        scheme: Scheme,
        authority: impl Display,
    ) -> Response {
        let location = location(request, scheme, authority);
        match HeaderValue::try_from(location) {
            Ok(location) => (self.status, [(LOCATION, location)], ()).into_response(),
            Err(_) => HttpError::new(StatusCode::BAD_REQUEST).into_response(),
        }
    }

    pub(crate) fn describe_in(&self, tree: Description) -> Description {
        let tree = tree.option("status", self.status);
        match self.exceptions.is_empty() {
            true => tree,
            false => tree.option("except", self.exceptions.iter().collect::<OptionValue>()),
        }
    }
}

/// Makes an absolute URL, in which no path can be read as a host, whatever it begins with.
fn location(request: &Request, scheme: Scheme, authority: impl Display) -> String {
    let mut url = format!("{}://{authority}", scheme.as_str());
    let path = [request.script_name(), request.path()].concat();
    // `OPTIONS *` refers to the server: its URL has no path (RFC 9112, section 3.2.4).
    if path.starts_with('/') {
        push(&mut url, &path);
    }
    if let Some(query) = request.query_string() {
        url.push('?');
        push(&mut url, query);
    }
    url
}

/// Appends text unchanged, but percent-encodes characters that no URI has (RFC 3986, section 2).
fn push(url: &mut String, text: &str) {
    let bytes = text.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        let is_allowed = match byte {
            b'%' => is_percent_encoded(bytes, at),
            _ => byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=".contains(&byte),
        };
        if is_allowed {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// Whether two hexadecimal digits follow the percent sign at this position.
fn is_percent_encoded(bytes: &[u8], at: usize) -> bool {
    let digits = bytes.get(at + 1..at + 3);
    digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use http::{Method, Uri};

    use super::*;

    #[test]
    fn keeps_the_canonical_path_and_the_query() {
        let cases = [
            ("/a/b?c=d&e", "https://h/a/b?c=d&e"),
            ("/?", "https://h/?"),
            ("/", "https://h/"),
            ("//evil.example/x", "https://h//evil.example/x"),
            ("/%2f/%2e%2e/%0d%0A", "https://h/%0D%0A"),
            ("/%?%", "https://h/%25?%25"),
            ("/caf\u{e9}", "https://h/caf%C3%A9"),
            ("*", "https://h"),
            ("http://other.example/x", "https://h/x"),
            ("other.example:80", "https://h"),
        ];
        for (target, expected) in cases {
            let request = Request::new(Method::GET, Uri::try_from(target).unwrap());
            assert_eq!(location(&request, Scheme::Https, "h"), expected);
        }
        let mut url = String::new();
        push(&mut url, "/\\evil\"<#\n");
        assert_eq!(url, "/%5Cevil%22%3C%23%0A");
    }

    #[test]
    fn keeps_what_was_mounted() {
        let mut request = Request::get("/a/b?c");
        request.prepend_script_name("/proxy");
        request.mount("/a").unwrap();
        let found = location(&request, Scheme::Http, "h:81");
        assert_eq!(found, "http://h:81/proxy/a/b?c");
    }

    #[test]
    fn exceptions_are_whole_segments_and_nothing_leads_out_of_them() {
        let cases = [
            ("/health", true),
            ("/health/", true),
            ("/%68ealth/live", true),
            ("/healthy", false),
            ("/", false),
            ("/.well-known/acme-challenge/x", true),
            ("/.well-known/other", false),
            ("/health/../admin", false),
            ("/health/..%2Fadmin", true),
            ("/health/%2e%2e/admin", false),
            ("/health/..%5Cadmin", true),
            ("/health%2Fx", false),
        ];
        let redirect = HostRedirect::new()
            .except("/health")
            .and_then(|redirect| redirect.except("/.well-known/acme-challenge/"))
            .unwrap();
        for (path, excepted) in cases {
            let path = path::canonical(path);
            assert_eq!(redirect.is_exempt(&path), excepted, "{path}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        let error = HostRedirect::new()
            .status(StatusCode::SEE_OTHER)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Status);
        assert_eq!(
            error.to_string(),
            "303 is not a valid status here: use 301, 302, 307 or 308"
        );
        let error = HostRedirect::new().except("health").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Route);
        assert_eq!(error.to_string(), "\"health\" does not begin with a slash");
    }
}
