//! Redirects clients to other paths by rules.

use std::sync::Arc;

use enfilade_core::{Application, Description, Middleware, Reply, Request, Wrapper, path, wrapped};
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};

use crate::error::Error;
use crate::error::ErrorKind;
use crate::rewriting::path_rule::{PathRule, RuleInput, first_match, rule_path};

/// Redirects clients by ordered rules; requests that no rule matches reach the application.
///
/// The first rule that matches is applied. A rule is a regular expression and a replacement with `$1` or `${name}` for
/// its groups. The replacement is a path, relative to the mount, or a whole URL. The rule matches the path below
/// mounts, in canonical form. The query stays, unless the replacement has its own. The text of a group is
/// percent-encoded for its new place, as with [`Rewrite`](crate::Rewrite).
///
/// If a rule leads to a path that another rule would redirect, the client is sent to the final path at once. If the
/// rules lead in a circle, there is no redirect, and the request reaches the application. So there are no loops.
///
/// # Order
///
/// Outside a router, inside logs.
///
/// # Security
///
/// A client cannot choose the host of the redirect: the host of a URL has no groups, and a path never begins with two
/// slashes. [`insecure_rule`](Redirect::insecure_rule) allows groups in the host.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::Redirect;
/// use enfilade::{Application, Request};
/// use enfilade_testing::Client;
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
/// let redirect = Redirect::permanent()
///     .rule("^/blog/([0-9]+)$", "/posts/$1")?
///     .rule("^/docs/(.*)$", "https://docs.example.org/$1")?;
/// let client = Client::new(Application::new(|_: Request| "here").wrap(redirect));
/// let response = client.get("/blog/7?full=1").send();
/// assert_eq!((response.status().as_u16(), response.header("location")), (308, Some("/posts/7?full=1")));
/// assert_eq!(client.get("/docs/a").send().header("location"), Some("https://docs.example.org/a"));
/// assert_eq!(client.get("/posts/7").send().text(), "here");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct Redirect {
    status: StatusCode,
    rules: Vec<PathRule>,
}

impl Redirect {
    /// 308: permanent, keeps the method.
    pub fn permanent() -> Self {
        Redirect {
            status: StatusCode::PERMANENT_REDIRECT,
            rules: Vec::new(),
        }
    }

    /// 307: temporary, keeps the method.
    pub fn temporary() -> Self {
        Redirect {
            status: StatusCode::TEMPORARY_REDIRECT,
            rules: Vec::new(),
        }
    }

    /// 301: permanent; old clients turn a POST into a GET (RFC 9110, section 15.4.2).
    pub fn moved_permanently() -> Self {
        Redirect {
            status: StatusCode::MOVED_PERMANENTLY,
            rules: Vec::new(),
        }
    }

    /// 302: temporary; old clients turn a POST into a GET (RFC 9110, section 15.4.3).
    pub fn found() -> Self {
        Redirect {
            status: StatusCode::FOUND,
            rules: Vec::new(),
        }
    }

    /// Adds a rule for the path.
    ///
    /// # Errors
    ///
    /// If the pattern is not a valid regular expression, or if the replacement names a group that does not exist, is
    /// neither a path nor an `http` or `https` URL, or has a group in its host.
    pub fn rule(self, pattern: &str, to: &str) -> Result<Self, Error> {
        check(pattern, to)?;
        self.add(RuleInput::Path, pattern, to)
    }

    /// Adds a rule for the path with `?` and the query, if there is one; the replacement has both too.
    ///
    /// # Errors
    ///
    /// As for [`rule`](Redirect::rule).
    pub fn rule_with_query(self, pattern: &str, to: &str) -> Result<Self, Error> {
        check(pattern, to)?;
        self.add(RuleInput::PathAndQuery, pattern, to)
    }

    /// Adds a rule for the path whose replacement may have groups anywhere, so that clients may choose the host.
    ///
    /// # Errors
    ///
    /// As for [`rule`](Redirect::rule), except for the host.
    pub fn insecure_rule(self, pattern: &str, to: &str) -> Result<Self, Error> {
        self.add(RuleInput::Path, pattern, to)
    }

    fn add(mut self, input: RuleInput, pattern: &str, to: &str) -> Result<Self, Error> {
        self.rules.push(PathRule::new(input, pattern, to)?);
        Ok(self)
    }

    /// Returns the final destination; `None` if no rule matches, or the rules lead in a circle.
    fn destination(&self, path: &str, query: Option<&str>) -> Option<String> {
        let mut way = vec![(path.to_owned(), query.map(str::to_owned))];
        // A chain that is longer than the list of rules repeats a rule, or grows forever.
        for _ in 0..=self.rules.len() {
            let (path, query) = way.last()?;
            let Some(made) = first_match(&self.rules, path, query.as_deref()) else {
                let query = query
                    .as_deref()
                    .map(|query| format!("?{query}"))
                    .unwrap_or_default();
                return (way.len() > 1).then(|| format!("{path}{query}"));
            };
            if !made.starts_with('/') {
                return Some(made);
            }
            let made = format!("/{}", made.trim_start_matches('/'));
            let (path, query) = made
                .split_once('?')
                .map_or((&*made, None), |(path, query)| (path, Some(query)));
            let next = (path::canonical(path).into_owned(), query.map(str::to_owned));
            if way.contains(&next) {
                return None;
            }
            way.push(next);
        }
        None
    }
}

/// Checks that only the author of the rule chooses the host.
fn check(pattern: &str, to: &str) -> Result<(), Error> {
    let wrong = |why: &str| {
        Err(Error::new(
            ErrorKind::Rule,
            format!("{pattern:?} to {to:?} is not a redirect: {why}"),
        ))
    };
    let host = to
        .strip_prefix("https://")
        .or_else(|| to.strip_prefix("http://"));
    match host.map(|rest| rest.split_once('/')) {
        None if to.starts_with('/') => Ok(()),
        None => wrong("it is neither a path nor a URL"),
        Some(None) => wrong("a slash has to follow the host"),
        Some(Some((host, _))) if host.contains('$') => wrong("a client could choose the host"),
        Some(Some(_)) => Ok(()),
    }
}

impl Middleware for Redirect {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl Wrapper for Redirect {
    fn call(self: &Arc<Self>, inner: &Application, request: Request) -> Reply {
        let (path, query) = (rule_path(&request), request.query_string());
        let Some(made) = self.destination(path, query) else {
            return inner.call(request);
        };
        let location = match made.strip_prefix('/') {
            // A mount of only slashes must not turn the following text into a host.
            Some(inside) => {
                let script_name = request.script_name().trim_matches('/');
                let mount = if script_name.is_empty() {
                    String::new()
                } else {
                    format!("/{script_name}")
                };
                path::encode_invalid(&format!("{mount}/{inside}")).into_owned()
            }
            None => repair_url(&made),
        };
        match HeaderValue::try_from(location) {
            Ok(location) => Reply::new((self.status, [(LOCATION, location)], ())),
            Err(_) => Reply::new(StatusCode::BAD_REQUEST),
        }
    }

    fn describe(&self) -> Description {
        let redirect = Description::new("Redirect").option("status", self.status);
        self.rules
            .iter()
            .fold(redirect, |all, rule| all.option(rule.pattern(), rule.to()))
    }
}

/// Percent-encodes characters that are not valid in the path and query of a URL.
fn repair_url(url: &str) -> String {
    let host_end = url
        .find("://")
        .and_then(|at| url.get(at + 3..)?.find('/').map(|slash| at + 3 + slash));
    let (host, rest) = url
        .split_at_checked(host_end.unwrap_or(url.len()))
        .unwrap_or((url, ""));
    format!("{host}{}", path::encode_invalid(rest))
}

#[cfg(test)]
mod tests {
    use enfilade_testing::{Client, Lint, laws};

    use super::*;

    fn client(redirect: Redirect) -> Client {
        let app = Application::new(|_: Request| "inside").wrap(redirect);
        Client::new(app.wrap(Lint::new().allow_external_locations()))
    }

    #[test]
    fn clients_are_sent_to_the_end_of_the_way() {
        let rules = Redirect::found()
            .rule("^/a/(.*)$", "/b/$1")
            .unwrap()
            .rule("^/b/(.*)$", "/c/$1")
            .unwrap()
            .rule("^/x$", "/y")
            .unwrap()
            .rule("^/y$", "/x")
            .unwrap()
            .rule("^/grow(.*)$", "/grow/more$1")
            .unwrap()
            .rule("^/same$", "/same")
            .unwrap()
            .rule("^/to/(.*)$", "/$1")
            .unwrap()
            .rule("^/out/(.*)$", "https://example.org/$1")
            .unwrap()
            .rule_with_query("^/find[?]q=(.*)$", "/search/$1")
            .unwrap()
            .rule("^/item/(.*)$", "/show?id=$1")
            .unwrap()
            .rule("^/shop/(.*)$", "https://shop.example.org/?p=$1&x")
            .unwrap();
        let client = client(rules);
        let cases = [
            ("/a/1?q", Some("/c/1?q")),
            ("/b/1", Some("/c/1")),
            ("/c/1", None),
            ("/x", None),
            ("/grow", None),
            ("/same", None),
            ("/to/%2Fevil.example", Some("/%2Fevil.example")),
            ("/to//evil.example", Some("/evil.example")),
            ("/to/%5Cevil.example", Some("/%5Cevil.example")),
            ("/out/a%20b", Some("https://example.org/a%20b")),
            (
                "/out/%0d%0aX:%201",
                Some("https://example.org/%0D%0AX:%201"),
            ),
            ("/find?q={x}", Some("/search/%7Bx%7D")),
            ("/find?r=x", None),
            ("/item/a%26b=c", Some("/show?id=a%26b%3Dc")),
            (
                "/shop/a&b+c",
                Some("https://shop.example.org/?p=a%26b%2Bc&x"),
            ),
        ];
        for (target, location) in cases {
            let response = client.get(target).send();
            assert_eq!(response.header("location"), location, "{target}");
            assert_eq!(
                response.status(),
                if location.is_some() { 302 } else { 200 },
                "{target}"
            );
        }
    }

    #[test]
    fn a_client_cannot_choose_the_host() {
        let cases = [
            ("//$1", None),
            ("https://$1/x", Some("a client could choose the host")),
            (
                "https://example.org$1",
                Some("a slash has to follow the host"),
            ),
            ("$1", Some("it is neither a path nor a URL")),
            (
                "ftp://example.org/$1",
                Some("it is neither a path nor a URL"),
            ),
        ];
        for (to, expected) in cases {
            let built = Redirect::permanent().rule("^/(.*)$", to);
            let expected =
                expected.map(|why| format!("\"^/(.*)$\" to {to:?} is not a redirect: {why}"));
            assert_eq!(built.err().map(|error| error.to_string()), expected);
        }
        let client = client(
            Redirect::permanent()
                .insecure_rule("^/go/(.*)$", "https://$1/")
                .unwrap(),
        );
        assert_eq!(
            client.get("/go/example.org").send().header("location"),
            Some("https://example.org/")
        );
    }

    #[test]
    fn each_kind_has_its_status() {
        for (redirect, status) in [
            (Redirect::permanent(), 308),
            (Redirect::temporary(), 307),
            (Redirect::moved_permanently(), 301),
            (Redirect::found(), 302),
        ] {
            assert_eq!(
                client(redirect.rule("^/a$", "/b").unwrap())
                    .get("/a")
                    .send()
                    .status(),
                status
            );
        }
    }

    #[test]
    fn keeps_the_laws() {
        laws::check(Redirect::permanent().rule("^/(.*)b$", "/c/$1").unwrap());
    }
}
