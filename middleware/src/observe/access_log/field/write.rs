//! Writes the values of fields.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use enfilade_core::Head;
use http::header::COOKIE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};

use super::{Context, unquoted};
use crate::shared::escape::EscapeWriter;
use crate::shared::header_values::SCAN_LIMIT;
use crate::shared::redaction::Visibility;

/// The request line with the target as received; nothing is decoded.
pub(super) fn request_line(line: &mut Vec<u8>, head: &Head, context: &Context<'_>) {
    let uri = head.uri();
    let (syntax, redaction) = (context.syntax, context.redaction);
    method(line, head.method());
    line.push(b' ');
    // HTTP/2 and 3 have no request line, but a pseudo-header for each part; a request line would usually have the path.
    let is_path = uri.authority().is_none() || head.version() > Version::HTTP_11;
    match uri.path_and_query().filter(|_| is_path) {
        Some(target) => {
            redaction.write_url(line, target.as_str().as_bytes(), unquoted(syntax, true));
        }
        None if redaction.is_of_urls() => {
            redaction.write_url(line, uri.to_string().as_bytes(), unquoted(syntax, true));
        }
        None => {
            write!(EscapeWriter(syntax, line), "{uri}").expect("memory takes all that is written")
        }
    }
    line.push(b' ');
    protocol(line, head);
}

/// A token needs no escapes (RFC 9110, section 5.6.2).
pub(super) fn method(line: &mut Vec<u8>, method: &Method) {
    match *method {
        // Copying a fixed number of bytes compiles to no function call.
        Method::GET => line.extend_from_slice(b"GET"),
        Method::POST => line.extend_from_slice(b"POST"),
        _ => line.extend_from_slice(method.as_str().as_bytes()),
    }
}

pub(super) fn protocol(line: &mut Vec<u8>, head: &Head) {
    // All of them have the same length.
    match head.protocol().as_bytes().first_chunk::<8>() {
        Some(text) if head.protocol().len() == 8 => line.extend_from_slice(text),
        _ => line.extend_from_slice(head.protocol().as_bytes()),
    }
}

pub(super) fn query(line: &mut Vec<u8>, query: Option<&str>, context: &Context<'_>) {
    if let Some(query) = query {
        line.push(b'?');
        let write = unquoted(context.syntax, false);
        context.redaction.write_query(line, query.as_bytes(), write);
    }
}

/// All values of a header, joined by commas as in RFC 9110, section 5.3.
pub(super) fn header(
    line: &mut Vec<u8>,
    headers: &HeaderMap,
    (name, shown): (&HeaderName, Visibility),
    context: &Context<'_>,
) {
    // Comparing a few names takes less time than a lookup, and most requested headers are missing.
    if headers.len() <= SCAN_LIMIT && headers.keys().all(|other| other != name) {
        return;
    }
    let Some(first) = headers.get(name) else {
        return;
    };
    let shown = as_shown(line, first, shown, context);
    // Further values exist only if some header is repeated; the number of secret values is not shown.
    if headers.len() > headers.keys_len() && shown != Visibility::Nothing {
        for value in headers.get_all(name).into_iter().skip(1) {
            line.extend_from_slice(b", ");
            if as_shown(line, value, shown, context) == Visibility::Nothing {
                return;
            }
        }
    }
}

/// Appends one value, and returns how much of it was shown: nothing if a component marked it as sensitive.
fn as_shown(
    line: &mut Vec<u8>,
    value: &HeaderValue,
    shown: Visibility,
    context: &Context<'_>,
) -> Visibility {
    let shown = match value.is_sensitive() {
        true => Visibility::Nothing,
        false => shown,
    };
    let write = unquoted(context.syntax, false);
    context
        .redaction
        .write(line, value.as_bytes(), shown, write);
    shown
}

/// The host alone; the gateway has checked that it is valid.
pub(super) fn without_port(host: &str) -> &str {
    let length = match host.bytes().rposition(|byte| matches!(byte, b':' | b']')) {
        Some(at) if host.as_bytes().get(at) == Some(&b':') => at,
        _ => host.len(),
    };
    host.get(..length).unwrap_or(host)
}

/// The first cookie with this name (RFC 6265, section 4.2.1).
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let lines = headers.get_all(COOKIE).into_iter();
    let mut pairs = lines.flat_map(|line| line.as_bytes().split(|&byte| byte == b';'));
    pairs.find_map(|pair| {
        let at = pair.iter().position(|&byte| byte == b'=')?;
        let (found, value) = pair.split_at_checked(at)?;
        let value = value.split_first()?.1;
        (found.trim_ascii() == name.as_bytes()).then_some(value.trim_ascii())
    })
}

/// Each octet as digits followed by a dot, and the number of bytes.
pub(super) const OCTETS: [[u8; 5]; 256] = {
    let mut all = [[b'.'; 5]; 256];
    let mut octet = 0;
    while octet < all.len() {
        let digits = [octet / 100, octet / 10 % 10, octet % 10];
        let mut at = if octet >= 100 {
            0
        } else if octet >= 10 {
            1
        } else {
            2
        };
        let mut length = 0;
        while at < digits.len() {
            all[octet][length] = b'0' + digits[at] as u8;
            at += 1;
            length += 1;
        }
        all[octet][4] = length as u8 + 1;
        octet += 1;
    }
    all
};

pub(super) fn address(line: &mut Vec<u8>, address: Option<IpAddr>) {
    match address {
        // The usual case needs no formatter.
        Some(IpAddr::V4(address)) => {
            for octet in address.octets() {
                let [text @ .., length] = OCTETS[usize::from(octet)];
                let end = line.len() + usize::from(length);
                line.extend_from_slice(&text);
                line.truncate(end);
            }
            // Removes the last dot.
            line.pop();
        }
        Some(IpAddr::V6(address)) => {
            write!(line, "{address}").expect("memory takes all that is written");
        }
        None => {}
    }
}

pub(super) fn number(line: &mut Vec<u8>, number: impl itoa::Integer) {
    line.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// In microseconds; an overflow, after half a million years, is the maximum.
pub(super) fn micros(time: Duration) -> u64 {
    let whole = time.as_secs().saturating_mul(1_000_000);
    whole.saturating_add(u64::from(time.subsec_micros()))
}
