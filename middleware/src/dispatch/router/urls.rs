//! URLs of named routes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use enfilade_core::path;

use super::pattern::Pattern;
use super::segment::Segment;

/// Makes paths from the names of a router's routes; see [`Router::urls`](super::Router::urls).
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::Request;
/// use enfilade::middleware::Router;
///
/// let library = Router::new().get("/shelves/{shelf}", |_: Request| "books").name("shelf");
/// let router = Router::new()
///     .get("/users/{id:int}", |_: Request| "user").name("user")
///     .nest("/library", library);
/// let urls = router.urls();
///
/// assert_eq!(urls.url_for("user", &[("id", "42")]).unwrap(), "/users/42");
/// assert_eq!(urls.url_for("shelf", &[("shelf", "a/b c")]).unwrap(), "/library/shelves/a%2Fb%20c");
/// let error = urls.url_for("user", &[("id", "ada")]).unwrap_err();
/// assert_eq!(error.to_string(), "\"ada\" cannot be the id of \"user\", /users/{id:int}");
/// ```
///
/// The path is relative to the router: in a mounted router, `request.url_for_path(&path)` adds the prefix.
#[derive(Clone, Debug, Default)]
pub struct Urls(BTreeMap<String, Arc<Pattern>>);

/// Why [`Urls::url_for`] has no URL.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlError {
    /// No route has this name.
    NoRoute(String),
    /// There is no value for this capture of the route of this name.
    Missing(String, String),
    /// The route of this name has no such capture.
    Unknown(String, String),
    /// The route of this name, with this pattern, does not match if this capture has this value.
    Refused(String, String, String, String),
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UrlError::NoRoute(name) => write!(f, "no route is named {name:?}"),
            UrlError::Missing(route, param) => write!(f, "{route:?} needs a value for {param}"),
            UrlError::Unknown(route, param) => write!(f, "{route:?} captures no {param}"),
            UrlError::Refused(route, pattern, param, value) => {
                write!(f, "{value:?} cannot be the {param} of {route:?}, {pattern}")
            }
        }
    }
}

impl std::error::Error for UrlError {}

/// A route by name, with values for its captures.
struct UrlRequest<'a> {
    route: &'a str,
    pattern: &'a Pattern,
    params: &'a [(&'a str, &'a str)],
}

impl Urls {
    /// Makes the path of a named route from values for its captures, which are percent-encoded as needed.
    ///
    /// # Errors
    ///
    /// If no route has this name, a value is missing or unknown, or the pattern does not match it.
    pub fn url_for(&self, name: &str, params: &[(&str, &str)]) -> Result<String, UrlError> {
        let pattern = self
            .0
            .get(name)
            .ok_or_else(|| UrlError::NoRoute(name.to_owned()))?;
        let unknown = params
            .iter()
            .find(|(param, _)| !pattern.names().any(|known| known == *param));
        if let Some((param, _)) = unknown {
            return Err(UrlError::Unknown(name.to_owned(), (*param).to_owned()));
        }
        let wanted = UrlRequest {
            route: name,
            pattern,
            params,
        };
        let mut url = String::new();
        for segment in &pattern.segments {
            url.push('/');
            wanted.write_segment(segment, &mut url)?;
        }
        if let Some(rest) = &pattern.rest {
            // Slashes in the rest stay slashes.
            url.push('/');
            url.push_str(&path::encode(wanted.value(rest)?));
        }
        Ok(if url.is_empty() { "/".to_owned() } else { url })
    }

    /// Adds a name; returns a message if it already exists.
    pub(super) fn add(&mut self, name: &str, pattern: Pattern) -> Option<String> {
        let text = pattern.text.clone();
        let before = self.0.insert(name.to_owned(), Arc::new(pattern))?;
        Some(format!(
            "{name:?} names both {:?} and {text:?}",
            before.text
        ))
    }

    /// Adds the names of a router that is mounted at `prefix`.
    pub(super) fn add_all(&mut self, prefix: &Pattern, inner: &Urls) -> Vec<String> {
        let added = inner
            .0
            .iter()
            .filter_map(|(name, pattern)| self.add(name, prefix.join(pattern)));
        added.collect()
    }
}

impl UrlRequest<'_> {
    fn write_segment(&self, segment: &Segment, url: &mut String) -> Result<(), UrlError> {
        match segment {
            Segment::Text(text) => url.push_str(text),
            Segment::Any(name) | Segment::Rest(name) => {
                url.push_str(&path::encode_segment(self.value(name)?))
            }
            Segment::Constrained(constrained) => {
                let mut text = String::new();
                constrained.assemble(&mut text, &mut |name| self.value(name))?;
                // The values must come back as they are when the path is matched.
                let names = segment.names().iter();
                let wrong = match constrained.matches(&text) {
                    true => names
                        .zip(constrained.captures(&text))
                        .find(|(name, found)| self.value(name) != Ok(found))
                        .map(|(name, _)| name),
                    false => segment.names().first(),
                };
                if let Some(name) = wrong {
                    return Err(self.refused(name, self.value(name)?));
                }
                url.push_str(&path::encode_segment(&text));
            }
        }
        Ok(())
    }

    /// The value for a capture: at least one character.
    fn value(&self, name: &str) -> Result<&str, UrlError> {
        match self.params.iter().find(|(param, _)| *param == name) {
            Some((_, "")) => Err(self.refused(name, "")),
            Some((_, value)) => Ok(value),
            None => Err(UrlError::Missing(self.route.to_owned(), name.to_owned())),
        }
    }

    fn refused(&self, name: &str, value: &str) -> UrlError {
        let pattern = self.pattern.text.to_string();
        UrlError::Refused(
            self.route.to_owned(),
            pattern,
            name.to_owned(),
            value.to_owned(),
        )
    }
}
