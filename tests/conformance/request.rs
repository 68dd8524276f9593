//! The request of a case.

use std::net::{IpAddr, SocketAddr};

use http::Method;
use serde_json::Value;

use crate::apps::{self, Content};
use crate::case::{known, number, pairs, required, text};
use crate::verdict::{Check, unsupported};

const KEYS: [&str; 20] = [
    "method",
    "target",
    "headers",
    "body",
    "body_b64",
    "body_chunks",
    "body_repeat",
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
    pub(crate) repeat: u64,
    pub(crate) abort: bool,
    pub(crate) then: Option<Box<Wanted>>,
    /// Whether the case looks at the trailers of the answer, which HTTP/1 sends to those only who say that they take them.
    pub(crate) expects_trailers: bool,
}

pub(crate) fn parse(spec: &Value) -> Check<Wanted> {
    known(spec, "request", &KEYS)?;
    let is_latin_1 = match text(spec, "header_bytes") {
        None | Some("utf-8") => false,
        Some("latin-1") => true,
        Some(coding) => return unsupported(format!("header_bytes {coding:?}")),
    };
    let method = required(spec, "method")?;
    let Ok(method) = Method::from_bytes(method.as_bytes()) else {
        return unsupported(format!("{method:?} is no method"));
    };
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
        repeat: number(spec, "repeat").unwrap_or(1),
        abort: spec.get("abort_after_first_chunk") == Some(&Value::Bool(true)),
        then: then.map(parse).transpose()?.map(Box::new),
        expects_trailers: false,
    })
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

/// Who is at the other end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Whoever it is.
    Any,
    /// One without an address.
    UnixSocket,
    At(SocketAddr),
}

fn peer(spec: &Value) -> Check<Peer> {
    let Some(address) = text(spec, "remote_addr") else {
        return Ok(Peer::Any);
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

/// The address of this end, whose name is that of this machine where it is none.
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
    pub(crate) fn has(&self, name: &str) -> bool {
        !self.values(name).is_empty()
    }

    /// A header's value as it is on the wire; what Latin-1 does not have is a question mark.
    pub(crate) fn bytes(&self, value: &str) -> Vec<u8> {
        match self.is_latin_1 {
            true => value
                .chars()
                .map(|shown| u8::try_from(shown).unwrap_or(b'?'))
                .collect(),
            false => value.as_bytes().to_vec(),
        }
    }

    /// The values of all lines by this name, in order.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        let same = |(key, _): &&(String, String)| key.eq_ignore_ascii_case(name);
        let lines = self.headers.iter().filter(same);
        lines.map(|(_, value)| value.as_str()).collect()
    }
}
