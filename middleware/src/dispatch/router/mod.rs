//! Dispatches requests by path and method; captures parts of the path, and mounts applications.

#[cfg(feature = "route-check")]
mod check;
#[cfg_attr(not(feature = "regex"), path = "no_regex.rs")]
mod constraint;
#[cfg(feature = "route-check")]
mod dfa;
mod dispatch;
mod foreign;
mod named;
mod part;
mod pattern;
mod route;
mod segment;
#[cfg_attr(not(feature = "route-check"), path = "unchecked.rs")]
mod shadowed;
mod table;
mod urls;

use std::sync::Arc;

use enfilade_core::{Application, IntoHandler, TryIntoApplication, marker};
use http::Method;

use self::dispatch::Dispatch;
pub(crate) use self::dispatch::RouteTrail;
use self::pattern::Pattern;
use self::route::{Methods, Route, Target};
#[cfg(feature = "route-check")]
pub use self::shadowed::HiddenRoute;
use self::table::Table;
pub use self::urls::{UrlError, Urls};
use crate::error::Error;
use crate::error::ErrorKind;

/// Dispatches requests by path and method to handlers and mounted applications.
///
/// Add routes, then call [`build`](Router::build), which makes the [`Application`] or returns all mistakes at once. The
/// `serve` functions of servers take a router as it is, and return its mistakes.
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::Request;
/// use enfilade::middleware::Router;
/// use enfilade_testing::Client;
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
/// let admin = Router::new().get("/", |request: Request| request.url_for_path("/users"));
/// let app = Router::new()
///     .get("/", |_: Request| "home")
///     .get("/users/{id:int}", |request: Request| {
///         request.param::<u64>("id").map(|id| format!("user {id}"))
///     })
///     .post("/users", |_: Request| enfilade::http::StatusCode::CREATED)
///     .nest("/admin", admin)
///     .build()?;
///
/// let client = Client::new(app);
/// assert_eq!(client.get("/users/42").send().text(), "user 42");
/// assert_eq!(client.get("/users/ada").send().status(), 404);
/// assert_eq!(client.get("/admin/").send().text(), "/admin/users");
/// assert_eq!(client.get("/users").send().header("allow"), Some("POST, OPTIONS"));
/// # Ok(())
/// # }
/// ```
///
/// # Patterns
///
/// | Pattern | Matches |
/// |---|---|
/// | `/users` | this path only; a slash at the end counts, `/users/` is another path |
/// | `/users/{id}` | captures one segment of at least one character |
/// | `/users/{id:int}` | captures an integer; `uuid` and `slug` (letters and digits, single hyphens) work the same way |
/// | `/years/{year:[0-9]{4}}` | captures a segment that this regular expression matches from end to end |
/// | `/files/{name}.{ext}` | captures parts of a segment; the first part is as short as possible |
/// | `/static/{*path}` | captures the rest of the path, at least one character |
///
/// The order in which routes are added does not matter, except between constraints. Patterns of the whole path win over
/// patterns that capture the rest, and these over mounts of the same length; of several the longest wins. Segment by
/// segment, text wins over constraints, and constraints win over plain captures. If a constraint does not match, the
/// next pattern is tried. Patterns that differ only in the names of their captures may have different methods; each
/// handler gets the names of its own pattern.
///
/// The syntax of other routers is an error that shows the right pattern: `:id`, `*rest`, `<id>`, `[id]`, and words as
/// constraints, such as `{id:integer}`, which would match only itself. Write `{name:(?:integer)}` to match such a word.
///
/// Patterns are decoded text: `/café` matches the request `/caf%C3%A9`. A path is split into segments before it is
/// decoded, so `%2F` never separates segments; captures are decoded afterwards. If a capture is not UTF-8, the response
/// is 400.
///
/// # Methods
///
/// HEAD goes to the GET handler, unless it has one of its own; the gateway drops the body. If patterns match the path, but
/// none has the method, the response is 204 for OPTIONS and 405 otherwise (RFC 9110, section 15.5.6), and `Allow` lists
/// the methods of all these patterns.
///
/// # Mounts
///
/// [`mount`](Router::mount) puts an application below a prefix. The application sees the rest of the path, and
/// `script_name` has the prefix. A prefix matches only whole segments. If the application responds with 404, no other
/// route is tried.
///
/// # Order
///
/// A wrapper around the router sees every request; a wrapper around a handler sees only the requests of its route:
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::{BodyLimit, Router};
/// use enfilade::{Application, Request};
///
/// let upload = Application::new(|_: Request| "thank you").wrap(BodyLimit::new(1_000));
/// let router = Router::new().post("/upload", upload).get("/", |_: Request| "welcome");
/// # assert!(router.build().is_ok());
/// ```
#[derive(Clone, Default)]
#[must_use = "a router does nothing until it is built"]
pub struct Router {
    routes: Vec<Route>,
    /// The routes of nested routers, by prefix.
    nested: Vec<(Pattern, Arc<Table>)>,
    problems: Vec<String>,
    urls: Urls,
    fallback: Option<Application>,
    not_allowed: Option<Application>,
}

impl Router {
    /// Makes a router without routes: every response is 404.
    pub fn new() -> Router {
        Router::default()
    }

    /// Adds a handler for these methods, which may be extension methods such as `PURGE`.
    pub fn on<M>(self, methods: &[Method], pattern: &str, handler: impl IntoHandler<M>) -> Router {
        self.on_application(methods, pattern, &handler.into_application())
    }

    /// Adds a handler for GET and HEAD.
    pub fn get<M>(self, pattern: &str, handler: impl IntoHandler<M>) -> Router {
        self.on_application(&[Method::GET], pattern, &handler.into_application())
    }

    /// Adds a handler for POST.
    pub fn post<M>(self, pattern: &str, handler: impl IntoHandler<M>) -> Router {
        self.on_application(&[Method::POST], pattern, &handler.into_application())
    }

    /// Adds a handler for PUT.
    pub fn put<M>(self, pattern: &str, handler: impl IntoHandler<M>) -> Router {
        self.on_application(&[Method::PUT], pattern, &handler.into_application())
    }

    /// Adds a handler for PATCH.
    pub fn patch<M>(self, pattern: &str, handler: impl IntoHandler<M>) -> Router {
        self.on_application(&[Method::PATCH], pattern, &handler.into_application())
    }

    /// Adds a handler for DELETE.
    pub fn delete<M>(self, pattern: &str, handler: impl IntoHandler<M>) -> Router {
        self.on_application(&[Method::DELETE], pattern, &handler.into_application())
    }

    /// Adds a handler for all methods that have no handler at this pattern.
    pub fn any<M>(self, pattern: &str, handler: impl IntoHandler<M>) -> Router {
        let methods = Methods {
            any: Some(handler.into_application()),
            ..Methods::default()
        };
        self.route(pattern, methods)
    }

    /// Mounts an application below a prefix, which may have captures: `/tenants/{tenant}`.
    ///
    /// A prefix begins with a slash and does not end with one. `/` matches every path that no other pattern matches.
    pub fn mount<M>(self, prefix: &str, app: impl IntoHandler<M>) -> Router {
        let app = app.into_application();
        self.add(Pattern::prefix(prefix), Target::Mount(app))
    }

    /// Mounts a router: [`build`](Router::build) returns its mistakes too, and [`urls`](Router::urls) has its names.
    pub fn nest(mut self, prefix: &str, mut inner: Router) -> Router {
        let (urls, nested) = (inner.urls(), std::mem::take(&mut inner.nested));
        let inner = inner.compile();
        if let Ok(pattern) = Pattern::prefix(prefix) {
            self.problems.extend(self.urls.add_all(&pattern, &urls));
            let nested = nested.into_iter();
            let below = nested.map(|(inner, table)| (pattern.join(&inner), table));
            self.nested.extend(below);
            let table = inner.as_ref().ok().map(Dispatch::table);
            self.nested
                .extend(table.map(|table| (pattern, table.clone())));
        }
        match inner {
            Ok(inner) => self.mount(prefix, Application::from_handler(inner)),
            Err(error) => {
                self.problems.push(format!("in {prefix:?}: {error}"));
                self
            }
        }
    }

    /// Adds the routes of another router, without a prefix, and its fallbacks if this router has none.
    pub fn merge(mut self, other: Router) -> Router {
        self.problems.extend(other.problems);
        self.routes.extend(other.routes);
        self.nested.extend(other.nested);
        self.problems
            .extend(self.urls.add_all(&Pattern::root(), &other.urls));
        self.fallback = self.fallback.or(other.fallback);
        self.not_allowed = self.not_allowed.or(other.not_allowed);
        self
    }

    /// Names the route that was added last, for [`urls`](Router::urls).
    pub fn name(mut self, name: &str) -> Router {
        match self.routes.last_mut() {
            Some(route) => {
                route.name = Some(name.to_owned());
                let pattern = route.pattern.clone();
                self.problems.extend(self.urls.add(name, pattern));
            }
            None => self.problems.push(format!(
                "there is no route yet that could be named {name:?}"
            )),
        }
        self
    }

    /// Sets the application for paths that no pattern matches; by default the response is 404 without a body.
    ///
    /// `NotFound` around the router replaces these responses too, and the 404s of handlers and mounted applications.
    pub fn fallback<M>(mut self, app: impl IntoHandler<M>) -> Router {
        self.fallback = Some(app.into_application());
        self
    }

    /// Sets the application for methods that no matching pattern has; by default the response is a short text.
    ///
    /// Its response gets the status 405 and `Allow`. OPTIONS does not reach it.
    pub fn method_not_allowed<M>(mut self, app: impl IntoHandler<M>) -> Router {
        self.not_allowed = Some(app.into_application());
        self
    }

    /// Returns the named routes, to make URLs.
    #[must_use]
    pub fn urls(&self) -> Urls {
        self.urls.clone()
    }

    /// Returns every route in the order in which it was added.
    #[must_use]
    pub fn routes(&self) -> Vec<RouteInfo> {
        self.routes.iter().map(RouteInfo::new).collect()
    }

    /// Makes the application, or returns all mistakes.
    ///
    /// ```
    /// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
    /// use enfilade::Request;
    /// use enfilade::middleware::Router;
    ///
    /// let mistakes = Router::new()
    ///     .get("/users/:id", |_: Request| "user")
    ///     .get("/about", |_: Request| "about")
    ///     .get("/about", |_: Request| "again")
    ///     .build()
    ///     .unwrap_err();
    /// assert_eq!(
    ///     mistakes.to_string(),
    ///     "\"/users/:id\" is not a route: \":id\" would match only itself: write \"{id}\" to capture\n\
    ///      GET \"/about\" already exists"
    /// );
    /// ```
    ///
    /// # Errors
    ///
    /// The error has a line for each of these mistakes:
    ///
    /// - a pattern or a prefix is not well formed, or has the syntax of another router;
    /// - a pattern has the same method twice, or a prefix has two mounts;
    /// - two patterns differ only in the names of their captures, and have the same method;
    /// - two routes have the same name, or a name has no route.
    ///
    /// A route that no request reaches because others match its paths is not an error; the feature `route-check` has
    /// `Router::check` for such routes.
    pub fn build(self) -> Result<Application, Error> {
        self.compile().map(Application::from_handler)
    }

    fn compile(mut self) -> Result<Dispatch, Error> {
        let mut table = Table::default();
        for route in self.routes {
            self.problems.extend(table.insert(route));
        }
        if !self.problems.is_empty() {
            return Err(Error::new(ErrorKind::Route, self.problems.join("\n")));
        }
        Ok(Dispatch::new(table, self.fallback, self.not_allowed))
    }

    /// Compiled once, not for each handler of a program.
    fn on_application(self, methods: &[Method], pattern: &str, app: &Application) -> Router {
        let listed = methods.iter().map(|method| (method.clone(), app.clone()));
        let methods = Methods {
            listed: listed.collect(),
            ..Methods::default()
        };
        self.route(pattern, methods)
    }

    fn route(self, pattern: &str, methods: Methods) -> Router {
        self.add(Pattern::route(pattern), Target::Methods(methods))
    }

    fn add(mut self, pattern: Result<Pattern, String>, target: Target) -> Router {
        match pattern {
            Ok(pattern) => self.routes.push(Route {
                pattern,
                name: None,
                target,
                others: Vec::new(),
            }),
            Err(problem) => self.problems.push(problem),
        }
        self
    }
}

impl TryIntoApplication<marker::Unbuilt> for Router {
    type Error = Error;

    fn try_into_application(self) -> Result<Application, Error> {
        self.build()
    }
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Router")
            .field("routes", &self.routes())
            .field("problems", &self.problems)
            .finish_non_exhaustive()
    }
}

/// One route of a [`Router`], for people and tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteInfo {
    methods: Vec<Method>,
    pattern: String,
    name: Option<String>,
    handler: String,
}

impl RouteInfo {
    fn new(route: &Route) -> RouteInfo {
        let first = route.apps().into_iter().next();
        let (label, app) = first.map_or_else(Default::default, |(label, app)| {
            (label, app.describe().name().to_owned())
        });
        let (methods, pattern) = match &route.target {
            Target::Methods(methods) => {
                let listed = methods.listed.iter().map(|(method, _)| method.clone());
                (listed.collect(), route.pattern.text.to_string())
            }
            Target::Mount(_) => (Vec::new(), label),
        };
        RouteInfo {
            methods,
            pattern,
            name: route.name.clone(),
            handler: app,
        }
    }

    /// The methods that are listed; empty for [`any`](Router::any) and for mounts.
    #[must_use]
    pub fn methods(&self) -> &[Method] {
        &self.methods
    }

    /// The pattern as it was written; for a mount, the prefix followed by `/...`.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// The name, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The handler's name in its description.
    #[must_use]
    pub fn handler(&self) -> &str {
        &self.handler
    }
}

#[cfg(test)]
mod tests;
