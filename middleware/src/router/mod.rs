//! Dispatch by path and method; parts of the path can be captured, and applications mounted.
//!
//! ```
//! use enfilade_core::{Application, Request};
//! use enfilade_middleware::Router;
//! use enfilade_testing::Client;
//!
//! # fn main() -> Result<(), enfilade_middleware::Error> {
//! let admin = Router::new().get("/", |request: Request| request.url_for_path("/users"))?;
//! let app = Router::new()
//!     .get("/", |_: Request| "home")?
//!     .get("/users/{id}", |request: Request| {
//!         format!("user {}", request.params().get("id").unwrap_or_default())
//!     })?
//!     .post("/users", |_: Request| http::StatusCode::CREATED)?
//!     .mount("/admin", admin)?;
//!
//! let client = Client::new(Application::new(app));
//! assert_eq!(client.get("/users/42").send().text(), "user 42");
//! assert_eq!(client.get("/admin/").send().text(), "/admin/users");
//! assert_eq!(client.get("/users").send().header("allow"), Some("POST, OPTIONS"));
//! # Ok(())
//! # }
//! ```

mod node;
mod pattern;

use std::collections::HashMap;

use enfilade_core::{
    Application, Description, Handler, HttpError, IntoHandler, Reply, Request, path,
};
use http::{Method, StatusCode};

use self::node::{Choice, Mount, Node};
use self::pattern::Pattern;
use crate::{Error, ErrorKind};

/// Dispatches by path and method. It is a [`Handler`], so an [`Application`] is made of it by `Application::new`.
///
/// # Patterns
///
/// A pattern is `/`-separated text. `{name}` captures one segment, `{*name}` at the end captures all that is left, at
/// least one character. Static text wins over `{name}`, and that over `{*name}`, segment by segment. A slash at the end
/// counts: `/users` and `/users/` are two paths.
///
/// Patterns are decoded text: `/café` matches the request `/caf%C3%A9`. Requests are split into segments before they
/// are decoded, so `%2F` never makes a segment, and captures are decoded afterwards; one that is not UTF-8 is answered
/// 400.
///
/// # Methods
///
/// HEAD goes to the GET handler unless it has one of its own; the gateway drops the body. OPTIONS is answered 204 with
/// `Allow`, any other method that the path does not have 405 with `Allow` (RFC 9110, section 15.5.6).
///
/// # Mounts
///
/// [`mount`](Router::mount) puts an application under a prefix: it sees the rest of the path, and `script_name` tells
/// it where it is. The longest prefix wins, only at a segment boundary, whatever the order of registration; a route
/// wins over a mount of the same length. What a mounted application does not find it answers itself.
///
/// # Order
///
/// Wrappers outside a router see every request; wrappers around the handlers see what was routed to them.
#[must_use = "a router does nothing until an application is made of it"]
pub struct Router {
    index: matchit::Router<usize>,
    by_pattern: HashMap<String, usize>,
    nodes: Vec<Node>,
    /// For the description; the nodes have them too.
    mounts: Vec<(String, Application)>,
    fallback: Option<Application>,
}

impl Router {
    /// A router without routes: every path is a 404.
    pub fn new() -> Router {
        Router {
            index: matchit::Router::new(),
            by_pattern: HashMap::new(),
            nodes: Vec::new(),
            mounts: Vec::new(),
            fallback: None,
        }
    }

    /// Answers requests for `pattern` with one of `methods`, which may be of your own.
    ///
    /// # Errors
    ///
    /// Where the pattern is not well formed, a method is there already, or no request could tell this pattern from one
    /// that is there.
    pub fn on<M>(
        self,
        methods: &[Method],
        pattern: &str,
        handler: impl IntoHandler<M>,
    ) -> Result<Router, Error> {
        self.add(methods, pattern, handler.into_application())
    }

    /// Answers GET, and HEAD with it.
    ///
    /// # Errors
    ///
    /// As for [`on`](Router::on).
    pub fn get<M>(self, pattern: &str, handler: impl IntoHandler<M>) -> Result<Router, Error> {
        self.on(&[Method::GET], pattern, handler)
    }

    /// Answers POST.
    ///
    /// # Errors
    ///
    /// As for [`on`](Router::on).
    pub fn post<M>(self, pattern: &str, handler: impl IntoHandler<M>) -> Result<Router, Error> {
        self.on(&[Method::POST], pattern, handler)
    }

    /// Answers PUT.
    ///
    /// # Errors
    ///
    /// As for [`on`](Router::on).
    pub fn put<M>(self, pattern: &str, handler: impl IntoHandler<M>) -> Result<Router, Error> {
        self.on(&[Method::PUT], pattern, handler)
    }

    /// Answers PATCH.
    ///
    /// # Errors
    ///
    /// As for [`on`](Router::on).
    pub fn patch<M>(self, pattern: &str, handler: impl IntoHandler<M>) -> Result<Router, Error> {
        self.on(&[Method::PATCH], pattern, handler)
    }

    /// Answers DELETE.
    ///
    /// # Errors
    ///
    /// As for [`on`](Router::on).
    pub fn delete<M>(self, pattern: &str, handler: impl IntoHandler<M>) -> Result<Router, Error> {
        self.on(&[Method::DELETE], pattern, handler)
    }

    /// Answers every method that the pattern has no handler for.
    ///
    /// # Errors
    ///
    /// As for [`on`](Router::on).
    pub fn any<M>(self, pattern: &str, handler: impl IntoHandler<M>) -> Result<Router, Error> {
        self.add(&[], pattern, handler.into_application())
    }

    /// Puts an application under a prefix, which may capture: `/tenants/{tenant}`. `/` takes all that is left.
    ///
    /// # Errors
    ///
    /// Where the prefix is not well formed or there already. It begins with a slash and does not end with one.
    pub fn mount<M>(mut self, prefix: &str, app: impl IntoHandler<M>) -> Result<Router, Error> {
        let pattern = Pattern::prefix(prefix)?;
        let app = app.into_application();
        let mount = Mount::new(app.clone(), &pattern);
        // The index finds the prefix itself, with a slash, and with more behind it.
        let base = pattern.index.trim_end_matches('/');
        let below = [format!("{base}/"), format!("{base}/{{*mounted}}")];
        let itself = (!base.is_empty()).then(|| base.to_owned());
        for index in itself.into_iter().chain(below) {
            let place = self.node(&index, &pattern)?.mount_place();
            let place = place
                .ok_or_else(|| route(format!("something is mounted at {prefix:?} already")))?;
            *place = Some(mount.clone());
        }
        self.mounts.push((format!("{base}/..."), app));
        Ok(self)
    }

    /// Answers what no route and no mount matches; a 404 without a body by default.
    ///
    /// `NotFound` around the router answers such a 404 too, and those of mounted applications with it.
    pub fn fallback<M>(mut self, app: impl IntoHandler<M>) -> Router {
        self.fallback = Some(app.into_application());
        self
    }

    fn add(mut self, methods: &[Method], pattern: &str, app: Application) -> Result<Router, Error> {
        let pattern = Pattern::route(pattern)?;
        self.node(&pattern.index, &pattern)?
            .add(methods, &app, &pattern)?;
        Ok(self)
    }

    /// The node that the index has under this pattern; made where there is none.
    fn node(&mut self, index: &str, pattern: &Pattern) -> Result<&mut Node, Error> {
        if let Some(&at) = self.by_pattern.get(index) {
            return Ok(&mut self.nodes[at]);
        }
        let at = self.nodes.len();
        self.index
            .insert(index, at)
            .map_err(|error| conflict(&error, &pattern.text))?;
        self.by_pattern.insert(index.to_owned(), at);
        self.nodes.push(Node::new(pattern));
        Ok(&mut self.nodes[at])
    }

    fn find(&self, request: &Request) -> Option<&Node> {
        // A mount consumed the whole path: `/` is what is left to say.
        let path = if request.path().is_empty() {
            "/"
        } else {
            request.path()
        };
        let found = self
            .index
            .at(&path::canonical(path))
            .ok()
            .map(|found| *found.value)?;
        self.nodes.get(found)
    }

    fn miss(&self, request: Request) -> Reply {
        match &self.fallback {
            Some(fallback) => fallback.call(request),
            None => Reply::new(StatusCode::NOT_FOUND),
        }
    }
}

impl Default for Router {
    fn default() -> Router {
        Router::new()
    }
}

impl Handler for Router {
    fn call(&self, mut request: Request) -> Reply {
        let Some(node) = self.find(&request) else {
            return self.miss(request);
        };
        match node.choose(request.method()) {
            Choice::Handler { app, captures } => match captures.take_from(&mut request) {
                Ok(()) => app.call(request),
                Err(_) => Reply::new(HttpError::new(StatusCode::BAD_REQUEST)),
            },
            Choice::Mount(mount) => mount.call(request),
            Choice::Answer(answer) => answer,
        }
    }

    fn describe(&self) -> Description {
        let routes = self
            .nodes
            .iter()
            .fold(Description::new("Router"), |all, node| {
                node.describe_in(all)
            });
        let mounts = self
            .mounts
            .iter()
            .map(|(prefix, app)| (prefix.as_str(), app));
        let others = mounts.chain(self.fallback.iter().map(|app| ("fallback", app)));
        others.fold(routes, |all, (label, app)| all.child(label, app.describe()))
    }
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Router")
            .field("nodes", &self.nodes.len())
            .finish_non_exhaustive()
    }
}

fn route(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Route, message)
}

fn conflict(error: &matchit::InsertError, text: &str) -> Error {
    match error {
        matchit::InsertError::Conflict { with } => {
            let with = with.trim_end_matches("/{*mounted}");
            route(format!(
                "{text:?} cannot be told from {with:?}, which is there already"
            ))
        }
        other => route(format!("{text:?} is not a route: {other}")),
    }
}

#[cfg(test)]
mod tests;
