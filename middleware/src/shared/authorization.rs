//! The header `Authorization` (RFC 9110, section 11.6.2).

#[cfg(any(feature = "auth", feature = "time"))]
use base64::Engine;
#[cfg(any(feature = "auth", feature = "time"))]
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;

/// The scheme, and the credentials behind it; `None` if there are none, or two lines of them.
pub(crate) fn authorization(headers: &HeaderMap) -> Option<(&str, &str)> {
    let mut lines = headers.get_all(AUTHORIZATION).into_iter();
    let (line, None) = (lines.next()?, lines.next()) else {
        return None;
    };
    let (scheme, credentials) = line.to_str().ok()?.split_once(' ')?;
    Some((scheme, credentials.trim_matches(' ')))
}

/// The user and the password of Basic credentials (RFC 7617, section 2), which are not verified.
#[cfg(any(feature = "auth", feature = "time"))]
pub(crate) fn basic(headers: &HeaderMap) -> Option<(Vec<u8>, Vec<u8>)> {
    let (scheme, credentials) = authorization(headers)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let mut name = STANDARD.decode(credentials).ok()?;
    // A password may have colons, and a name has none.
    let colon = name.iter().position(|&byte| byte == b':')?;
    let password = name.split_off(colon + 1);
    name.truncate(colon);
    Some((name, password))
}

#[cfg(all(test, any(feature = "auth", feature = "time")))]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_user_is_what_stands_before_the_first_colon() {
        for (lines, expected) in [
            (&["Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="][..], Some("Aladdin")),
            (&["bAsIc  QWxhZGRpbjpvcGVuIHNlc2FtZQ=="], Some("Aladdin")),
            (&["Basic YTpiOmM="], Some("a")),
            (&["Basic OnNlY3JldA=="], Some("")),
            (&["Basic dGVzdDoxMjPCow=="], Some("test")),
            (&["Basic QWxhZGRpbg=="], None),
            (&["Basic QWxhZGRpbjp"], None),
            (&["Basic"], None),
            (&["Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ=="], None),
            (&["Basic YTpi", "Basic Yzpk"], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(AUTHORIZATION, HeaderValue::from_static(line));
            }
            let found = basic(&headers).map(|(user, _)| user);
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{lines:?}");
        }
    }
}
