//! Negotiates the content coding (RFC 9110, section 12.5.3).

use http::header::ACCEPT_ENCODING;
use http::{HeaderMap, HeaderValue};

/// The maximum number of offered codings; the rest of a longer list is never chosen.
const MAX_OFFERED: usize = 8;
/// The maximum number of list members that are read; the rest is ignored. Browsers send four.
const MAX_MEMBERS: usize = 64;
/// A weight of 1; weights are counted in thousandths.
const FULL: u16 = 1000;

/// The result of [`negotiate_coding`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Negotiated<'a> {
    /// One of the offered codings.
    Coding(&'a str),
    /// No coding.
    Identity,
    /// The client accepts neither an offered coding nor plain content: a strict server responds with 406.
    NotAcceptable,
}

/// Chooses the coding of a response from `offered`, which is in the server's order of preference.
///
/// The highest weight wins, and the server's order breaks ties. `*` matches all codings that are not named, and
/// `x-gzip` means `gzip`; case is ignored. Malformed members are ignored. Without the header, or if it is empty, no
/// coding is used. No coding is preferred over a coding only if the client names `identity` with a higher weight.
///
/// At most 64 members are read and 8 codings offered, so that a long header costs little time.
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::http::{HeaderMap, header::ACCEPT_ENCODING};
/// use enfilade::middleware::{Negotiated, negotiate_coding};
///
/// let mut headers = HeaderMap::new();
/// headers.insert(ACCEPT_ENCODING, "gzip;q=0.5, br".parse().unwrap());
/// assert_eq!(negotiate_coding(&headers, &["gzip", "br"]), Negotiated::Coding("br"));
/// assert_eq!(negotiate_coding(&headers, &["zstd"]), Negotiated::Identity);
/// ```
#[must_use]
pub fn negotiate_coding<'a>(headers: &HeaderMap, offered: &[&'a str]) -> Negotiated<'a> {
    negotiate(headers.get_all(ACCEPT_ENCODING), offered)
}

/// The same for the values of the header alone.
pub(crate) fn negotiate<'a, 'v>(
    lines: impl IntoIterator<Item = &'v HeaderValue>,
    offered: &[&'a str],
) -> Negotiated<'a> {
    let mut weights = [None; MAX_OFFERED];
    let (mut others, mut identity) = (None, None);
    for (name, weight) in members(lines) {
        let named = offered
            .iter()
            .zip(&mut weights)
            .find(|(coding, _)| is_coding(name, coding));
        let place = match named {
            Some((_, place)) => place,
            None if name == "*" => &mut others,
            None if name.eq_ignore_ascii_case("identity") => &mut identity,
            None => continue,
        };
        // If a coding is repeated, its highest weight is used.
        *place = (*place).max(Some(weight));
    }
    let weight_of = |named: Option<u16>| named.or(others).unwrap_or(0);
    let best = offered
        .iter()
        .zip(&weights)
        .rev()
        .max_by_key(|(_, named)| weight_of(**named));
    match best {
        Some((coding, named)) if weight_of(*named) > identity.unwrap_or(0) => {
            Negotiated::Coding(coding)
        }
        _ if identity.or(others) == Some(0) => Negotiated::NotAcceptable,
        _ => Negotiated::Identity,
    }
}

/// Returns the well-formed members of all field values, with their weights in thousandths.
fn members<'v>(
    lines: impl IntoIterator<Item = &'v HeaderValue>,
) -> impl Iterator<Item = (&'v str, u16)> {
    let lines = lines.into_iter().filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(','))
        .take(MAX_MEMBERS)
        .filter_map(parse_member)
}

fn parse_member(member: &str) -> Option<(&str, u16)> {
    let mut parts = member.split(';').map(|part| part.trim_matches([' ', '\t']));
    let name = parts.next().filter(|name| !name.is_empty())?;
    let weight = match (parts.next(), parts.next()) {
        (None, _) => FULL,
        (Some(weight), None) => parse_weight(strip_q(weight)?)?,
        // Only a weight can follow a coding.
        (Some(_), Some(_)) => return None,
    };
    Some((name, weight))
}

fn strip_q(text: &str) -> Option<&str> {
    text.strip_prefix("q=").or_else(|| text.strip_prefix("Q="))
}

/// Parses a `qvalue` in thousandths, with up to three digits after the dot (RFC 9110, section 12.4.2).
pub(crate) fn parse_weight(value: &str) -> Option<u16> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match (whole, thousandths(fraction)) {
        ("0", weight) => Some(weight),
        ("1", 0) => Some(FULL),
        _ => None,
    }
}

fn thousandths(fraction: &str) -> u16 {
    let digits = fraction
        .bytes()
        .map(|byte| u16::from(byte - b'0'))
        .chain([0; 3]);
    digits.take(3).fold(0, |sum, digit| sum * 10 + digit)
}

pub(super) fn is_coding(name: &str, coding: &str) -> bool {
    let name = match name.get(..2) {
        Some("x-" | "X-") if coding == "gzip" || coding == "compress" => {
            name.get(2..).unwrap_or(name)
        }
        _ => name,
    };
    name.eq_ignore_ascii_case(coding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_coding_is_chosen() {
        use Negotiated::{Coding, Identity, NotAcceptable};
        let all = &["zstd", "br", "gzip", "deflate"][..];
        let cases: [(&[&'static str], &[&'static str], Negotiated<'_>); 34] = [
            (&[], all, Identity),
            (&[""], all, Identity),
            (&[", gzip"], all, Coding("gzip")),
            (&["gZiP"], all, Coding("gzip")),
            (&["X-GZip"], all, Coding("gzip")),
            (&["br, gzip"], &["gzip", "br"], Coding("gzip")),
            (&["br, gzip"], all, Coding("br")),
            (&["gzip;q=0.5", "deflate", "br"], all, Coding("br")),
            (
                &["gzip;q=0.995,deflate;q=0.997,br;q=0.999"],
                all,
                Coding("br"),
            ),
            (&["gzip;q=0."], all, Identity),
            (&["gzip;q=0.000"], all, Identity),
            (&["gzip;q=1.000"], all, Coding("gzip")),
            (&["gzip;q=1."], all, Coding("gzip")),
            (&["gzip ;\tQ=0.8"], all, Coding("gzip")),
            (&["gzip;q =0.5"], all, Identity),
            (&["gzip;q=-0.1"], all, Identity),
            (&["gzip;q=0.5000"], all, Identity),
            (&["gzip;q=1.001, br;q=0.1"], all, Coding("br")),
            (&["br;q=inf, gzip"], all, Coding("gzip")),
            (&["gzip;q=", "gzip;x=1", "gzip;q=1;x=1"], all, Identity),
            (&["*"], all, Coding("zstd")),
            (&["gzip, *;q=0"], &["br"], NotAcceptable),
            (&["*;q=0, identity;q=0.1"], all, Identity),
            (&["identity;q=0"], all, NotAcceptable),
            (&["gzip, identity;q=0"], all, Coding("gzip")),
            (&["gzip;q=0.5, identity"], all, Identity),
            (&["identity; q=0.5, *;q=1.0, br;q=0.3"], all, Coding("zstd")),
            (&["*, gzip;q=0"], &["gzip"], Identity),
            (&["*, foo;q=0.9"], &["foo", "bar"], Coding("bar")),
            (&["gzip;q=0, gzip;q=1"], all, Coding("gzip")),
            (&["notgzip, bro"], all, Identity),
            (&["x-br"], all, Identity),
            (&["gzip"], &[], Identity),
            (&["*;q=0"], &[], NotAcceptable),
        ];
        for (lines, offered, expected) in cases {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(ACCEPT_ENCODING, HeaderValue::from_static(line));
            }
            assert_eq!(
                negotiate_coding(&headers, offered),
                expected,
                "{lines:?} of {offered:?}"
            );
        }
    }

    #[test]
    fn a_long_list_is_read_to_a_point() {
        let mut headers = HeaderMap::new();
        let list = ["br;q=0,"; MAX_MEMBERS].concat() + "gzip";
        headers.insert(ACCEPT_ENCODING, HeaderValue::try_from(list).unwrap());
        assert_eq!(negotiate_coding(&headers, &["gzip"]), Negotiated::Identity);
    }
}
