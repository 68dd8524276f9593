//! Rejects requests for unknown hosts.

use std::sync::Arc;

use enfilade_core::{
    Application, Description, HttpError, Middleware, OptionValue, Reply, Request, Wrapper, wrapped,
};
use http::StatusCode;

use crate::error::Error;
use crate::matching::host_pattern::{HostPattern, host_and_port};
use crate::shared::valid_status::ValidStatus;

/// Rejects requests for hosts that are not in a list.
///
/// The host is the authority of an absolute target, otherwise the `Host` header (RFC 9112, section 3.2.2);
/// `X-Forwarded-Host` is not read. If the host is not in the list, missing, repeated or malformed, the response is a
/// 400 with a fixed text, and the application is not called.
///
/// # Hosts
///
/// | pattern | matches |
/// |---|---|
/// | `example.org` | this host at every port |
/// | `example.org:8080` | this host at this port; without a port in the request, the scheme's default |
/// | `*.example.org` | one more label |
/// | `**.example.org` | one or more labels |
/// | `.example.org` | `example.org` and all its subdomains |
/// | `192.0.2.1`, `[2001:db8::1]` | this address |
///
/// Names consist of letters, digits, dots, `-` and `_`; any other name is rejected, such as `evil.test%2f.example.org`.
/// They are compared without case and without a final dot. Write the `xn--` form of a non-ASCII name, as clients send
/// it. There is no pattern for every host: omit the wrapper instead.
///
/// # Order
///
/// Outside everything that reads the host: wrappers and applications that make absolute URLs or redirects, or cache
/// responses by host. If a [`ProxyFix`](crate::ProxyFix) takes the host from a proxy's headers, put that outside, so
/// that its host is checked.
///
/// # Security
///
/// A client can send any host. If an application makes links from it (in mails that reset a password, in cached pages),
/// the links lead to that host; this wrapper prevents that. Read the host with [`Request::host`] or the environ: the
/// `Host` header may differ from an absolute target, and then it was not checked.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::TrustedHosts;
/// use enfilade::{Application, Request};
/// use enfilade_testing::Client;
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
/// let app = Application::new(|request: Request| request.url());
/// let client = Client::new(app.wrap(TrustedHosts::new(["example.org", "*.example.net"])?));
/// let ask = |host: &str| client.get("/").header("host", host).send();
/// assert_eq!(ask("example.org").text(), "http://example.org/");
/// assert_eq!(ask("www.example.net").status(), 200);
/// assert_eq!(ask("example.org.evil.example").status(), 400);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct TrustedHosts {
    hosts: Vec<HostPattern>,
    status: StatusCode,
}

impl TrustedHosts {
    /// Trusts only these hosts; with none, every request is rejected.
    ///
    /// # Errors
    ///
    /// If one of them is malformed; the error names it.
    pub fn new<T: AsRef<str>>(hosts: impl IntoIterator<Item = T>) -> Result<TrustedHosts, Error> {
        let hosts = hosts.into_iter();
        let hosts = hosts.map(|host| HostPattern::parse(host.as_ref()));
        Ok(TrustedHosts {
            hosts: hosts.collect::<Result<_, _>>()?,
            status: StatusCode::BAD_REQUEST,
        })
    }

    /// Sets the status of the rejection; 400 by default.
    ///
    /// 421 asks a client to try another connection (RFC 9110, section 15.5.20), which helps if it used one HTTP/2
    /// connection for two names.
    ///
    /// # Errors
    ///
    /// If the status is not between 400 and 599, or needs a header of its own: 401, 405, 407 and 426.
    pub fn status(mut self, status: StatusCode) -> Result<Self, Error> {
        self.status = ValidStatus::Refusal.check(status)?;
        Ok(self)
    }

    fn trusts(&self, request: &Request) -> bool {
        let is_known = |(host, port)| self.hosts.iter().any(|known| known.matches(&host, port));
        host_and_port(request).is_some_and(is_known)
    }
}

impl Middleware for TrustedHosts {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl Wrapper for TrustedHosts {
    fn call(self: &Arc<Self>, inner: &Application, request: Request) -> Reply {
        match self.trusts(&request) {
            true => inner.call(request),
            false => Reply::new(HttpError::new(self.status).message("Untrusted host")),
        }
    }

    fn describe(&self) -> Description {
        let hosts = self.hosts.iter().map(OptionValue::shown);
        Description::new("TrustedHosts")
            .option("hosts", hosts.collect::<OptionValue>())
            .option("status", self.status)
    }
}

#[cfg(test)]
mod tests {
    use enfilade_testing::laws::Check;
    use enfilade_testing::{Client, Lint};
    use http::Method;
    use http::header::HOST;

    use super::*;
    use crate::error::ErrorKind;
    use crate::headers::edit::Headers;

    fn linted(wrapper: TrustedHosts) -> Client {
        let app = Application::new(|request: Request| request.host().map(str::to_owned));
        let app = app.wrap(Lint::new()).wrap(wrapper).wrap(Lint::new());
        Client::new(app).without_gateway()
    }

    fn trusted() -> TrustedHosts {
        TrustedHosts::new(["example.org", ".example.net:81"]).unwrap()
    }

    #[test]
    fn lets_nobody_in_but_for_the_hosts_of_the_list() {
        let cases: [(&str, &[&str], u16); 18] = [
            ("/", &["example.org"], 200),
            ("/", &["EXAMPLE.ORG.:8000"], 200),
            ("/", &["www.example.net:81"], 200),
            ("/", &["www.example.net"], 400),
            ("/", &["evilexample.org"], 400),
            ("/", &["example.org.evil.net"], 400),
            ("/", &["evil.test%2f.example.net:81"], 400),
            ("/", &["evil@example.org"], 400),
            ("/", &["example.org/evil"], 400),
            ("/", &["example.org, evil.net"], 400),
            ("/", &["example.org:80x"], 400),
            ("/", &[""], 400),
            ("/", &[], 400),
            ("/", &["example.org", "example.org"], 400),
            ("http://example.org/", &["evil.net"], 200),
            ("http://evil.net/", &["example.org"], 400),
            ("http://u@example.org/", &["example.org"], 400),
            ("*", &["evil.net"], 400),
        ];
        let client = linted(trusted());
        for (target, hosts, status) in cases {
            let request = client.request(Method::OPTIONS, target).without_host();
            let request = hosts
                .iter()
                .fold(request, |all, host| all.header(HOST, host));
            let response = request.header("x-forwarded-host", "example.org").send();
            assert_eq!(response.status(), status, "{target} {hosts:?}");
            if status == 400 {
                assert_eq!(response.text(), "Untrusted host");
            }
        }
    }

    #[test]
    fn refuses_with_another_status() {
        let client = linted(trusted().status(StatusCode::MISDIRECTED_REQUEST).unwrap());
        assert_eq!(client.get("/").header("host", "x").send().status(), 421);
    }

    #[test]
    fn a_bad_host_is_named_and_no_host_is_nobody() {
        let error = TrustedHosts::new(["a", "b c"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Host);
        assert_eq!(error.to_string(), "\"b c\" is not a host");
        let client = linted(TrustedHosts::new([""; 0]).unwrap());
        assert_eq!(client.get("/").send().status(), 400);
    }

    #[test]
    fn a_status_that_lets_requests_pass_or_needs_a_header_is_an_error() {
        for (status, is_valid) in [(400, true), (421, true), (200, false), (401, false)] {
            let status = trusted().status(StatusCode::from_u16(status).unwrap());
            assert_eq!(status.is_ok(), is_valid, "{status:?}");
        }
    }

    #[test]
    fn is_described_with_its_hosts() {
        let app = Application::new(|_: Request| "x").wrap(trusted());
        assert_eq!(
            app.describe().to_string(),
            "TrustedHosts (hosts: [example.org, .example.net:81], status: 400)\n\
             └─ closure in is_described_with_its_hosts\n"
        );
    }

    #[test]
    fn keeps_the_laws() {
        Check::new(trusted()).never_calls().run();
        let trusted = TrustedHosts::new(["example.org", "other.example"]).unwrap();
        let headers = Headers::request().set(HOST, "example.org").unwrap();
        let wrapper = move |app: Application| app.wrap(trusted).wrap(headers);
        Check::new(wrapper).touches([HOST]).run();
    }
}
