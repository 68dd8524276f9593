//! Which origins may read answers.

use std::sync::Arc;

use enfilade_core::host::Host;
use http::HeaderValue;

use crate::host_pattern::HostPattern;
use crate::{Error, ErrorKind};

/// The origins that a site trusts with its answers.
#[derive(Clone)]
pub(super) enum Origins {
    /// All, as far as nothing of the client's is sent along: `*`.
    Any,
    /// These.
    Listed(Vec<Origin>),
    /// Those of which this says so.
    Tested(Test),
}

type Test = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// An origin, or a family of them.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// As browsers write it, byte for byte.
    Exact(String),
    Pattern {
        scheme: String,
        host: HostPattern,
    },
}

impl Origins {
    /// What an answer to this origin says in `Access-Control-Allow-Origin`.
    pub(super) fn allow(&self, origin: Option<&HeaderValue>) -> Option<HeaderValue> {
        if matches!(self, Origins::Any) {
            return Some(HeaderValue::from_static("*"));
        }
        let origin = origin?;
        let text = origin.to_str().ok()?;
        let is_allowed = match self {
            Origins::Any => true,
            Origins::Listed(origins) => origins.iter().any(|known| known.is(text)),
            Origins::Tested(test) => is_origin(text) && test(text),
        };
        is_allowed.then(|| origin.clone())
    }
}

impl Origins {
    /// For people.
    pub(super) fn describe(&self) -> String {
        match self {
            Origins::Any => "any".to_owned(),
            Origins::Tested(_) => "tested".to_owned(),
            Origins::Listed(origins) => {
                let texts = origins.iter().map(|origin| match origin {
                    Origin::Exact(text) => text.clone(),
                    Origin::Pattern { scheme, host } => format!("{scheme}://{host}"),
                });
                texts.collect::<Vec<_>>().join(", ")
            }
        }
    }
}

impl Origin {
    /// Reads `https://example.org`, `https://example.org:8443` or `https://*.example.org`.
    pub(super) fn parse(text: &str) -> Result<Origin, Error> {
        let wrong = |why: &str| Error::new(ErrorKind::Origin, format!("{text:?} {why}"));
        let Some((scheme, host)) = text.split_once("://") else {
            return Err(wrong("is not an origin: it has no scheme"));
        };
        if !is_scheme(scheme) {
            return Err(wrong(
                "is not an origin: its scheme is not one in lower case",
            ));
        }
        if host.starts_with(['*', '.']) {
            let host = HostPattern::parse(host)
                .map_err(|error| wrong(&format!("is not an origin: {error}")))?;
            let scheme = scheme.to_owned();
            return Ok(Origin::Pattern { scheme, host });
        }
        if Host::parse(host).is_none() {
            return Err(wrong(
                "is not an origin: what follows the scheme is not a host",
            ));
        }
        let is_default = [("http", ":80"), ("https", ":443")]
            .into_iter()
            .any(|(known, port)| scheme == known && host.ends_with(port));
        if is_default || host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(wrong(
                "is not how browsers write an origin: in lower case, without the default port",
            ));
        }
        Ok(Origin::Exact(text.to_owned()))
    }

    fn is(&self, text: &str) -> bool {
        match self {
            Origin::Exact(known) => known == text,
            Origin::Pattern { scheme, host } => {
                let Some((found, rest)) = text.split_once("://") else {
                    return false;
                };
                let default_port = if found == "http" { 80 } else { 443 };
                // An origin of another port is another origin.
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

/// Whether a text is one origin, which is all that a test gets to see.
fn is_origin(text: &str) -> bool {
    let parts = text.split_once("://");
    parts.is_some_and(|(scheme, host)| is_scheme(scheme) && Host::parse(host).is_some())
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
                "\"HTTPS://a\" is not an origin: its scheme is not one in lower case",
            ),
            (
                "https://a/b",
                "\"https://a/b\" is not an origin: what follows the scheme is not a host",
            ),
            (
                "https://A",
                "\"https://A\" is not how browsers write an origin: in lower case, without the default port",
            ),
            (
                "https://a:443",
                "\"https://a:443\" is not how browsers write an origin: in lower case, without the default port",
            ),
            (
                "https://*.",
                "\"https://*.\" is not an origin: \"*.\" is not a host",
            ),
        ] {
            assert_eq!(Origin::parse(text).unwrap_err().to_string(), why);
        }
    }
}
