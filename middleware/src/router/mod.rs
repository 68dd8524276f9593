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

mod index;
mod node;
mod pattern;

use enfilade_core::{
    Application, Description, Handler, HttpError, IntoHandler, Reply, Request, path,
};
use http::{Method, StatusCode};

use self::index::{Found, Index};
use self::node::{Choice, Mount};
use self::pattern::Pattern;
use crate::{Error, ErrorKind};

/// Dispatches by path and method. It is a [`Handler`], so an [`Application`] is made of it by `Application::new`.
///
/// # Patterns
///
/// A pattern is `/`-separated text. `{name}` captures one segment, `{*name}` at the end captures all that is left, at
/// least one character. A slash at the end counts: `/users` and `/users/` are two paths.
///
/// A pattern of the whole path wins over one that takes the rest, and that over a mount of the same length; of two that
/// take the rest, the longer one wins. Static text wins over `{name}`, segment by segment.
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
/// it where it is. The longest prefix wins, only at a segment boundary, whatever the order of registration. What a
/// mounted application does not find it answers itself.
///
/// # Order
///
/// Wrappers outside a router see every request; wrappers around the handlers see what was routed to them.
#[derive(Clone)]
#[must_use = "a router does nothing until an application is made of it"]
pub struct Router {
    index: Index,
    fallback: Option<Application>,
}

impl Router {
    /// A router without routes: every path is a 404.
    pub fn new() -> Router {
        Router {
            index: Index::default(),
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
        let place = self.index.mount(&pattern)?;
        if place.is_some() {
            return Err(route(format!("something is mounted at {prefix:?} already")));
        }
        *place = Some(Mount::new(app.into_application(), pattern));
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
        self.index.node(&pattern)?.add(methods, &app, &pattern)?;
        Ok(self)
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
        // A mount consumed the whole path: `/` is what is left to say.
        let path = if request.path().is_empty() {
            "/"
        } else {
            request.path()
        };
        let node = match self.index.find(&path::canonical(path)) {
            Some(Found::Node(node)) => node,
            Some(Found::Mount(mount)) => return mount.call(request),
            None => return self.miss(request),
        };
        match node.choose(request.method()) {
            Choice::Handler(app) => match node.captures().take_from(&mut request) {
                Ok(()) => app.call(request),
                Err(_) => Reply::new(HttpError::new(StatusCode::BAD_REQUEST)),
            },
            Choice::Answer(answer) => answer,
        }
    }

    fn describe(&self) -> Description {
        let routes = self
            .index
            .iter()
            .fold(Description::new("Router"), |all, found| match found {
                Found::Node(node) => node.describe_in(all),
                Found::Mount(mount) => mount.describe_in(all),
            });
        self.fallback
            .iter()
            .fold(routes, |all, app| all.child("fallback", app.describe()))
    }

    fn map_inner(&self, change: &mut dyn FnMut(Application) -> Application) -> Option<Application> {
        let mut router = self.clone();
        let mut replace = |app: &mut Application| *app = change(app.clone());
        router.index.for_each_app(&mut replace);
        router.fallback.iter_mut().for_each(replace);
        Some(Application::from_handler(router))
    }
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&self.describe(), f)
    }
}

fn route(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Route, message)
}

#[cfg(test)]
mod tests;
