//! Checks the heads of requests against HTTP's rules.

use http::header::{HOST, TRANSFER_ENCODING};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version};

use crate::message::http_error::HttpError;
use crate::rules::headers::members;
use crate::rules::host::Host;

/// Checks whether HTTP allows a request with this head.
///
/// # Errors
/// - 400 if the target has none of the four forms, or a form that the method does not allow (RFC 9112, section 3.2),
///   has no valid host, contains a user (RFC 9110, section 4.2.4) or bytes beyond ASCII.
/// - 400 if an HTTP/1.1 request has no `Host`, or a request has more than one or an invalid one (RFC 9112, section
///   3.2). In HTTP/2: if it has neither `Host` nor an authority, or they differ (RFC 9113, section 8.3.1).
/// - 501 if `Transfer-Encoding` contains a coding other than `chunked`, and 400 if it contains that twice (RFC 9112,
///   section 6.1).
pub fn check(
    method: &Method,
    version: Version,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<(), HttpError> {
    if !is_target(method, uri) {
        return Err(bad("Invalid request target"));
    }
    check_transfer_encoding(headers)?;
    // A header can only be repeated if there are more values than names.
    let may_be_two = headers.len() > headers.keys_len();
    let are_two = may_be_two && headers.get_all(HOST).iter().nth(1).is_some();
    match headers.get(HOST) {
        Some(_) if are_two => Err(bad("More than one Host header")),
        Some(host) if !is_host(host.as_bytes()) => Err(bad("Invalid Host header")),
        None if version == Version::HTTP_11 => Err(bad("Missing Host header")),
        // HTTP/2 has the authority in the target; the header is optional there (RFC 9113, section 8.3.1).
        None if version == Version::HTTP_2 && uri.authority().is_none() => {
            Err(bad("Missing authority"))
        }
        // In HTTP/1.1 the target wins (RFC 9112, section 3.2.2).
        Some(host) if version >= Version::HTTP_2 && differs(host, uri) => {
            Err(bad("Host differs from the authority"))
        }
        _ => Ok(()),
    }
}

fn bad(message: &'static str) -> HttpError {
    HttpError::new(StatusCode::BAD_REQUEST).message(message)
}

/// Whether `method` may have this target (RFC 9112, section 3.2).
///
/// `/path` and a whole URL are always allowed, `host:port` only for CONNECT, `*` only for OPTIONS. The type [`Uri`]
/// drops a fragment, so text after a `#` cannot be checked here.
fn is_target(method: &Method, uri: &Uri) -> bool {
    let target = uri.path_and_query().map(PathAndQuery::as_str);
    let is_path = match target {
        // Only CONNECT has no path, and without a path it is `host:port` or a name that was meant as one.
        None => return *method == Method::CONNECT,
        Some("*") => *method == Method::OPTIONS,
        Some(target) => target.is_ascii() && (target.starts_with('/') || uri.scheme().is_some()),
    };
    let is_host = |authority: &Authority| Host::is_valid(authority.as_str().as_bytes());
    is_path && uri.authority().is_none_or(is_host)
}

/// Whether the transfer coding is `chunked`, once.
fn check_transfer_encoding(headers: &HeaderMap) -> Result<(), HttpError> {
    if !headers.contains_key(TRANSFER_ENCODING) {
        return Ok(());
    }
    let mut count = 0;
    for coding in members(headers, &TRANSFER_ENCODING) {
        if !coding.eq_ignore_ascii_case("chunked") {
            let error = HttpError::new(StatusCode::NOT_IMPLEMENTED);
            return Err(error.message("Unknown transfer coding"));
        }
        count += 1;
    }
    if count == 1 {
        Ok(())
    } else {
        Err(bad("Invalid Transfer-Encoding header"))
    }
}

/// Whether this host differs from the target's, if the target has one; the default port of the scheme may be left out.
fn differs(host: &HeaderValue, uri: &Uri) -> bool {
    let Some(authority) = uri.authority().map(Authority::as_str) else {
        return false;
    };
    if authority.as_bytes().eq_ignore_ascii_case(host.as_bytes()) {
        return false;
    }
    let default_port = if uri.scheme() == Some(&Scheme::HTTPS) {
        443
    } else {
        80
    };
    let host = host.to_str().ok().and_then(Host::parse);
    let (Some(authority), Some(host)) = (Host::parse(authority), host) else {
        return true;
    };
    authority.without_port(default_port) != host.without_port(default_port)
}

/// Whether it is a host or empty, which is allowed if the target has no authority (RFC 9112, section 3.2).
fn is_host(value: &[u8]) -> bool {
    value.is_empty() || Host::is_valid(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_needs_one_host() {
        let cases: [(Version, &[&'static str], bool); 18] = [
            (Version::HTTP_11, &["h"], true),
            (Version::HTTP_11, &[""], true),
            (Version::HTTP_11, &["h:80"], true),
            (Version::HTTP_11, &["[::1]:80"], true),
            (Version::HTTP_11, &["[::1]"], true),
            (Version::HTTP_11, &[], false),
            (Version::HTTP_11, &["a b"], false),
            (Version::HTTP_11, &["a", "a"], false),
            (Version::HTTP_11, &["a/b"], false),
            (Version::HTTP_11, &["u@a"], false),
            (Version::HTTP_11, &["a:8x"], false),
            (Version::HTTP_11, &["[]"], false),
            (Version::HTTP_11, &["[0]"], false),
            (Version::HTTP_11, &[":80"], false),
            (Version::HTTP_11, &["a:65536"], false),
            (Version::HTTP_11, &["[::1]a"], false),
            (Version::HTTP_10, &[], true),
            (Version::HTTP_2, &[], false),
        ];
        for (version, hosts, allowed) in cases {
            let mut headers = HeaderMap::new();
            for host in hosts {
                headers.append(HOST, HeaderValue::from_static(host));
            }
            let found = check(&Method::GET, version, &Uri::from_static("/"), &headers);
            assert_eq!(found.is_ok(), allowed, "{version:?} {hosts:?}");
        }
    }

    #[test]
    fn a_host_beside_an_authority_says_the_same_in_http_2() {
        for (version, host, allowed) in [
            (Version::HTTP_2, Some("h:8"), true),
            (Version::HTTP_2, Some("H:8"), true),
            (Version::HTTP_2, None, true),
            (Version::HTTP_2, Some("h"), false),
            (Version::HTTP_2, Some("h:80"), false),
            (Version::HTTP_2, Some(""), false),
            (Version::HTTP_11, Some("other"), true),
        ] {
            let host = host.map(|host| (HOST, HeaderValue::from_static(host)));
            let headers: HeaderMap = host.into_iter().collect();
            let uri = Uri::from_static("http://h:8/");
            let found = check(&Method::GET, version, &uri, &headers);
            assert_eq!(found.is_ok(), allowed, "{version:?} {headers:?}");
        }
    }

    #[test]
    fn the_port_of_the_scheme_may_stand_in_one_of_host_and_authority() {
        for (target, host, allowed) in [
            ("http://h/", "h:80", true),
            ("http://h:80/", "h", true),
            ("http://h/", "h:", true),
            ("http://h/", "H.:80", true),
            ("https://h/", "h:443", true),
            ("https://h:443/", "h", true),
            ("https://h/", "h:80", false),
            ("http://h/", "h:443", false),
            ("http://h:80/", "h:443", false),
        ] {
            let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static(host))]);
            let uri = Uri::from_static(target);
            let found = check(&Method::GET, Version::HTTP_2, &uri, &headers);
            assert_eq!(found.is_ok(), allowed, "{target} {host}");
        }
    }

    #[test]
    fn a_target_has_one_of_the_four_forms() {
        let options = Method::OPTIONS;
        for (method, target, allowed) in [
            (Method::GET, "/", true),
            (Method::GET, "//a", true),
            (Method::GET, "/?a", true),
            (Method::GET, "http://h", true),
            (Method::GET, "http://h:/", true),
            (Method::GET, "http://h?a", true),
            (Method::GET, "https://[::1]:8/", true),
            (options.clone(), "*", true),
            (options.clone(), "/", true),
            (Method::CONNECT, "h:80", true),
            (Method::GET, "x", false),
            (Method::GET, "*", false),
            (Method::POST, "*", false),
            (Method::GET, "evil.test", false),
            (Method::GET, "eh:80", false),
            (options, "x", false),
            (Method::GET, "http:", false),
            (Method::GET, "http://localhost:abc/", false),
            (Method::GET, "http://h:99999/", false),
            (Method::GET, "http://u@h/", false),
            (Method::GET, "http://u:p@h/", false),
            (Method::GET, "mailto:a@h", false),
            (Method::GET, "/caf\u{e9}", false),
            (Method::GET, "/?caf\u{e9}", false),
            (Method::GET, "http://h/\u{e9}", false),
        ] {
            let uri = Uri::try_from(target.as_bytes()).unwrap();
            let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static("h"))]);
            let found = check(&method, Version::HTTP_11, &uri, &headers);
            assert_eq!(found.is_ok(), allowed, "{method} {target}");
        }
    }

    #[test]
    fn the_one_transfer_coding_is_chunked_once() {
        for (lines, expected) in [
            (&["chunked"][..], None),
            (&["Chunked"], None),
            (&["chunked, chunked"], Some(400)),
            (&["chunked", "chunked"], Some(400)),
            (&[""], Some(400)),
            (&["identity, chunked"], Some(501)),
            (&["gzip, chunked"], Some(501)),
            (&["gzip", "chunked"], Some(501)),
            (&["x, chunked"], Some(501)),
            (&["chunked;a=b"], Some(501)),
        ] {
            let mut headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static("h"))]);
            for line in lines {
                headers.append(TRANSFER_ENCODING, HeaderValue::from_static(line));
            }
            let uri = Uri::from_static("/");
            let found = check(&Method::POST, Version::HTTP_11, &uri, &headers);
            let status = found.err().map(|error| error.status().as_u16());
            assert_eq!(status, expected, "{lines:?}");
        }
    }
}
