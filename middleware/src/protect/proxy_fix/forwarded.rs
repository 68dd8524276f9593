//! The header `Forwarded` (RFC 7239, section 4), parsed from its end.
//!
//! Each proxy appends its element, so the last elements come from the nearest proxies, and text from a client comes
//! before them. Parsing from the end means that nothing a client writes, such as an unclosed quote, can change how the
//! elements of the proxies are parsed.

use std::borrow::Cow;

use enfilade_core::headers::is_token_byte;
use http::HeaderMap;
use http::header::FORWARDED;

/// An element of `Forwarded` (RFC 7239, section 4): the facts from one proxy about a request.
///
/// The values are as the proxy wrote them, without quotes and escapes. Only their characters are checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForwardedElement<'a> {
    for_node: Option<Cow<'a, str>>,
    by_node: Option<Cow<'a, str>>,
    host: Option<Cow<'a, str>>,
    proto: Option<Cow<'a, str>>,
}

impl ForwardedElement<'_> {
    /// Returns `for`: the client of the proxy (RFC 7239, section 5.2).
    #[must_use]
    pub fn for_node(&self) -> Option<&str> {
        self.for_node.as_deref()
    }

    /// Returns `by`: the interface of the proxy that received the request (section 5.1).
    #[must_use]
    pub fn by_node(&self) -> Option<&str> {
        self.by_node.as_deref()
    }

    /// Returns `host`: the host that the client of the proxy requested (section 5.3).
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// Returns `proto`: the scheme that the client of the proxy used (section 5.4).
    #[must_use]
    pub fn proto(&self) -> Option<&str> {
        self.proto.as_deref()
    }
}

/// Parses all elements of `Forwarded`, the first proxy's first; `None` if one is malformed.
///
/// All field values are read as one list. Names of parameters are compared without case; unknown parameters are
/// ignored. White space around a semicolon, which proxies write, and empty list members are allowed. Do not trust the
/// result: see [`ProxyFix`](crate::ProxyFix) for which peers to trust.
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::http::{HeaderMap, HeaderValue, header::FORWARDED};
/// use enfilade::middleware::parse_forwarded;
///
/// let mut headers = HeaderMap::new();
/// headers.insert(FORWARDED, HeaderValue::from_static("for=\"[2001:db8::17]:4711\";Proto=https, for=_hidden"));
/// let elements = parse_forwarded(&headers).unwrap();
/// assert_eq!(elements[0].for_node(), Some("[2001:db8::17]:4711"));
/// assert_eq!(elements[0].proto(), Some("https"));
/// assert_eq!(elements[1].for_node(), Some("_hidden"));
/// ```
#[must_use]
pub fn parse_forwarded(headers: &HeaderMap) -> Option<Vec<ForwardedElement<'_>>> {
    let mut elements: Vec<_> = elements(headers).collect::<Result<_, _>>().ok()?;
    elements.reverse();
    Some(elements)
}

/// A malformed element; the elements before it cannot be separated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Returns the elements, the nearest proxy's first; a malformed element is the last of its field value.
pub(super) fn elements(
    headers: &HeaderMap,
) -> impl Iterator<Item = Result<ForwardedElement<'_>, Malformed>> {
    let lines = headers.get_all(FORWARDED).into_iter().rev();
    lines.flat_map(|line| Elements {
        rest: Some(line.as_bytes()),
    })
}

struct Elements<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<ForwardedElement<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(rest) = self.rest.take() {
            let Some((before, element)) = split_last(rest) else {
                return Some(Err(Malformed));
            };
            self.rest = before;
            let element = element.trim_ascii();
            // A list may have empty members, which are ignored (RFC 9110, section 5.6.1.2).
            if element.is_empty() {
                continue;
            }
            let element = parse_element(element).ok_or(Malformed);
            if element.is_err() {
                self.rest = None;
            }
            return Some(element);
        }
        None
    }
}

/// Returns the last member and the text before its comma; `None` if a quoted string has no start.
fn split_last(line: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let mut end = line.len();
    while let Some((&last, before)) = line.get(..end)?.split_last() {
        match last {
            b',' => return Some((Some(before), line.get(end..)?)),
            b'"' => end = opening(before)?,
            _ => end = before.len(),
        }
    }
    Some((None, line))
}

/// Finds the start of the quoted string that ends `text`: the last quote that is not escaped.
fn opening(mut text: &[u8]) -> Option<usize> {
    loop {
        let at = text.iter().rposition(|&byte| byte == b'"')?;
        text = text.get(..at)?;
        let escapes = text.iter().rev().take_while(|&&byte| byte == b'\\').count();
        if escapes % 2 == 0 {
            return Some(at);
        }
    }
}

/// Parses `[ forwarded-pair ] *( ";" [ forwarded-pair ] )`.
fn parse_element(mut text: &[u8]) -> Option<ForwardedElement<'_>> {
    let mut element = ForwardedElement::default();
    loop {
        text = match text.trim_ascii() {
            [] => return Some(element),
            [b';', rest @ ..] => rest,
            pair => {
                let (name, value, rest) = parse_pair(pair)?;
                let mut unknown = None;
                let slot = match name {
                    _ if name.eq_ignore_ascii_case(b"for") => &mut element.for_node,
                    _ if name.eq_ignore_ascii_case(b"by") => &mut element.by_node,
                    _ if name.eq_ignore_ascii_case(b"host") => &mut element.host,
                    _ if name.eq_ignore_ascii_case(b"proto") => &mut element.proto,
                    _ => &mut unknown,
                };
                // A parameter occurs once (section 4); with two, parsers could disagree.
                if slot.replace(value).is_some() {
                    return None;
                }
                match rest.trim_ascii() {
                    [] => return Some(element),
                    [b';', rest @ ..] => rest,
                    _ => return None,
                }
            }
        };
    }
}

/// Parses `token "=" ( token / quoted-string )`, and returns the rest too.
fn parse_pair(text: &[u8]) -> Option<(&[u8], Cow<'_, str>, &[u8])> {
    let (name, rest) = split_token(text)?;
    let rest = rest.strip_prefix(b"=")?;
    if let Some(quoted) = rest.strip_prefix(b"\"") {
        let (value, rest) = parse_quoted(quoted)?;
        return Some((name, value, rest));
    }
    let (value, rest) = split_token(rest)?;
    Some((name, std::str::from_utf8(value).ok()?.into(), rest))
}

/// Splits off the token (RFC 9110, section 5.6.2) at the start.
fn split_token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|byte| !is_token_byte(*byte));
    let (token, rest) = text.split_at_checked(end.unwrap_or(text.len()))?;
    (!token.is_empty()).then_some((token, rest))
}

/// Parses a quoted string (RFC 9110, section 5.6.4) after its opening quote; returns its content and the rest.
fn parse_quoted(text: &[u8]) -> Option<(Cow<'_, str>, &[u8])> {
    let end = text.iter().position(|byte| b"\"\\".contains(byte))?;
    if let Some((plain, [b'"', rest @ ..])) = text.split_at_checked(end) {
        return Some((std::str::from_utf8(plain).ok()?.into(), rest));
    }
    let (mut content, mut rest) = (Vec::new(), text);
    loop {
        rest = match *rest {
            [b'"', ref rest @ ..] => return Some((String::from_utf8(content).ok()?.into(), rest)),
            [] | [b'\\'] => return None,
            [b'\\', byte, ref rest @ ..] | [byte, ref rest @ ..] => {
                content.push(byte);
                rest
            }
        };
    }
}
