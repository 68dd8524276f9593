//! The PROXY protocol, by which a proxy that does not speak HTTP passes on the client's address.

use std::io;
use std::net::{IpAddr, SocketAddr};

use enfilade_core::Connection;
use ipnet::IpNet;
use ppp::{HeaderResult, v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The maximum length of a header in bytes: few exceed some hundred, extensions included.
const MAX_HEADER: usize = 2 * 1024;
/// The maximum length of a header of version 1 in bytes.
const MAX_LINE: usize = 107;
/// The signature of version 2; a header of version 1 begins with `PROXY`.
const VERSION_2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The fixed part of a header of version 2, before the part whose length it contains.
const FIXED: usize = 16;
/// The minimum length of a header: the signature of version 2.
const SHORTEST: usize = VERSION_2.len();

/// The networks whose headers are trusted.
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

/// The addresses of the client and of its destination, if the header has them; a proxy's own connection has none.
type Addresses = Option<(SocketAddr, SocketAddr)>;

/// Reads the required header, to its last byte, and corrects the facts of the connection.
pub(super) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    facts: Connection,
) -> io::Result<Connection> {
    let mut header = vec![0; SHORTEST];
    stream.read_exact(&mut header).await?;
    if header == VERSION_2 {
        header.resize(FIXED, 0);
        read_from(stream, &mut header, SHORTEST).await?;
        let length = header.last_chunk().copied().map(u16::from_be_bytes);
        let length = FIXED + usize::from(length.unwrap_or_default());
        if length > MAX_HEADER {
            return Err(wrong());
        }
        header.resize(length, 0);
        read_from(stream, &mut header, FIXED).await?;
    } else if header.starts_with(b"PROXY ") {
        // Read no byte beyond the line.
        while !header.ends_with(b"\n") {
            if header.len() == MAX_LINE {
                return Err(wrong());
            }
            header.push(stream.read_u8().await?);
        }
    }
    Ok(match parse(&header).ok_or_else(wrong)? {
        Some((peer, local)) => facts.with_peer(peer).with_local(local),
        None => facts,
    })
}

/// Fills the header from this offset on.
async fn read_from(
    stream: &mut (impl AsyncRead + Unpin),
    header: &mut [u8],
    start: usize,
) -> io::Result<()> {
    let rest = header.get_mut(start..).unwrap_or_default();
    stream.read_exact(rest).await.map(drop)
}

fn wrong() -> io::Error {
    let message = "the connection does not begin with a PROXY header";
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// The content of a whole header; `None` if it is invalid.
fn parse(header: &[u8]) -> Option<Addresses> {
    match HeaderResult::parse(header) {
        HeaderResult::V1(Ok(found)) if found.header.len() == header.len() => {
            Some(of_version_1(&found))
        }
        HeaderResult::V2(Ok(found)) if found.len() == header.len() => Some(of_version_2(&found)),
        _ => None,
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

    /// The result of reading these bytes, and the bytes that are left.
    fn read_all(bytes: &[u8]) -> (io::Result<Addresses>, &[u8]) {
        let mut left = bytes;
        let facts = pollster::block_on(read(&mut left, Connection::default()));
        let addresses = facts.map(|facts| facts.peer().zip(facts.local()));
        (addresses, left)
    }

    #[test]
    fn reads_both_versions_to_the_byte() {
        let four = addresses("192.0.2.7:4711", "10.0.0.1:80");
        let six = addresses("[2001:db8::7]:4711", "[2001:db8::1]:443");
        let mut padded = version_2(1);
        padded[15] += 200;
        padded.extend([4, 0, 197]);
        padded.resize(padded.len() + 197, 0);
        for (header, expected) in [
            (b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 80\r\n".to_vec(), four),
            (
                b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n".to_vec(),
                six,
            ),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (version_2(1), four),
            (version_2(0), None),
            (padded, four),
        ] {
            for count in 0..header.len() {
                let (found, left) = read_all(&header[..count]);
                let error = found.unwrap_err().kind();
                assert_eq!(error, io::ErrorKind::UnexpectedEof, "{count} of {header:?}");
                assert_eq!(left, b"");
            }
            for more in [&b""[..], b"GET / HTTP/1.1\r\n"] {
                let bytes = [&header[..], more].concat();
                let (found, left) = read_all(&bytes);
                assert_eq!((found.unwrap(), left), (expected, more), "{header:?}");
            }
        }
    }

    #[test]
    fn what_is_no_header_is_wrong() {
        let mut huge = version_2(1);
        huge[14] = 0xff;
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(100));
        for bytes in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 80000\r\n",
            b"PROXY TCP4 ::1 10.0.0.1 4711 80\r\n",
            b"PROXY SCTP 192.0.2.7 10.0.0.1 4711 80\r\n",
            b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c192.0.2.7 10",
            &huge,
            long.as_bytes(),
        ] {
            let (found, _) = read_all(bytes);
            let error = found.unwrap_err().kind();
            assert_eq!(
                error,
                io::ErrorKind::InvalidData,
                "{}",
                bytes.escape_ascii()
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>, version: bool) {
            let start: &[u8] = if version { VERSION_2 } else { b"PROXY " };
            let bytes = [start, &bytes].concat();
            let (_, left) = read_all(&bytes);
            prop_assert!(bytes.ends_with(left));
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
