//! The query of a request.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::Request;

impl Request {
    /// The query without its `?`, as received; `None` without a `?`.
    #[must_use]
    pub fn query_string(&self) -> Option<&str> {
        self.head().query_string()
    }

    /// The pairs of the query, decoded as forms are (WHATWG URL, section 5.1): `+` is a space.
    ///
    /// A name can be repeated. A pair without `=` has an empty value. What is not UTF-8 is replaced by U+FFFD.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::Request;
    ///
    /// let request = Request::get("/search?q=caf%C3%A9+noir&page=2&all");
    /// let pairs: Vec<_> = request.query_pairs().collect();
    /// assert_eq!(pairs, [("q".into(), "café noir".into()), ("page".into(), "2".into()), ("all".into(), "".into())]);
    /// ```
    pub fn query_pairs(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        let pairs = self.query_string().unwrap_or_default().split('&');
        pairs.filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        })
    }
}

fn decoded(text: &str) -> Cow<'_, str> {
    match text.contains('+') {
        true => percent_decode_str(&text.replace('+', " "))
            .decode_utf8_lossy()
            .into_owned()
            .into(),
        false => percent_decode_str(text).decode_utf8_lossy(),
    }
}

#[cfg(test)]
mod tests {
    use crate::message::request::Request;

    #[test]
    fn pairs_are_decoded_as_forms_are() {
        let pairs = |target| {
            let request = Request::get(target);
            let pairs = request
                .query_pairs()
                .map(|(name, value)| format!("{name}|{value}"));
            pairs.collect::<Vec<_>>()
        };
        assert_eq!(pairs("/"), [""; 0]);
        assert_eq!(pairs("/?"), [""; 0]);
        assert_eq!(pairs("/?a=b&&c"), ["a|b", "c|"]);
        assert_eq!(pairs("/?a=b=c&=d&a=%2B+%26"), ["a|b=c", "|d", "a|+ &"]);
        assert_eq!(pairs("/?%FF=%4&a%3Db=1"), ["\u{fffd}|%4", "a=b|1"]);
    }
}
