//! The variables of a web server for a request.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// The meta-variables of a request, as the web server sent them (RFC 3875, section 4.1).
///
/// They are in the extensions of a request that arrived by CGI, FastCGI or SCGI. Read values there that have no other
/// place in the request: facts about the client's certificate, for example, or the server's own variables.
///
/// `HTTP_PROXY`, which would be a client's header `Proxy`, is left out: programs read it as a setting ("httpoxy").
///
/// ```
/// use enfilade::cgi::Variables;
/// use enfilade::{Application, Request};
///
/// let app = Application::new(|request: Request| {
///     let variables = request.extensions().get::<Variables>();
///     let root = variables.and_then(|variables| variables.get("DOCUMENT_ROOT"));
///     root.map(std::borrow::Cow::into_owned)
/// });
/// # let variables = Variables::from_iter([("DOCUMENT_ROOT", "/srv")]);
/// # assert_eq!(enfilade_testing::Client::new(app).get("/").extension(variables).send().text(), "/srv");
/// ```
#[derive(Clone, Default)]
pub struct Variables(Arc<[(Bytes, Bytes)]>);

impl Variables {
    /// The value of a variable; bytes that are not UTF-8 are read as Latin-1.
    ///
    /// If a name is repeated, the last value counts, because servers send overrides after defaults. A missing and an
    /// empty value are the same (RFC 3875, section 4.1): `None`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        self.bytes(name).map(text)
    }

    /// All variables, in the order in which they arrived.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        self.0.iter().map(|(name, value)| (text(name), text(value)))
    }

    /// The same for a server without a script: the whole path belongs to the application.
    #[cfg(any(feature = "fastcgi", feature = "scgi"))]
    pub(crate) fn at_root(&self) -> Variables {
        let whole = match self.bytes("REQUEST_URI") {
            Some(_) => Bytes::new(),
            None => ["SCRIPT_NAME", "PATH_INFO"]
                .map(|name| self.bytes(name).unwrap_or_default())
                .concat()
                .into(),
        };
        let ours = [
            ("SCRIPT_NAME".into(), Bytes::new()),
            ("PATH_INFO".into(), whole),
        ];
        self.0.iter().cloned().chain(ours).collect()
    }

    /// The value of a variable, as received.
    pub(super) fn bytes(&self, name: &str) -> Option<&[u8]> {
        let mut found = self.all(name);
        found.next_back().filter(|value| !value.is_empty())
    }

    /// All values of a variable.
    pub(super) fn all(&self, name: &str) -> impl DoubleEndedIterator<Item = &[u8]> {
        let named = self
            .0
            .iter()
            .filter(move |(found, _)| found == name.as_bytes());
        named.map(|(_, value)| &value[..])
    }

    /// All variables, as received.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(name, value)| (&name[..], &value[..]))
    }
}

impl<N: Into<Bytes>, V: Into<Bytes>> FromIterator<(N, V)> for Variables {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Variables {
        let pairs = pairs
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        Variables(
            pairs
                .filter(|(name, _): &(Bytes, Bytes)| name != "HTTP_PROXY")
                .collect(),
        )
    }
}

impl fmt::Debug for Variables {
    /// Values may be secrets, so only the names are shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().map(|(name, _)| text(name));
        f.debug_list().entries(names).finish()
    }
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => bytes
            .iter()
            .copied()
            .map(char::from)
            .collect::<String>()
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_counts_and_an_empty_one_is_none() {
        let pairs = [
            ("A", "1"),
            ("B", ""),
            ("A", "2"),
            ("C", "x"),
            ("HTTP_PROXY", "x"),
            ("C", ""),
        ];
        let variables = Variables::from_iter(pairs);
        for (name, expected) in [("A", Some("2")), ("B", None), ("C", None), ("D", None)] {
            assert_eq!(variables.get(name).as_deref(), expected, "{name}");
        }
        assert_eq!(variables.iter().count(), 5);
        assert_eq!(format!("{variables:?}"), r#"["A", "B", "A", "C", "C"]"#);
    }
}
