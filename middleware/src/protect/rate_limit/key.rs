//! Keys: which requests share a quota.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use enfilade_core::{Description, OptionValue, Request};
use http::{HeaderName, HeaderValue};

/// A key: requests with the same key share a quota. It is an address, a text or a number.
///
/// `into()` makes a key from these types. It may be a secret, such as an API key, so `Debug` shows only its kind.
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::QuotaKey;
///
/// let key = QuotaKey::from("user 7");
/// assert_eq!(key.to_bytes(), b"tuser 7");
/// assert_eq!(format!("{key:?}"), "QuotaKey(text)");
/// ```
#[derive(Clone)]
pub struct QuotaKey(KeyValue);

#[derive(Clone)]
enum KeyValue {
    /// The shared key of all requests without one.
    None,
    Address(IpAddr),
    Number(u64),
    Text(String),
    /// A text that is not copied.
    Header(HeaderValue),
}

impl QuotaKey {
    /// The key of requests without a key.
    pub(super) const NONE: QuotaKey = QuotaKey(KeyValue::None);

    /// Returns the key as bytes, for a store outside this program: equal for equal keys, and different for different
    /// ones.
    ///
    /// The bytes may be long and may contain a secret: if others can read the store, keep a digest instead.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let tagged = |tag: u8, bytes: &[u8]| [&[tag], bytes].concat();
        match &self.0 {
            KeyValue::None => tagged(b'-', &[]),
            KeyValue::Address(IpAddr::V4(address)) => tagged(b'4', &address.octets()),
            KeyValue::Address(IpAddr::V6(address)) => tagged(b'6', &address.octets()),
            KeyValue::Number(number) => tagged(b'n', &number.to_be_bytes()),
            KeyValue::Text(text) => tagged(b't', text.as_bytes()),
            KeyValue::Header(value) => tagged(b't', value.as_bytes()),
        }
    }
}

impl Hash for QuotaKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match &self.0 {
            KeyValue::None => state.write_u8(0),
            KeyValue::Address(address) => (1_u8, address).hash(state),
            KeyValue::Number(number) => (2_u8, number).hash(state),
            KeyValue::Text(text) => (3_u8, text.as_bytes()).hash(state),
            KeyValue::Header(value) => (3_u8, value.as_bytes()).hash(state),
        }
    }
}

impl fmt::Debug for QuotaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            KeyValue::None => "QuotaKey(none)",
            KeyValue::Address(_) => "QuotaKey(address)",
            KeyValue::Number(_) => "QuotaKey(number)",
            KeyValue::Text(_) | KeyValue::Header(_) => "QuotaKey(text)",
        })
    }
}

impl From<IpAddr> for QuotaKey {
    fn from(address: IpAddr) -> Self {
        QuotaKey(KeyValue::Address(address.to_canonical()))
    }
}

impl From<u64> for QuotaKey {
    fn from(number: u64) -> Self {
        QuotaKey(KeyValue::Number(number))
    }
}

impl From<String> for QuotaKey {
    fn from(text: String) -> Self {
        QuotaKey(KeyValue::Text(text))
    }
}

impl From<&str> for QuotaKey {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<HeaderValue> for QuotaKey {
    fn from(value: HeaderValue) -> Self {
        QuotaKey(KeyValue::Header(value))
    }
}

/// The source of a request's key.
#[derive(Clone)]
pub(super) enum KeySource {
    Address { ipv6_prefix: u8 },
    Header(HeaderName),
    KeyFunction(KeyFunction),
}

type KeyFunction = Arc<dyn Fn(&Request) -> Option<QuotaKey> + Send + Sync>;

impl KeySource {
    pub(super) fn find(&self, request: &Request) -> Option<QuotaKey> {
        match self {
            KeySource::Address { ipv6_prefix } => {
                let address = request.client_address()?;
                Some(network(address, *ipv6_prefix).into())
            }
            KeySource::Header(name) => {
                let mut lines = request.headers().get_all(name).iter();
                // With two field values it is unclear which one inner components use.
                let (value, None) = (lines.next()?, lines.next()) else {
                    return None;
                };
                (!value.is_empty()).then(|| value.clone().into())
            }
            KeySource::KeyFunction(function) => function(request),
        }
    }
}

impl KeySource {
    pub(super) fn describe_in(&self, tree: Description) -> Description {
        match self {
            KeySource::Address { ipv6_prefix } => tree
                .option("key", OptionValue::shown(self))
                .option("IPv6 prefix", *ipv6_prefix),
            KeySource::Header(_) => tree.option("key", OptionValue::shown(self)),
            KeySource::KeyFunction(_) => tree.option("key", OptionValue::opaque(self.to_string())),
        }
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeySource::Address { .. } => f.write_str("client address"),
            KeySource::Header(name) => write!(f, "header {name}"),
            KeySource::KeyFunction(_) => f.write_str("function"),
        }
    }
}

/// An address, or the IPv6 network that contains it.
fn network(address: IpAddr, ipv6_prefix: u8) -> IpAddr {
    let IpAddr::V6(address) = address else {
        return address;
    };
    let host_bits = 128 - u32::from(ipv6_prefix.min(128));
    let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
    Ipv6Addr::from_bits(address.to_bits() & mask).into()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn an_ipv6_address_is_one_of_its_network() {
        let cases = [
            ("2001:db8:1:2:3:4:5:6", 64, "2001:db8:1:2::"),
            ("2001:db8:1:2:3:4:5:6", 48, "2001:db8:1::"),
            ("2001:db8:1:2:3:4:5:6", 128, "2001:db8:1:2:3:4:5:6"),
            ("2001:db8:1:2:3:4:5:6", 255, "2001:db8:1:2:3:4:5:6"),
            ("2001:db8:1:2:3:4:5:6", 0, "::"),
            ("192.0.2.1", 0, "192.0.2.1"),
        ];
        for (address, prefix, expected) in cases {
            let found = network(address.parse().unwrap(), prefix);
            assert_eq!(found.to_string(), expected, "{address}/{prefix}");
        }
    }

    #[test]
    fn no_two_kinds_of_keys_are_the_same() {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let keys = [
            QuotaKey::NONE,
            address.into(),
            IpAddr::V6(Ipv6Addr::LOCALHOST).into(),
            7.into(),
            "127.0.0.1".into(),
            "".into(),
            "-".into(),
        ];
        let bytes: std::collections::HashSet<_> = keys.iter().map(QuotaKey::to_bytes).collect();
        assert_eq!(bytes.len(), keys.len());
        let mapped = IpAddr::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped());
        assert_eq!(QuotaKey::from(mapped).to_bytes(), keys[1].to_bytes());
        let header = QuotaKey::from(HeaderValue::from_static("127.0.0.1"));
        assert_eq!(header.to_bytes(), keys[4].to_bytes());
    }
}
