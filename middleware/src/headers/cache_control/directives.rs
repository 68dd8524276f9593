//! Parses a value of `Cache-Control` from the options.

use http::HeaderValue;

use crate::error::Error;
use crate::error::ErrorKind;
use enfilade_core::headers::is_token;

/// Directives with seconds (RFC 9111, sections 5.2.2.1 and 5.2.2.10, and RFC 5861).
const WITH_SECONDS: [&str; 4] = [
    "max-age",
    "s-maxage",
    "stale-while-revalidate",
    "stale-if-error",
];
/// Directives without an argument (RFC 9111, section 5.2.2, and RFC 8246).
const WITHOUT_ARGUMENT: [&str; 7] = [
    "immutable",
    "must-revalidate",
    "must-understand",
    "no-store",
    "no-transform",
    "proxy-revalidate",
    "public",
];

pub(super) fn parse(text: &str) -> Result<HeaderValue, Error> {
    let refused = |why: String| {
        let message = format!("{text:?} is not a value of cache-control: {why}");
        Error::new(ErrorKind::HeaderValue, message)
    };
    let mut seen: Vec<String> = Vec::new();
    for member in members(text) {
        let name = check(member).map_err(refused)?;
        // RFC 9111, section 4.2.1: each cache decides for itself what to do with the second one.
        if seen.contains(&name) {
            return Err(refused(format!("{name} is repeated")));
        }
        seen.push(name);
    }
    HeaderValue::from_str(text).map_err(|_| refused("a byte is not allowed".to_owned()))
}

/// Splits at commas that are not in quotes.
fn members(text: &str) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let is_end = move |character: char| {
        let was_escaped = std::mem::take(&mut is_escaped);
        match character {
            _ if was_escaped => false,
            '\\' => {
                is_escaped = is_quoted;
                false
            }
            '"' => {
                is_quoted = !is_quoted;
                false
            }
            _ => character == ',' && !is_quoted,
        }
    };
    text.split(is_end)
        .map(|member| member.trim_matches([' ', '\t']))
}

/// Returns the name of a directive in lower case; names are compared without case (RFC 9111, section 5.2).
fn check(directive: &str) -> Result<String, String> {
    let (name, argument) = match directive.split_once('=') {
        Some((name, argument)) => (name, Some(argument)),
        None => (directive, None),
    };
    if directive.is_empty() {
        // RFC 9110, section 5.6.1.1: a sender must not generate empty members.
        return Err("a directive is empty".to_owned());
    }
    if !is_token(name) {
        return Err(format!("{name:?} is not the name of a directive"));
    }
    let name = name.to_ascii_lowercase();
    let known = name.as_str();
    match argument {
        // Seconds are never quoted (RFC 9111, section 5.2.2.1).
        _ if WITH_SECONDS.contains(&known) && !argument.is_some_and(is_number) => {
            Err(format!("{name} needs a number of seconds"))
        }
        Some(_) if WITHOUT_ARGUMENT.contains(&known) => Err(format!("{name} takes no argument")),
        Some(argument) if !is_token(argument) && !is_quoted_string(argument) => Err(format!(
            "{argument:?} is neither a token nor a quoted string"
        )),
        _ => Ok(name),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// RFC 9110, section 5.6.4, without the non-ASCII bytes that it allows for older senders.
fn is_quoted_string(text: &str) -> bool {
    let inner = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    let Some(inner) = inner else {
        return false;
    };
    let mut bytes = inner.bytes();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'"' => None,
            b'\\' => bytes.next(),
            other => Some(other),
        };
        if !byte.is_some_and(|byte| matches!(byte, b'\t' | b' '..=b'~')) {
            return false;
        }
    }
    // A single quote is both the first and the last byte.
    text.len() > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_lists_of_directives() {
        for text in [
            "no-store",
            "public, max-age=31536000,immutable",
            "Private=\"set-cookie, x-user\", Max-Age=0",
            "no-cache, community=\"a \\\" , b\"",
            "max-age=60, stale-while-revalidate=30\t, stale-if-error=86400",
        ] {
            assert_eq!(parse(text).unwrap(), text);
        }
    }

    #[test]
    fn says_what_is_wrong_with_others() {
        for (text, why) in [
            ("", "a directive is empty"),
            ("public,, max-age=1", "a directive is empty"),
            ("no store", "\"no store\" is not the name of a directive"),
            ("=1", "\"\" is not the name of a directive"),
            ("max-age", "max-age needs a number of seconds"),
            ("max-age=1h", "max-age needs a number of seconds"),
            ("s-maxage=\"1\"", "s-maxage needs a number of seconds"),
            ("max-age = 1", "\"max-age \" is not the name of a directive"),
            ("no-store=1", "no-store takes no argument"),
            (
                "private=\"a",
                "\"\\\"a\" is neither a token nor a quoted string",
            ),
            (
                "private=\"",
                "\"\\\"\" is neither a token nor a quoted string",
            ),
            (
                "private=\"a\\\"",
                "\"\\\"a\\\\\\\"\" is neither a token nor a quoted string",
            ),
            (
                "x=\"a\nb\"",
                "\"\\\"a\\nb\\\"\" is neither a token nor a quoted string",
            ),
            ("x=", "\"\" is neither a token nor a quoted string"),
            ("public, Public", "public is repeated"),
        ] {
            let error = parse(text).unwrap_err();
            let expected = format!("{text:?} is not a value of cache-control: {why}");
            assert_eq!(
                (error.kind(), error.to_string()),
                (ErrorKind::HeaderValue, expected)
            );
        }
    }
}
