//! The facts about a request in the headers of trusted proxies.

use enfilade_core::host::Host;
use enfilade_core::{Request, Scheme};
use http::HeaderMap;

use super::forwarded::elements;
use super::node::{ForwardedNode, parse_port};
use super::x_forwarded::{XForwarded, members, parse_prefix, parse_scheme};
use crate::matching::networks::Networks;

/// The maximum number of trusted proxies in a chain.
const MAX_PROXIES: usize = 100;

/// The facts that were found; a missing or malformed value is `None`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ForwardedFacts {
    client: Option<ForwardedNode>,
    scheme: Option<Scheme>,
    host: Option<String>,
    prefix: Option<String>,
}

impl ForwardedFacts {
    /// Reads `Forwarded`: the element at which the walk through the networks ends, or the one at this position.
    pub(super) fn from_forwarded(
        headers: &HeaderMap,
        networks: Option<&Networks>,
        hops: usize,
    ) -> ForwardedFacts {
        let elements = elements(headers).map(Result::ok);
        let found = match networks {
            Some(networks) => walk(elements, |element| {
                let node = element.for_node().and_then(ForwardedNode::parse);
                node.is_some_and(|node| networks.contains(node.address))
            }),
            None => nth(elements.map_while(|element| element), hops),
        };
        let Some(element) = found else {
            return ForwardedFacts::default();
        };
        let host = element.host().and_then(Host::parse);
        ForwardedFacts {
            client: element.for_node().and_then(ForwardedNode::parse),
            scheme: element.proto().and_then(parse_scheme),
            host: host.map(|host| host.to_string()),
            prefix: None,
        }
    }

    /// Reads `X-Forwarded-*`: each at its own position, but the address where the walk through the networks ends.
    pub(super) fn from_x_forwarded(
        request: &Request,
        networks: Option<&Networks>,
        hops: impl Fn(XForwarded) -> usize,
    ) -> ForwardedFacts {
        let headers = request.headers();
        let value = |header: XForwarded| {
            let member = nth(members(headers, header), hops(header))?;
            std::str::from_utf8(member).ok()
        };
        let clients = members(headers, XForwarded::For).map(ForwardedNode::parse_member);
        let client = match networks {
            _ if hops(XForwarded::For) == 0 => None,
            Some(networks) => walk(clients, |node| networks.contains(node.address)),
            None => nth(clients, hops(XForwarded::For)).flatten(),
        };
        let scheme = value(XForwarded::Proto).and_then(parse_scheme);
        let named = value(XForwarded::Host).and_then(Host::parse);
        let port = value(XForwarded::Port).and_then(parse_port);
        let default_port = scheme.unwrap_or_else(|| request.scheme()).default_port();
        let host = match port {
            None => named.map(|host| host.to_string()),
            Some(port) => {
                let host = named.or_else(|| Host::of(request));
                host.map(|host| at_port(&host, port, default_port))
            }
        };
        ForwardedFacts {
            client,
            scheme,
            host,
            prefix: value(XForwarded::Prefix).and_then(parse_prefix),
        }
    }

    /// Stores the facts in the request.
    pub(super) fn apply_to(self, request: &mut Request) {
        if let Some(client) = self.client {
            request.set_client(client.address, client.port);
        }
        if let Some(scheme) = self.scheme {
            request.set_scheme(scheme);
        }
        if let Some(host) = self.host {
            // A host that the target cannot have is ignored, like a malformed one.
            let _ = request.set_host(&host);
        }
        // `OPTIONS *` and CONNECT have no path that could have a prefix (RFC 9112, section 3.2).
        let has_path = request.path().starts_with('/');
        if let Some(prefix) = self.prefix.filter(|_| has_path) {
            request.prepend_script_name(&prefix);
        }
    }
}

/// The host with another port, which is omitted if it is the default of the scheme.
fn at_port(host: &Host<'_>, port: u16, default_port: u16) -> String {
    match port == default_port {
        true => host.name().to_owned(),
        false => format!("{}:{port}", host.name()),
    }
}

/// Returns the first item that is not a proxy, or the last one; `None` if an item before is malformed or there are too
/// many.
fn walk<T>(items: impl Iterator<Item = Option<T>>, is_proxy: impl Fn(&T) -> bool) -> Option<T> {
    let mut last = None;
    for (number, item) in items.enumerate() {
        let item = item.filter(|_| number < MAX_PROXIES)?;
        if !is_proxy(&item) {
            return Some(item);
        }
        last = Some(item);
    }
    last
}

/// Returns the item at this position, counted from 1.
fn nth<T>(mut items: impl Iterator<Item = T>, place: usize) -> Option<T> {
    items.nth(place.checked_sub(1)?)
}
