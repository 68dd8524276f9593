//! The request of a case.

use std::net::{IpAddr, SocketAddr};

use http::Method;
use serde_json::Value;

use crate::apps::{self, Content};
use crate::case::{known, number, pairs, required, text, texts, typed};
use crate::transport::mentions;
use crate::verdict::{Check, unsupported};

const KEYS: [&str; 18] = [
    "method",
    "target",
    "headers",
    "body_chunks_endless",
    "remote_addr",
    "remote_port",
    "remote_user",
    "scheme",
    "server",
    "script_name",
    "version",
    "header_bytes",
    "repeat",
    "concurrent",
    "vary_header",
    "abort_after_first_chunk",
    "then_request",
    "note",
];

/// A request that can be sent over every transport.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) version: http::Version,
    pub(crate) headers: Vec<(String, String)>,
    /// Whether a character of a header is a byte on the wire; in UTF-8 it may be several.
    pub(crate) is_latin_1: bool,
    pub(crate) content: Content,
    pub(crate) peer: Peer,
    pub(crate) local: Option<SocketAddr>,
    pub(crate) user: Option<String>,
    pub(crate) scheme: enfilade::Scheme,
    pub(crate) script_name: String,
    /// How often it is sent, and whether all at once.
    pub(crate) times: u64,
    pub(crate) is_concurrent: bool,
    /// The header that differs in each of them.
    vary: Option<Vary>,
    pub(crate) abort: bool,
    pub(crate) then: Option<Box<Wanted>>,
    /// The parts of the response that the case looks at.
    pub(crate) looks: Looks,
}

/// The parts of a response that a case looks at and that need an action of the client.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Looks {
    /// The trailers, which HTTP/1 sends only to clients that send `TE: trailers`.
    pub(crate) at_trailers: bool,
    /// Whether there is a 100, for which a client waits before it sends the content.
    pub(crate) at_interim: bool,
    /// Whether the body arrives before its source has ended.
    pub(crate) at_first_bytes: bool,
}

impl Looks {
    pub(crate) fn of(expect: &Value) -> Looks {
        Looks {
            at_trailers: mentions(expect, "trailers"),
            at_interim: mentions(expect, "interim_100"),
            at_first_bytes: mentions(expect, "incremental"),
        }
    }
}

/// A header with another value in each of several requests.
#[derive(Clone, Debug)]
struct Vary {
    name: String,
    values: Values,
}

#[derive(Clone, Debug)]
enum Values {
    /// One value for each.
    List(Vec<String>),
    /// A text with the number of the request for `{n}`.
    Pattern(String),
}

impl Vary {
    fn value(&self, at: u64) -> String {
        let index = usize::try_from(at).unwrap_or(usize::MAX);
        match &self.values {
            Values::List(values) => values.get(index).cloned().unwrap_or_default(),
            Values::Pattern(pattern) => pattern.replace("{n}", &at.to_string()),
        }
    }
}

pub(crate) fn parse(spec: &Value) -> Check<Wanted> {
    known(spec, "request", &[&KEYS[..], &apps::CONTENT_KEYS].concat())?;
    typed(spec, "request")?;
    let is_latin_1 = match text(spec, "header_bytes") {
        None | Some("utf-8") => false,
        Some("latin-1") => true,
        Some(coding) => return unsupported(format!("header_bytes {coding:?}")),
    };
    let method = required(spec, "method")?;
    let Ok(method) = Method::from_bytes(method.as_bytes()) else {
        return unsupported(format!("{method:?} is not a method"));
    };
    let (times, is_concurrent) = times(spec)?;
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let then = spec.get("then_request").filter(|then| !then.is_null());
    Ok(Wanted {
        method,
        target: required(spec, "target")?.to_owned(),
        version: version(text(spec, "version"))?,
        headers: pairs(spec, "headers")?.into_iter().map(owned).collect(),
        is_latin_1,
        content: apps::content(spec)?,
        peer: peer(spec)?,
        local: local(spec)?,
        user: text(spec, "remote_user").map(str::to_owned),
        scheme: scheme(text(spec, "scheme"))?,
        script_name: text(spec, "script_name").unwrap_or_default().to_owned(),
        times,
        is_concurrent,
        vary: vary(spec, times)?,
        abort: spec.get("abort_after_first_chunk") == Some(&Value::Bool(true)),
        then: then.map(parse).transpose()?.map(Box::new),
        looks: Looks::default(),
    })
}

fn times(spec: &Value) -> Check<(u64, bool)> {
    match (spec.get("repeat"), spec.get("concurrent")) {
        (None, None) => Ok((1, false)),
        (Some(times), None) if times.as_u64() > Some(0) => Ok((times.as_u64().unwrap_or(1), false)),
        (None, Some(times)) if times.as_u64() > Some(0) => Ok((times.as_u64().unwrap_or(1), true)),
        (repeat, concurrent) => {
            unsupported(format!("repeat {repeat:?} and concurrent {concurrent:?}"))
        }
    }
}

fn vary(spec: &Value, times: u64) -> Check<Option<Vary>> {
    let Some(spec) = spec.get("vary_header").filter(|spec| !spec.is_null()) else {
        return Ok(None);
    };
    known(spec, "vary_header", &["name", "values", "pattern"])?;
    let values = match (spec.get("values"), text(spec, "pattern")) {
        (Some(list), None) => {
            let list: Vec<_> = texts(list)?.into_iter().map(str::to_owned).collect();
            if list.len() as u64 != times {
                return unsupported(format!("{times} requests with the headers {list:?}"));
            }
            Values::List(list)
        }
        (None, Some(pattern)) if pattern.contains("{n}") => Values::Pattern(pattern.to_owned()),
        _ => return unsupported(format!("vary_header {spec}")),
    };
    Ok(Some(Vary {
        name: required(spec, "name")?.to_owned(),
        values,
    }))
}

fn version(name: Option<&str>) -> Check<http::Version> {
    Ok(match name {
        None | Some("HTTP/1.1") => http::Version::HTTP_11,
        Some("HTTP/1.0") => http::Version::HTTP_10,
        Some(other) => return unsupported(format!("the version {other:?}")),
    })
}

fn scheme(name: Option<&str>) -> Check<enfilade::Scheme> {
    Ok(match name {
        None | Some("http") => enfilade::Scheme::Http,
        Some("https") => enfilade::Scheme::Https,
        Some(other) => return unsupported(format!("the scheme {other:?}")),
    })
}

/// The peer of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Any peer.
    Any,
    /// A peer without an address.
    UnixSocket,
    At(SocketAddr),
}

fn peer(spec: &Value) -> Check<Peer> {
    let Some(address) = text(spec, "remote_addr") else {
        return match spec.get("remote_port") {
            None => Ok(Peer::Any),
            Some(port) => unsupported(format!("remote_port {port} without remote_addr")),
        };
    };
    if address.starts_with("unix:") {
        return Ok(Peer::UnixSocket);
    }
    let port = number(spec, "remote_port").and_then(|port| u16::try_from(port).ok());
    match address.parse::<IpAddr>() {
        Ok(ip) => Ok(Peer::At((ip, port.unwrap_or(40_000)).into())),
        Err(_) => unsupported(format!("the remote address {address:?}")),
    }
}

/// Returns the local address; its name is that of this machine if it is not an address.
fn local(spec: &Value) -> Check<Option<SocketAddr>> {
    let Some(server) = text(spec, "server") else {
        return Ok(None);
    };
    match server.replace("localhost:", "127.0.0.1:").parse() {
        Ok(local) => Ok(Some(local)),
        Err(_) => unsupported(format!("the server {server:?}")),
    }
}

impl Wanted {
    /// Returns the requests to send: as many as the case says, each with its own value of the varying header.
    pub(crate) fn each(&self) -> impl Iterator<Item = Wanted> {
        (0..self.times).map(|at| {
            let mut wanted = self.clone();
            if let Some(vary) = &self.vary {
                let others = |(name, _): &(String, String)| !name.eq_ignore_ascii_case(&vary.name);
                wanted.headers.retain(others);
                wanted.headers.push((vary.name.clone(), vary.value(at)));
            }
            wanted
        })
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        !self.values(name).is_empty()
    }

    /// Returns a header's value as it is on the wire; a character outside Latin-1 becomes a question mark.
    pub(crate) fn bytes(&self, value: &str) -> Vec<u8> {
        match self.is_latin_1 {
            true => value
                .chars()
                .map(|shown| u8::try_from(shown).unwrap_or(b'?'))
                .collect(),
            false => value.as_bytes().to_vec(),
        }
    }

    /// Returns the values of all fields of this name, in order.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        let same = |(key, _): &&(String, String)| key.eq_ignore_ascii_case(name);
        let lines = self.headers.iter().filter(same);
        lines.map(|(_, value)| value.as_str()).collect()
    }
}
