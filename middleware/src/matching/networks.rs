//! Networks of addresses.

use std::net::IpAddr;

use enfilade_core::OptionValue;
use ipnet::{IpNet, Ipv4Net};

use crate::error::Error;
use crate::error::ErrorKind;

/// Networks, parsed when the stack is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Networks {
    list: Vec<IpNet>,
    /// The first and the last address of each network, in order; networks that touch are one.
    ranges: Vec<(Place, Place)>,
}

/// An address as a number, and whether it is of version 6, so that no IPv4 address is in an IPv6 network.
type Place = (bool, u128);

impl Networks {
    pub(crate) fn parse<T: AsRef<str>>(
        networks: impl IntoIterator<Item = T>,
    ) -> Result<Networks, Error> {
        let networks = networks.into_iter();
        let networks = networks.map(|network| parse(network.as_ref()));
        let list: Vec<IpNet> = networks.collect::<Result<_, _>>()?;
        let ranges = list.iter().map(|network| {
            let (first, last) = (network.network(), network.broadcast());
            (place(first), place(last))
        });
        let ranges = merged(ranges.collect());
        Ok(Networks { list, ranges })
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let place = place(address.to_canonical());
        let after = self.ranges.partition_point(|(first, _)| *first <= place);
        let range = after.checked_sub(1).and_then(|at| self.ranges.get(at));
        range.is_some_and(|(_, last)| place <= *last)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }
}

fn place(address: IpAddr) -> Place {
    match address {
        IpAddr::V4(address) => (false, u128::from(u32::from(address))),
        IpAddr::V6(address) => (true, u128::from(address)),
    }
}

fn merged(mut ranges: Vec<(Place, Place)>) -> Vec<(Place, Place)> {
    ranges.sort_unstable();
    let mut merged: Vec<(Place, Place)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match merged.last_mut() {
            Some((_, end)) if first <= *end => *end = last.max(*end),
            _ => merged.push((first, last)),
        }
    }
    merged
}

impl From<&Networks> for OptionValue {
    fn from(networks: &Networks) -> OptionValue {
        networks.list.iter().map(OptionValue::shown).collect()
    }
}

fn parse(text: &str) -> Result<IpNet, Error> {
    // `{:?}` escapes, so that the text of the error cannot forge a line in a log.
    let refused = |why: &str| Err(Error::new(ErrorKind::Network, format!("{text:?} {why}")));
    let network = match (text.parse::<IpAddr>(), text.parse::<IpNet>()) {
        (Ok(address), _) => address.into(),
        (_, Ok(network)) => network,
        _ => return refused("is neither an address nor a network, such as 192.0.2.0/24"),
    };
    // `10.0.0.5/8` may be meant as one address, but would trust sixteen million.
    if network.trunc() != network {
        let whole = network.trunc();
        return refused(&format!("has bits set after its prefix: write {whole}"));
    }
    Ok(canonical(network))
}

/// Converts an IPv4 network mapped into IPv6 to IPv4, because addresses are compared in that form.
fn canonical(network: IpNet) -> IpNet {
    let mapped = match network {
        IpNet::V6(network) => network.addr().to_ipv4_mapped(),
        IpNet::V4(_) => None,
    };
    let length = network.prefix_len().checked_sub(96);
    let network_v4 = mapped.zip(length);
    network_v4
        .and_then(|(address, length)| Ipv4Net::new(address, length).ok())
        .map_or(network, IpNet::V4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_have_the_addresses_of_their_prefix() {
        let cases = [
            ("10.0.0.0/8", "10.255.255.255", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("192.168.1.0/28", "192.168.1.15", true),
            ("192.168.1.0/28", "192.168.1.16", false),
            ("10.0.0.5", "10.0.0.5", true),
            ("10.0.0.5", "10.0.0.4", false),
            ("::1", "::1", true),
            ("::1", "::2", false),
            ("fc00::/7", "fd5b:982e::", true),
            ("fc00::/7", "2620::1", false),
            ("::ffff:10.0.0.0/104", "10.1.2.3", true),
            ("::ffff:10.0.0.1", "10.0.0.1", true),
            ("0.0.0.0/0", "203.0.113.5", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "203.0.113.5", false),
            ("::/0", "::ffff:203.0.113.5", false),
        ];
        for (network, address, expected) in cases {
            let networks = Networks::parse([network]).unwrap();
            let found = networks.contains(address.parse().unwrap());
            assert_eq!(found, expected, "{address} in {network}");
        }
        let none = Networks::parse([""; 0]).unwrap();
        assert!(!none.contains("::1".parse().unwrap()));
    }

    #[test]
    fn a_bad_network_is_named() {
        let neither = "is neither an address nor a network, such as 192.0.2.0/24";
        let cases = [
            ("", neither),
            ("localhost", neither),
            ("10.0.0.0/33", neither),
            ("10.0.0.0/", neither),
            ("10.0.0/8", neither),
            ("10.0.0.0/8 ", neither),
            ("10.0.0.0/255.0.0.0", neither),
            ("fe80::1%eth0", neither),
            ("[::1]", neither),
            ("unix:", neither),
            ("*", neither),
            ("\n", neither),
            (
                "10.0.0.5/8",
                "has bits set after its prefix: write 10.0.0.0/8",
            ),
            ("fc00::1/7", "has bits set after its prefix: write fc00::/7"),
        ];
        for (network, why) in cases {
            let error = Networks::parse(["::1", network]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Network);
            assert_eq!(error.to_string(), format!("{network:?} {why}"));
        }
    }
}
