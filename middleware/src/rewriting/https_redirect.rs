//! Redirects plain HTTP to HTTPS.

use std::sync::Arc;

use enfilade_core::host::Host;
use enfilade_core::{
    Application, Description, HttpError, IntoResponse, Middleware, Reply, Request, Response,
    Scheme, Wrapper, wrapped,
};
use http::StatusCode;

use crate::error::Error;
use crate::matching::host_pattern::is_host_name;
use crate::rewriting::host_redirect::HostRedirect;

/// Redirects plain HTTP to HTTPS, and lets HTTPS requests pass.
///
/// The response is a 308 to the requested host, with the canonical path and the query as received. A 308 keeps the
/// method and the content of a request (RFC 9110, section 15.4.9). The application is not called. If the host is
/// missing, repeated, malformed, or has characters other than letters, digits, dots, `-` and `_`, the response is a
/// 400.
///
/// The scheme is that of the [request](Request::scheme). Behind a proxy that terminates TLS, put a
/// [`ProxyFix`](crate::ProxyFix) that trusts the proxy's headers outside; otherwise every request is redirected to
/// itself.
///
/// `Strict-Transport-Security` is not set, because it belongs on responses over HTTPS.
///
/// # Order
///
/// Inside a [`TrustedHosts`](crate::TrustedHosts), because the host comes from the client, and inside an access log.
/// Outside everything else, so that no response is sent over plain HTTP.
///
/// # Security
///
/// The first request over plain HTTP is already sent: an eavesdropper can read cookies without `Secure` and forms
/// before the redirect. An exempt path is served over plain HTTP and must not need more protection.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::HttpsRedirect;
/// use enfilade::{Application, Connection, Request, Scheme};
/// use enfilade_testing::Client;
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
/// let redirect = HttpsRedirect::new().except("/.well-known/acme-challenge/")?;
/// let client = Client::new(Application::new(|_: Request| "Hello").wrap(redirect));
///
/// let plain = client.get("/a?b").header("host", "example.org:80").send();
/// assert_eq!(plain.status(), 308);
/// assert_eq!(plain.header("location"), Some("https://example.org/a?b"));
/// assert_eq!(client.get("/.well-known/acme-challenge/x").send().text(), "Hello");
///
/// let secure = client.get("/").connection(Connection::new(Scheme::Https)).send();
/// assert_eq!(secure.text(), "Hello");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct HttpsRedirect {
    port: u16,
    redirect: HostRedirect,
}

impl HttpsRedirect {
    /// Redirects all paths to port 443, with a 308.
    pub fn new() -> Self {
        HttpsRedirect {
            port: Scheme::Https.default_port(),
            redirect: HostRedirect::new(),
        }
    }

    /// Sets the port of HTTPS; 443 by default, which URLs omit.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Sets the status of the redirect; 308 by default. Browsers do not cache 302 and 307, which is useful for tests.
    ///
    /// # Errors
    ///
    /// If the status is not 301, 302, 307 or 308.
    pub fn status(mut self, status: StatusCode) -> Result<Self, Error> {
        self.redirect = self.redirect.status(status)?;
        Ok(self)
    }

    /// Exempts paths at or below `prefix`, such as health checks and ACME challenges.
    ///
    /// The prefix ends at a segment boundary. A path with a segment `.` or `..` is never exempt, because an inner
    /// component may resolve it to another path.
    ///
    /// # Errors
    ///
    /// If the prefix does not begin with a slash.
    pub fn except(mut self, prefix: &str) -> Result<Self, Error> {
        self.redirect = self.redirect.except(prefix)?;
        Ok(self)
    }

    /// Returns the response to a request that may not pass.
    fn refusal(&self, request: &Request) -> Option<Response> {
        let is_plain = request.scheme() == Scheme::Http;
        if !is_plain || self.redirect.is_exempt(request.path()) {
            return None;
        }
        // Browsers decode a percent sign in a host, so their host could differ from the one checked here.
        let host = Host::of(request).filter(is_host_name);
        let Some(host) = host else {
            let error = HttpError::new(StatusCode::BAD_REQUEST).message("Invalid host");
            return Some(error.into_response());
        };
        let authority = match self.port == Scheme::Https.default_port() {
            true => host.name().to_owned(),
            false => format!("{}:{}", host.name(), self.port),
        };
        Some(self.redirect.response(request, Scheme::Https, authority))
    }
}

impl Default for HttpsRedirect {
    fn default() -> Self {
        HttpsRedirect::new()
    }
}

impl Middleware for HttpsRedirect {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl Wrapper for HttpsRedirect {
    fn call(self: &Arc<Self>, inner: &Application, request: Request) -> Reply {
        match self.refusal(&request) {
            None => inner.call(request),
            Some(refusal) => Reply::new(refusal),
        }
    }

    fn describe(&self) -> Description {
        let tree = Description::new("HttpsRedirect").option("port", self.port);
        self.redirect.describe_in(tree)
    }
}

#[cfg(test)]
mod tests {
    use enfilade_core::Connection;
    use enfilade_testing::laws::Check;
    use enfilade_testing::{Client, Lint};
    use http::Method;

    use super::*;

    fn linted(wrapper: HttpsRedirect) -> Client {
        let app = Application::new(|_: Request| "inside").wrap(Lint::new());
        Client::new(app.wrap(wrapper).wrap(Lint::new())).without_gateway()
    }

    #[test]
    fn plain_requests_are_sent_to_the_host_that_was_asked_for() {
        let cases = [
            ("example.org", "/a?b=c", "https://example.org/a?b=c"),
            ("example.org:8080", "/", "https://example.org/"),
            ("example.org.:", "//evil", "https://example.org//evil"),
            ("[::1]:80", "/\u{e9}", "https://[::1]/%C3%A9"),
            ("a", "*", "https://a"),
            ("evil.example", "http://a:81/x", "https://a/x"),
        ];
        let client = linted(HttpsRedirect::new());
        for (host, target, expected) in cases {
            for method in [Method::OPTIONS, Method::HEAD, Method::POST] {
                let request = client.request(method, target).header("host", host);
                let response = request.header("x-forwarded-host", "evil.example").send();
                assert_eq!(response.status(), 308, "{host} {target}");
                assert_eq!(response.header("location"), Some(expected));
                assert_eq!(response.text(), "");
            }
        }
    }

    #[test]
    fn a_host_that_is_none_is_never_reflected() {
        let cases: [&[&str]; 9] = [
            &["a%2eb"],
            &["a,b"],
            &[],
            &[""],
            &["a", "b"],
            &["a/b"],
            &["a@b"],
            &["a\\b"],
            &["a:80x"],
        ];
        let client = linted(HttpsRedirect::new());
        for hosts in cases {
            let request = client.get("/").without_host();
            let request = hosts
                .iter()
                .fold(request, |all, host| all.header("host", host));
            let response = request.send();
            assert_eq!(response.status(), 400, "{hosts:?}");
            assert_eq!(response.header("location"), None, "{hosts:?}");
            assert_eq!(response.text(), "Invalid host");
        }
    }

    #[test]
    fn https_and_exceptions_pass() {
        let client = linted(HttpsRedirect::new().except("/health").unwrap());
        let secure = client.get("/").connection(Connection::new(Scheme::Https));
        assert_eq!(secure.without_host().send().text(), "inside");
        assert_eq!(client.get("/health/live").send().text(), "inside");
        assert_eq!(client.get("/healthy").send().status(), 308);
    }

    #[test]
    fn port_and_status_can_be_set() {
        let redirect = HttpsRedirect::new().port(8_443);
        let client = linted(redirect.status(StatusCode::MOVED_PERMANENTLY).unwrap());
        let response = client.get("/x").header("host", "a:8080").send();
        assert_eq!(response.status(), 301);
        assert_eq!(response.header("location"), Some("https://a:8443/x"));
        assert!(HttpsRedirect::new().status(StatusCode::OK).is_err());
    }

    #[test]
    fn is_described_with_its_options() {
        let redirect = HttpsRedirect::new().except("/a").unwrap();
        let app = Application::new(|_: Request| "x").wrap(redirect);
        assert_eq!(
            app.describe().to_string(),
            "HttpsRedirect (port: 443, status: 308, except: [/a])\n\
             └─ closure in is_described_with_its_options\n"
        );
    }

    #[test]
    fn keeps_the_laws() {
        Check::new(HttpsRedirect::new()).never_calls().run();
        Check::new(HttpsRedirect::new())
            .request(|request| request.set_connection(Connection::new(Scheme::Https)))
            .run();
        Check::new(HttpsRedirect::new().except("/").unwrap()).run();
    }
}
