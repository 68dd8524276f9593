//! The target of a request, from four variables of a web server.

use std::borrow::Cow;

use enfilade_core::{HttpError, Request, path};
use http::{StatusCode, Uri};

use super::variables::Variables;

/// The maximum length of a target in the `http` crate.
const MAX_LENGTH: usize = u16::MAX as usize - 1;

/// A target, and how many bytes of its canonical path belong to the script.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) uri: Uri,
    pub(super) mounted: usize,
}

impl Target {
    /// Reads the target from `REQUEST_URI` if the server sends it and it applies; otherwise from the decoded variables.
    ///
    /// With `REQUEST_URI`, `%2F`, `//` and `..` are as the client sent them. `SCRIPT_NAME` and `PATH_INFO` are decoded
    /// already.
    ///
    /// # Errors
    ///
    /// A 400 if none of them is a path; a 414 if it is too long.
    pub(super) fn read(variables: &Variables) -> Result<Target, HttpError> {
        let script = rooted(variables, "SCRIPT_NAME")?;
        let rest = rooted(variables, "PATH_INFO")?;
        let query = variables.bytes("QUERY_STRING");
        if let Some(uri) = received(variables)? {
            let path = path::canonical(uri.path());
            let mounted = mounted(&path, script).filter(|&mounted| {
                let left = path.get(mounted..).unwrap_or_default();
                rest.is_empty() || is_same(left, rest)
            });
            if let Some(mounted) = mounted {
                return Ok(Target {
                    uri: with_query(uri, query)?,
                    mounted,
                });
            }
        }
        // A path that the server rewrote, or one of a server that sends nothing else.
        let script = encode(script);
        let script = script.trim_end_matches('/');
        // Each by itself, because the server has mounted the script: dots must not lead out of it.
        let script = path::canonical(script);
        let path = format!("{script}{}", path::canonical(&encode(rest)));
        let uri = parse(if path.is_empty() { "/" } else { &path })?;
        Ok(Target {
            uri: with_query(uri, query)?,
            mounted: script.len(),
        })
    }

    /// Mounts a request as its target says.
    pub(super) fn mount(&self, request: &mut Request) {
        // Its length ends before a slash or at the end.
        let _ = request.advance(self.mounted);
    }
}

fn bad(name: &str) -> HttpError {
    HttpError::new(StatusCode::BAD_REQUEST).message(format!("Invalid {name}"))
}

/// A variable that is empty or begins with a slash (RFC 3875, sections 4.1.5 and 4.1.13).
fn rooted<'a>(variables: &'a Variables, name: &str) -> Result<&'a [u8], HttpError> {
    match variables.bytes(name).unwrap_or_default() {
        value @ ([] | [b'/', ..]) => Ok(value),
        _ => Err(bad(name)),
    }
}

/// The target as the client sent it, if the server sends it; RFC 3875 does not define it, but all servers have it.
fn received(variables: &Variables) -> Result<Option<Uri>, HttpError> {
    let Some(target) = variables.bytes("REQUEST_URI") else {
        return Ok(None);
    };
    let target = std::str::from_utf8(target).map_err(|_| bad("REQUEST_URI"))?;
    if target.starts_with('/') || target == "*" || target.contains("://") {
        return parse(target).map(Some);
    }
    Err(bad("REQUEST_URI"))
}

fn parse(target: &str) -> Result<Uri, HttpError> {
    if target.len() > MAX_LENGTH {
        return Err(HttpError::new(StatusCode::URI_TOO_LONG));
    }
    // A fragment is not part of a target (RFC 9112, section 3.2), and the type `Uri` would drop it.
    if target
        .bytes()
        .any(|byte| byte.is_ascii_control() || byte == b'#')
    {
        return Err(bad("REQUEST_URI"));
    }
    let found = target
        .parse()
        .or_else(|_| path::encode_invalid(target).parse());
    found.map_err(|_| bad("REQUEST_URI"))
}

/// How much of a canonical path the script's name covers.
fn mounted(path: &str, script: &[u8]) -> Option<usize> {
    if script.is_empty() {
        return Some(0); // Also for `*`.
    }
    path::match_prefix(path, std::str::from_utf8(script).ok()?)
}

/// Whether a raw path equals the decoded one, except for what servers clean up: `//`, `.` and `..`.
fn is_same(raw: &str, decoded: &[u8]) -> bool {
    segments(&path::decode_bytes(raw)) == segments(decoded)
}

fn segments(path: &[u8]) -> Vec<&[u8]> {
    let mut segments = Vec::new();
    for segment in path.split(|&byte| byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    segments
}

/// Percent-encodes a decoded path, which may not be UTF-8.
fn encode(path: &[u8]) -> String {
    let mut encoded = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        encoded.push_str(&path::encode(chunk.valid()));
        for byte in chunk.invalid() {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// `QUERY_STRING` wins (RFC 3875, section 4.1.7): servers rewrite it with the path.
fn with_query(uri: Uri, query: Option<&[u8]>) -> Result<Uri, HttpError> {
    let query: Cow<'_, str> = match query {
        None => return Ok(uri),
        Some(query) => match std::str::from_utf8(query) {
            Ok(query) => query.into(),
            Err(_) => encode(query).replace('%', "%25").into(),
        },
    };
    if uri.query() == Some(&query) {
        return Ok(uri);
    }
    let mut parts = uri.into_parts();
    let path = parts
        .path_and_query
        .as_ref()
        .map_or("/", |target| target.path());
    let target = parse(&format!("{path}?{query}"))?;
    parts.path_and_query = target.into_parts().path_and_query;
    Uri::from_parts(parts).map_err(|_| bad("QUERY_STRING"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&'static str, &'static str)]) -> Result<(String, usize), u16> {
        let variables = Variables::from_iter(pairs.iter().copied());
        let target = Target::read(&variables).map_err(|error| error.status().as_u16())?;
        Ok((target.uri.to_string(), target.mounted))
    }

    /// `REQUEST_URI`, `SCRIPT_NAME`, `PATH_INFO`, `QUERY_STRING`, and the target with the length of its mount.
    type Case = ([&'static str; 4], &'static str, usize);

    #[test]
    fn the_target_is_as_received() {
        let cases: [Case; 23] = [
            (["/a%2Fb?q=1", "", "/a/b", "q=1"], "/a%2Fb?q=1", 0),
            (["/app/a%2Fb?q", "/app", "/a/b", "q"], "/app/a%2Fb?q", 4),
            (["/%61pp/x", "/app", "/x", ""], "/%61pp/x", 4),
            (["/x/../app/./y", "/app", "/y", ""], "/x/../app/./y", 4),
            (["/app", "/app", "", ""], "/app", 4),
            (["/app/", "/app", "/", ""], "/app/", 4),
            (["//a/./b/../c/", "", "/a/c/", ""], "//a/./b/../c/", 0),
            (["/caf%C3%A9", "", "/café", ""], "/caf%C3%A9", 0),
            (["/x?", "", "/x", ""], "/x?", 0),
            (["/x", "", "", ""], "/x", 0),
            (["/x", "/", "/x", ""], "/x", 0),
            (["http://h/x?q", "", "/x", "q"], "http://h/x?q", 0),
            (["*", "", "", ""], "*", 0),
            // The server rewrote it.
            (["/pretty", "/app", "/page", "id=1"], "/app/page?id=1", 4),
            (["/pretty?a", "", "/page", "id=1"], "/page?id=1", 0),
            (["/page?a", "", "/page", "id=1"], "/page?id=1", 0),
            // The server does not send it.
            (
                ["", "/a b", "/100%/?#é", "x=%20"],
                "/a%20b/100%25/%3F%23%C3%A9?x=%20",
                6,
            ),
            (["", "", "", ""], "/", 0),
            (["", "", "", "q"], "/?q", 0),
            (["", "/app/", "/x", ""], "/app/x", 4),
            (["", "/app", "/../x", ""], "/app/x", 4),
            (["", "/a/../b", "/x/.", ""], "/b/x/", 2),
            // Invalid values.
            (["/a b?c d", "", "", ""], "/a%20b?c%20d", 0),
        ];
        for ([uri, script, rest, query], expected, mounted) in cases {
            let pairs = [
                ("REQUEST_URI", uri),
                ("SCRIPT_NAME", script),
                ("PATH_INFO", rest),
                ("QUERY_STRING", query),
            ];
            assert_eq!(
                read(&pairs),
                Ok((expected.to_owned(), mounted)),
                "{pairs:?}"
            );
        }
    }

    #[test]
    fn what_is_no_target_is_refused() {
        let long: &'static str = "/x".repeat(40_000).leak();
        for (name, value, status) in [
            ("REQUEST_URI", "x", 400),
            ("REQUEST_URI", "h:443", 400),
            ("REQUEST_URI", "/x#y", 400),
            ("REQUEST_URI", "/\u{0}\u{0}", 400),
            ("REQUEST_URI", "://", 400),
            ("SCRIPT_NAME", "app", 400),
            ("PATH_INFO", "x", 400),
            ("REQUEST_URI", long, 414),
            ("PATH_INFO", long, 414),
            ("QUERY_STRING", long, 414),
        ] {
            assert_eq!(read(&[(name, value)]), Err(status), "{name}={value:.20}");
        }
    }
}
