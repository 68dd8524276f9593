//! Guards: tests of requests.

use std::fmt;
use std::sync::Arc;

use enfilade_core::{OptionValue, Request, Scheme, path};
use http::{HeaderName, HeaderValue, Method};

use crate::error::Error;
use crate::matching::accept::accepts;
use crate::matching::path_glob::PathGlob;
use crate::matching::prefix::mount_prefix;

/// A test that a request passes or fails.
#[derive(Clone)]
#[must_use = "a guard does nothing until something asks it"]
pub struct Guard {
    name: String,
    test: Arc<dyn Fn(&Request) -> bool + Send + Sync>,
}

impl Guard {
    /// Makes a guard from your own test, with a name for the description.
    pub fn new(
        name: impl Into<String>,
        test: impl Fn(&Request) -> bool + Send + Sync + 'static,
    ) -> Guard {
        Guard {
            name: name.into(),
            test: Arc::new(test),
        }
    }

    /// Matches requests with one of these methods.
    pub fn method(methods: impl IntoIterator<Item = Method>) -> Guard {
        let methods: Vec<Method> = methods.into_iter().collect();
        let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
        Guard::new(names.join(" or "), move |request| {
            methods.contains(request.method())
        })
    }

    /// Matches paths at or below this prefix: `/admin`, `/admin/` and `/admin/users`, but not `/administrator`.
    ///
    /// It matches the same requests that an application mounted at the prefix gets.
    ///
    /// ```
    /// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
    /// use enfilade::http::StatusCode;
    /// use enfilade::middleware::{Guard, Mounts, OnlyIf};
    /// use enfilade::{Application, Request};
    /// use enfilade_testing::Client;
    ///
    /// fn locked(_: Application) -> Application {
    ///     Application::new(|_: Request| StatusCode::FORBIDDEN)
    /// }
    ///
    /// # fn main() -> Result<(), enfilade::middleware::Error> {
    /// let site = Mounts::new().at("/admin", |_: Request| "secrets")?;
    /// let site = Application::from_handler(site).wrap(OnlyIf::new(Guard::below("/admin")?, locked));
    /// let client = Client::new(site);
    /// for path in ["/admin", "/admin/", "/admin/users", "/%61dmin", "/x/../admin"] {
    ///     assert_eq!(client.get(path).send().status(), 403);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If the prefix does not begin with a slash, ends with one (except `/`), has a dot segment, a query or a capture,
    /// or is percent-encoded.
    pub fn below(prefix: &str) -> Result<Guard, Error> {
        let matched = mount_prefix(prefix)?.to_owned();
        Ok(Guard::new(format!("below {prefix}"), move |request| {
            path::match_prefix(request.path(), &matched).is_some()
        }))
    }

    /// Matches paths by a pattern: `/assets/**`, `/*.txt`, `**/*.{css,js}`.
    ///
    /// It matches the [path](Request::path) below mounts, the same string that an inner router reads. `*` and `?` match
    /// within a segment: any text, or one character. `**` as a whole segment matches any number of segments, at the end
    /// at least one. `[…]` matches one of several characters, `[!…]` any other one, `{…,…}` one of several patterns. A
    /// backslash escapes the next character. Upper and lower case differ. Write characters as they are, `é` and not
    /// `%C3%A9`.
    ///
    /// # Security
    ///
    /// `/admin/**` does not match `/admin`, but a router or a mount at `/admin` responds to that path. Use
    /// [`below`](Guard::below) to protect everything at and below a path.
    ///
    /// # Errors
    ///
    /// If the pattern is malformed, or begins with neither a slash nor `**/` and so matches nothing.
    pub fn path(pattern: &str) -> Result<Guard, Error> {
        let glob = PathGlob::new(pattern)?;
        Ok(Guard::new(pattern, move |request| glob.matches(request)))
    }

    /// Matches requests that have this header.
    pub fn header(name: HeaderName) -> Guard {
        Guard::new(format!("has {name}"), move |request| {
            request.headers().contains_key(&name)
        })
    }

    /// Matches requests with a header that has exactly this field value, which may be one of several.
    pub fn header_is(name: HeaderName, value: HeaderValue) -> Guard {
        // The value may be a secret, and a guard's name is shown in descriptions.
        Guard::new(format!("{name} matches"), move |request| {
            request
                .headers()
                .get_all(&name)
                .iter()
                .any(|found| found == value)
        })
    }

    /// Matches requests whose `Accept` allows this media type, such as `text/html`, and those without `Accept`.
    pub fn accepts(media_type: impl Into<String>) -> Guard {
        let media_type = media_type.into();
        Guard::new(format!("accepts {media_type}"), move |request| {
            accepts(request.headers(), &media_type)
        })
    }

    /// Matches requests with this [scheme](Request::scheme).
    pub fn scheme(scheme: Scheme) -> Guard {
        Guard::new(scheme.as_str(), move |request| request.scheme() == scheme)
    }

    /// Matches requests whose query has this part, as received: `debug`, `page=2`.
    pub fn query(part: impl Into<String>) -> Guard {
        let part = part.into();
        let has = move |request: &Request| {
            request
                .query_string()
                .is_some_and(|query| query.split('&').any(|found| found == part))
        };
        Guard::new("query", has)
    }

    /// Matches requests that both guards match.
    pub fn and(self, other: Guard) -> Guard {
        let name = format!("({self} and {other})");
        Guard::new(name, move |request| {
            self.matches(request) && other.matches(request)
        })
    }

    /// Matches requests that at least one of the guards matches.
    pub fn or(self, other: Guard) -> Guard {
        let name = format!("({self} or {other})");
        Guard::new(name, move |request| {
            self.matches(request) || other.matches(request)
        })
    }

    /// Matches requests that this guard does not match.
    #[expect(
        clippy::should_implement_trait,
        reason = "`and` and `or` have no operators, so `not` has none either"
    )]
    pub fn not(self) -> Guard {
        Guard::new(format!("not {self}"), move |request| !self.matches(request))
    }

    /// Returns whether the guard matches the request.
    #[must_use]
    pub fn matches(&self, request: &Request) -> bool {
        (self.test)(request)
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// A guard is code, and its name is a description.
impl From<&Guard> for OptionValue {
    fn from(guard: &Guard) -> OptionValue {
        OptionValue::opaque(&*guard.name)
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guard({})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use enfilade_core::Connection;
    use http::header::{ACCEPT, ORIGIN};

    use super::*;

    #[test]
    fn guards_look_at_one_thing_each_and_combine() {
        let mut request = Request::get("/?a&b=1");
        request
            .headers_mut()
            .append(ORIGIN, HeaderValue::from_static("x"));
        request
            .headers_mut()
            .append(ORIGIN, HeaderValue::from_static("y"));
        request
            .headers_mut()
            .append(ACCEPT, HeaderValue::from_static("text/*"));
        request.set_connection(Connection::new(Scheme::Https));
        let y = || Guard::header_is(ORIGIN, HeaderValue::from_static("y"));
        let z = || Guard::header_is(ORIGIN, HeaderValue::from_static("z"));
        let cases = [
            (
                Guard::method([Method::GET, Method::PUT]),
                true,
                "GET or PUT",
            ),
            (Guard::method([Method::POST]), false, "POST"),
            (Guard::path("/*").unwrap(), true, "/*"),
            (Guard::path("/a/**").unwrap(), false, "/a/**"),
            (Guard::header(ORIGIN), true, "has origin"),
            (y(), true, "origin matches"),
            (z(), false, "origin matches"),
            (Guard::accepts("text/html"), true, "accepts text/html"),
            (Guard::accepts("image/png"), false, "accepts image/png"),
            (Guard::scheme(Scheme::Https), true, "https"),
            (Guard::scheme(Scheme::Http), false, "http"),
            (Guard::query("a"), true, "query"),
            (Guard::query("b=1"), true, "query"),
            (Guard::query("b"), false, "query"),
            (y().and(z()), false, "(origin matches and origin matches)"),
            (y().or(z()), true, "(origin matches or origin matches)"),
            (z().not(), true, "not origin matches"),
            (Guard::new("own", |_| true), true, "own"),
        ];
        for (guard, expected, name) in cases {
            assert_eq!(
                (guard.matches(&request), guard.to_string().as_str()),
                (expected, name)
            );
        }
    }
}
