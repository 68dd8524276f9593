//! Paths: percent-coding, and matching of a raw path against text.
//!
//! A path is split into segments before it is decoded, so `%2F` never makes a segment (RFC 3986, section 2.2), and
//! `/%66oo` is the same path as `/foo` (section 6.2.2.2). Everything that compares paths uses these functions, so that
//! an authorisation wrapper and a router cannot disagree.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// What a path may not contain as it is: all but the `pchar`s of RFC 3986, section 3.3, and `/`.
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

/// The same for one segment, in which `/` is coded too.
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

/// Percent-decodes a path or a part of one; `None` where the bytes are not UTF-8.
#[must_use]
pub fn decode_utf8(raw: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(raw).decode_utf8().ok()
}

/// Percent-encodes decoded text for the path of a URL; `/` stays.
///
/// ```
/// assert_eq!(enfilade_core::path::encode("/100%/a b?"), "/100%25/a%20b%3F");
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

/// Writes a raw path in the one form in which equal paths are equal strings.
///
/// Each segment is decoded and coded again, so that characters that need no coding have none and the rest is coded in
/// upper-case hexadecimal; the number of segments stays. Borrows where the path is in that form already.
///
/// ```
/// assert_eq!(enfilade_core::path::canonical("/%66oo/%e9%2f"), "/foo/%E9%2F");
/// ```
#[must_use]
pub fn canonical(raw: &str) -> Cow<'_, str> {
    if is_canonical(raw.as_bytes()) {
        return Cow::Borrowed(raw);
    }
    let mut path = String::with_capacity(raw.len() + 8);
    for (at, segment) in raw.split('/').enumerate() {
        if at > 0 {
            path.push('/');
        }
        path.extend(percent_encoding::percent_encode(
            &decode_bytes(segment),
            SEGMENT,
        ));
    }
    Cow::Owned(path)
}

/// How many bytes at the start of a raw path may stand in a segment as they are: up to a slash, a percent sign, or what
/// [`canonical`] would code.
///
/// ```
/// use enfilade_core::path::unreserved_prefix;
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

/// Codes what may not stand in a path or query as it is, a stray `%` included, and leaves all else as it is written.
///
/// A peer's target may have such characters; a URL that is made of it must not.
///
/// ```
/// assert_eq!(enfilade_core::path::encode_invalid("/%66oo/100%?q={x}"), "/%66oo/100%25?q=%7Bx%7D");
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

/// Takes the segments `.` and `..` out of a path (RFC 3986, section 5.2.4); `..` takes the segment before it too.
///
/// `..` at the root stays there. `%2E` is a dot and `%2F` is no slash. What stays is left as it is written, empty
/// segments among it: `/a/..//b` becomes `//b`, which in a `Location` is a host. Borrows where there is nothing to take
/// out.
///
/// ```
/// use enfilade_core::path::remove_dots;
///
/// assert_eq!(remove_dots("/a/./b/../c"), "/a/c");
/// assert_eq!(remove_dots("/a/%2e%2E/../../etc/"), "/etc/");
/// ```
#[must_use]
pub fn remove_dots(raw: &str) -> Cow<'_, str> {
    if raw.split('/').all(|segment| dots(segment).is_none()) {
        return Cow::Borrowed(raw);
    }
    let mut raw = raw;
    // Before the first segment of a relative path there is none to take out, so nothing stays of these.
    while let Some((_, rest)) = raw
        .split_once('/')
        .filter(|(first, _)| dots(first).is_some())
    {
        raw = rest;
    }
    let mut path = String::with_capacity(raw.len());
    let mut segments = raw.split('/').peekable();
    path.extend(segments.next().filter(|first| dots(first).is_none()));
    while let Some(segment) = segments.next() {
        match dots(segment) {
            None => path.extend(["/", segment]),
            Some(Dots::Here) => {}
            Some(Dots::Up) => path.truncate(path.rfind('/').unwrap_or(0)),
        }
        // `/a/.` and `/a/b/..` are the folder `/a/`.
        if dots(segment).is_some() && segments.peek().is_none() {
            path.push('/');
        }
    }
    Cow::Owned(path)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dots {
    Here,
    Up,
}

/// Which of `.` and `..` a segment is, if it is one.
fn dots<'a>(segment: &'a str) -> Option<Dots> {
    // A coded dot is the same character (RFC 3986, section 6.2.2.2), and whoever decodes before they look sees one.
    let after_dot = |text: &'a str| {
        let forms = [".", "%2E", "%2e"];
        forms.into_iter().find_map(|form| text.strip_prefix(form))
    };
    match after_dot(segment)? {
        "" => Some(Dots::Here),
        rest => after_dot(rest)?.is_empty().then_some(Dots::Up),
    }
}

/// Whether a byte may stand in a segment as it is (RFC 3986's `pchar` without `pct-encoded`).
///
/// Every byte of many a request's path is looked up, so it is a table.
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

/// Whether a path has only plain bytes and slashes, as nearly every path has.
fn is_canonical(path: &[u8]) -> bool {
    // Eight at a time, without a branch for each.
    let (eights, rest) = path.as_chunks::<8>();
    let is_plain = |byte: u8| PLAIN_OR_SLASH[usize::from(byte)];
    let all = |bytes: &[u8; 8]| bytes.iter().fold(true, |all, &byte| all & is_plain(byte));
    eights.iter().all(all) && rest.iter().all(|&byte| is_plain(byte))
}

/// How many bytes of the raw `path` the decoded `prefix` takes up, if it ends at a segment boundary.
///
/// The prefix is text: `/caf\u{e9}` matches `/caf%C3%A9`, and a `/` in it matches only a `/`, never `%2F`. A slash at
/// its end is not counted; an empty prefix and `/` match every path at 0.
///
/// ```
/// use enfilade_core::path::match_prefix;
///
/// assert_eq!(match_prefix("/api/users", "/api"), Some(4));
/// assert_eq!(match_prefix("/apis", "/api"), None);
/// ```
#[must_use]
pub fn match_prefix(path: &str, prefix: &str) -> Option<usize> {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let at_boundary = |rest: &&[u8]| matches!(rest, [] | [b'/', ..]);
    let same = path.strip_prefix(prefix).map(str::as_bytes);
    let decoded = || match_decoded(path.as_bytes(), prefix.as_bytes());
    let rest = same
        .filter(at_boundary)
        .or_else(|| decoded().filter(at_boundary))?;
    Some(path.len() - rest.len())
}

fn match_decoded<'a>(mut path: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    for &wanted in prefix {
        path = match *path {
            [b'%', high, low, ref rest @ ..]
                if wanted != b'/' && hex(high, low) == Some(wanted) =>
            {
                rest
            }
            [byte, ref rest @ ..] if byte == wanted && byte != b'%' => rest,
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
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_at_a_segment_boundary() {
        let cases = [
            ("/foo", "/foo", Some(4)),
            ("/foo/", "/foo", Some(4)),
            ("/foo/bar", "/foo/", Some(4)),
            ("/foobar", "/foo", None),
            ("/fo", "/foo", None),
            ("/x", "", Some(0)),
            ("/x", "/", Some(0)),
            ("", "/", Some(0)),
            ("*", "/", None),
            ("*", "/foo", None),
            ("/%66oo/x", "/foo", Some(6)),
            ("/foo%2Fbar", "/foo/bar", None),
            ("/foo%2Fbar", "/foo", None),
            ("/caf%c3%A9/x", "/café", Some(10)),
            ("/a%25", "/a%", Some(5)),
            ("/a%", "/a%", Some(3)),
            ("/%6", "/o", None),
        ];
        for (path, prefix, expected) in cases {
            assert_eq!(
                match_prefix(path, prefix),
                expected,
                "{path} under {prefix}"
            );
        }
    }

    #[test]
    fn equal_paths_have_one_canonical_form() {
        let cases = [
            ("/a/b", "/a/b"),
            ("/%61/%62", "/a/b"),
            ("/a%2fb", "/a%2Fb"),
            ("/%C3%a9", "/%C3%A9"),
            ("/é", "/%C3%A9"),
            ("/a%40b", "/a@b"),
            ("/a b", "/a%20b"),
            ("/100%", "/100%25"),
            ("//", "//"),
            ("*", "*"),
            ("", ""),
        ];
        for (raw, expected) in cases {
            assert_eq!(canonical(raw), expected, "{raw}");
            assert_eq!(canonical(expected), expected, "again: {raw}");
        }
        assert!(matches!(canonical("/plain/path-1.html"), Cow::Borrowed(_)));
    }

    #[test]
    fn dots_are_taken_out_and_nothing_above_the_root_is_reached() {
        let cases = [
            ("/a/b/c/./../../g", "/a/g"),
            ("mid/content=5/../6", "mid/6"),
            ("/a/./b", "/a/b"),
            ("/a/b/..", "/a/"),
            ("/a/b/.", "/a/b/"),
            ("/a/../", "/"),
            ("/..", "/"),
            ("/.", "/"),
            ("/../../..", "/"),
            ("/../../a/../../b", "/b"),
            ("/%2E%2e/README", "/README"),
            ("/a/.%2e/b", "/b"),
            ("/a/%2E./%2e/b", "/b"),
            ("/a/%2e", "/a/"),
            ("/a//../b", "/a/b"),
            ("/a/..//b", "//b"),
            ("/.//b", "//b"),
            ("/a/..%2Fb/../c", "/a/c"),
            ("/x%41/./%zz", "/x%41/%zz"),
            ("../a", "a"),
            ("./../a/..", "/"),
            ("a/../b", "/b"),
            ("..", ""),
            (".", ""),
            ("./", ""),
        ];
        for (raw, expected) in cases {
            assert_eq!(remove_dots(raw), expected, "{raw}");
            assert_eq!(remove_dots(expected), expected, "again: {raw}");
        }
        for raw in [
            "",
            "/",
            "*",
            "//",
            "/...",
            "/.a",
            "/a.",
            "/a..",
            "/%2E%2E%2E",
            "/%252e",
            "/a/..%2F",
        ] {
            assert!(
                matches!(remove_dots(raw), Cow::Borrowed(same) if same == raw),
                "{raw}"
            );
        }
    }

    #[test]
    fn only_what_is_not_allowed_is_coded() {
        let cases = [
            ("/a/b;c?d=e/f?g", "/a/b;c?d=e/f?g"),
            ("/%66%zz%", "/%66%25zz%25"),
            ("/é\"<>^`{|}", "/%C3%A9%22%3C%3E%5E%60%7B%7C%7D"),
            ("/%2f%E9", "/%2f%E9"),
        ];
        for (raw, expected) in cases {
            assert_eq!(encode_invalid(raw), expected);
            assert_eq!(encode_invalid(expected), expected);
        }
    }

    #[test]
    fn coding_round_trips() {
        for text in ["/a b", "/100%", "/a?b#c", "/é/ü", "/{x}|^`", "/a\u{0}b\nc"] {
            assert_eq!(decode(&encode(text)), text);
            assert_eq!(decode_utf8(&encode_segment(text)).unwrap(), text);
        }
        assert_eq!(encode_segment("a/b"), "a%2Fb");
        assert_eq!(decode("%ff"), "\u{fffd}");
        assert_eq!(decode_utf8("%ff"), None);
        assert_eq!(&decode_bytes("a%ff")[..], b"a\xff");
    }
}
