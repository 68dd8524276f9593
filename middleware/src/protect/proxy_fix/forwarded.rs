//! The header `Forwarded` (RFC 7239, section 4), read from its end.
//!
//! Each proxy adds its element at the end, so the last ones are those of the proxies that are nearest, and whatever a
//! client wrote stands before them. To read from the end means that nothing a client writes, such as a quote that it
//! does not close, can change how the elements of the proxies are read.

use std::borrow::Cow;

use enfilade_core::headers::is_token_byte;
use http::HeaderMap;
use http::header::FORWARDED;

/// What one proxy says of a request that it forwarded: an element of `Forwarded` (RFC 7239, section 4).
///
/// The values are as the proxy wrote them, without quotes and escapes; nothing is known of them but their characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForwardedElement<'a> {
    for_node: Option<Cow<'a, str>>,
    by_node: Option<Cow<'a, str>>,
    host: Option<Cow<'a, str>>,
    proto: Option<Cow<'a, str>>,
}

impl ForwardedElement<'_> {
    /// `for`: who asked the proxy (RFC 7239, section 5.2).
    #[must_use]
    pub fn for_node(&self) -> Option<&str> {
        self.for_node.as_deref()
    }

    /// `by`: where the proxy was asked (section 5.1).
    #[must_use]
    pub fn by_node(&self) -> Option<&str> {
        self.by_node.as_deref()
    }

    /// `host`: the host that the proxy was asked for (section 5.3).
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// `proto`: the scheme that the proxy was asked by (section 5.4).
    #[must_use]
    pub fn proto(&self) -> Option<&str> {
        self.proto.as_deref()
    }
}

/// The elements of `Forwarded`, over all its lines, the first proxy's first; `None` where one of them is malformed.
///
/// Names of parameters are compared without regard to case; those that RFC 7239 does not define are passed over. White
/// space around a semicolon is, too, as proxies write it, and empty members of the list. None of it can be relied on:
/// see [`ProxyFix`](crate::ProxyFix) for who may be believed.
///
/// ```
/// use enfilade_middleware::parse_forwarded;
/// use http::{HeaderMap, HeaderValue, header::FORWARDED};
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

/// What is no element; whatever stands before it cannot be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// The elements, the nearest proxy's first; the first one that is malformed is the last of its line.
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
            // A list may have empty members, which say nothing (RFC 9110, section 5.6.1.2).
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

/// The last member of a line, and what stands before its comma; `None` where a quoted string has no beginning.
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

/// Where the quoted string begins whose content is the end of `text`: at the last quote that is not escaped.
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

/// Reads `[ forwarded-pair ] *( ";" [ forwarded-pair ] )`.
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
                // A parameter occurs once (section 4), and with two of them readers would differ.
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

/// Reads `token "=" ( token / quoted-string )`, and gives what comes after it.
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

/// The token (RFC 9110, section 5.6.2) at the beginning.
fn split_token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|byte| !is_token_byte(*byte));
    let (token, rest) = text.split_at_checked(end.unwrap_or(text.len()))?;
    (!token.is_empty()).then_some((token, rest))
}

/// The content of a quoted string (RFC 9110, section 5.6.4) behind its opening quote, and what follows the closing one.
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
