//! The laws as functions of plain values: each returns a description of the fault, or nothing.

use enfilade_core::gateway::HOP_BY_HOP;
use enfilade_core::headers::allows_content;
use http::header::{ALLOW, CONTENT_LENGTH, PROXY_AUTHENTICATE, UPGRADE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, Method, StatusCode};

/// How a response's status and the request's method determine its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// No body is allowed (RFC 9110, sections 6.4.1 and 15.3.6).
    Forbidden,
    /// It may be the body of GET; the gateway drops it (RFC 9110, section 9.3.2).
    Unsent,
    /// It is sent.
    Sent,
}

pub(super) fn content(method: &Method, status: StatusCode) -> Content {
    if !allows_content(status) {
        Content::Forbidden
    } else if method == Method::HEAD {
        Content::Unsent
    } else {
        Content::Sent
    }
}

/// Law 1 for one request; `received` is the path of its target.
pub(super) fn path(script_name: &str, path: &str, canonical: &str) -> Option<String> {
    if !(path.is_empty() || path.starts_with('/') || path == "*") {
        return Some(format!(
            "path is {path:?}, which does not begin with a slash"
        ));
    }
    if !(script_name.is_empty() || script_name.starts_with('/')) {
        let what = "which does not begin with a slash";
        return Some(format!("script_name is {script_name:?}, {what}"));
    }
    if !format!("{script_name}{path}").ends_with(canonical) {
        return Some(format!(
            "script_name {script_name:?} and path {path:?} are not the canonical path, {canonical:?}"
        ));
    }
    None
}

/// Law 1 between two `Lint`s: what an outer mount consumed stays consumed.
pub(super) fn mounts(outer: &str, inner: &str) -> Option<String> {
    let message = || {
        format!(
            "script_name was {outer:?} further out and is {inner:?} now: mount a path with \
             `Request::mount`, do not cut it with `set_uri`"
        )
    };
    (!inner.contains(outer)).then(message)
}

/// The one number in `Content-Length`, or a description of the fault (RFC 9110, section 8.6).
pub(super) fn content_length(headers: &HeaderMap) -> Result<Option<u64>, String> {
    let values: Vec<_> = headers.get_all(CONTENT_LENGTH).iter().collect();
    match values[..] {
        [] => Ok(None),
        [value] => {
            let text = value.to_str().unwrap_or_default();
            // `parse` alone would accept a plus sign.
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            let number = text.parse().ok().filter(|_| digits);
            let wrong = || format!("Content-Length is {value:?}, which is not one number");
            number.map(Some).ok_or_else(wrong)
        }
        _ => Err(format!("there are {} Content-Length headers", values.len())),
    }
}

/// Law 2 for a body whose length is known.
pub(super) fn length(said: Option<u64>, known: Option<u64>) -> Option<String> {
    let (said, known) = (said?, known?);
    (said != known).then(|| format!("Content-Length is {said} and the body has {}", bytes(known)))
}

/// Law 2 for a response without content.
pub(super) fn no_content(
    status: StatusCode,
    headers: &HeaderMap,
    known: Option<u64>,
) -> Option<String> {
    let status_is = status.as_u16();
    if let Some(known) = known.filter(|&known| known > 0) {
        return Some(format!(
            "a {status_is} has no body, and this one has {}",
            bytes(known)
        ));
    }
    // RFC 9110, section 8.6; a 304 has the length that the 200 would have.
    let no_length = status.is_informational() || status == StatusCode::NO_CONTENT;
    if no_length && headers.contains_key(CONTENT_LENGTH) {
        return Some(format!(
            "a {status_is} has no body, and so no Content-Length"
        ));
    }
    content_length(headers).err()
}

/// Law 3: the gateway writes headers about the connection, for a 101 too.
pub(super) fn hop_by_hop(
    status: StatusCode,
    headers: &HeaderMap,
    is_upgrade: bool,
) -> Option<String> {
    if status == StatusCode::SWITCHING_PROTOCOLS && !is_upgrade {
        let what = "the body of a 101 is not an upgrade, so no gateway can send it";
        return Some(format!("{what}: use `Upgrade::respond`"));
    }
    let name = headers.keys().find(|name| is_hop_by_hop(status, name))?;
    Some(format!(
        "the response has the header {name}, which only the gateway may set"
    ))
}

/// Headers about proxies are hop-by-hop too, except `Proxy-Status` (RFC 9209) and those that a 407 or a 426 must have.
fn is_hop_by_hop(status: StatusCode, name: &HeaderName) -> bool {
    if name == "proxy-status" || required_by(status).is_some_and(|(required, _)| name == required) {
        return false;
    }
    HOP_BY_HOP.contains(name) || name.as_str().starts_with("proxy-")
}

/// Law 9 for one response.
pub(super) fn required(status: StatusCode, headers: &HeaderMap) -> Option<String> {
    let (name, section) = required_by(status)?;
    (!headers.contains_key(&name)).then(|| {
        format!(
            "a {} must have the header {name} (RFC 9110, section {section})",
            status.as_u16()
        )
    })
}

/// The header that every response with this status must have, and the section of RFC 9110 that requires it.
fn required_by(status: StatusCode) -> Option<(HeaderName, &'static str)> {
    match status {
        StatusCode::UNAUTHORIZED => Some((WWW_AUTHENTICATE, "15.5.2")),
        StatusCode::METHOD_NOT_ALLOWED => Some((ALLOW, "15.5.6")),
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => Some((PROXY_AUTHENTICATE, "15.5.8")),
        StatusCode::UPGRADE_REQUIRED => Some((UPGRADE, "15.5.22")),
        _ => None,
    }
}

pub(super) fn bytes(number: u64) -> String {
    format!("{number} byte{}", if number == 1 { "" } else { "s" })
}
