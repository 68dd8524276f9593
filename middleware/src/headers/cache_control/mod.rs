//! Sets how long caches may keep responses.

mod directives;
mod rule;

use std::fmt;
use std::sync::Arc;

use enfilade_core::{
    Application, Description, Middleware, Reply, Request, Response, Wrapper, wrapped,
};
use http::Method;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, EXPIRES};
use smallvec::SmallVec;

use self::rule::RuleMatch;

pub use self::rule::CacheRule;

/// Sets how long caches may keep responses, by path, media type and status.
///
/// The first rule that matches sets `Cache-Control` (RFC 9111, section 5.2). If no rule matches, the response stays
/// unchanged. It also stays unchanged if the application set `Cache-Control` or `Expires` itself, unless
/// [`override_application`](CacheControl::override_application) is set. Only responses to GET and HEAD are changed,
/// because caches keep these; [`every_method`](CacheControl::every_method) includes the others.
///
/// A 206 and a 304 are treated as the 200 that they stand for (RFC 9110, sections 15.3.7 and 15.4.5). A 304 often has
/// no `Content-Type`. If it reaches a rule with a media type, it gets no header: the client keeps the header that it
/// has, and no later rule can set a wrong one.
///
/// # Order
///
/// Outside all wrappers whose responses it should see: a fallback, error pages, and wrappers that respond with 304.
/// Paths are relative to its place in the stack: inside a mount they have no prefix.
///
/// # Security
///
/// With `public` or `s-maxage`, a shared cache sends one user's response to all users. The client chooses the path: if
/// the application responds to `/account/x.css` as to `/account`, `**/*.css` matches a private page. Prefer prefixes
/// that only public files have, and let the application set `private` itself. Dot segments are resolved before a rule
/// sees the path.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::http::StatusCode;
/// use enfilade::middleware::{CacheControl, CacheRule};
/// use enfilade::{Application, IntoResponse, Request};
/// use enfilade_testing::Client;
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
/// let cache = CacheControl::new()
///     .rule(CacheRule::new("public, max-age=31536000, immutable")?.path("/assets/**")?)
///     .rule(CacheRule::new("no-cache")?.media_type("text/html")?)
///     .rule(CacheRule::new("no-store")?.status_class(4)?.status_class(5)?);
/// let app = Application::new(|request: Request| {
///     let html = ("content-type", "text/html");
///     match request.path() {
///         "/own" => ([html, ("cache-control", "private")], "own").into_response(),
///         "/cellar" => StatusCode::NOT_FOUND.into_response(),
///         _ => ([html], "page").into_response(),
///     }
/// });
/// let client = Client::new(app.wrap(cache));
/// for (path, expected) in [
///     ("/assets/a.js", "public, max-age=31536000, immutable"),
///     ("/", "no-cache"),
///     ("/own", "private"),
///     ("/cellar", "no-store"),
/// ] {
///     assert_eq!(client.get(path).send().header("cache-control"), Some(expected));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct CacheControl {
    rules: Vec<CacheRule>,
    every_method: bool,
    overrides: bool,
}

/// Which rules match the path of a request; computed before the application may change it.
type PathMatches = SmallVec<[bool; 16]>;

impl CacheControl {
    /// Starts without rules, which leaves responses unchanged.
    pub fn new() -> Self {
        CacheControl::default()
    }

    /// Adds a rule after the others.
    pub fn rule(mut self, rule: CacheRule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Includes responses to every method; only GET and HEAD by default.
    ///
    /// A response to POST may also be kept for a later GET if it says how long (RFC 9110, section 9.3.3).
    pub fn every_method(mut self) -> Self {
        self.every_method = true;
        self
    }

    /// Replaces the application's `Cache-Control` and removes its `Expires` if a rule matches; off by default.
    pub fn override_application(mut self) -> Self {
        self.overrides = true;
        self
    }

    fn path_matches(&self, request: &Request) -> PathMatches {
        let rules = self.rules.iter();
        rules.map(|rule| rule.matches_path(request)).collect()
    }

    fn decorate(&self, path_matches: &PathMatches, response: &mut Response) {
        let headers = response.headers();
        // RFC 9111, section 5.3: `max-age` would take precedence over the application's `Expires`.
        let is_said = headers.contains_key(CACHE_CONTROL) || headers.contains_key(EXPIRES);
        if is_said && !self.overrides {
            return;
        }
        let (status, media_type) = (response.status(), headers.get(CONTENT_TYPE));
        let rules = self.rules.iter().zip(path_matches);
        let first = rules
            .filter(|(_, matches)| **matches)
            .map(|(rule, _)| (rule.match_response(status, media_type), rule))
            .find(|(outcome, _)| *outcome != RuleMatch::No);
        if let Some((RuleMatch::Yes, rule)) = first {
            let headers = response.headers_mut();
            headers.insert(CACHE_CONTROL, rule.value().clone());
            headers.remove(EXPIRES);
        }
    }
}

impl fmt::Debug for CacheControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheControl")
            .field("rules", &self.rules)
            .field("every_method", &self.every_method)
            .field("overrides", &self.overrides)
            .finish()
    }
}

impl Middleware for CacheControl {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl Wrapper for CacheControl {
    fn call(self: &Arc<Self>, inner: &Application, request: Request) -> Reply {
        let is_kept = matches!(*request.method(), Method::GET | Method::HEAD);
        if !is_kept && !self.every_method {
            return inner.call(request);
        }
        let (options, path_matches) = (self.clone(), self.path_matches(&request));
        inner.call(request).update(move |response| {
            options.decorate(&path_matches, response);
        })
    }

    fn describe(&self) -> Description {
        let mut tree = Description::new("CacheControl");
        for rule in &self.rules {
            tree = tree.option(rule.to_string(), rule.value().to_str().unwrap_or_default());
        }
        for (name, is_on) in [
            ("every method", self.every_method),
            ("override application", self.overrides),
        ] {
            if is_on {
                tree = tree.option(name, true);
            }
        }
        tree
    }
}

#[cfg(test)]
mod tests;
