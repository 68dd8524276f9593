//! The cookies of a request.

use std::borrow::Cow;

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use percent_encoding::percent_decode_str;

use crate::message::request::Request;

/// The maximum number of cookies that are read, as browsers keep for a site.
const MOST_COOKIES: usize = 180;
/// The maximum length of what is read, in bytes.
const MOST_BYTES: usize = 64 * 1024;

/// The cookies of a request, as received: nothing is decoded (RFC 6265bis, section 5.8.3).
#[derive(Clone, Copy, Debug)]
pub struct Cookies<'a>(&'a HeaderMap);

impl Request {
    /// The cookies of the request.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::Request;
    ///
    /// let mut request = Request::get("/");
    /// request.headers_mut().insert("cookie", "theme=dark; lang=fr; theme=light".parse().unwrap());
    /// assert_eq!(request.cookies().get("theme"), Some("dark"));
    /// assert_eq!(request.cookies().get("size"), None);
    /// ```
    #[must_use]
    pub fn cookies(&self) -> Cookies<'_> {
        Cookies(self.headers())
    }
}

impl<'a> Cookies<'a> {
    /// The value of the first cookie of this name: browsers send that of the most specific path first.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.iter()
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value)
    }

    /// The same with percent-encoding decoded, for a cookie that [`Cookie::encoded`](crate::Cookie::encoded) made.
    ///
    /// `None` too if it is not UTF-8.
    #[must_use]
    pub fn get_decoded(&self, name: &str) -> Option<Cow<'a, str>> {
        percent_decode_str(self.get(name)?).decode_utf8().ok()
    }

    /// All cookies, in order: at most 180, of at most 64 KiB. One without a name, or that is not UTF-8, is left out.
    ///
    /// A semicolon ends a value in quotes too, as it does for browsers; quotes are part of a value.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let mut left = MOST_BYTES;
        let lines = self.0.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
        let lines = lines.take_while(move |line| {
            let fits = line.len() <= left;
            left = left.saturating_sub(line.len());
            fits
        });
        let pairs = lines.flat_map(|line| line.split(|byte| *byte == b';'));
        pairs.filter_map(pair).take(MOST_COOKIES)
    }
}

fn pair(text: &[u8]) -> Option<(&str, &str)> {
    let (name, value) = std::str::from_utf8(text).ok()?.split_once('=')?;
    let blank = [' ', '\t'];
    let (name, value) = (name.trim_matches(blank), value.trim_matches(blank));
    (!name.is_empty()).then_some((name, value))
}
