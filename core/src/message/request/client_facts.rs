//! The client's address, scheme and host, which a proxy may know better than the socket.

use std::net::{IpAddr, SocketAddr};

use http::header::HOST;
use http::uri::Authority;
use http::{HeaderValue, Uri};

use super::{Head, Request, TargetError};
use crate::message::connection::Scheme;
use crate::rules::host::Host;

/// Facts about the client that a component set; the connection's facts apply to the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ClientFacts {
    client: Option<(IpAddr, Option<u16>)>,
    scheme: Option<Scheme>,
    has_host: bool,
}

impl Request {
    /// The address of the client: the connection's peer, or the address that a component set.
    ///
    /// Everything that depends on the client (logs, limits, lists of addresses) reads this one value. It is
    /// [`connection().peer()`](crate::Connection::peer) until a component that knows the proxies in front of this
    /// program sets another. A Unix socket has no address. An IPv4 address that is mapped into IPv6, as on dual-stack
    /// sockets, is returned as IPv4 (RFC 4291, section 2.5.5.2).
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::{Connection, Request};
    ///
    /// let mut request = Request::get("/");
    /// request.set_connection(Connection::default().with_peer("[::ffff:192.0.2.7]:80".parse().unwrap()));
    /// assert_eq!(request.client_address().unwrap().to_string(), "192.0.2.7");
    /// request.set_client("203.0.113.5".parse().unwrap(), None);
    /// assert_eq!(request.client_address().unwrap().to_string(), "203.0.113.5");
    /// assert_eq!(request.connection().peer().unwrap().port(), 80);
    /// ```
    #[must_use]
    pub fn client_address(&self) -> Option<IpAddr> {
        self.head().client_address()
    }

    /// The port of the client, if known; behind a proxy it rarely is.
    #[must_use]
    pub fn client_port(&self) -> Option<u16> {
        match self.head().client_facts().client {
            Some((_, port)) => port,
            None => Some(self.connection().peer()?.port()),
        }
    }

    /// Sets the client's address, for components that know the proxies in front of this program.
    pub fn set_client(&mut self, address: IpAddr, port: Option<u16>) {
        self.shared_mut().client_facts.client = Some((address, port));
    }

    /// The scheme that the client used: the connection's, or the one that a component set.
    ///
    /// It is `wsgi.url_scheme` in WSGI, and the scheme of URLs made from the request.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.head().scheme()
    }

    /// Sets the scheme that the client used, for components that know the proxies in front of this program.
    pub fn set_scheme(&mut self, scheme: Scheme) {
        self.shared_mut().client_facts.scheme = Some(scheme);
    }

    /// The port that the client connected to: that of the connection's local address.
    ///
    /// If that is not known, or if a component set another scheme or host, it is the host's port, or the default port
    /// of the scheme.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.head().port()
    }

    /// The local address, if it is the one that the client connected to, as far as known.
    #[must_use]
    pub fn server(&self) -> Option<SocketAddr> {
        self.head().server()
    }

    /// Sets the host that the client requested, for components that know the proxies in front.
    ///
    /// It replaces the header `Host`, and the authority of a target that has one, so that components further in cannot
    /// read another host. The path stays as received.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::Request;
    ///
    /// let mut request = Request::get("http://inside/a?b");
    /// request.set_host("example.org:8443").unwrap();
    /// assert_eq!(request.host(), Some("example.org:8443"));
    /// assert_eq!(request.uri(), "http://example.org:8443/a?b");
    /// assert!(request.set_host("evil/path").is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// If `host` is not a valid [`Host`], or the target cannot have it. Then nothing changes.
    pub fn set_host(&mut self, host: &str) -> Result<(), TargetError> {
        const NO_HOST: TargetError = TargetError("not a valid host");
        let value = Host::parse(host).and_then(|_| HeaderValue::from_str(host).ok());
        let value = value.ok_or(NO_HOST)?;
        let is_in_target = self.uri().authority().is_some();
        if is_in_target {
            self.shared_mut().uri = with_authority(self.uri(), host).ok_or(NO_HOST)?;
        }
        if !is_in_target || self.headers().contains_key(HOST) {
            self.headers_mut().insert(HOST, value);
        }
        self.shared_mut().client_facts.has_host = true;
        Ok(())
    }
}

impl Head {
    /// The address of the client; see [`Request::client_address`].
    #[must_use]
    pub fn client_address(&self) -> Option<IpAddr> {
        let found = self.client_facts().client.map(|(address, _)| address);
        let address = found.or_else(|| Some(self.connection().peer()?.ip()));
        address.map(|address| address.to_canonical())
    }

    /// The scheme that the client used; see [`Request::scheme`].
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        let found = self.client_facts().scheme;
        found.unwrap_or_else(|| self.connection().scheme())
    }

    /// The port that the client connected to; see [`Request::port`].
    #[must_use]
    pub fn port(&self) -> u16 {
        let host_port = || Host::of_head(self).and_then(|host| host.port());
        match self.server() {
            Some(local) => local.port(),
            None => host_port().unwrap_or(self.scheme().default_port()),
        }
    }

    /// The local address; see [`Request::server`].
    #[must_use]
    pub fn server(&self) -> Option<SocketAddr> {
        let is_elsewhere = self.client_facts().has_host || self.client_facts().scheme.is_some();
        self.connection().local().filter(|_| !is_elsewhere)
    }
}

fn with_authority(uri: &Uri, host: &str) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    parts.authority = Some(Authority::try_from(host).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::connection::Connection;

    fn request(target: &'static str) -> Request {
        let connection = Connection::new(Scheme::Http).with_peer("10.0.0.9:4711".parse().unwrap());
        let mut request = Request::get(target);
        request.set_connection(connection.with_local("10.0.0.1:8000".parse().unwrap()));
        request
            .headers_mut()
            .insert(HOST, HeaderValue::from_static("inside"));
        request
    }

    #[test]
    fn the_connection_s_facts_apply_until_a_component_sets_others() {
        let mut request = request("/");
        let address = |request: &Request| request.client_address().unwrap().to_string();
        assert_eq!(address(&request), "10.0.0.9");
        assert_eq!(
            (request.client_port(), request.port()),
            (Some(4_711), 8_000)
        );
        assert_eq!(request.scheme(), Scheme::Http);

        request.set_client("2001:db8::1".parse().unwrap(), None);
        request.set_scheme(Scheme::Https);
        for request in [request.clone_head(), Request::from(request.into_http())] {
            assert_eq!(address(&request), "2001:db8::1");
            assert_eq!((request.client_port(), request.port()), (None, 443));
            assert_eq!(request.scheme(), Scheme::Https);
            assert_eq!(request.url(), "https://inside/");
            let connection = request.connection();
            assert_eq!(connection.scheme(), Scheme::Http);
            assert_eq!(connection.peer().unwrap().port(), 4_711);
            assert_eq!(connection.local().unwrap().port(), 8_000);
        }
    }

    #[test]
    fn a_connection_without_a_peer_has_no_client() {
        let request = Request::get("/");
        assert_eq!(
            (request.client_address(), request.client_port()),
            (None, None)
        );
        assert_eq!(request.port(), 80);
    }

    #[test]
    fn a_host_that_is_set_is_the_only_one() {
        let cases: [(&'static str, &str, &str, u16); 6] = [
            ("/a?b", "example.org", "/a?b", 80),
            ("/a", "[2001:db8::a]:8080", "/a", 8_080),
            (
                "http://inside/a",
                "example.org:81",
                "http://example.org:81/a",
                81,
            ),
            ("http://user@inside", "h", "http://h/", 80),
            ("inside:80", "h:81", "h:81", 81),
            ("*", "h", "*", 80),
        ];
        for (target, host, uri, port) in cases {
            let mut request = request(target);
            assert!(request.set_host(host).is_ok(), "{target}");
            assert_eq!(request.host(), Some(host), "{target}");
            assert_eq!(request.headers()[HOST], host, "{target}");
            assert_eq!(
                (request.uri().to_string(), request.port()),
                (uri.to_owned(), port)
            );
        }
        let mut request = Request::get("http://inside/");
        request.set_host("h").unwrap();
        assert!(request.headers().is_empty());
    }

    #[test]
    fn what_is_no_host_changes_nothing() {
        for target in ["/", "http://inside/"] {
            for host in ["", "a b", "u@h", "h/x", "::1", "h:x", "a, b", "h\r\nx: y"] {
                let mut request = request(target);
                assert!(request.set_host(host).is_err(), "{host:?}");
                assert_eq!(request.host(), Some("inside"));
                assert_eq!(request.port(), 8_000);
            }
        }
        // It is a valid host, but the type of a target accepts no percent-encoded one.
        let mut request = request("http://inside/");
        assert!(request.set_host("%61").is_err());
        assert_eq!(request.uri(), "http://inside/");
    }

    #[test]
    fn what_was_mounted_stays_mounted() {
        let mut request = request("http://inside/a/b");
        request.prepend_script_name("/site");
        request.mount("/a").unwrap();
        request.set_host("h").unwrap();
        assert_eq!((request.script_name(), request.path()), ("/site/a", "/b"));
        assert_eq!(request.url(), "http://h/site/a/b");
    }
}
