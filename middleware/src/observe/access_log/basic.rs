//! The user name of Basic credentials (RFC 7617), which is not verified.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;

/// The user that a request claims to be from; `None` without such credentials, or if they are repeated.
pub(super) fn user(headers: &HeaderMap) -> Option<Vec<u8>> {
    let mut lines = headers.get_all(AUTHORIZATION).into_iter();
    let (line, None) = (lines.next()?, lines.next()) else {
        return None;
    };
    let (scheme, credentials) = line.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let mut name = STANDARD.decode(credentials.trim_matches(' ')).ok()?;
    let colon = name.iter().position(|&byte| byte == b':')?;
    name.truncate(colon);
    Some(name)
}

#[cfg(test)]
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
            let found = user(&headers);
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{lines:?}");
        }
    }
}
