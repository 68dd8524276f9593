//! Changes the path of a request by rules before the application sees it.

use std::sync::Arc;

use enfilade_core::{
    Application, Description, HttpError, Middleware, Reply, Request, Wrapper, path, wrapped,
};
use http::StatusCode;

use crate::error::Error;
use crate::rewriting::path_rule::{PathRule, RuleInput, first_match, rule_path};

/// Changes the path of a request by ordered rules; the client does not notice.
///
/// The first rule that matches is applied, once: there are no loops. A rule is a regular expression and a replacement
/// with `$1` or `${name}` for its groups. It matches the path below mounts, in canonical form: `/%66oo` is `/foo`, and
/// the empty path of a mount is `/`. The query stays, unless the replacement has its own.
///
/// The text of a group is percent-encoded for its new place: an `&` from a path is `%26` in a query and ends no value,
/// and a `?` from a query is `%3F` in a path.
///
/// # Order
///
/// Outside a router. Logs outside show the path as received.
///
/// # Security
///
/// Do not protect paths with rules; use a wrapper that checks access.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::Rewrite;
/// use enfilade::{Application, Request};
/// use enfilade_testing::Client;
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
/// let rewrite = Rewrite::new()
///     .rule("^/blog/([0-9]+)$", "/posts/$1")?
///     .rule_with_query("^/show[?]id=(?<id>[a-z]+)$", "/things/${id}")?;
/// let app = Application::new(|request: Request| request.uri().to_string()).wrap(rewrite);
/// let client = Client::new(app);
/// assert_eq!(client.get("/blog/7?full=1").send().text(), "/posts/7?full=1");
/// assert_eq!(client.get("/show?id=rose").send().text(), "/things/rose");
/// assert_eq!(client.get("/blog/x").send().text(), "/blog/x");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct Rewrite {
    rules: Vec<PathRule>,
}

impl Rewrite {
    /// Starts without rules, which leaves requests unchanged.
    pub fn new() -> Self {
        Rewrite::default()
    }

    /// Adds a rule for the path.
    ///
    /// # Errors
    ///
    /// If the pattern is not a valid regular expression, or if the replacement names a group that does not exist or
    /// does not begin with a slash.
    pub fn rule(self, pattern: &str, to: &str) -> Result<Self, Error> {
        self.add(RuleInput::Path, pattern, to)
    }

    /// Adds a rule for the path with `?` and the query, if there is one; the replacement has both too.
    ///
    /// # Errors
    ///
    /// As for [`rule`](Rewrite::rule).
    pub fn rule_with_query(self, pattern: &str, to: &str) -> Result<Self, Error> {
        self.add(RuleInput::PathAndQuery, pattern, to)
    }

    fn add(mut self, input: RuleInput, pattern: &str, to: &str) -> Result<Self, Error> {
        let rule = PathRule::new(input, pattern, to)?;
        if !to.starts_with('/') {
            let why = "it does not begin with a slash";
            return Err(Error::new(
                crate::error::ErrorKind::Rule,
                format!("{pattern:?} to {to:?} is not a rewrite: {why}"),
            ));
        }
        self.rules.push(rule);
        Ok(self)
    }
}

impl Middleware for Rewrite {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl Wrapper for Rewrite {
    fn call(self: &Arc<Self>, inner: &Application, mut request: Request) -> Reply {
        let (path, query) = (rule_path(&request), request.query_string());
        let Some(made) = first_match(&self.rules, path, query) else {
            return inner.call(request);
        };
        let made = path::encode_invalid(&made);
        let (path, query) = made
            .split_once('?')
            .map_or((&*made, None), |(path, query)| (path, Some(query)));
        match request.set_path_and_query(path, query) {
            Ok(()) => inner.call(request),
            // The client's text makes the target too long or invalid.
            Err(_) => Reply::new(HttpError::new(StatusCode::BAD_REQUEST)),
        }
    }

    fn describe(&self) -> Description {
        self.rules
            .iter()
            .fold(Description::new("Rewrite"), |all, rule| {
                all.option(rule.pattern(), rule.to())
            })
    }
}

#[cfg(test)]
mod tests {
    use enfilade_testing::{Client, Lint, laws};

    use super::*;

    #[test]
    fn the_first_rule_that_matches_is_applied_once() {
        let rewrite = Rewrite::new()
            .rule("^/a/(.*)$", "/b/$1")
            .unwrap()
            .rule("^/b/(.*)$", "/a/$1")
            .unwrap();
        let rewrite = rewrite
            .rule("^/q$", "/q2?own=1")
            .unwrap()
            .rule_with_query("^/p[?]x$", "/p2")
            .unwrap();
        let app = Application::new(|request: Request| {
            format!("{}|{}", request.script_name(), request.uri())
        });
        let app = app.wrap(Lint::new()).wrap(rewrite).wrap(Lint::new());
        let client = Client::new(app);
        let cases = [
            ("/a/x", "|/b/x"),
            ("/b/x", "|/a/x"),
            ("/%61/x?q", "|/b/x?q"),
            ("/a/%2F%C3%A9", "|/b/%2F%C3%A9"),
            ("/q?z", "|/q2?own=1"),
            ("/p?x", "|/p2"),
            ("/p?y", "|/p?y"),
            ("/a/%", "|/b/%25"),
        ];
        for (target, expected) in cases {
            assert_eq!(client.get(target).send().text(), expected, "{target}");
        }
    }

    #[test]
    fn what_a_group_found_stays_one_value_where_it_lands() {
        let rewrite = Rewrite::new()
            .rule("^/item/(.*)$", "/show?id=$1&kind=item")
            .unwrap()
            .rule("^/both/(?<a>[^/]*)/(?<b>.*)$", "/${a}?b=${b}&c=$$${a}")
            .unwrap()
            .rule_with_query("^/find[?]q=(.*)$", "/search/$1")
            .unwrap();
        let rewrite = rewrite
            .rule_with_query("^/old[?](.*)$", "/new?$1")
            .unwrap()
            .rule_with_query("^/moved(.*)$", "/to$1")
            .unwrap()
            .rule_with_query("^/login(.*)$", "/enter?next=$1")
            .unwrap();
        let app = Application::new(|request: Request| request.uri().to_string());
        let client = Client::new(app.wrap(Lint::new()).wrap(rewrite).wrap(Lint::new()));
        let cases = [
            ("/item/a%26b=c", "/show?id=a%26b%3Dc&kind=item"),
            ("/item/a+b;c", "/show?id=a%2Bb%3Bc&kind=item"),
            ("/item/a%3Fb%23c/d", "/show?id=a%3Fb%23c/d&kind=item"),
            ("/item/%", "/show?id=%25&kind=item"),
            ("/both/x&y/z&w", "/x&y?b=z%26w&c=$x%26y"),
            ("/find?q=a?b=c&d", "/search/a%3Fb=c&d"),
            ("/find?q=a/b%2Fc", "/search/a/b%2Fc"),
            ("/old?a=1&b=%26", "/new?a=1&b=%26"),
            ("/moved/x&y?a=1&b=2", "/to/x&y?a=1&b=2"),
            ("/login/x?a=1&b=2", "/enter?next=/x?a%3D1%26b%3D2"),
        ];
        for (target, expected) in cases {
            assert_eq!(client.get(target).send().text(), expected, "{target}");
        }
    }

    #[test]
    fn the_path_of_a_mount_is_a_slash_to_rules() {
        let rewrite = Rewrite::new().rule("^/$", "/home").unwrap();
        let app = Application::new(|request: Request| request.path().to_owned()).wrap(rewrite);
        let client = Client::new(Application::new(move |mut request: Request| {
            request.mount("/app").unwrap();
            app.call(request)
        }));
        for target in ["/app", "/app/"] {
            assert_eq!(client.get(target).send().text(), "/home", "{target}");
        }
    }

    #[test]
    fn rules_that_are_wrong_say_so() {
        let cases = [
            (
                Rewrite::new().rule("^/a$", "b"),
                "\"^/a$\" to \"b\" is not a rewrite: it does not begin with a slash",
            ),
            (
                Rewrite::new().rule("^/(a)$", "/$2"),
                "\"^/(a)$\" to \"/$2\" is not a rule: there is no group \"2\"",
            ),
            (
                Rewrite::new().rule("^/(?<x>a)$", "/${y}"),
                "\"^/(?<x>a)$\" to \"/${y}\" is not a rule: there is no group \"y\"",
            ),
            (
                Rewrite::new().rule("^/(a)$", "/$1a"),
                "\"^/(a)$\" to \"/$1a\" is not a rule: there is no group \"1a\"",
            ),
        ];
        for (result, expected) in cases {
            assert_eq!(result.unwrap_err().to_string(), expected);
        }
        assert!(Rewrite::new().rule("^/(a)$", "/$$1$1").is_ok());
        assert!(
            Rewrite::new()
                .rule("(", "/")
                .unwrap_err()
                .to_string()
                .contains("unclosed group")
        );
    }

    #[test]
    fn keeps_the_laws() {
        let rewrite = Rewrite::new().rule("^/(.*)b$", "/c/$1").unwrap();
        laws::Check::new(rewrite).rewrites().run();
    }
}
