//! Dispatch by path and method; parts of the path can be captured, and applications mounted.

mod dispatch;
mod foreign;
mod language;
mod node;
mod pattern;
mod reach;
mod segment;
mod table;
mod urls;

use enfilade_core::{Application, IntoHandler};
use http::Method;

use self::dispatch::Dispatch;
pub(crate) use self::dispatch::RouteTrail;
use self::node::{Answers, Leaf, Methods};
use self::pattern::Pattern;
use self::table::Table;
pub use self::urls::{UrlError, Urls};
use crate::error::Error;
use crate::error::ErrorKind;

/// Dispatches by path and method; [`build`](Router::build) makes it an [`Application`].
///
/// Mistakes in patterns are gathered, and `build` tells all of them at once.
///
/// ```
/// use enfilade_core::Request;
/// use enfilade_middleware::Router;
/// use enfilade_testing::Client;
///
/// # fn main() -> Result<(), enfilade_middleware::Error> {
/// let admin = Router::new().get("/", |request: Request| request.url_for_path("/users"));
/// let app = Router::new()
///     .get("/", |_: Request| "home")
///     .get("/users/{id:int}", |request: Request| {
///         request.param::<u64>("id").map(|id| format!("user {id}"))
///     })
///     .post("/users", |_: Request| http::StatusCode::CREATED)
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
/// | | |
/// |---|---|
/// | `/users` | this path; a slash at the end counts, `/users/` is another |
/// | `/users/{id}` | captures one segment, at least one character |
/// | `/users/{id:int}` | one that is an integer; `uuid` and `slug` (letters and digits, single hyphens) are known too |
/// | `/years/{year:[0-9]{4}}` | one that this regular expression takes from end to end |
/// | `/files/{name}.{ext}` | captures parts of a segment; the first takes as little as it can |
/// | `/static/{*path}` | captures all that is left, at least one character |
///
/// Patterns of the whole path win over those that take the rest, and these over mounts of the same length; of those the
/// longest wins. Text wins over constraints, and these over plain captures, segment by segment. A constraint that does
/// not take a segment is no match, and the next pattern is tried. Patterns that differ in the names of their captures
/// alone may have different methods, each with the names that it was added with.
///
/// What other routers write is an error that names the pattern here: `:id`, `*rest`, `<id>`, `[id]`, and constraints such as
/// `{id:integer}`, of which a word would match itself alone. Write `{name:(?:integer)}` to capture such a word.
///
/// Patterns are decoded text: `/café` matches the request `/caf%C3%A9`. Requests are split into segments before they
/// are decoded, so `%2F` never makes a segment, and captures are decoded afterwards; one that is not UTF-8 is answered
/// 400.
///
/// # Methods
///
/// HEAD goes to the GET handler unless it has one of its own; the gateway drops the body. Where patterns have the path
/// but none has the method, OPTIONS is answered 204 and everything else 405 (RFC 9110, section 15.5.6), with all methods
/// of all those patterns in `Allow`.
///
/// # Mounts
///
/// [`mount`](Router::mount) puts an application under a prefix: it sees the rest of the path, and `script_name` tells
/// it where it is. Only at a segment boundary, whatever the order of registration. What a mounted application does not
/// find it answers itself.
///
/// # Order
///
/// Wrappers outside a router see every request; wrappers around the handlers see what was routed to them.
#[derive(Clone, Default)]
#[must_use = "a router does nothing until it is built"]
pub struct Router {
    leaves: Vec<Leaf>,
    problems: Vec<String>,
    urls: Urls,
    fallback: Option<Application>,
    not_allowed: Option<Application>,
}

impl Router {
    /// A router without routes: every path is a 404.
    pub fn new() -> Router {
        Router::default()
    }

    /// Answers requests for `pattern` with one of `methods`, which may be of your own.
    pub fn on<M>(self, methods: &[Method], pattern: &str, handler: impl IntoHandler<M>) -> Router {
        let app = handler.into_application();
        let listed = methods.iter().map(|method| (method.clone(), app.clone()));
        let methods = Methods {
            listed: listed.collect(),
            ..Methods::default()
        };
        self.route(pattern, methods)
    }

    /// Answers GET, and HEAD with it.
    pub fn get<M>(self, pattern: &str, handler: impl IntoHandler<M>) -> Router {
        self.on(&[Method::GET], pattern, handler)
    }

    /// Answers POST.
    pub fn post<M>(self, pattern: &str, handler: impl IntoHandler<M>) -> Router {
        self.on(&[Method::POST], pattern, handler)
    }

    /// Answers PUT.
    pub fn put<M>(self, pattern: &str, handler: impl IntoHandler<M>) -> Router {
        self.on(&[Method::PUT], pattern, handler)
    }

    /// Answers PATCH.
    pub fn patch<M>(self, pattern: &str, handler: impl IntoHandler<M>) -> Router {
        self.on(&[Method::PATCH], pattern, handler)
    }

    /// Answers DELETE.
    pub fn delete<M>(self, pattern: &str, handler: impl IntoHandler<M>) -> Router {
        self.on(&[Method::DELETE], pattern, handler)
    }

    /// Answers every method that the pattern does not list.
    pub fn any<M>(self, pattern: &str, handler: impl IntoHandler<M>) -> Router {
        let methods = Methods {
            any: Some(handler.into_application()),
            ..Methods::default()
        };
        self.route(pattern, methods)
    }

    /// Puts an application under a prefix, which may capture: `/tenants/{tenant}`. `/` takes all that is left.
    ///
    /// A prefix begins with a slash and does not end with one.
    pub fn mount<M>(self, prefix: &str, app: impl IntoHandler<M>) -> Router {
        let app = app.into_application();
        self.add(Pattern::prefix(prefix), Answers::Mount(app))
    }

    /// Mounts a router: its mistakes are told with those of this one, and its names are known here.
    pub fn nest(mut self, prefix: &str, inner: Router) -> Router {
        if let Ok(pattern) = Pattern::prefix(prefix) {
            self.problems
                .extend(self.urls.add_all(&pattern, &inner.urls));
        }
        match inner.build() {
            Ok(app) => self.mount(prefix, app),
            Err(error) => {
                self.problems.push(format!("in {prefix:?}: {error}"));
                self
            }
        }
    }

    /// Adds the routes of another router as if they had been added here; its fallbacks too, where this one has none.
    pub fn merge(mut self, other: Router) -> Router {
        self.problems.extend(other.problems);
        self.leaves.extend(other.leaves);
        self.problems
            .extend(self.urls.add_all(&Pattern::root(), &other.urls));
        self.fallback = self.fallback.or(other.fallback);
        self.not_allowed = self.not_allowed.or(other.not_allowed);
        self
    }

    /// Gives the route that was added last a name, for [`urls`](Router::urls).
    pub fn name(mut self, name: &str) -> Router {
        match self.leaves.last_mut() {
            Some(leaf) => {
                leaf.name = Some(name.to_owned());
                let pattern = leaf.pattern.clone();
                self.problems.extend(self.urls.add(name, pattern));
            }
            None => self.problems.push(format!(
                "there is no route yet that could be named {name:?}"
            )),
        }
        self
    }

    /// Answers what no route and no mount matches; a 404 without a body by default.
    ///
    /// `NotFound` around the router answers such a 404 too, and those of mounted applications with it.
    pub fn fallback<M>(mut self, app: impl IntoHandler<M>) -> Router {
        self.fallback = Some(app.into_application());
        self
    }

    /// Answers requests for paths that are there with a method that is not; a short text by default.
    ///
    /// The status 405 and `Allow` are put on its answer.
    pub fn method_not_allowed<M>(mut self, app: impl IntoHandler<M>) -> Router {
        self.not_allowed = Some(app.into_application());
        self
    }

    /// The names of routes, to make URLs of.
    #[must_use]
    pub fn urls(&self) -> Urls {
        self.urls.clone()
    }

    /// Every route in the order in which it was added.
    #[must_use]
    pub fn routes(&self) -> Vec<RouteInfo> {
        self.leaves.iter().map(RouteInfo::new).collect()
    }

    /// Makes the application.
    ///
    /// # Errors
    ///
    /// Where a pattern is not well formed or is another router's, a method of a pattern or a mount or a name is there
    /// twice, neither path nor method could tell two patterns apart, or a route is never reached, as one that comes before it takes all its paths. The text has
    /// a line for each.
    pub fn build(mut self) -> Result<Application, Error> {
        let mut table = Table::default();
        for leaf in std::mem::take(&mut self.leaves) {
            self.problems.extend(table.insert(leaf));
        }
        self.problems.extend(reach::unreachable(&table));
        if !self.problems.is_empty() {
            return Err(Error::new(ErrorKind::Route, self.problems.join("\n")));
        }
        let dispatch = Dispatch::new(table, self.fallback, self.not_allowed);
        Ok(Application::from_handler(dispatch))
    }

    fn route(self, pattern: &str, methods: Methods) -> Router {
        self.add(Pattern::route(pattern), Answers::Methods(methods))
    }

    fn add(mut self, pattern: Result<Pattern, String>, answers: Answers) -> Router {
        match pattern {
            Ok(pattern) => self.leaves.push(Leaf {
                pattern,
                name: None,
                answers,
                others: Vec::new(),
            }),
            Err(problem) => self.problems.push(problem),
        }
        self
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
    fn new(leaf: &Leaf) -> RouteInfo {
        let first = leaf.apps().into_iter().next();
        let (label, app) = first.map_or_else(Default::default, |(label, app)| {
            (label, app.describe().name().to_owned())
        });
        let (methods, pattern) = match &leaf.answers {
            Answers::Methods(methods) => {
                let listed = methods.listed.iter().map(|(method, _)| method.clone());
                (listed.collect(), leaf.pattern.text.to_string())
            }
            Answers::Mount(_) => (Vec::new(), label),
        };
        RouteInfo {
            methods,
            pattern,
            name: leaf.name.clone(),
            handler: app,
        }
    }

    /// The methods that are listed; none where every method is meant, or where an application is mounted.
    #[must_use]
    pub fn methods(&self) -> &[Method] {
        &self.methods
    }

    /// The pattern as it was written; that of a mount ends with `/...`.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// The name, where it has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The handler's name, as its description has it.
    #[must_use]
    pub fn handler(&self) -> &str {
        &self.handler
    }
}

#[cfg(test)]
mod tests;
