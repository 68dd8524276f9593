//! Nodes in the headers of proxies: clients and other proxies.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A node with an address; `unknown` and hidden nodes have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ForwardedNode {
    pub(super) address: IpAddr,
    pub(super) port: Option<u16>,
}

impl ForwardedNode {
    /// Parses a node of `Forwarded` (RFC 7239, section 6): an IPv6 address is in brackets.
    pub(super) fn parse(text: &str) -> Option<ForwardedNode> {
        let (address, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']')?;
                (address.parse::<Ipv6Addr>().ok()?.into(), port)
            }
            None => {
                let (address, port) =
                    text.split_at_checked(text.find(':').unwrap_or(text.len()))?;
                (address.parse::<Ipv4Addr>().ok()?.into(), port)
            }
        };
        Some(ForwardedNode {
            address: IpAddr::to_canonical(&address),
            port: parse_node_port(port)?,
        })
    }

    /// Parses a member of `X-Forwarded-For`, in which an IPv6 address may have no brackets.
    pub(super) fn parse_member(member: &[u8]) -> Option<ForwardedNode> {
        let text = std::str::from_utf8(member).ok()?;
        match text.parse::<Ipv6Addr>() {
            Ok(address) => Some(ForwardedNode {
                address: IpAddr::V6(address).to_canonical(),
                port: None,
            }),
            Err(_) => ForwardedNode::parse(text),
        }
    }
}

/// Parses `[ ":" node-port ]`, which may be hidden too: `:_x` is an unknown port.
fn parse_node_port(text: &str) -> Option<Option<u16>> {
    if text.is_empty() {
        return Some(None);
    }
    let port = text.strip_prefix(':')?;
    match port.strip_prefix('_') {
        Some(hidden) if !hidden.is_empty() && hidden.bytes().all(is_hidden) => Some(None),
        Some(_) => None,
        None => parse_port(port).map(Some),
    }
}

fn is_hidden(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-".contains(&byte)
}

/// Parses a port of one to five digits; 0 is not a port.
pub(super) fn parse_port(text: &str) -> Option<u16> {
    let is_port = text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| is_port && *port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(address: &str, port: Option<u16>) -> Option<ForwardedNode> {
        let address = address.parse().unwrap();
        Some(ForwardedNode { address, port })
    }

    #[test]
    fn nodes_are_what_the_rfc_says() {
        let cases = [
            ("192.0.2.43", node("192.0.2.43", None)),
            ("192.0.2.43:47011", node("192.0.2.43", Some(47_011))),
            ("192.0.2.43:_port-1.a", node("192.0.2.43", None)),
            ("[2001:db8:cafe::17]", node("2001:db8:cafe::17", None)),
            ("[2001:db8::17]:80", node("2001:db8::17", Some(80))),
            ("[2001:DB8::17]:_x", node("2001:db8::17", None)),
            ("[::ffff:192.0.2.1]:1", node("192.0.2.1", Some(1))),
            ("", None),
            ("unknown", None),
            ("unknown:80", None),
            ("_hidden", None),
            ("_SEVKISEK", None),
            ("2001:db8::17", None),
            ("[2001:db8::17", None),
            ("2001:db8::17]", None),
            ("[192.0.2.1]", None),
            ("[fe80::1%25eth0]", None),
            ("[::1]80", None),
            ("[::1] ", None),
            ("192.0.2.43:", None),
            ("192.0.2.43:_", None),
            ("192.0.2.43:_a b", None),
            ("192.0.2.43:+80", None),
            ("192.0.2.43:0", None),
            ("192.0.2.43:65536", None),
            ("192.0.2.43:000080", None),
            ("192.0.2.43:80:80", None),
            ("192.0.2.043", None),
            ("192.0.2", None),
            ("3232235777", None),
            ("192.0.2.1, 192.0.2.2", None),
            ("example.org", None),
        ];
        for (text, expected) in cases {
            assert_eq!(ForwardedNode::parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn members_may_have_addresses_without_brackets() {
        let cases: [(&[u8], _); 9] = [
            (b"192.0.2.43", node("192.0.2.43", None)),
            (b"192.0.2.43:80", node("192.0.2.43", Some(80))),
            (b"2001:db8::17", node("2001:db8::17", None)),
            (b"[2001:db8::17]:80", node("2001:db8::17", Some(80))),
            (b"::ffff:192.0.2.1", node("192.0.2.1", None)),
            (b"\"192.0.2.43\"", None),
            (b"fe80::1%eth0", None),
            (b"unknown", None),
            (b"\xff", None),
        ];
        for (member, expected) in cases {
            assert_eq!(ForwardedNode::parse_member(member), expected, "{member:?}");
        }
    }
}
