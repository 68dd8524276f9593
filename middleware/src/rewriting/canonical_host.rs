//! Redirects requests for other hosts to the canonical host.

use std::sync::Arc;

use enfilade_core::{
    Application, Description, Middleware, OptionValue, Reply, Request, Wrapper, wrapped,
};
use http::{Method, StatusCode};

use crate::error::Error;
use crate::matching::host_pattern::{HostPattern, host_and_port};
use crate::rewriting::host_redirect::HostRedirect;

/// Redirects requests for other hosts to the canonical host of a site.
///
/// The response is a 308 with the canonical path, the query as received, and the scheme that the client used. A 308
/// keeps the method and the content of a request (RFC 9110, section 15.4.9). The application is not called. The host of
/// a request is the authority of an absolute target, otherwise the `Host` header. A missing, repeated or malformed host
/// counts as another host, and no part of it is in the response.
///
/// A canonical host without a port matches every port, so that a server behind a mapped port causes no redirect loop;
/// the redirect leads to the default port of the scheme. A canonical host with a port matches only that port.
///
/// # Order
///
/// Inside an [`HttpsRedirect`](crate::HttpsRedirect), so that this redirects first. Outside everything that makes
/// absolute URLs. A [`TrustedHosts`](crate::TrustedHosts) outside lets only the other names in its list through.
///
/// # Security
///
/// Exempt paths, and requests that [`safe_methods_only`](CanonicalHost::safe_methods_only) lets pass, reach the
/// application with any host that the client sent.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::CanonicalHost;
/// use enfilade::{Application, Request};
/// use enfilade_testing::Client;
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
/// let canonical = CanonicalHost::new("www.example.org")?.except("/health")?;
/// let client = Client::new(Application::new(|_: Request| "Hello").wrap(canonical));
/// let other = client.post("/a?b").header("host", "example.org").send();
/// assert_eq!(other.status(), 308);
/// assert_eq!(other.header("location"), Some("http://www.example.org/a?b"));
/// assert_eq!(client.get("/").header("host", "www.example.org").send().text(), "Hello");
/// assert_eq!(client.get("/health").header("host", "192.0.2.1").send().text(), "Hello");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct CanonicalHost {
    host: HostPattern,
    redirect: HostRedirect,
    safe_methods_only: bool,
}

impl CanonicalHost {
    /// Redirects to `host`, such as `example.org`, `example.org:8080` or `[2001:db8::1]`, with a 308.
    ///
    /// # Errors
    ///
    /// If the host is malformed, or a pattern of several hosts.
    pub fn new(host: &str) -> Result<Self, Error> {
        Ok(CanonicalHost {
            host: HostPattern::exact(host)?,
            redirect: HostRedirect::new(),
            safe_methods_only: false,
        })
    }

    /// Sets the status of the redirect; 308 by default. With 301 and 302 a POST may become a GET.
    ///
    /// # Errors
    ///
    /// If the status is not 301, 302, 307 or 308.
    pub fn status(mut self, status: StatusCode) -> Result<Self, Error> {
        self.redirect = self.redirect.status(status)?;
        Ok(self)
    }

    /// Redirects only GET and HEAD, and lets other methods pass; off by default.
    ///
    /// Use it for clients that do not follow redirects with content, such as callbacks of other services.
    pub fn safe_methods_only(mut self) -> Self {
        self.safe_methods_only = true;
        self
    }

    /// Exempts paths at or below `prefix`, such as health checks and ACME challenges.
    ///
    /// The prefix ends at a segment boundary. A path with a segment `.` or `..` is never exempt, because an inner
    /// component may resolve it to another path.
    ///
    /// # Errors
    ///
    /// If the prefix does not begin with a slash.
    /// Where the prefix does not begin with a slash.
    pub fn except(mut self, prefix: &str) -> Result<Self, Error> {
        self.redirect = self.redirect.except(prefix)?;
        Ok(self)
    }

    fn is_exempt(&self, request: &Request) -> bool {
        let is_canonical = |(host, port)| self.host.matches(&host, port);
        let is_safe = matches!(*request.method(), Method::GET | Method::HEAD);
        (self.safe_methods_only && !is_safe)
            || self.redirect.is_exempt(request.path())
            || host_and_port(request).is_some_and(is_canonical)
    }
}

impl Middleware for CanonicalHost {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl Wrapper for CanonicalHost {
    fn call(self: &Arc<Self>, inner: &Application, request: Request) -> Reply {
        if self.is_exempt(&request) {
            return inner.call(request);
        }
        let scheme = request.scheme();
        Reply::new(self.redirect.response(&request, scheme, &self.host))
    }

    fn describe(&self) -> Description {
        let tree = Description::new("CanonicalHost").option("host", OptionValue::shown(&self.host));
        let tree = self.redirect.describe_in(tree);
        match self.safe_methods_only {
            true => tree.option("methods", ["GET", "HEAD"]),
            false => tree,
        }
    }
}

#[cfg(test)]
mod tests {
    use enfilade_core::{Connection, Scheme};
    use enfilade_testing::laws::{self, Check};
    use enfilade_testing::{Client, Lint};

    use super::*;
    use crate::error::ErrorKind;

    fn linted(wrapper: CanonicalHost) -> Client {
        let app = Application::new(|_: Request| "inside").wrap(Lint::new());
        Client::new(app.wrap(wrapper).wrap(Lint::new())).without_gateway()
    }

    fn canonical(host: &str) -> CanonicalHost {
        CanonicalHost::new(host).unwrap()
    }

    #[test]
    fn other_hosts_are_sent_to_the_canonical_one() {
        let cases: [(&str, &[&str], &str, Option<&str>); 15] = [
            ("Example.org", &["EXAMPLE.org."], "/", None),
            ("example.org", &["example.org:8080"], "/", None),
            ("example.org", &["x"], "http://example.org/", None),
            ("a:81", &["A:81"], "/", None),
            ("a:80", &["a"], "/", None),
            ("[::1]", &["[0::1]:82"], "/", None),
            ("a", &["b"], "/x?y", Some("http://a/x?y")),
            ("a", &["b:8080"], "/", Some("http://a/")),
            ("a:81", &["a"], "/", Some("http://a:81/")),
            ("[0::1]", &["::1"], "/", Some("http://[::1]/")),
            ("a", &["b"], "//c/\u{e9}", Some("http://a//c/%C3%A9")),
            ("a", &["a"], "http://b/x", Some("http://a/x")),
            ("a", &["a", "a"], "/", Some("http://a/")),
            ("a", &[], "/", Some("http://a/")),
            ("a", &["a@b"], "*", Some("http://a")),
        ];
        for (own, hosts, target, expected) in cases {
            let client = linted(canonical(own));
            for method in [Method::OPTIONS, Method::HEAD, Method::POST] {
                let request = client.request(method, target).without_host();
                let request = hosts
                    .iter()
                    .fold(request, |all, host| all.header("host", host));
                let response = request.header("x-forwarded-host", own).send();
                let status = if expected.is_some() { 308 } else { 200 };
                assert_eq!(response.status(), status, "{own} {hosts:?} {target}");
                assert_eq!(response.header("location"), expected);
            }
        }
    }

    #[test]
    fn the_scheme_stays_and_the_mount_with_it() {
        let mut request = Request::get("/shop/a?b");
        request.mount("/shop").unwrap();
        let client = linted(canonical("example.org").except("/shop").unwrap());
        let request = client.prepared(request).header("host", "x");
        let response = request.connection(Connection::new(Scheme::Https)).send();
        assert_eq!(
            response.header("location"),
            Some("https://example.org/shop/a?b")
        );
    }

    #[test]
    fn exceptions_and_other_methods_can_pass() {
        let wrapper = canonical("a").except("/health").unwrap();
        let client = linted(wrapper.safe_methods_only());
        let cases = [
            (Method::GET, "/health/x", 200),
            (Method::GET, "/health/../x", 308),
            (Method::GET, "/healthy", 308),
            (Method::HEAD, "/", 308),
            (Method::POST, "/", 200),
            (Method::OPTIONS, "*", 200),
        ];
        for (method, target, status) in cases {
            let response = client.request(method, target).header("host", "b").send();
            assert_eq!(response.status(), status, "{target}");
        }
    }

    #[test]
    fn the_status_can_be_set() {
        let wrapper = canonical("a").status(StatusCode::MOVED_PERMANENTLY);
        let response = linted(wrapper.unwrap()).get("/").header("host", "b").send();
        assert_eq!(response.status(), 301);
        assert!(canonical("a").status(StatusCode::OK).is_err());
    }

    #[test]
    fn one_host_is_wanted() {
        let cases = [
            ("*.a", "\"*.a\" matches several hosts: use exactly one"),
            (".a", "\".a\" matches several hosts: use exactly one"),
            ("http://a", "\"http://a\" is not a host"),
        ];
        for (host, message) in cases {
            let error = CanonicalHost::new(host).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Host);
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn is_described_with_its_options() {
        let wrapper = canonical("A:81").except("/x").unwrap().safe_methods_only();
        let app = Application::new(|_: Request| "x").wrap(wrapper);
        assert_eq!(
            app.describe().to_string(),
            "CanonicalHost (host: a:81, status: 308, except: [/x], methods: [GET, HEAD])\n\
             └─ closure in is_described_with_its_options\n"
        );
    }

    #[test]
    fn keeps_the_laws() {
        laws::check(canonical("other.example"));
        Check::new(canonical("example.org").except("/").unwrap()).run();
    }
}
