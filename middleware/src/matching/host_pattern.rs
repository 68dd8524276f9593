//! Patterns of hosts, for lists and tables.

use std::cmp::Reverse;
use std::fmt;

use enfilade_core::Request;
use enfilade_core::host::Host;

use crate::error::Error;
use crate::error::ErrorKind;

/// A host or a group of hosts, parsed when the stack is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostPattern {
    form: HostForm,
    /// The name after the leading mark, in lower case.
    name: String,
    port: Option<u16>,
}

/// Which hosts that end with the name match; the narrowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum HostForm {
    /// `example.org`: only this host.
    Exact,
    /// `*.example.org`: with one more label.
    OneLabel,
    /// `**.example.org`: with one or more labels.
    AnyDepth,
    /// `.example.org`: the domain itself and all its subdomains.
    Domain,
}

impl HostPattern {
    pub(crate) fn parse(text: &str) -> Result<HostPattern, Error> {
        // `{:?}` escapes, so that the text of the error cannot forge a line in a log.
        let refused = |why| Err(Error::new(ErrorKind::Host, format!("{text:?} {why}")));
        if !text.is_ascii() {
            return refused("is not ASCII: write the `xn--` form of the name");
        }
        let forms = [
            ("**.", HostForm::AnyDepth),
            ("*.", HostForm::OneLabel),
            (".", HostForm::Domain),
        ];
        let (form, rest) = forms
            .into_iter()
            .find_map(|(mark, form)| Some((form, text.strip_prefix(mark)?)))
            .unwrap_or((HostForm::Exact, text));
        match Host::parse(rest) {
            None => refused("is not a host"),
            Some(host) if host.name().contains('*') => {
                refused("has a star that is not at the start and followed by a dot")
            }
            Some(host) if host.name().split('.').any(str::is_empty) => {
                refused("has an empty label")
            }
            Some(host) if !is_host_name(&host) => {
                refused("has a label that is not 1 to 63 letters, digits, `-` and `_`")
            }
            Some(host) if form != HostForm::Exact && host.address().is_some() => {
                refused("is an address, which has no subdomains")
            }
            Some(host) => Ok(HostPattern {
                form,
                name: normal_name(&host),
                port: host.port(),
            }),
        }
    }

    /// Parses a pattern that matches one host.
    pub(crate) fn exact(text: &str) -> Result<HostPattern, Error> {
        let pattern = HostPattern::parse(text)?;
        if !pattern.is_exact() {
            let message = format!("{text:?} matches several hosts: use exactly one");
            return Err(Error::new(ErrorKind::Host, message));
        }
        Ok(pattern)
    }

    /// Whether it matches only one host.
    pub(crate) fn is_exact(&self) -> bool {
        self.form == HostForm::Exact
    }

    /// Whether it names a port; without one it matches all ports.
    pub(crate) fn has_port(&self) -> bool {
        self.port.is_some()
    }

    /// Whether it matches `host`, whose port is `default_port` if it has none.
    pub(crate) fn matches(&self, host: &Host<'_>, default_port: u16) -> bool {
        let port = host.port().unwrap_or(default_port);
        self.port.is_none_or(|own| own == port) && self.matches_name(host)
    }

    fn matches_name(&self, host: &Host<'_>) -> bool {
        if host.address().is_some() {
            // Addresses may be written in several ways, and have no labels.
            return self.form == HostForm::Exact
                && Host::parse(&self.name).is_some_and(|own| own.has_name_of(host));
        }
        match (self.form, labels_before(host.name(), &self.name)) {
            (HostForm::Exact | HostForm::Domain, Some("")) => true,
            (HostForm::OneLabel, Some(labels)) => is_label(labels),
            (HostForm::AnyDepth | HostForm::Domain, Some(labels)) => {
                labels.split('.').all(is_label)
            }
            (_, _) => false,
        }
    }

    /// Orders patterns so that of those that match a host the most specific one is first.
    ///
    /// Of two such patterns the one with the longer name is narrower, whatever their forms.
    pub(crate) fn rank(&self) -> impl Ord + use<> {
        (Reverse(self.name.len()), self.form, self.port.is_none())
    }
}

/// The pattern as it is written.
impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.form {
            HostForm::Exact => "",
            HostForm::OneLabel => "*.",
            HostForm::AnyDepth => "**.",
            HostForm::Domain => ".",
        })?;
        f.write_str(&self.name)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// Returns the requested host, if it is unique, and the default port of the scheme.
pub(crate) fn host_and_port(request: &Request) -> Option<(Host<'_>, u16)> {
    let port = request.scheme().default_port();
    Host::of(request).map(|host| (host, port))
}

/// Whether it is an address, or a name of the domain name system.
///
/// A URI may have other hosts (RFC 3986, section 3.2.2), for example with `%2F`. After decoding, the end of such a name
/// would no longer belong to the host.
pub(crate) fn is_host_name(host: &Host<'_>) -> bool {
    host.address().is_some() || host.name().split('.').all(is_label)
}

/// Letters, digits and hyphens (RFC 1123, section 2.1), and underscores, which names in private networks may have.
fn is_label(label: &str) -> bool {
    let is_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=63).contains(&label.len()) && label.bytes().all(is_byte)
}

fn normal_name(host: &Host<'_>) -> String {
    match host.address() {
        Some(std::net::IpAddr::V6(address)) => format!("[{address}]"),
        _ => host.name().to_ascii_lowercase(),
    }
}

/// Returns the part of `name` before `suffix` and the dot before it.
fn labels_before<'a>(name: &'a str, suffix: &str) -> Option<&'a str> {
    let at = name.len().checked_sub(suffix.len())?;
    let (before, end) = name.split_at_checked(at)?;
    match end.eq_ignore_ascii_case(suffix) {
        true if before.is_empty() => Some(""),
        true => before.strip_suffix('.').filter(|labels| !labels.is_empty()),
        false => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_these_hosts() {
        let cases = [
            ("example.org", "example.org", true),
            ("Example.ORG", "eXample.org.", true),
            ("example.org.", "example.org", true),
            ("example.org", "example.org:8080", true),
            ("example.org", "www.example.org", false),
            ("example.org", "example.org.evil.net", false),
            ("example.org:8080", "example.org:8080", true),
            ("example.org:8080", "example.org", false),
            ("example.org:80", "example.org", true),
            ("example.org:80", "example.org:443", false),
            ("*.example.org", "a.example.org", true),
            ("*.example.org", "a.b.example.org", false),
            ("*.example.org", "example.org", false),
            ("*.example.org", ".example.org", false),
            ("*.example.org", "evilexample.org", false),
            ("*.example.org:81", "a.example.org:81", true),
            ("**.example.org", "a.example.org", true),
            ("**.example.org", "A.b.Example.org", true),
            ("**.example.org", "a..example.org", false),
            ("**.example.org", ".a.example.org", false),
            ("**.example.org", "example.org", false),
            (".example.org", "example.org", true),
            (".example.org", "a.b.example.org", true),
            (".example.org", "evilexample.org", false),
            (".example.org", ".example.org", false),
            (".example.org", "example.org.evil.net", false),
            ("127.0.0.1", "127.0.0.1:80", true),
            ("*.0.0.1", "127.0.0.1", false),
            ("[::1]", "[0::0:1]:5000", true),
            ("[0::0:1]", "[::1]", true),
            ("[::1]", "[::2]", false),
            ("some_service", "some_service:3001", true),
            ("example.org", "ex%61mple.org", false),
            (".example.org", "evil.test%2f.example.org", false),
            (".example.org", "evil.test%2F.a.example.org", false),
            ("*.example.org", "evil%2e.example.org", false),
            ("*.example.org", "evil.test,.example.org", false),
            ("*.example.org", "a&b.example.org", false),
            ("**.example.org", "a.(b).example.org", false),
            ("**.example.org", "*.example.org", false),
            ("*.example.org", "a-b_c.example.org", true),
            ("*.example.org", "xn--bcher-kva.example.org", true),
        ];
        for (pattern, host, expected) in cases {
            let found = HostPattern::parse(pattern).unwrap();
            let host = Host::parse(host).unwrap();
            assert_eq!(found.matches(&host, 80), expected, "{pattern} {host}");
        }
    }

    #[test]
    fn a_bad_pattern_is_named() {
        let host = "is not a host";
        let star = "has a star that is not at the start and followed by a dot";
        let cases = [
            ("", host),
            (".", host),
            ("*.", host),
            ("a b", host),
            ("http://a", host),
            ("a/b", host),
            ("::1", host),
            ("a:80x", host),
            ("*", star),
            ("a*.org", star),
            ("***.org", star),
            ("*.*.org", star),
            ("a..org", "has an empty label"),
            (
                "x%2eorg",
                "has a label that is not 1 to 63 letters, digits, `-` and `_`",
            ),
            (
                ".a&b.org",
                "has a label that is not 1 to 63 letters, digits, `-` and `_`",
            ),
            ("..org", "has an empty label"),
            ("*.127.0.0.1", "is an address, which has no subdomains"),
            (".[::1]", "is an address, which has no subdomains"),
            (
                "b\u{fc}cher.example",
                "is not ASCII: write the `xn--` form of the name",
            ),
        ];
        for (pattern, why) in cases {
            let error = HostPattern::parse(pattern).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Host);
            assert_eq!(error.to_string(), format!("{pattern:?} {why}"));
        }
    }

    #[test]
    fn the_most_specific_is_first() {
        let sorted = [
            "a.b.example.org:80",
            "a.b.example.org",
            ".a.b.example.org",
            "*.b.example.org:80",
            "*.b.example.org",
            "**.b.example.org",
            ".b.example.org",
            "**.example.org",
        ];
        let mut patterns: Vec<_> = sorted.map(|text| HostPattern::parse(text).unwrap()).into();
        patterns.reverse();
        patterns.sort_by_key(HostPattern::rank);
        let found: Vec<_> = patterns.iter().map(ToString::to_string).collect();
        assert_eq!(found, sorted);
    }
}
