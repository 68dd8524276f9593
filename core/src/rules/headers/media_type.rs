//! Media types (RFC 9110, section 8.3.1).

use std::borrow::Cow;
use std::iter;

use super::token::is_token;

/// A media type with its parameters, such as `text/html; charset=utf-8` (RFC 9110, section 8.3.1).
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::headers::MediaType;
///
/// let html = MediaType::parse("Text/HTML; charset=\"utf-8\"").unwrap();
/// assert!(html.is("text", "html"));
/// assert_eq!(html.param("Charset").as_deref(), Some("utf-8"));
/// assert!(MediaType::parse("text").is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaType<'a> {
    kind: &'a str,
    subtype: &'a str,
    params: &'a str,
}

impl<'a> MediaType<'a> {
    /// Parses a media type; `None` if the text, with its parameters, is not one.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<MediaType<'a>> {
        let end = text.find(';').unwrap_or(text.len());
        let (essence, params) = text.split_at_checked(end)?;
        let (kind, subtype) = essence.trim_matches(BLANKS).split_once('/')?;
        let media_type = MediaType {
            kind,
            subtype,
            params,
        };
        let is_whole = media_type.params().all(|param| param.is_some());
        (is_token(kind) && is_token(subtype) && is_whole).then_some(media_type)
    }

    /// The part before the slash, as written.
    #[must_use]
    pub fn kind(&self) -> &'a str {
        self.kind
    }

    /// The part after the slash, as written.
    #[must_use]
    pub fn subtype(&self) -> &'a str {
        self.subtype
    }

    /// Whether it is this type, ignoring case.
    #[must_use]
    pub fn is(&self, kind: &str, subtype: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind) && self.subtype.eq_ignore_ascii_case(subtype)
    }

    /// The first parameter with this name, without quotes, ignoring the case of names.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<Cow<'a, str>> {
        let mut named = self
            .params()
            .flatten()
            .filter(|(found, _)| found.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value)
    }

    /// The parameters; `None` for the first malformed one, which ends the iteration.
    fn params(&self) -> impl Iterator<Item = Option<(&'a str, Cow<'a, str>)>> {
        let mut rest = self.params;
        iter::from_fn(move || {
            rest = rest.trim_start_matches([';', ' ', '\t']);
            let param = match rest {
                "" => return None,
                _ => read_param(rest),
            };
            rest = param.as_ref().map_or("", |(_, _, rest)| rest);
            Some(param.map(|(name, value, _)| (name, value)))
        })
    }
}

const BLANKS: [char; 2] = [' ', '\t'];

/// Reads a parameter (RFC 9110, section 5.6.6), and the rest after it: empty, or from a semicolon on.
fn read_param(text: &str) -> Option<(&str, Cow<'_, str>, &str)> {
    let (name, text) = text.split_once('=')?;
    let (value, rest) = match text.strip_prefix('"') {
        Some(text) => read_quoted(text)?,
        None => {
            let end = text.find([';', ' ', '\t']).unwrap_or(text.len());
            let (value, rest) = text.split_at_checked(end)?;
            (is_token(value).then_some(Cow::Borrowed(value))?, rest)
        }
    };
    let rest = rest.trim_start_matches(BLANKS);
    let is_over = rest.is_empty() || rest.starts_with(';');
    (is_token(name) && is_over).then_some((name, value, rest))
}

/// Reads a quoted string (RFC 9110, section 5.6.4), and the rest after it.
fn read_quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' if value.len() == at => return Some((text.get(..at)?.into(), text.get(at + 1..)?)),
            '"' => return Some((value.into(), text.get(at + 1..)?)),
            '\\' => value.push(
                characters
                    .next()
                    .map(|(_, next)| next)
                    .filter(is_quotable)?,
            ),
            _ => value.push(Some(character).filter(is_quotable)?),
        }
    }
    None
}

fn is_quotable(character: &char) -> bool {
    *character == '\t' || !character.is_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_types_and_their_parameters() {
        for (text, param) in [
            ("text/html", None),
            (" text/html ", None),
            ("text/html;charset=utf-8", Some("utf-8")),
            ("TEXT/HTML ; a=b; Charset=\"ut\\f-8\" ; ;", Some("utf-8")),
            ("text/html;charset=\"\"", Some("")),
            ("text/html;charset=\"a b;c=\\\"d\"", Some("a b;c=\"d")),
            ("text/html;charset=one;charset=two", Some("one")),
            ("text/html;x=\"; charset=no\"", None),
            ("text/html;", None),
        ] {
            let read = MediaType::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert!(read.is("text", "html"), "{text}");
            assert_eq!(read.param("charset").as_deref(), param, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_one() {
        for text in [
            "",
            "text",
            "text/",
            "/html",
            "text/html/x",
            "te xt/html",
            "text /html",
            "text/html; charset",
            "text/html; charset=",
            "text/html; charset =utf-8",
            "text/html; charset= utf-8",
            "text/html; charset=a b",
            "text/html; charset=\"a",
            "text/html; charset=\"a\"b",
            "text/html; charset=\"a\\",
            "text/html; charset=\"a\u{0}\"",
            "text/html, text/plain",
            "text/ht\u{e9}ml",
        ] {
            assert_eq!(MediaType::parse(text), None, "{text}");
        }
    }
}
