//! Law 7 for `Location`.

use enfilade_core::path;
use http::HeaderValue;

use super::values::shown;

/// The allowed targets of a `Location`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LocationScope {
    /// A path stays under the mount.
    Mount,
    /// A path may lead anywhere on the host.
    Host,
}

/// The fault of a `Location` from an application that is mounted at `script_name`.
pub(super) fn location(
    value: &HeaderValue,
    script_name: &str,
    location_scope: LocationScope,
) -> Option<String> {
    let wrong = if value.as_bytes().contains(&b'\\') {
        "has a backslash, which browsers read as a slash".to_owned()
    } else if !is_reference(value.as_bytes()) {
        "is not a URI reference".to_owned()
    } else if value.as_bytes().starts_with(b"//") {
        "leads to another host: begin a path with one slash".to_owned()
    } else if location_scope == LocationScope::Mount && !is_under(value, script_name) {
        format!("leads out of the mount {script_name:?}: use `Request::url_for_path`")
    } else {
        return None;
    };
    Some(format!(
        "the header location is {}, which {wrong}",
        shown(value)
    ))
}

/// Whether the bytes are those of a `URI-reference` (RFC 3986, section 4.1).
///
/// Brackets are allowed anywhere, as all URL parsers allow them.
fn is_reference(bytes: &[u8]) -> bool {
    let is_plain =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=".contains(&byte);
    let is_coded = |at: usize| {
        let digits = bytes.get(at + 1..at + 3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let fits = |(at, &byte): (usize, &u8)| is_plain(byte) || (byte == b'%' && is_coded(at));
    let fragments = bytes.iter().filter(|byte| **byte == b'#').count();
    bytes.iter().enumerate().all(fits) && fragments <= 1 && has_good_scheme(bytes)
}

/// A colon in the first segment ends a scheme (RFC 3986, section 4.2).
fn has_good_scheme(bytes: &[u8]) -> bool {
    let end = bytes.iter().position(|byte| b":/?#".contains(byte));
    match end.and_then(|end| bytes.split_at_checked(end)) {
        Some((scheme, [b':', ..])) => {
            let is_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
            scheme.first().is_some_and(u8::is_ascii_alphabetic) && scheme.iter().all(is_scheme)
        }
        _ => true,
    }
}

/// Whether a path from the root stays under the mount; other references always pass.
fn is_under(value: &HeaderValue, script_name: &str) -> bool {
    let Some(reference) = value.to_str().ok().filter(|text| text.starts_with('/')) else {
        return true;
    };
    let end = reference.find(['?', '#']).unwrap_or(reference.len());
    let segments = resolved(reference.get(..end).unwrap_or(reference));
    let mount = path::canonical(script_name);
    let mut mount = mount.trim_end_matches('/').split('/');
    let mut reference = segments.iter();
    mount.all(|segment| reference.next().is_some_and(|found| found == segment))
}

/// The segments of an absolute path, with dot segments resolved as browsers do (RFC 3986, section 5.2.4).
fn resolved(raw: &str) -> Vec<String> {
    let mut segments: Vec<String> = Vec::new();
    for segment in path::canonical(raw).split('/') {
        match segment {
            "." => {}
            // The first one is the text before the first slash.
            ".." => segments.truncate(segments.len().saturating_sub(1).max(1)),
            segment => segments.push(segment.to_owned()),
        }
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(value: &str, script_name: &str, location_scope: LocationScope) -> Option<String> {
        location(
            &HeaderValue::from_str(value).unwrap(),
            script_name,
            location_scope,
        )
    }

    #[test]
    fn references_are_known() {
        let right = [
            "",
            "/",
            "/a/b?c=d#e",
            "foo",
            "../up",
            "?q",
            "#f",
            "a/b:c",
            "./a:b",
            "/a:b",
            "?a:b",
            "https://example.org/",
            "https://[::1]:80/",
            "mailto:ada@example.org",
            "/caf%C3%A9",
            "/x?a[]=1",
            "/;a,b='c'(d)",
        ];
        for value in right {
            assert_eq!(found(value, "", LocationScope::Mount), None, "{value}");
        }
        let wrong = [
            "/a b",
            "/caf\u{e9}",
            "/%",
            "/%4",
            "/%zz",
            "/a#b#c",
            "/<x>",
            "/\"x\"",
            "/{x}",
            "/a|b",
            "1a:b",
            ":80",
            "ht tp://x/",
        ];
        for value in wrong {
            let found = found(value, "", LocationScope::Host).unwrap_or_default();
            assert!(
                found.ends_with(", which is not a URI reference"),
                "{value}: {found}"
            );
        }
    }

    #[test]
    fn other_hosts_in_disguise_are_always_reported() {
        let host = "leads to another host: begin a path with one slash";
        let backslash = "has a backslash, which browsers read as a slash";
        for (value, wrong) in [
            ("//evil.example/x", host),
            ("///evil.example", host),
            ("//", host),
            ("/\\evil.example", backslash),
            ("\\\\evil.example", backslash),
            ("/a?b=\\", backslash),
        ] {
            for location_scope in [LocationScope::Mount, LocationScope::Host] {
                let found = found(value, "", location_scope).unwrap();
                assert!(found.ends_with(&format!(", which {wrong}")), "{found}");
            }
        }
    }

    #[test]
    fn a_path_stays_under_its_mount() {
        let cases = [
            ("/shop", "/shop", true),
            ("/shop/", "/shop", true),
            ("/shop?a", "/shop", true),
            ("/shop#a", "/shop", true),
            ("/shop/cart?to=/x", "/shop", true),
            ("/%73hop/cart", "/shop", true),
            ("/caf%c3%a9/x", "/caf%C3%A9", true),
            ("/shop/a", "/shop/", true),
            ("/shop/../shop/a", "/shop", true),
            ("/shop/./a", "/shop", true),
            ("/shop/../login", "/shop", false),
            ("/shop/%2e%2E/login", "/shop", false),
            ("/shop/..", "/shop", false),
            ("/../../shop", "/shop", true),
            ("../login", "/shop", true),
            ("/a/b/c", "/a/b", true),
            ("/a", "/a/b", false),
            ("/shopping", "/shop", false),
            ("/", "/shop", false),
            ("/login", "/shop", false),
            ("/login?next=/shop/", "/shop", false),
            ("/login", "", true),
            ("login", "/shop", true),
            ("https://example.org/", "/shop", true),
            ("", "/shop", true),
        ];
        for (value, script_name, stays) in cases {
            let found_there = found(value, script_name, LocationScope::Mount);
            assert_eq!(found_there.is_none(), stays, "{value} under {script_name}");
            assert_eq!(
                found(value, script_name, LocationScope::Host),
                None,
                "{value}"
            );
        }
        assert_eq!(
            found("/login", "/shop", LocationScope::Mount).unwrap(),
            "the header location is \"/login\", which leads out of the mount \"/shop\": \
             use `Request::url_for_path`"
        );
    }
}
