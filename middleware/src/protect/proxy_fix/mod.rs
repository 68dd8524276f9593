//! Reads the client's address, scheme and host from the headers of trusted proxies.

mod forwarded;
mod forwarded_facts;
mod node;
mod x_forwarded;

use std::sync::Arc;

use enfilade_core::{
    Application, Description, Middleware, OptionValue, Reply, Request, Wrapper, wrapped,
};
use http::HeaderName;
use http::header::FORWARDED;

pub use self::forwarded::{ForwardedElement, parse_forwarded};
use self::forwarded_facts::ForwardedFacts;
pub use self::x_forwarded::XForwarded;
use crate::error::Error;
use crate::matching::networks::Networks;

/// The headers that are removed.
static NAMES: [HeaderName; 6] = [
    FORWARDED,
    XForwarded::For.name(),
    XForwarded::Proto.name(),
    XForwarded::Host.name(),
    XForwarded::Port.name(),
    XForwarded::Prefix.name(),
];

/// Reads the client's address, scheme, host and prefix from the headers of trusted proxies.
///
/// Behind a proxy, the peer of every connection is the proxy, and scheme and host are those between the proxy and this
/// program. The proxy sends the client's values in a header, but a client can send that header too. This wrapper trusts
/// a header only if a trusted proxy wrote it. It stores the values in the request:
/// [`client_address`](Request::client_address) and port, [`scheme`](Request::scheme), [`host`](Request::host) and its
/// port, and a prefix before [`script_name`](Request::script_name). Logs, redirects, lists of hosts, URLs and the
/// environ read only these. [`connection`](Request::connection) keeps the values of the socket.
///
/// # Which peers are trusted
///
/// | | reads | trusts |
/// |---|---|---|
/// | [`trust_forwarded`](ProxyFix::trust_forwarded) | `Forwarded` (RFC 7239) | peers in these networks |
/// | [`trust_forwarded_hops`](ProxyFix::trust_forwarded_hops) | `Forwarded` | any peer, this many elements |
/// | [`trust_x_forwarded`](ProxyFix::trust_x_forwarded) | these of `X-Forwarded-*` | peers in these networks |
/// | [`trust_x_forwarded_hops`](ProxyFix::trust_x_forwarded_hops) | these of `X-Forwarded-*` | any peer, this many values of each |
///
/// Only one of the two families is read, never both: a proxy that writes one lets the client's other one pass.
///
/// With networks, the addresses are read from right to left. The peer is in one of the networks, so the address that it
/// reports is true. If that address is in the networks too, the address before it is true as well, and so on. The first
/// address outside the networks is the client. If all are inside, the leftmost is the client. With a count, the value
/// at that position from the right is used.
///
/// In `Forwarded`, scheme and host come from the same element as the client's address. `X-Forwarded-Proto`, `-Host`,
/// `-Port` and `-Prefix` are separate lists: with networks the last value is used, which the nearest proxy wrote.
///
/// # Malformed values
///
/// If a value is missing, malformed, `unknown` or hidden (`_name`), it and all values to its left are ignored, and the
/// request keeps the values of the socket. The same goes for a header with fewer values than the count. Values to the
/// left of the used one are never read, so a client cannot break the values that a proxy adds.
///
/// - `for` is an address, IPv6 in brackets, with or without a port (RFC 7239, section 6); in `X-Forwarded-For` the
///   brackets may be missing. A chain of more than 100 proxies is ignored.
/// - `proto` is `http` or `https`; `ws` and `wss` mean the same.
/// - `host` is a [`Host`](enfilade_core::host::Host). `X-Forwarded-Port` replaces its port; the default port of the
///   scheme is omitted. The header `Host` is replaced, and the authority of the target if there is one.
/// - A prefix is a path that begins with one slash. It must not contain `//`, `\`, `.`, `..`, `?` or control
///   characters, percent-encoded or not. The proxy removed it, so the remaining path is the path as received, and does
///   not change; [`prepend_script_name`](Request::prepend_script_name) puts the prefix before both.
/// - An element of `Forwarded` that violates the grammar of section 4 is malformed: `host=a:80` without quotes, two
///   `for`.
///
/// # Headers
///
/// `Forwarded` and `X-Forwarded-For`, `-Proto`, `-Host`, `-Port` and `-Prefix` are removed from every request, so that
/// no inner component trusts a wrong value; the trusted values are in the request.
/// [`insecure_keep_headers`](ProxyFix::insecure_keep_headers) keeps them. Other headers from proxies, such as
/// `X-Real-IP`, are not changed.
///
/// # Order
///
/// Outermost: outside access logs, [`TrustedHosts`](crate::TrustedHosts), [`HttpsRedirect`](crate::HttpsRedirect) and
/// everything else that needs the client. The host from a proxy is only checked for its syntax, so put a
/// [`TrustedHosts`](crate::TrustedHosts) inside.
///
/// # Security
///
/// Name only headers that your proxy writes: if a proxy passes a header on unchanged, the client controls it. Use a
/// count only if no client can reach this program without the proxies; otherwise, name the proxies' networks. Every
/// address in these networks is trusted as a proxy, so do not name a network that has clients.
///
/// If the proxy does not report a client, the request has the proxy's address, so give these addresses no rights.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::{ProxyFix, XForwarded};
/// use enfilade::{Application, Request};
/// use enfilade_testing::Client;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = Application::new(|request: Request| {
///     let client = request.client_address().map(|address| address.to_string());
///     format!("{} from {}", request.url(), client.unwrap_or_default())
/// });
/// let headers = [XForwarded::For, XForwarded::Proto];
/// let fix = ProxyFix::trust_x_forwarded(["10.0.0.0/8", "fd00::/8"], headers)?;
/// let client = Client::new(app.clone().wrap(fix));
/// let ask = |peer: &str| {
///     let request = client.get("/a").header("x-forwarded-for", "1.2.3.4, 203.0.113.5, 10.0.0.2");
///     let request = request.header("x-forwarded-proto", "https").peer(peer.parse().unwrap());
///     request.send()
/// };
/// assert_eq!(ask("10.0.0.1:4711").text(), "https://localhost/a from 203.0.113.5");
/// assert_eq!(ask("203.0.113.9:80").text(), "http://localhost/a from 203.0.113.9");
///
/// let client = Client::new(app.wrap(ProxyFix::trust_forwarded_hops(1)));
/// let request = client.get("/").header("forwarded", "for=\"[2001:db8::1]:4711\";proto=https;host=example.org");
/// let response = request.peer("10.0.0.1:4711".parse()?).send();
/// assert_eq!(response.text(), "https://example.org/ from 2001:db8::1");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct ProxyFix {
    peers: Peers,
    trusted_headers: TrustedHeaders,
    keeps_headers: bool,
}

/// The trusted peers.
#[derive(Clone, Debug)]
enum Peers {
    Any,
    In {
        networks: Networks,
        unix_sockets: bool,
    },
}

/// The headers that are read, and the position of the value from the right; 0 is not read. With networks, addresses are
/// walked instead of counted.
#[derive(Clone, Copy, Debug)]
enum TrustedHeaders {
    Forwarded(usize),
    XForwarded([usize; XForwarded::ALL.len()]),
}

impl ProxyFix {
    /// Trusts `Forwarded` from peers in these networks, such as `10.0.0.0/8`, `fd00::/8` or `::1`.
    ///
    /// An IPv4 network includes its addresses mapped into IPv6. Without networks no peer is trusted.
    ///
    /// # Errors
    ///
    /// If one is neither a network nor an address, or has bits set after its prefix; the error names it.
    pub fn trust_forwarded<T: AsRef<str>>(
        networks: impl IntoIterator<Item = T>,
    ) -> Result<Self, Error> {
        let peers = Peers::parse(networks)?;
        Ok(ProxyFix::new(peers, TrustedHeaders::Forwarded(1)))
    }

    /// Trusts the last `hops` elements of `Forwarded` from any peer; with 0 none is trusted.
    pub fn trust_forwarded_hops(hops: usize) -> Self {
        ProxyFix::new(Peers::Any, TrustedHeaders::Forwarded(hops))
    }

    /// Trusts these `X-Forwarded-*` headers from peers in these networks; name only headers that your proxy writes.
    ///
    /// # Errors
    ///
    /// As for [`trust_forwarded`](ProxyFix::trust_forwarded).
    pub fn trust_x_forwarded<T: AsRef<str>>(
        networks: impl IntoIterator<Item = T>,
        headers: impl IntoIterator<Item = XForwarded>,
    ) -> Result<Self, Error> {
        let peers = Peers::parse(networks)?;
        let hops = headers.into_iter().map(|header| (header, 1));
        Ok(ProxyFix::new(peers, TrustedHeaders::x_forwarded(hops)))
    }

    /// Trusts this many values of each of these `X-Forwarded-*` headers from any peer; other headers are not trusted.
    ///
    /// ```
    /// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
    /// use enfilade::middleware::{ProxyFix, XForwarded};
    ///
    /// // Two proxies add to X-Forwarded-For, and the outer one alone sets the scheme.
    /// let fix = ProxyFix::trust_x_forwarded_hops([(XForwarded::For, 2), (XForwarded::Proto, 1)]);
    /// # drop(fix);
    /// ```
    pub fn trust_x_forwarded_hops(hops: impl IntoIterator<Item = (XForwarded, usize)>) -> Self {
        ProxyFix::new(Peers::Any, TrustedHeaders::x_forwarded(hops))
    }

    fn new(peers: Peers, trusted_headers: TrustedHeaders) -> Self {
        ProxyFix {
            peers,
            trusted_headers,
            keeps_headers: false,
        }
    }

    /// Also trusts peers without an address, besides those in the networks; off by default.
    ///
    /// These are the peers of a Unix socket: every process that may write to it is trusted as a proxy. With a count
    /// they are trusted anyway.
    pub fn trust_unix_sockets(mut self) -> Self {
        if let Peers::In { unix_sockets, .. } = &mut self.peers {
            *unix_sockets = true;
        }
        self
    }

    /// Keeps all headers, for an application that shows the route of a request; off by default.
    ///
    /// They may include values that a client wrote, from any peer.
    pub fn insecure_keep_headers(mut self) -> Self {
        self.keeps_headers = true;
        self
    }

    /// Reads the facts from a trusted proxy.
    fn read(&self, request: &Request) -> ForwardedFacts {
        let networks = match &self.peers {
            Peers::Any => None,
            Peers::In { networks, .. } => Some(networks),
        };
        match self.trusted_headers {
            _ if !self.peers.trusts(request) => ForwardedFacts::default(),
            TrustedHeaders::Forwarded(hops) => {
                ForwardedFacts::from_forwarded(request.headers(), networks, hops)
            }
            TrustedHeaders::XForwarded(hops) => {
                let hops = |header: XForwarded| hops[header as usize];
                ForwardedFacts::from_x_forwarded(request, networks, hops)
            }
        }
    }
}

impl Peers {
    fn parse<T: AsRef<str>>(networks: impl IntoIterator<Item = T>) -> Result<Peers, Error> {
        Ok(Peers::In {
            networks: Networks::parse(networks)?,
            unix_sockets: false,
        })
    }

    /// Whether the peer of the connection is trusted.
    fn trusts(&self, request: &Request) -> bool {
        match (self, request.connection().peer()) {
            (Peers::Any, _) => true,
            (Peers::In { networks, .. }, Some(peer)) => networks.contains(peer.ip()),
            (Peers::In { unix_sockets, .. }, None) => *unix_sockets,
        }
    }
}

impl TrustedHeaders {
    fn x_forwarded(hops: impl IntoIterator<Item = (XForwarded, usize)>) -> TrustedHeaders {
        let mut all = [0; XForwarded::ALL.len()];
        for (header, count) in hops {
            all[header as usize] = count;
        }
        TrustedHeaders::XForwarded(all)
    }

    /// The names of the headers that are read, each with its count.
    fn list(self) -> Vec<(HeaderName, usize)> {
        let mut list = match self {
            TrustedHeaders::Forwarded(hops) => vec![(FORWARDED, hops)],
            TrustedHeaders::XForwarded(hops) => XForwarded::ALL
                .into_iter()
                .map(|header| (header.name(), hops[header as usize]))
                .collect(),
        };
        list.retain(|(_, hops)| *hops > 0);
        list
    }
}

impl Middleware for ProxyFix {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl Wrapper for ProxyFix {
    fn call(self: &Arc<Self>, inner: &Application, mut request: Request) -> Reply {
        if NAMES
            .iter()
            .any(|name| request.headers().contains_key(name))
        {
            let found = self.read(&request);
            if !self.keeps_headers {
                NAMES
                    .iter()
                    .for_each(|name| drop(request.headers_mut().remove(name)));
            }
            found.apply_to(&mut request);
        }
        inner.call(request)
    }

    fn describe(&self) -> Description {
        let tree = Description::new("ProxyFix");
        let list = self.trusted_headers.list();
        let tree = match &self.peers {
            Peers::Any => list
                .into_iter()
                .fold(tree, |tree, (name, hops)| tree.option(name.as_str(), hops)),
            Peers::In {
                networks,
                unix_sockets,
            } => {
                let names = list.iter().map(|(name, _)| name.as_str());
                let tree = tree.option("reads", names.collect::<OptionValue>());
                let tree = tree.option("from", networks);
                match unix_sockets {
                    true => tree.option("unix sockets", "trusted"),
                    false => tree,
                }
            }
        };
        match self.keeps_headers {
            true => tree.option("headers", "kept"),
            false => tree,
        }
    }
}

#[cfg(test)]
mod tests;
