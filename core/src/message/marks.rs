//! Marks in the extensions of requests and responses, for other components.

use std::sync::Arc;

use http::StatusCode;

use crate::message::response::{IntoResponse, Response};

/// Marks a response, in its extensions, as having no result, so that another application is tried.
///
/// As a response it is a 404 without content, so it is valid even if no component looks for the mark.
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::{IntoResponse, Pass};
///
/// let response = Pass.into_response();
/// assert_eq!(response.status(), 404);
/// assert!(response.extensions().get::<Pass>().is_some());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a mark, which applications make by its name"
)]
pub struct Pass;

impl Pass {
    /// A 404 without content, with the mark.
    #[must_use]
    pub fn response() -> Response {
        Pass.into_response()
    }
}

impl IntoResponse for Pass {
    fn into_response(self) -> Response {
        let mut response = StatusCode::NOT_FOUND.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Asks routers inside, as a request extension, to put a [`MatchedPattern`] on the response.
///
/// A log or a metrics wrapper outside a router sets it, so that other stacks do not pay for the pattern.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a mark, which wrappers make by its name"
)]
pub struct RouteWanted;

/// The pattern that matched the request's path: a response extension.
///
/// Routers set it if a [`RouteWanted`] asked for it.
///
/// With nested routers it has the patterns of all of them, joined. It ends with `/...` if an application was mounted
/// and no router in it matched a pattern: `/static/...` is not a route.
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::{Application, IntoResponse, MatchedPattern, Request, RouteWanted};
///
/// // A router of your own.
/// let app = Application::new(|request: Request| {
///     let is_wanted = request.extensions().get::<RouteWanted>().is_some();
///     let mut response = "user 42".into_response();
///     if is_wanted {
///         response.extensions_mut().insert(MatchedPattern::new("/users/{id}"));
///     }
///     response
/// });
/// let mut request = Request::get("/users/42");
/// request.extensions_mut().insert(RouteWanted);
/// let response = pollster::block_on(app.call(request));
/// let pattern = response.extensions().get::<MatchedPattern>().unwrap();
/// assert_eq!(pattern.as_str(), "/users/{id}");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchedPattern(Arc<str>);

impl MatchedPattern {
    /// A pattern, set by routers.
    #[must_use]
    pub fn new(pattern: impl Into<Arc<str>>) -> MatchedPattern {
        MatchedPattern(pattern.into())
    }

    /// The pattern, as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
