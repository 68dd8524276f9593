//! Takes from the headers of trusted proxies what the client asked for.

mod forwarded;
mod forwarded_facts;
mod networks;
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
use self::networks::Networks;
pub use self::x_forwarded::XForwarded;
use crate::error::Error;

/// What is removed.
static NAMES: [HeaderName; 6] = [
    FORWARDED,
    XForwarded::For.name(),
    XForwarded::Proto.name(),
    XForwarded::Host.name(),
    XForwarded::Port.name(),
    XForwarded::Prefix.name(),
];

/// Takes from the headers of trusted proxies who the client is and what it asked for.
///
/// Behind a proxy, the peer of every connection is the proxy, and scheme and host are those that the proxy asked by.
/// What the client used is in a header then, which a client can write as well. This wrapper believes one where its
/// writer is known, and puts what it says in the request: [`client_address`](Request::client_address) and port,
/// [`scheme`](Request::scheme), [`host`](Request::host) and its port, and a prefix before
/// [`script_name`](Request::script_name). Logs, redirects, lists of hosts, URLs and the environ read these, and nothing
/// else. [`connection`](Request::connection) keeps what the socket showed.
///
/// # Who is believed
///
/// | | reads | believes |
/// |---|---|---|
/// | [`trust_forwarded`](ProxyFix::trust_forwarded) | `Forwarded` (RFC 7239) | peers in these networks |
/// | [`trust_forwarded_hops`](ProxyFix::trust_forwarded_hops) | `Forwarded` | any peer, this many elements |
/// | [`trust_x_forwarded`](ProxyFix::trust_x_forwarded) | these of `X-Forwarded-*` | peers in these networks |
/// | [`trust_x_forwarded_hops`](ProxyFix::trust_x_forwarded_hops) | these of `X-Forwarded-*` | any peer, this many values of each |
///
/// One of the two families is read, and never the other one: a proxy that writes one lets a client's other one pass.
///
/// With networks, the addresses are walked from the right: the peer is in one of the networks, so it tells the truth
/// about who asked it; that one is in them too, so it did; and so on, until the first that is not, which is the client.
/// Where all are in them, the leftmost is. With a count, the value at that place from the right is taken.
///
/// In `Forwarded`, scheme and host are those of the element that has the client's address. `X-Forwarded-Proto`, `-Host`,
/// `-Port` and `-Prefix` are lists of their own: with networks their last value counts, which the nearest proxy wrote.
///
/// # What is malformed
///
/// A value that is missing, malformed, `unknown` or hidden (`_name`) is passed over, and with it all that stands to the
/// left; the request keeps what the socket showed. So does one with fewer values than are counted. What stands to the
/// left of a value that counts is never read: a client cannot spoil what a proxy adds.
///
/// - `for` is an address, of IPv6 in brackets, with or without a port (RFC 7239, section 6); in `X-Forwarded-For` the
///   brackets may be missing. More than 100 proxies are too many to walk.
/// - `proto` is `http` or `https`; `ws` and `wss` are taken for these.
/// - `host` is a [`Host`](enfilade_core::host::Host). `X-Forwarded-Port` replaces its port, where the scheme's own is
///   left out. The header `Host` is replaced, and the authority of a target that has one.
/// - A prefix is a path that begins with one slash; no `//`, `\`, `.`, `..`, `?` or control character is in it, coded or
///   not. The proxy took it away, so the path that is left is the path as received, and stays so; the prefix is what
///   [`prepend_script_name`](Request::prepend_script_name) puts before both.
/// - An element of `Forwarded` that breaks the grammar of section 4 is none: `host=a:80` without quotes, two `for`.
///
/// # Headers
///
/// `Forwarded` and `X-Forwarded-For`, `-Proto`, `-Host`, `-Port` and `-Prefix` are removed from every request, so that
/// nobody further in believes what nobody should: what was true in them is in the request.
/// [`insecure_keep_headers`](ProxyFix::insecure_keep_headers) leaves them. Other headers that proxies write, such as
/// `X-Real-IP`, are not touched.
///
/// # Order
///
/// Outermost: outside access logs, [`TrustedHosts`](crate::TrustedHosts), [`HttpsRedirect`](crate::HttpsRedirect) and
/// whatever else needs the client. The host that a proxy names is well formed and no more, so a
/// [`TrustedHosts`](crate::TrustedHosts) inside has its place.
///
/// # Security
///
/// Name nothing that your proxy does not write: a proxy that leaves a header alone lets the client write it. A count is
/// right only where nobody reaches this program past the proxies; where one can, name their networks. An address in
/// these networks is believed to be a proxy, so name no network in which clients are.
///
/// A client that a proxy does not name has the proxy's address, so give these addresses no rights.
///
/// # Example
///
/// ```
/// use enfilade_core::{Application, Request};
/// use enfilade_middleware::{ProxyFix, XForwarded};
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
/// let answer = request.peer("10.0.0.1:4711".parse()?).send();
/// assert_eq!(answer.text(), "https://example.org/ from 2001:db8::1");
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

/// Who is believed.
#[derive(Clone, Debug)]
enum Peers {
    Any,
    In {
        networks: Networks,
        unix_sockets: bool,
    },
}

/// What is read, and which value from the right; 0 is none. With networks, addresses are not counted but walked.
#[derive(Clone, Copy, Debug)]
enum TrustedHeaders {
    Forwarded(usize),
    XForwarded([usize; XForwarded::ALL.len()]),
}

impl ProxyFix {
    /// Believes `Forwarded` where it comes from a peer in these networks, such as `10.0.0.0/8`, `fd00::/8` or `::1`.
    ///
    /// An IPv4 network has the addresses that are mapped into IPv6, too. With no network nobody is believed.
    ///
    /// # Errors
    ///
    /// Where one is neither a network nor an address, or has bits behind its prefix; the error names it.
    pub fn trust_forwarded<T: AsRef<str>>(
        networks: impl IntoIterator<Item = T>,
    ) -> Result<Self, Error> {
        let peers = Peers::parse(networks)?;
        Ok(ProxyFix::new(peers, TrustedHeaders::Forwarded(1)))
    }

    /// Believes the last `hops` elements of `Forwarded`, whoever the peer is; none where it is 0.
    pub fn trust_forwarded_hops(hops: usize) -> Self {
        ProxyFix::new(Peers::Any, TrustedHeaders::Forwarded(hops))
    }

    /// Believes these of `X-Forwarded-*` where they come from a peer in these networks; name what your proxy writes.
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

    /// Believes this many values of each of `X-Forwarded-*`, whoever the peer is; none of those that are not named.
    ///
    /// ```
    /// use enfilade_middleware::{ProxyFix, XForwarded};
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

    /// Believes peers without an address too, beside those in the networks; off by default.
    ///
    /// These are the peers of a Unix socket: whoever may write to it is a proxy then. A count believes them anyway.
    pub fn trust_unix_sockets(mut self) -> Self {
        if let Peers::In { unix_sockets, .. } = &mut self.peers {
            *unix_sockets = true;
        }
        self
    }

    /// Leaves all headers as they came, for an application that shows the way of a request; off by default.
    ///
    /// What a client wrote is among them, from every peer.
    pub fn insecure_keep_headers(mut self) -> Self {
        self.keeps_headers = true;
        self
    }

    /// What a trusted proxy says of this request.
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

    /// Whether the one at the other end of the connection is believed.
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

    /// The names of what is read, each with its count.
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
