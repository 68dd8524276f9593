//! Origins: who a page belongs to (RFC 6454).

use std::fmt;
use std::net::IpAddr;

use enfilade_core::host::Host;

use crate::error::Error;
use crate::error::ErrorKind;
use crate::matching::host_pattern::{HostPattern, is_host_name};

/// An origin, or a group of origins.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// As browsers write it, byte for byte.
    Exact(String),
    Pattern {
        scheme: String,
        host: HostPattern,
    },
}

impl Origin {
    /// Parses `https://example.org`, `https://example.org:8443` or `https://*.example.org`.
    pub(crate) fn parse(text: &str) -> Result<Origin, Error> {
        let wrong = |why: &str| Error::new(ErrorKind::Origin, format!("{text:?} {why}"));
        let Some((scheme, host)) = text.split_once("://") else {
            return Err(wrong("is not an origin: it has no scheme"));
        };
        if !is_scheme(scheme) {
            return Err(wrong("is not an origin: its scheme is not in lower case"));
        }
        let pattern = HostPattern::parse(host)
            .map_err(|error| wrong(&format!("is not an origin: {error}")))?;
        if !pattern.is_exact() {
            let scheme = scheme.to_owned();
            let host = pattern;
            return Ok(Origin::Pattern { scheme, host });
        }
        match Host::parse(host).and_then(|parsed| written(scheme, host, &parsed)) {
            Some(written) if written == text => Ok(Origin::Exact(written)),
            Some(written) => Err(wrong(&format!(
                "is not how browsers write an origin: that is {written:?}"
            ))),
            None => Err(wrong(
                "is not an origin: a host that ends with a number is an address",
            )),
        }
    }

    pub(crate) fn is(&self, text: &str) -> bool {
        match self {
            Origin::Exact(known) => known == text,
            Origin::Pattern { scheme, host } => {
                let Some((found, rest)) = text.split_once("://") else {
                    return false;
                };
                let default_port = if found == "http" { 80 } else { 443 };
                // Another port is another origin.
                let has_port = |found: &Host<'_>| {
                    host.has_port() || found.port().is_none_or(|port| port == default_port)
                };
                let found_host = Host::parse(rest).filter(has_port);
                found == scheme
                    && found_host.is_some_and(|found| host.matches(&found, default_port))
            }
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Exact(text) => f.write_str(text),
            Origin::Pattern { scheme, host } => write!(f, "{scheme}://{host}"),
        }
    }
}

/// How browsers write an origin (URL Standard, "host serializer"; HTML Standard, "ASCII serialization of an origin");
/// `None` if they would read the host as an address, and it is not one.
fn written(scheme: &str, text: &str, host: &Host<'_>) -> Option<String> {
    let name = match host.address() {
        Some(IpAddr::V6(address)) => format!("[{address}]"),
        Some(IpAddr::V4(address)) => address.to_string(),
        None if ends_with_number(host.name()) => return None,
        None => host.name().to_ascii_lowercase(),
    };
    let behind = text.get(host.name().len()..).unwrap_or_default();
    let dot = if behind.starts_with('.') { "." } else { "" };
    let default = [("http", 80), ("https", 443)];
    let port = host
        .port()
        .filter(|port| !default.contains(&(scheme, *port)));
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{scheme}://{name}{dot}{port}"))
}

/// URL Standard, "ends-in-a-number checker".
fn ends_with_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    last.bytes().all(|byte| byte.is_ascii_digit())
        || hexadecimal.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Whether a text is one well-formed origin; a test gets nothing else.
pub(crate) fn is_origin(text: &str) -> bool {
    let parts = text.split_once("://");
    parts.is_some_and(|(scheme, host)| {
        is_scheme(scheme) && Host::parse(host).is_some_and(|host| is_host_name(&host))
    })
}

/// RFC 3986, section 3.1, in lower case.
fn is_scheme(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_compared_whole() {
        let cases: [(&str, &[&str], &[&str]); 4] = [
            (
                "https://example.org",
                &["https://example.org"],
                &[
                    "http://example.org",
                    "https://example.org.evil.net",
                    "https://example.org:443",
                    "HTTPS://example.org",
                    "https://example.org/",
                    "https://example.org https://evil.net",
                    "",
                ],
            ),
            (
                "https://example.org:8443",
                &["https://example.org:8443"],
                &["https://example.org"],
            ),
            (
                "https://*.example.org",
                &["https://a.example.org"],
                &[
                    "https://example.org",
                    "https://a.b.example.org",
                    "http://a.example.org",
                    "https://a.example.org:8443",
                    "https://a.example.org.evil.net",
                    "https://evil.net/.example.org",
                    "https://evil.net#.example.org",
                ],
            ),
            (
                "http://**.localhost:3000",
                &["http://a.b.localhost:3000"],
                &["http://localhost:3000", "http://a.localhost"],
            ),
        ];
        for (origin, same, others) in cases {
            let origin = Origin::parse(origin).unwrap();
            for text in same {
                assert!(origin.is(text), "{origin:?} {text}");
            }
            for text in others {
                assert!(!origin.is(text), "{origin:?} {text}");
            }
        }
    }

    #[test]
    fn what_no_browser_would_send_is_refused() {
        for (text, why) in [
            (
                "example.org",
                "\"example.org\" is not an origin: it has no scheme",
            ),
            ("null", "\"null\" is not an origin: it has no scheme"),
            (
                "HTTPS://a",
                "\"HTTPS://a\" is not an origin: its scheme is not in lower case",
            ),
            (
                "https://a/b",
                "\"https://a/b\" is not an origin: \"a/b\" is not a host",
            ),
            (
                "https://A",
                "\"https://A\" is not how browsers write an origin: that is \"https://a\"",
            ),
            (
                "https://a:443",
                "\"https://a:443\" is not how browsers write an origin: that is \"https://a\"",
            ),
            (
                "http://a:0081",
                "\"http://a:0081\" is not how browsers write an origin: that is \"http://a:81\"",
            ),
            (
                "http://a:",
                "\"http://a:\" is not how browsers write an origin: that is \"http://a\"",
            ),
            (
                "http://[0::1]",
                "\"http://[0::1]\" is not how browsers write an origin: that is \"http://[::1]\"",
            ),
            (
                "http://127.1",
                "\"http://127.1\" is not an origin: a host that ends with a number is an address",
            ),
            (
                "https://*.",
                "\"https://*.\" is not an origin: \"*.\" is not a host",
            ),
            (
                "https://a.*.org",
                "\"https://a.*.org\" is not an origin: \"a.*.org\" has a star that is not at the start and followed by \
                 a dot",
            ),
            (
                "https://a..org",
                "\"https://a..org\" is not an origin: \"a..org\" has an empty label",
            ),
            (
                "https://x%2eorg",
                "\"https://x%2eorg\" is not an origin: \"x%2eorg\" has a label that is not 1 to 63 letters, digits, \
                 `-` and `_`",
            ),
        ] {
            assert_eq!(Origin::parse(text).unwrap_err().to_string(), why);
        }
        for text in [
            "https://a",
            "http://a.:81",
            "http://[::1]:443",
            "http://127.0.0.1",
            "moz-extension://a-b:443",
        ] {
            assert!(Origin::parse(text).unwrap().is(text), "{text}");
        }
    }
}
