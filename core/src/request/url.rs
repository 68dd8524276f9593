//! URLs made from a request.

use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderValue, Uri};

use super::{Head, Request};
use crate::host::Host;

impl Head {
    /// The host that the client asked for, as [`Request::host`] gives it.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        match self.uri().authority() {
            Some(authority) => {
                let whole = authority.as_str();
                Some(whole.rsplit_once('@').map_or(whole, |(_, host)| host))
            }
            None => self.headers().get(HOST)?.to_str().ok(),
        }
    }
}

impl Request {
    /// The host and port that the client asked for, as it wrote them.
    ///
    /// It is the authority of an absolute target, else the `Host` header: RFC 9112, section 3.2.2, has the target win.
    /// It comes from the client, so compare it with what you expect before you rely on it.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.head().host()
    }

    /// The name of the host that the client asked for, without its port; an IPv6 address keeps its brackets.
    ///
    /// `None` also where what the client named is no host; see [`Host`] for what one is.
    #[must_use]
    pub fn hostname(&self) -> Option<&str> {
        Some(Host::parse(self.host()?)?.name())
    }

    /// The host for a URL: the one that the client asked for, else the address of this end of the connection.
    ///
    /// The port is left out where it is the scheme's. `None` where the client named what is no host, or two of them, or
    /// where it named none and the address is not known. What comes from the client is well formed, and no more.
    ///
    /// ```
    /// use enfilade_core::Request;
    ///
    /// let mut request = Request::get("/");
    /// request.headers_mut().insert("host", "spam.example.com:80".parse().unwrap());
    /// assert_eq!(request.effective_host().as_deref(), Some("spam.example.com"));
    /// ```
    #[must_use]
    pub fn effective_host(&self) -> Option<String> {
        let port = self.scheme().default_port();
        if self.host_is_missing() {
            let local = self.connection().local()?;
            return Some(match local.port() == port {
                true => bracketed(local.ip()),
                false => local.to_string(),
            });
        }
        Some(Host::of(self)?.without_port(port).to_string())
    }

    /// Whether the client named no host; an empty `Host` names none (RFC 9112, section 3.2).
    fn host_is_missing(&self) -> bool {
        let mut hosts = self.headers().get_all(HOST).iter();
        self.uri().authority().is_none() && hosts.all(HeaderValue::is_empty)
    }

    /// The path of a URL that stays under the mount: `script_name` and `path`, which begins with a slash.
    #[must_use]
    pub fn url_for_path(&self, path: &str) -> String {
        let slash = if path.starts_with('/') { "" } else { "/" };
        format!("{}{slash}{path}", self.script_name())
    }

    /// The whole URL of the request, as `wsgiref.util.request_uri` puts it together (PEP 3333, "URL Reconstruction").
    ///
    /// Without a host from the client, it has the address of this end of the connection, or `localhost`.
    ///
    /// ```
    /// use enfilade_core::Request;
    ///
    /// let mut request = Request::get("/spam?say=ni");
    /// request.headers_mut().insert("host", "spam.example.com:2071".parse().unwrap());
    /// assert_eq!(request.url(), "http://spam.example.com:2071/spam?say=ni");
    /// ```
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = self.scheme();
        let host = match (self.host(), self.connection().local()) {
            (Some(host), _) => host.to_owned(),
            (None, Some(local)) if local.port() == scheme.default_port() => bracketed(local.ip()),
            (None, Some(local)) => local.to_string(),
            (None, None) => "localhost".to_owned(),
        };
        let query = self
            .query()
            .map(|query| format!("?{query}"))
            .unwrap_or_default();
        format!(
            "{}://{host}{}{}{query}",
            scheme.as_str(),
            self.script_name(),
            self.path()
        )
    }

    /// The target with the path that is left; the authority of an absolute target stays.
    pub(super) fn remaining_uri(&self) -> Uri {
        if self.script_name().is_empty() {
            return self.uri().clone();
        }
        let path = if self.path().is_empty() {
            "/"
        } else {
            self.path()
        };
        let path_and_query = match self.query() {
            Some(query) => PathAndQuery::try_from(format!("{path}?{query}")),
            None => PathAndQuery::try_from(path),
        };
        let mut parts = self.uri().clone().into_parts();
        parts.path_and_query = path_and_query.ok();
        Uri::from_parts(parts).unwrap_or_else(|_| self.uri().clone())
    }
}

fn bracketed(address: std::net::IpAddr) -> String {
    match address {
        std::net::IpAddr::V4(address) => address.to_string(),
        std::net::IpAddr::V6(address) => format!("[{address}]"),
    }
}
