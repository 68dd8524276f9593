//! URLs made from a request.

use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderValue, Uri};

use super::{Head, Request};
use crate::rules::host::{Host, bracketed};

impl Head {
    /// The host that the client requested; see [`Request::host`].
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

impl<'a> Host<'a> {
    /// The one host that the client requested; `None` if it sent no host, several, or an invalid one.
    ///
    /// As [`Request::host`], but `None` for requests that two components might read differently: with more than one
    /// `Host` header, or with a user in the target's authority.
    #[must_use]
    pub fn of(request: &'a Request) -> Option<Host<'a>> {
        Host::of_head(request.head())
    }

    pub(crate) fn of_head(head: &'a Head) -> Option<Host<'a>> {
        if head.headers().get_all(HOST).iter().nth(1).is_some() {
            return None;
        }
        match head.uri().authority() {
            Some(authority) => Host::parse(authority.as_str()),
            None => Host::parse(head.host()?),
        }
    }
}

impl Request {
    /// The host and port that the client requested, as written.
    ///
    /// It is the authority of an absolute target, otherwise the `Host` header: the target wins (RFC 9112, section
    /// 3.2.2). It comes from the client, so compare it with expected values before you rely on it.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.head().host()
    }

    /// The name of the host that the client requested, without the port.
    ///
    /// An IPv6 address keeps its brackets.
    ///
    /// Also `None` if the client sent an invalid host; see [`Host`] for what is valid.
    #[must_use]
    pub fn hostname(&self) -> Option<&str> {
        Some(Host::parse(self.host()?)?.name())
    }

    /// The host for a URL: the one that the client requested, otherwise the local address.
    ///
    /// The default port of the scheme is left out. `None` if the client sent an invalid host or two of them, or if it
    /// sent no host and the address is not known. A host from the client is only known to be well formed.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::Request;
    ///
    /// let mut request = Request::get("/");
    /// request.headers_mut().insert("host", "spam.example.com:80".parse().unwrap());
    /// assert_eq!(request.effective_host().as_deref(), Some("spam.example.com"));
    /// ```
    #[must_use]
    pub fn effective_host(&self) -> Option<String> {
        let port = self.scheme().default_port();
        match self.host_is_missing() {
            true => self.local_host(),
            false => Some(Host::of(self)?.without_port(port).to_string()),
        }
    }

    /// The local address, without the default port of the scheme. The zone of an IPv6 address is left out: it has no
    /// meaning on other machines (RFC 4007, section 6).
    fn local_host(&self) -> Option<String> {
        let local = self.connection().local()?;
        let address = bracketed(local.ip());
        Some(match local.port() == self.scheme().default_port() {
            true => address,
            false => format!("{address}:{}", local.port()),
        })
    }

    /// Whether the client sent no host; an empty `Host` counts as none (RFC 9112, section 3.2).
    fn host_is_missing(&self) -> bool {
        let mut hosts = self.headers().get_all(HOST).iter();
        self.uri().authority().is_none() && hosts.all(HeaderValue::is_empty)
    }

    /// A URL path under the mount: `script_name` and `path`.
    ///
    /// If `path` does not begin with a slash, one is inserted.
    #[must_use]
    pub fn url_for_path(&self, path: &str) -> String {
        let slash = if path.starts_with('/') { "" } else { "/" };
        format!("{}{slash}{path}", self.script_name())
    }

    /// The whole URL of the request, as `wsgiref.util.request_uri` builds it (PEP 3333).
    ///
    /// See "URL Reconstruction" there.
    ///
    /// If the client sent no host, it has the local address of the connection, or `localhost`.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::Request;
    ///
    /// let mut request = Request::get("/spam?say=ni");
    /// request.headers_mut().insert("host", "spam.example.com:2071".parse().unwrap());
    /// assert_eq!(request.url(), "http://spam.example.com:2071/spam?say=ni");
    /// ```
    #[must_use]
    pub fn url(&self) -> String {
        let named = self.host().filter(|host| !host.is_empty());
        let host = named.map(str::to_owned).or_else(|| self.local_host());
        let host = host.unwrap_or_else(|| "localhost".to_owned());
        let query = self
            .query_string()
            .map(|query| format!("?{query}"))
            .unwrap_or_default();
        format!(
            "{}://{host}{}{}{query}",
            self.scheme().as_str(),
            self.script_name(),
            self.path()
        )
    }

    /// The target with the rest of the path; an absolute target keeps its authority.
    pub(super) fn remaining_uri(&self) -> Uri {
        if self.script_name().is_empty() {
            return self.uri().clone();
        }
        let path = if self.path().is_empty() {
            "/"
        } else {
            self.path()
        };
        let path_and_query = match self.query_string() {
            Some(query) => PathAndQuery::try_from(format!("{path}?{query}")),
            None => PathAndQuery::try_from(path),
        };
        let mut parts = self.uri().clone().into_parts();
        parts.path_and_query = path_and_query.ok();
        Uri::from_parts(parts).unwrap_or_else(|_| self.uri().clone())
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::message::connection::Connection;

    #[test]
    fn a_url_has_a_host_also_where_the_client_named_none() {
        let cases = [
            (None, None, "http://localhost/a"),
            (Some(""), None, "http://localhost/a"),
            (Some(""), Some("192.0.2.1:80"), "http://192.0.2.1/a"),
            (None, Some("192.0.2.1:8000"), "http://192.0.2.1:8000/a"),
            (Some(""), Some("[2001:db8::1]:80"), "http://[2001:db8::1]/a"),
            // The network interface of this machine means nothing to a client.
            (None, Some("[fe80::1%3]:81"), "http://[fe80::1]:81/a"),
            (Some("h:81"), Some("192.0.2.1:80"), "http://h:81/a"),
        ];
        for (host, local, url) in cases {
            let mut request = Request::get("/a");
            if let Some(host) = host {
                let host = HeaderValue::from_static(host);
                request.headers_mut().insert(HOST, host);
            }
            if let Some(local) = local {
                let connection = Connection::default().with_local(local.parse().unwrap());
                request.set_connection(connection);
            }
            assert_eq!(request.url(), url, "{host:?} {local:?}");
            let effective = request.effective_host().unwrap_or("localhost".into());
            assert_eq!(format!("http://{effective}/a"), url, "{host:?} {local:?}");
        }
    }

    #[test]
    fn a_request_asks_for_one_host() {
        let cases: [(&str, &[&'static str], Option<&str>); 8] = [
            ("/", &["A.example:81"], Some("A.example:81")),
            ("/", &[], None),
            ("/", &[""], None),
            ("/", &["a", "a"], None),
            ("/", &["a b"], None),
            ("http://b/", &["a"], Some("b")),
            ("http://u@b/", &["b"], None),
            ("http://b/", &["b", "b"], None),
        ];
        for (target, hosts, expected) in cases {
            let mut request = Request::new(Method::GET, target.parse().unwrap());
            for host in hosts {
                let value = HeaderValue::from_static(host);
                request.headers_mut().append(HOST, value);
            }
            let found = Host::of(&request).map(|host| host.to_string());
            assert_eq!(found.as_deref(), expected, "{target} {hosts:?}");
        }
    }
}
