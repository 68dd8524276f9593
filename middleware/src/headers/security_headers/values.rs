//! The syntax of these headers' values.

use http::{HeaderName, HeaderValue};

use super::CspNonce;
use crate::error::Error;
use crate::error::ErrorKind;

const PLACEHOLDER: &str = "{nonce}";

const REFERRER_POLICIES: &[&str] = &[
    "no-referrer",
    "no-referrer-when-downgrade",
    "same-origin",
    "origin",
    "strict-origin",
    "origin-when-cross-origin",
    "strict-origin-when-cross-origin",
    "unsafe-url",
];
const OPENER_POLICIES: &[&str] = &[
    "unsafe-none",
    "same-origin-allow-popups",
    "same-origin",
    "noopener-allow-popups",
];
const EMBEDDER_POLICIES: &[&str] = &["unsafe-none", "require-corp", "credentialless"];
const RESOURCE_POLICIES: &[&str] = &["same-origin", "same-site", "cross-origin"];

/// The value of a header, which may contain a nonce.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Fixed(HeaderValue),
    /// With the placeholder at least once.
    Nonce(String),
}

impl Value {
    pub(super) fn parse(name: &HeaderName, text: &str) -> Result<Value, Error> {
        let refused = |why: &str| {
            let message = format!("{text:?} is not a value of {name}: {why}");
            Error::new(ErrorKind::HeaderValue, message)
        };
        let check = check_of(name).ok_or_else(|| unknown(name))?;
        check(text).map_err(|why| refused(&why))?;
        let value = HeaderValue::from_str(text).map_err(|_| refused("a byte is not allowed"))?;
        Ok(match is_policy(name) && text.contains(PLACEHOLDER) {
            true => Value::Nonce(text.to_owned()),
            false => Value::Fixed(value),
        })
    }

    pub(super) fn has_nonce(&self) -> bool {
        matches!(self, Value::Nonce(_))
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            Value::Fixed(value) => value.to_str().unwrap_or_default(),
            Value::Nonce(text) => text,
        }
    }

    /// Returns the value to send; `None` if it needs a missing nonce.
    pub(super) fn with(&self, nonce: Option<&CspNonce>) -> Option<HeaderValue> {
        match self {
            Value::Fixed(value) => Some(value.clone()),
            Value::Nonce(text) => {
                HeaderValue::try_from(text.replace(PLACEHOLDER, nonce?.as_str())).ok()
            }
        }
    }
}

/// Checks that a name is one of these.
pub(super) fn known(name: HeaderName) -> Result<HeaderName, Error> {
    match check_of(&name) {
        Some(_) => Ok(name),
        None => Err(unknown(&name)),
    }
}

fn unknown(name: &HeaderName) -> Error {
    let message = format!("{:?} is not a header of this wrapper", name.as_str());
    Error::new(ErrorKind::HeaderName, message)
}

/// Returns what is wrong with a value.
type Check = fn(&str) -> Result<(), String>;

fn check_of(name: &HeaderName) -> Option<Check> {
    Some(match name.as_str() {
        "content-security-policy" | "content-security-policy-report-only" => check_policy,
        "strict-transport-security" => check_hsts,
        "x-content-type-options" => |text| one_of(text, &["nosniff"]),
        "x-frame-options" => |text| one_of(text, &["DENY", "SAMEORIGIN"]),
        // Browsers use the last value that they know; the values before it are for older browsers.
        "referrer-policy" => |text| {
            let mut members = text.split(',').map(str::trim);
            members.try_for_each(|member| one_of(member, REFERRER_POLICIES))
        },
        "permissions-policy" => check_permissions,
        "cross-origin-opener-policy" | "cross-origin-opener-policy-report-only" => {
            |text| one_of(without_endpoint(text), OPENER_POLICIES)
        }
        "cross-origin-embedder-policy" | "cross-origin-embedder-policy-report-only" => {
            |text| one_of(without_endpoint(text), EMBEDDER_POLICIES)
        }
        "cross-origin-resource-policy" => |text| one_of(text, RESOURCE_POLICIES),
        _ => return None,
    })
}

fn is_policy(name: &HeaderName) -> bool {
    name.as_str().starts_with("content-security-policy")
}

fn one_of(text: &str, values: &[&str]) -> Result<(), String> {
    match values.contains(&text) {
        true => Ok(()),
        false => Err(format!(
            "{text:?} is not one of {values}",
            values = values.join(", ")
        )),
    }
}

/// Removes the parameter that says where reports go.
fn without_endpoint(text: &str) -> &str {
    let is_endpoint = |parameter: &str| {
        let name = parameter
            .trim_start()
            .strip_prefix("report-to=\"")
            .and_then(|rest| rest.strip_suffix('"'));
        name.is_some_and(|name| !name.is_empty() && !name.contains(['"', '\\', ';']))
    };
    match text.split_once(';') {
        Some((value, parameter)) if is_endpoint(parameter) => value,
        _ => text,
    }
}

/// Directives with their values, separated by semicolons (Content Security Policy Level 3, section 2.2).
fn check_policy(text: &str) -> Result<(), String> {
    let mut names: Vec<String> = Vec::new();
    for directive in text.split(';').map(str::trim) {
        let Some(name) = directive.split_ascii_whitespace().next() else {
            continue;
        };
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if !name.bytes().all(is_name) {
            return Err(format!("{name:?} is not the name of a directive"));
        }
        // A comma would start another policy, and browsers would ignore the wrong text after it.
        if !directive
            .bytes()
            .all(|byte| matches!(byte, b' ' | b'!'..=b'~') && byte != b',')
        {
            return Err(format!("{name} has a character that is not allowed"));
        }
        let name = name.to_ascii_lowercase();
        // Browsers ignore the second one.
        if names.contains(&name) {
            return Err(format!("{name} is repeated"));
        }
        names.push(name);
    }
    match names.is_empty() {
        true => Err("it has no directive".to_owned()),
        false => Ok(()),
    }
}

/// `max-age` in seconds, and `includeSubDomains` and `preload` at most once (RFC 6797, section 6.1).
fn check_hsts(text: &str) -> Result<(), String> {
    let mut seen: Vec<String> = Vec::new();
    for directive in text.split(';').map(str::trim) {
        let name = directive.split('=').next().unwrap_or_default();
        let name = name.to_ascii_lowercase();
        let is_good = match directive.split_once('=') {
            Some((_, seconds)) if name == "max-age" => is_number(seconds),
            None => matches!(&*name, "includesubdomains" | "preload"),
            Some(_) => false,
        };
        if !is_good {
            return Err(format!("{directive:?} is not one of its directives"));
        }
        if seen.contains(&name) {
            return Err(format!("{name} is repeated"));
        }
        seen.push(name);
    }
    match seen.iter().any(|name| name == "max-age") {
        true => Ok(()),
        false => Err("it has no max-age".to_owned()),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A dictionary whose members are features with `*`, `self`, or a list of origins in brackets (RFC 9651, section 3.2).
///
/// It finds the mistakes that make a browser ignore the whole header: the older syntax of `Feature-Policy`, and a list
/// without an end.
fn check_permissions(text: &str) -> Result<(), String> {
    for member in text.split(',').map(str::trim) {
        let refused = || format!("{member:?} is not a feature with a list of origins");
        let (feature, list) = member.split_once('=').ok_or_else(refused)?;
        let is_feature =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if feature.is_empty() || !feature.bytes().all(is_feature) || !is_allow_list(list) {
            return Err(refused());
        }
    }
    Ok(())
}

fn is_allow_list(list: &str) -> bool {
    let is_origin = |origin: &str| {
        let quoted = origin
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        let is_byte = |byte: u8| byte.is_ascii_graphic() && !b"\"\\".contains(&byte);
        matches!(origin, "*" | "self" | "src")
            || quoted.is_some_and(|origin| !origin.is_empty() && origin.bytes().all(is_byte))
    };
    match list
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'))
    {
        Some(inner) => inner
            .split(' ')
            .filter(|origin| !origin.is_empty())
            .all(is_origin),
        None => is_origin(list),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str, text: &str) -> Result<(), String> {
        let name = HeaderName::try_from(name).unwrap();
        let parsed = Value::parse(&name, text);
        parsed.map(|_| ()).map_err(|error| error.to_string())
    }

    #[test]
    fn takes_what_browsers_take() {
        for (name, value) in [
            ("content-security-policy", "default-src 'self';"),
            (
                "content-security-policy",
                "script-src 'nonce-{nonce}' https://*.example.org; sandbox",
            ),
            ("content-security-policy-report-only", "img-src data:"),
            ("strict-transport-security", "max-age=0"),
            (
                "strict-transport-security",
                "max-age=63072000; includeSubDomains; preload",
            ),
            ("x-frame-options", "SAMEORIGIN"),
            ("referrer-policy", "no-referrer, strict-origin"),
            (
                "permissions-policy",
                "camera=*, geolocation=(self \"https://a.example\"), usb=()",
            ),
            (
                "cross-origin-opener-policy",
                "same-origin; report-to=\"coop\"",
            ),
            ("cross-origin-embedder-policy", "credentialless"),
            ("cross-origin-embedder-policy-report-only", "require-corp"),
            ("cross-origin-resource-policy", "same-site"),
        ] {
            assert_eq!(run(name, value), Ok(()), "{name}: {value}");
        }
    }

    #[test]
    fn refuses_what_browsers_ignore_and_says_why() {
        for (name, value, why) in [
            ("content-security-policy", " ; ", "it has no directive"),
            (
                "content-security-policy",
                "'self'",
                "\"'self'\" is not the name of a directive",
            ),
            (
                "content-security-policy",
                "img-src a, b",
                "img-src has a character that is not allowed",
            ),
            (
                "content-security-policy",
                "img-src a\r\nb",
                "img-src has a character that is not allowed",
            ),
            (
                "content-security-policy",
                "img-src a; IMG-SRC b",
                "img-src is repeated",
            ),
            (
                "strict-transport-security",
                "includeSubDomains",
                "it has no max-age",
            ),
            (
                "strict-transport-security",
                "max-age=1y",
                "\"max-age=1y\" is not one of its directives",
            ),
            (
                "strict-transport-security",
                "max-age=1;",
                "\"\" is not one of its directives",
            ),
            (
                "strict-transport-security",
                "max-age=1; Max-Age=2",
                "max-age is repeated",
            ),
            (
                "x-content-type-options",
                "none",
                "\"none\" is not one of nosniff",
            ),
            (
                "x-frame-options",
                "ALLOW-FROM x",
                "\"ALLOW-FROM x\" is not one of DENY, SAMEORIGIN",
            ),
            (
                "permissions-policy",
                "camera 'none'",
                "\"camera 'none'\" is not a feature with a list of origins",
            ),
            (
                "permissions-policy",
                "usb=(",
                "\"usb=(\" is not a feature with a list of origins",
            ),
            (
                "cross-origin-resource-policy",
                "same-origin; report-to=\"x\"",
                "\"same-origin; report-to=\\\"x\\\"\" is not one of same-origin, same-site, cross-origin",
            ),
        ] {
            let expected = format!("{value:?} is not a value of {name}: {why}");
            assert_eq!(run(name, value), Err(expected));
        }
    }
}
