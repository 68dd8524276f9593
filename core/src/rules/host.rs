//! Hosts, as requests name them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A valid host: `uri-host [":" port]` (RFC 9110, section 7.2; RFC 3986, section 3.2.2).
///
/// The name is a registered name in ASCII (underscores are allowed, because container networks use them), an IPv4
/// address, or an IPv6 address in brackets. Addresses of future versions are rejected. The port is empty or at most
/// 65535. A user, a path or white space is not allowed, and neither is an empty name.
///
/// Two hosts are equal if their names are, ignoring case, and their ports are. A host without a port is not equal to
/// one with the default port of its scheme. `[::1]` equals `[0:0::1]`. One dot at the end of a DNS name is not part of
/// [`name`](Host::name): `example.org.` equals `example.org`, because both mean the same machines. Nothing is
/// percent-decoded.
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::host::Host;
///
/// let host = Host::parse("Example.org.:8080").unwrap();
/// assert_eq!((host.name(), host.port()), ("Example.org", Some(8080)));
/// assert_eq!(host, Host::parse("example.org:8080").unwrap());
/// assert!(Host::parse("evil@example.org").is_none());
/// assert!(Host::parse("::1").is_none());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Host<'a> {
    name: &'a str,
    address: Option<IpAddr>,
    port: Option<u16>,
}

impl<'a> Host<'a> {
    /// Parses a host; `None` if it is invalid or empty.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Host<'a>> {
        let (name, port) = split_port(text)?;
        let (name, address) = parse_name(name)?;
        Some(Host {
            name,
            address,
            port,
        })
    }

    /// Whether [`parse`](Host::parse) accepts it, without looking for an address in a name.
    pub(crate) fn is_valid(text: &[u8]) -> bool {
        if is_plain(text) {
            return true;
        }
        let Ok(text) = std::str::from_utf8(text) else {
            return false;
        };
        let name = split_port(text).map(|(name, _)| name);
        name.is_some_and(|name| match name.starts_with('[') {
            true => parse_name(name).is_some(),
            false => registered_name(name).is_some(),
        })
    }

    /// The name as the client wrote it, without the port and the dot at its end.
    ///
    /// An IPv6 address has its brackets.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The port, if there is one.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The address, if the name is one.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Whether both have the same name, whatever their ports.
    #[must_use]
    pub fn has_name_of(&self, other: &Host<'_>) -> bool {
        match (self.address, other.address) {
            (None, None) => self.name.eq_ignore_ascii_case(other.name),
            (one, other) => one == other,
        }
    }

    /// The same host without its port, if the port is this one.
    #[must_use]
    pub fn without_port(self, port: u16) -> Host<'a> {
        let port = self.port.filter(|own| *own != port);
        Host { port, ..self }
    }
}

impl PartialEq for Host<'_> {
    fn eq(&self, other: &Host<'_>) -> bool {
        self.port == other.port && self.has_name_of(other)
    }
}

impl Eq for Host<'_> {}

/// Name and port, as in a URL.
impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// An address as a host: IPv6 in brackets (RFC 3986, section 3.2.2; RFC 3875, section 4.1.14).
pub(crate) fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

/// Whether it is a name of plain bytes, with at most a short port, as most hosts are: this takes one pass.
fn is_plain(text: &[u8]) -> bool {
    let end = text.iter().position(|&byte| !PLAIN[usize::from(byte)]);
    let (name, port) = text.split_at(end.unwrap_or(text.len()));
    let is_name = name.last().is_some_and(|&last| last != b'.');
    is_name
        && match port {
            [] => true,
            // Below 10,000, or below 60,000.
            [b':', digits @ ..] if digits.len() < 5 => digits.iter().all(u8::is_ascii_digit),
            [b':', b'0'..=b'5', digits @ ..] if digits.len() == 4 => {
                digits.iter().all(u8::is_ascii_digit)
            }
            _ => false,
        }
}

fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let mark = text.bytes().rposition(|byte| matches!(byte, b':' | b']'));
    match mark.and_then(|at| text.split_at_checked(at)) {
        Some((name, port)) if port.starts_with(':') => Some((name, parse_port(port)?)),
        _ => Some((text, None)),
    }
}

fn parse_port(text: &str) -> Option<Option<u16>> {
    let digits = text.strip_prefix(':')?;
    match digits.bytes().all(|byte| byte.is_ascii_digit()) {
        true if digits.is_empty() => Some(None),
        true => digits.parse().ok().map(Some),
        false => None,
    }
}

fn parse_name(text: &str) -> Option<(&str, Option<IpAddr>)> {
    if let Some(address) = text.strip_prefix('[') {
        let address: Ipv6Addr = address.strip_suffix(']')?.parse().ok()?;
        return Some((text, Some(address.into())));
    }
    let name = registered_name(text)?;
    // An address never ends with a letter, and most names do.
    let may_be_address = name.ends_with(|last: char| last.is_ascii_digit());
    let address = may_be_address.then(|| name.parse::<Ipv4Addr>().ok());
    Some((name, address.flatten().map(IpAddr::V4)))
}

/// A name without the dot at its end.
fn registered_name(text: &str) -> Option<&str> {
    let name = text.strip_suffix('.').unwrap_or(text);
    // A second dot would be removed by the next call.
    let is_whole = !name.is_empty() && !name.ends_with('.');
    (is_whole && is_registered_name(name.as_bytes())).then_some(name)
}

/// The bytes that are `unreserved` or `sub-delims`.
const PLAIN: [bool; 256] = {
    let (mut plain, mut byte) = ([false; 256], 0_u8);
    while byte < 128 {
        plain[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let (marks, mut at) = (b"-._~!$&'()*+,;=", 0);
    while at < marks.len() {
        plain[marks[at] as usize] = true;
        at += 1;
    }
    plain
};

/// Whether the bytes are `unreserved`, `sub-delims` and `pct-encoded`.
fn is_registered_name(mut name: &[u8]) -> bool {
    if name.iter().all(|&byte| PLAIN[usize::from(byte)]) {
        return true;
    }
    loop {
        name = match *name {
            [] => return true,
            [b'%', high, low, ref rest @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                rest
            }
            [byte, ref rest @ ..] if PLAIN[usize::from(byte)] => rest,
            _ => return false,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_and_perhaps_a_port() {
        let cases = [
            ("example.org", Some(("example.org", None))),
            ("localhost:81", Some(("localhost", Some(81)))),
            ("example.org:", Some(("example.org", None))),
            ("example.org:0080", Some(("example.org", Some(80)))),
            ("example.org:65535", Some(("example.org", Some(65_535)))),
            ("example.org.", Some(("example.org", None))),
            ("example.org.:80", Some(("example.org", Some(80)))),
            ("some_service:3001", Some(("some_service", Some(3_001)))),
            ("123foo.example.com", Some(("123foo.example.com", None))),
            ("nic.xn--flw351e:80", Some(("nic.xn--flw351e", Some(80)))),
            ("ex%61mple", Some(("ex%61mple", None))),
            ("127.0.0.1:1", Some(("127.0.0.1", Some(1)))),
            ("[::1]", Some(("[::1]", None))),
            ("[::]:47011", Some(("[::]", Some(47_011)))),
            ("[::ffff:1.2.3.4]", Some(("[::ffff:1.2.3.4]", None))),
        ];
        for (text, expected) in cases {
            let found = Host::parse(text).map(|host| (host.name(), host.port()));
            assert_eq!(found, expected, "{text:?}");
            assert_eq!(Host::is_valid(text.as_bytes()), found.is_some(), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        let cases = [
            "",
            ".",
            "..",
            "example.org..",
            ":",
            ":80",
            "::1",
            "2001:db8:cafe::17",
            "[]",
            "[0]",
            "[::1",
            "::1]",
            "[::1]evil.com",
            "[::1].",
            "[::1]:80x",
            "[::1%25eth0]",
            "[v1.a]",
            "ex%6",
            "ex%zz",
            "a:80x",
            "a:+80",
            "a:-1",
            "a:65536",
            "a:99999999999999999999",
            "a:1:2",
            "u@a",
            "u:p@a",
            "a/b",
            "a?b",
            "a#b",
            "a\\b",
            "a b",
            "a, b",
            "a\n",
            "a\nb",
            "a\t",
            "a\0.b",
            "nic.\u{8c37}\u{6b4c}:80",
            "a:\u{661}",
        ];
        for text in cases {
            assert_eq!(Host::parse(text), None, "{text:?}");
            assert!(!Host::is_valid(text.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn equal_hosts_are_written_in_many_ways() {
        let cases = [
            ("example.org", "EXAMPLE.org", true),
            ("example.org", "example.org.", true),
            ("example.org:80", "example.org:080", true),
            ("example.org", "example.org:", true),
            ("example.org", "example.org:80", false),
            ("example.org", "www.example.org", false),
            ("[::1]", "[0:0:0:0:0:0:0:1]", true),
            ("[::A]", "[::a]", true),
            ("[::1]", "[::2]", false),
            ("127.0.0.1", "127.0.0.1.", true),
            ("127.0.0.1", "127.0.0.01", false),
        ];
        for (one, other, equal) in cases {
            let parse = |text| Host::parse(text).unwrap();
            assert_eq!(parse(one) == parse(other), equal, "{one} and {other}");
        }
    }
}
