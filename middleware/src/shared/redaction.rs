//! Hides the values of named headers and query parameters in logs.

use std::borrow::Cow;

use http::HeaderName;
use http::header::{
    AUTHORIZATION, CONTENT_LOCATION, COOKIE, LOCATION, PROXY_AUTHORIZATION, REFERER, SET_COOKIE,
};

use crate::shared::escape::Syntax;

/// Replaces a hidden value.
const REDACTED: &[u8] = b"***";

/// How much of a header is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Visibility {
    Whole,
    /// As a URL, whose parameters may be hidden.
    Url,
    /// As the query of a URL.
    Query,
    Nothing,
}

/// Which values are hidden.
#[derive(Clone, Debug)]
pub(crate) struct Redaction {
    headers: Vec<HeaderName>,
    parameters: Vec<String>,
}

impl Redaction {
    /// Hides the headers that contain only secrets.
    pub(crate) fn new() -> Redaction {
        Redaction {
            headers: vec![AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE, SET_COOKIE],
            parameters: Vec::new(),
        }
    }

    pub(crate) fn hide_header(&mut self, name: HeaderName) {
        self.show_header(&name);
        self.headers.push(name);
    }

    pub(crate) fn show_header(&mut self, name: &HeaderName) {
        self.headers.retain(|hidden| hidden != name);
    }

    pub(crate) fn hide_parameter(&mut self, name: &str) {
        self.parameters.push(name.to_owned());
    }

    /// Whether any parameters are hidden in URLs.
    pub(crate) fn is_of_urls(&self) -> bool {
        !self.parameters.is_empty()
    }

    pub(crate) fn header_visibility(&self, name: &HeaderName) -> Visibility {
        if self.headers.contains(name) {
            Visibility::Nothing
        } else if [REFERER, LOCATION, CONTENT_LOCATION].contains(name) {
            Visibility::Url
        } else {
            Visibility::Whole
        }
    }

    /// Returns a header for a page: a URL without hidden values, escaped as in a log if it may contain any.
    pub(crate) fn header<'a>(&self, name: &HeaderName, value: &'a [u8]) -> Cow<'a, [u8]> {
        match self.header_visibility(name) {
            Visibility::Nothing => Cow::Borrowed(REDACTED),
            Visibility::Url => self.url(value),
            Visibility::Whole | Visibility::Query => Cow::Borrowed(value),
        }
    }

    /// Returns a URL for a page, escaped as in a log if it may contain hidden values.
    pub(crate) fn url<'a>(&self, url: &'a [u8]) -> Cow<'a, [u8]> {
        if !self.is_of_urls() {
            return Cow::Borrowed(url);
        }
        let mut line = Vec::new();
        let write = TextEscape {
            syntax: Syntax::Text,
            is_word: false,
        };
        self.write_url(&mut line, url, write);
        Cow::Owned(line)
    }

    /// Whether the values of a parameter with this decoded name are hidden.
    pub(crate) fn hides_parameter(&self, name: &str) -> bool {
        let is_hidden = |hidden: &String| hidden.eq_ignore_ascii_case(name);
        self.parameters.iter().any(is_hidden)
    }

    /// How much is shown of a variable of the environ; variables of headers follow the rules of their headers.
    #[cfg_attr(
        not(any(feature = "time", test)),
        expect(dead_code, reason = "for the access log")
    )]
    pub(crate) fn variable_visibility(&self, name: &str) -> Visibility {
        let header = name
            .strip_prefix("HTTP_")
            .map(|name| name.replace('_', "-"));
        match (name, header.map(HeaderName::try_from)) {
            (_, Some(Ok(name))) => self.header_visibility(&name),
            ("REQUEST_URI", _) => Visibility::Url,
            ("QUERY_STRING", _) => Visibility::Query,
            _ => Visibility::Whole,
        }
    }

    /// Appends the part of a value that is shown.
    #[cfg_attr(
        not(feature = "time"),
        expect(dead_code, reason = "for the access log")
    )]
    pub(crate) fn write(
        &self,
        line: &mut Vec<u8>,
        value: &[u8],
        shown: Visibility,
        write: TextEscape,
    ) {
        match shown {
            Visibility::Whole => write.text(line, value),
            Visibility::Url => self.write_url(line, value, write),
            Visibility::Query => self.write_query(line, value, write),
            Visibility::Nothing => line.extend_from_slice(REDACTED),
        }
    }

    /// Appends a URL without hidden values; parameters after `#` count too (RFC 6749, section 4.2.2).
    pub(crate) fn write_url(&self, line: &mut Vec<u8>, url: &[u8], write: TextEscape) {
        if self.parameters.is_empty() {
            return write.text(line, url);
        }
        let before = url.iter().position(|byte| matches!(byte, b'?' | b'#'));
        let (path, mut rest) = url.split_at(before.unwrap_or(url.len()));
        write.text(line, path);
        while let Some((mark, after)) = rest.split_first() {
            write.text(line, &[*mark]);
            let end = after.iter().position(|&byte| byte == b'#');
            let (query, next) = after.split_at(end.unwrap_or(after.len()));
            self.write_query(line, query, write);
            rest = next;
        }
    }

    /// Appends a query without hidden values.
    pub(crate) fn write_query(&self, line: &mut Vec<u8>, query: &[u8], write: TextEscape) {
        if self.parameters.is_empty() {
            return write.text(line, query);
        }
        for (at, part) in query.split(|&byte| byte == b'&').enumerate() {
            if at > 0 {
                line.push(b'&');
            }
            match self.secret_in(part) {
                None => write.text(line, part),
                Some(at) => {
                    write.text(line, part.get(..at).unwrap_or_default());
                    line.extend_from_slice(REDACTED);
                }
            }
        }
    }

    /// Where a secret begins that extends to the end of a part; some applications treat `;` like `&`, others do not.
    fn secret_in(&self, part: &[u8]) -> Option<usize> {
        let mut begin = 0;
        part.split(|&byte| byte == b';').find_map(|piece| {
            let at = begin;
            begin += piece.len() + 1;
            let length = piece.iter().position(|&byte| byte == b'=')?;
            let name = piece.get(..length).unwrap_or_default();
            let is_secret = |parameter: &String| is_called(name, parameter);
            let found = self.parameters.iter().any(is_secret);
            found.then_some(at + length + 1)
        })
    }
}

/// How text is escaped: in a word or not.
#[derive(Clone, Copy)]
pub(crate) struct TextEscape {
    pub(crate) syntax: Syntax,
    pub(crate) is_word: bool,
}

impl TextEscape {
    fn text(self, line: &mut Vec<u8>, text: &[u8]) {
        match self.is_word {
            true => self.syntax.escape_word(line, text),
            false => self.syntax.escape(line, text),
        }
    }
}

/// Whether a query name equals this one after decoding, without case.
fn is_called(raw: &[u8], name: &str) -> bool {
    let mut rest = raw;
    let decoded = std::iter::from_fn(|| {
        let (byte, after) = rest.split_first()?;
        rest = after;
        Some(match (byte, after) {
            (b'+', _) => b' ',
            (b'%', [high, low, after @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    rest = after;
                    high * 16 + low
                }
                _ => b'%',
            },
            _ => *byte,
        })
    });
    let lower = |byte: u8| byte.to_ascii_lowercase();
    decoded.map(lower).eq(name.bytes().map(lower))
}

fn digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redaction() -> Redaction {
        let mut redaction = Redaction::new();
        redaction.hide_parameter("token");
        redaction.hide_parameter("API key");
        redaction
    }

    #[test]
    fn the_values_of_parameters_are_hidden() {
        let cases = [
            ("/a?b=c", "/a?b=c"),
            ("/a?token=c", "/a?token=***"),
            ("/a?x=1&token=c&y=2", "/a?x=1&token=***&y=2"),
            ("/a?token=1&token=2", "/a?token=***&token=***"),
            (
                "/a?TOKEN=1&%74%6Fken=2&Token=",
                "/a?TOKEN=***&%74%6Fken=***&Token=***",
            ),
            (
                "/a?api+key=1&API%20Key=2&apikey=3",
                "/a?api+key=***&API%20Key=***&apikey=3",
            ),
            ("/a?token", "/a?token"),
            ("/a?token=a=b", "/a?token=***"),
            ("/a?token=a;b", "/a?token=***"),
            ("/a?x=1;token=a;b&y", "/a?x=1;token=***&y"),
            ("/a?x;token=a", "/a?x;token=***"),
            (
                "/a?tokens=1&atoken=1&token%=1&%74ok=1",
                "/a?tokens=1&atoken=1&token%=1&%74ok=1",
            ),
            ("/token=1", "/token=1"),
            ("/a#token=1&b", "/a#token=***&b"),
            ("/a?b=1#token=1#token=2", "/a?b=1#token=***#token=***"),
            ("/a?token=x?token=y", "/a?token=***"),
            ("/a?", "/a?"),
            ("/a?&&", "/a?&&"),
        ];
        for (url, expected) in cases {
            let mut line = Vec::new();
            let write = TextEscape {
                syntax: Syntax::Text,
                is_word: true,
            };
            redaction().write_url(&mut line, url.as_bytes(), write);
            assert_eq!(String::from_utf8(line).unwrap(), expected);
        }
    }

    #[test]
    fn headers_that_are_secrets_are_hidden() {
        let mut redaction = redaction();
        redaction.show_header(&COOKIE);
        redaction.hide_header(HeaderName::from_static("x-key"));
        for (name, variable, expected) in [
            ("authorization", "HTTP_AUTHORIZATION", Visibility::Nothing),
            ("set-cookie", "HTTP_SET_COOKIE", Visibility::Nothing),
            ("x-key", "HTTP_X_KEY", Visibility::Nothing),
            ("cookie", "HTTP_COOKIE", Visibility::Whole),
            ("user-agent", "REQUEST_METHOD", Visibility::Whole),
            ("referer", "HTTP_REFERER", Visibility::Url),
            ("location", "REQUEST_URI", Visibility::Url),
        ] {
            let name = HeaderName::from_static(name);
            assert_eq!(redaction.header_visibility(&name), expected);
            assert_eq!(redaction.variable_visibility(variable), expected);
        }
    }
}
