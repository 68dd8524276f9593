//! Paths: percent-encoding, the canonical form, and matching against text.
//!
//! The gateway makes a path canonical once ([`canonical`] has the table). Everything that compares paths reads that one
//! string, so an authorisation wrapper and a router cannot disagree.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// Characters that a path may not contain unencoded: all except the `pchar`s of RFC 3986, section 3.3, and `/`.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The same for one segment, in which `/` is encoded too.
const SEGMENT: &AsciiSet = &PATH.add(b'/');

/// Percent-decodes a path or a part of one; bytes that are not UTF-8 become U+FFFD.
#[must_use]
pub fn decode(raw: &str) -> Cow<'_, str> {
    percent_decode_str(raw).decode_utf8_lossy()
}

/// Percent-decodes a path or a part of one to bytes.
#[must_use]
pub fn decode_bytes(raw: &str) -> Cow<'_, [u8]> {
    percent_decode_str(raw).into()
}

/// Percent-decodes a path or a part of one; `None` if the bytes are not UTF-8.
#[must_use]
pub fn decode_utf8(raw: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(raw).decode_utf8().ok()
}

/// Percent-encodes decoded text for the path of a URL; `/` stays.
///
/// ```
/// # use enfilade_core as enfilade;
/// assert_eq!(enfilade::path::encode("/100%/a b?"), "/100%25/a%20b%3F");
/// ```
#[must_use]
pub fn encode(text: &str) -> Cow<'_, str> {
    utf8_percent_encode(text, PATH).into()
}

/// Percent-encodes decoded text for one segment of a path; `/` becomes `%2F`.
#[must_use]
pub fn encode_segment(text: &str) -> Cow<'_, str> {
    utf8_percent_encode(text, SEGMENT).into()
}

/// Makes a path canonical: the one form of it that is compared.
///
/// Every gateway does so once, for [`Request::path`](crate::Request::path). Nothing decodes a path again to compare it.
/// Borrows if the path is canonical already, as nearly every path is.
///
/// | received | canonical | why |
/// |---|---|---|
/// | `/%66oo`, `/%7Ea` | `/foo`, `/~a` | unreserved characters are decoded (RFC 3986, section 6.2.2.2) |
/// | `/a%2fb`, `/a%40b` | `/a%2Fb`, `/a%40b` | others are not: encoded, they mean something else (section 2.2); hexadecimal digits are capitals (section 6.2.2.1) |
/// | `/a/./b/../c`, `/a/%2e%2E/b` | `/a/c`, `/b` | dot segments are resolved (section 6.2.2.3); above the root there is nothing |
/// | `/a/..`, `/a/.` | `/`, `/a/` | (section 5.2.4) |
/// | `//a//b`, `/a/..//b` | `//a//b`, `//b` | empty segments are segments |
/// | `/a\b`, `/a%5cb` | `/a%5Cb` | a backslash is not a separator, unlike in the URL standard |
/// | `/é`, `/{x}`, `/100%` | `/%C3%A9`, `/%7Bx%7D`, `/100%25` | characters that a path may not contain are encoded |
/// | `/%00`, `/%FF` | `/%00`, `/%FF` | NUL, and bytes that are not UTF-8, stay encoded: no text matches them |
/// | `*`, and the empty path | the same | they are not paths |
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::path;
///
/// assert_eq!(path::canonical("/%66oo/%e9%2f/../a%2fb"), "/foo/a%2Fb");
/// ```
#[must_use]
pub fn canonical(raw: &str) -> Cow<'_, str> {
    if is_canonical(raw.as_bytes()) {
        return Cow::Borrowed(raw);
    }
    let coded = canonical_coding(raw);
    Cow::Owned(match coded.strip_prefix('/') {
        Some(segments) if segments.split('/').any(is_dot_segment) => resolve_dots(segments),
        _ => coded,
    })
}

/// Encodes and decodes as [`canonical`] does, and leaves the segments as they are.
fn canonical_coding(raw: &str) -> String {
    let mut path = String::with_capacity(raw.len() + 8);
    let mut rest = raw.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let decoded = match *after {
            [high, low, ref after @ ..] if byte == b'%' => hex(high, low).inspect(|_| rest = after),
            _ => None,
        };
        match decoded.unwrap_or(byte) {
            byte if is_unreserved(byte) => path.push(char::from(byte)),
            byte if decoded.is_none() && is_plain_or_slash(byte) => path.push(char::from(byte)),
            byte => path.push_str(percent_encoding::percent_encode_byte(byte)),
        }
    }
    path
}

/// Resolves the segments `.` and `..` (RFC 3986, section 5.2.4) in the part after the first slash of a path.
fn resolve_dots(segments: &str) -> String {
    let mut resolved = String::with_capacity(segments.len() + 1);
    let mut segments = segments.split('/').peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." => {}
            ".." => resolved.truncate(resolved.rfind('/').unwrap_or(0)),
            _ => resolved.extend(["/", segment]),
        }
        // `/a/.` and `/a/b/..` are the folder `/a/`.
        if is_dot_segment(segment) && segments.peek().is_none() {
            resolved.push('/');
        }
    }
    resolved
}

/// Whether a segment is `.` or `..`; encoded dots are decoded before.
fn is_dot_segment(segment: &str) -> bool {
    matches!(segment, "." | "..")
}

/// Whether a character means the same encoded and unencoded (RFC 3986, section 2.3).
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// The number of bytes at the start of a raw path that are valid unencoded in a segment.
///
/// It stops at a slash, a percent sign, or a byte that [`canonical`] would encode.
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::path::unreserved_prefix;
///
/// assert_eq!(unreserved_prefix(b"a.b/c"), 3);
/// assert_eq!(unreserved_prefix(b"100%25"), 3);
/// ```
#[must_use]
#[inline]
pub fn unreserved_prefix(raw: &[u8]) -> usize {
    let end = raw.iter().position(|&byte| !is_plain(byte));
    end.unwrap_or(raw.len())
}

/// Encodes characters that a path or query may not contain, and a stray `%`.
///
/// The rest stays as written.
///
/// A peer's target may contain such characters, but a URL made from it must not.
///
/// ```
/// # use enfilade_core as enfilade;
/// assert_eq!(enfilade::path::encode_invalid("/%66oo/100%?q={x}"), "/%66oo/100%25?q=%7Bx%7D");
/// ```
#[must_use]
pub fn encode_invalid(raw: &str) -> Cow<'_, str> {
    let bytes = raw.as_bytes();
    let is_coded = |at: usize| {
        bytes
            .get(at + 1)
            .zip(bytes.get(at + 2))
            .is_some_and(|(&high, &low)| hex(high, low).is_some())
    };
    let stays = |at: usize, byte: u8| {
        is_plain(byte) || b"/?".contains(&byte) || (byte == b'%' && is_coded(at))
    };
    if bytes.iter().enumerate().all(|(at, &byte)| stays(at, byte)) {
        return Cow::Borrowed(raw);
    }
    let mut repaired = String::with_capacity(raw.len() + 8);
    for (at, &byte) in bytes.iter().enumerate() {
        match stays(at, byte) {
            true => repaired.push(char::from(byte)),
            false => repaired.push_str(percent_encoding::percent_encode_byte(byte)),
        }
    }
    Cow::Owned(repaired)
}

/// Whether a byte may stand unencoded in a segment (`pchar` of RFC 3986, without `pct-encoded`).
///
/// A table, because the bytes of many request paths are looked up in it.
static PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let plain = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@";
    let mut at = 0;
    while at < plain.len() {
        table[plain[at] as usize] = true;
        at += 1;
    }
    table
};

static PLAIN_OR_SLASH: [bool; 256] = {
    let mut table = PLAIN;
    table[b'/' as usize] = true;
    table
};

fn is_plain(byte: u8) -> bool {
    PLAIN[usize::from(byte)]
}

fn is_plain_or_slash(byte: u8) -> bool {
    PLAIN_OR_SLASH[usize::from(byte)]
}

/// Whether a path is canonical, as nearly every path is: most have only plain bytes and slashes, and no dot after a
/// slash.
fn is_canonical(path: &[u8]) -> bool {
    // Eight bytes at a time, without a branch for each.
    let (eights, rest) = path.as_chunks::<8>();
    let all = |bytes: &[u8; 8]| {
        let bytes = bytes.iter();
        bytes.fold(true, |all, &byte| all & is_plain_or_slash(byte))
    };
    let is_plain = eights.iter().all(all) && rest.iter().copied().all(is_plain_or_slash);
    is_plain && !path.windows(2).any(|pair| pair == b"/.") || is_canonical_as_coded(path)
}

/// The same for a path with encoded characters or with dots.
#[cold]
fn is_canonical_as_coded(path: &[u8]) -> bool {
    let mut rest = path;
    while let Some((&byte, after)) = rest.split_first() {
        rest = match *after {
            [high, low, ref after @ ..] if byte == b'%' => {
                let is_capital = |digit: u8| digit.is_ascii_digit() || digit.is_ascii_uppercase();
                let coded = hex(high, low).filter(|_| is_capital(high) && is_capital(low));
                match coded {
                    Some(byte) if !is_unreserved(byte) => after,
                    _ => return false,
                }
            }
            _ if is_plain_or_slash(byte) => after,
            _ => return false,
        };
    }
    let mut segments = path.split(|byte| *byte == b'/');
    path.first() != Some(&b'/') || !segments.any(|segment| matches!(segment, b"." | b".."))
}

/// The number of bytes of a canonical path that the prefix covers, if it ends at a segment boundary.
///
/// The prefix is text: `/caf\u{e9}` matches `/caf%C3%A9`. A character that a path may contain unencoded, such as `/` or
/// `@`, matches only itself, never `%2F` or `%40`. A slash at the prefix's end is not counted. An empty prefix and `/`
/// match every path, with length 0.
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::path::match_prefix;
///
/// assert_eq!(match_prefix("/api/users", "/api"), Some(4));
/// assert_eq!(match_prefix("/apis", "/api"), None);
/// ```
#[must_use]
pub fn match_prefix(path: &str, prefix: &str) -> Option<usize> {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let rest = strip_text(path.as_bytes(), prefix.as_bytes())?;
    matches!(rest, [] | [b'/', ..]).then_some(path.len() - rest.len())
}

/// The rest of a canonical path after a text at its front.
fn strip_text<'a>(mut path: &'a [u8], text: &[u8]) -> Option<&'a [u8]> {
    for &wanted in text {
        path = match *path {
            [byte, ref rest @ ..] if byte == wanted && is_plain_or_slash(byte) => rest,
            [b'%', high, low, ref rest @ ..]
                if !is_plain_or_slash(wanted) && hex(high, low) == Some(wanted) =>
            {
                rest
            }
            _ => return None,
        };
    }
    Some(path)
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests;
