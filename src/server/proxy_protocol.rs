//! The PROXY protocol, by which a proxy that does not speak HTTP says who its client is.

use std::io;
use std::net::{IpAddr, SocketAddr};

use enfilade_core::Connection;
use ipnet::IpNet;
use ppp::{HeaderResult, PartialResult, v1, v2};

use super::stream::Stream;

/// How long a header may be, in bytes: few have more than some hundred, with what they say beside addresses.
const MAX_HEADER: usize = 2 * 1024;
/// How long a header of version 1 may be, in bytes.
const MAX_LINE: usize = 107;
/// How version 2 begins; a header of version 1 begins with `PROXY`.
const VERSION_2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// What stands before the part of a header of version 2 whose length it says.
const FIXED: usize = 16;

/// Whose headers are believed.
#[derive(Clone, Debug)]
pub(crate) struct Proxies(Vec<IpNet>);

impl Proxies {
    pub(crate) fn parse<T: AsRef<str>>(
        networks: impl IntoIterator<Item = T>,
    ) -> io::Result<Proxies> {
        let parse = |network: T| {
            let text = network.as_ref();
            let network = text
                .parse()
                .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            network.map_err(|_| {
                let message = format!("{text:?} is neither a network nor an address");
                io::Error::new(io::ErrorKind::InvalidInput, message)
            })
        };
        networks
            .into_iter()
            .map(parse)
            .collect::<io::Result<_>>()
            .map(Proxies)
    }

    pub(super) fn include(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.0.iter().any(|network| network.contains(&peer))
    }
}

/// Who the client is and where it went to, where the header says so; a proxy that asks for itself says nothing.
type Addresses = Option<(SocketAddr, SocketAddr)>;

/// Reads the header that has to be there, and corrects the facts of the connection by it.
pub(super) async fn read(stream: &mut Stream, facts: Connection) -> io::Result<Connection> {
    loop {
        match parse(stream.seen()) {
            Parsed::Whole(length, addresses) => {
                stream.skip(length);
                return Ok(match addresses {
                    Some((peer, local)) => facts.with_peer(peer).with_local(local),
                    None => facts,
                });
            }
            Parsed::Short if stream.seen().len() < MAX_HEADER => {
                // Of what follows the header nothing may be taken that cannot be given back.
                if !stream.look_further(1).await? {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            Parsed::Short | Parsed::Wrong => {
                let message = "the connection does not begin with a PROXY header";
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
        }
    }
}

#[derive(Debug, PartialEq)]
enum Parsed {
    /// So many bytes, which say this.
    Whole(usize, Addresses),
    Short,
    Wrong,
}

fn parse(bytes: &[u8]) -> Parsed {
    let is_version_2 = bytes.starts_with(VERSION_2);
    if !is_version_2 && !bytes.starts_with(b"PROXY") {
        let can_become = VERSION_2.starts_with(bytes) || b"PROXY".starts_with(bytes);
        return if can_become {
            Parsed::Short
        } else {
            Parsed::Wrong
        };
    }
    // What is not there yet is not wrong: a line, or the part that has the length.
    let line = memchr::memchr(b'\n', bytes);
    if is_version_2 && bytes.len() < FIXED
        || !is_version_2 && line.is_none() && bytes.len() < MAX_LINE
    {
        return Parsed::Short;
    }
    let result = HeaderResult::parse(bytes);
    match &result {
        _ if result.is_incomplete() => Parsed::Short,
        HeaderResult::V1(Ok(header)) => Parsed::Whole(header.header.len(), of_version_1(header)),
        HeaderResult::V2(Ok(header)) => Parsed::Whole(header.len(), of_version_2(header)),
        HeaderResult::V1(Err(_)) | HeaderResult::V2(Err(_)) => Parsed::Wrong,
    }
}

fn of_version_1(header: &v1::Header<'_>) -> Addresses {
    match header.addresses {
        v1::Addresses::Tcp4(ip) => Some((
            (ip.source_address, ip.source_port).into(),
            (ip.destination_address, ip.destination_port).into(),
        )),
        v1::Addresses::Tcp6(ip) => Some((
            (ip.source_address, ip.source_port).into(),
            (ip.destination_address, ip.destination_port).into(),
        )),
        v1::Addresses::Unknown => None,
    }
}

fn of_version_2(header: &v2::Header<'_>) -> Addresses {
    if header.command == v2::Command::Local {
        return None;
    }
    match header.addresses {
        v2::Addresses::IPv4(ip) => Some((
            (ip.source_address, ip.source_port).into(),
            (ip.destination_address, ip.destination_port).into(),
        )),
        v2::Addresses::IPv6(ip) => Some((
            (ip.source_address, ip.source_port).into(),
            (ip.destination_address, ip.destination_port).into(),
        )),
        v2::Addresses::Unspecified | v2::Addresses::Unix(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn addresses(peer: &str, local: &str) -> Addresses {
        Some((peer.parse().unwrap(), local.parse().unwrap()))
    }

    /// A header of version 2 for TCP over IPv4, with this command.
    fn version_2(command: u8) -> Vec<u8> {
        let mut header = VERSION_2.to_vec();
        header.extend([0x20 | command, 0x11, 0, 12]);
        header.extend([192, 0, 2, 7, 10, 0, 0, 1, 0x12, 0x67, 0, 80]);
        header
    }

    #[test]
    fn reads_both_versions_to_the_byte() {
        let four = addresses("192.0.2.7:4711", "10.0.0.1:80");
        let six = addresses("[2001:db8::7]:4711", "[2001:db8::1]:443");
        for (header, expected) in [
            (b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 80\r\n".to_vec(), four),
            (
                b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n".to_vec(),
                six,
            ),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (version_2(1), four),
            (version_2(0), None),
        ] {
            for count in 0..header.len() {
                assert_eq!(
                    parse(&header[..count]),
                    Parsed::Short,
                    "{count} of {header:?}"
                );
            }
            let length = header.len();
            assert_eq!(parse(&header), Parsed::Whole(length, expected));
            let more = [&header[..], b"GET / HTTP/1.1\r\n"].concat();
            assert_eq!(parse(&more), Parsed::Whole(length, expected));
        }
    }

    #[test]
    fn what_is_no_header_is_wrong() {
        for bytes in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 80000\r\n",
            b"PROXY TCP4 ::1 10.0.0.1 4711 80\r\n",
            b"PROXY SCTP 192.0.2.7 10.0.0.1 4711 80\r\n",
            b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c",
        ] {
            assert_eq!(parse(bytes), Parsed::Wrong, "{}", bytes.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>, version: bool) {
            let start: &[u8] = if version { VERSION_2 } else { b"PROXY " };
            let bytes = [start, &bytes].concat();
            if let Parsed::Whole(length, _) = parse(&bytes) {
                prop_assert!(length <= bytes.len());
            }
        }
    }

    #[test]
    fn networks_are_parsed_and_contain_mapped_addresses() {
        let proxies = Proxies::parse(["10.0.0.0/8", "::1"]).unwrap();
        for (peer, expected) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("::1", true),
            ("192.0.2.7", false),
        ] {
            assert_eq!(proxies.include(peer.parse().unwrap()), expected, "{peer}");
        }
        let error = Proxies::parse(["house"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"house\" is neither a network nor an address"
        );
    }
}
