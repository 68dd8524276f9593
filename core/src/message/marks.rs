//! What components leave for others in the extensions of requests and responses.

use std::sync::Arc;

use http::StatusCode;

use crate::message::response::{IntoResponse, Response};

/// Says in a response's extensions that its application has no answer and that another one is to be asked.
///
/// As a response it is a 404 without content, so that it is a good answer even where nothing looks for it.
///
/// ```
/// use enfilade_core::{IntoResponse, Pass};
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
    /// A 404 without content that carries the mark.
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

/// Asks routers inside for a [`MatchedPattern`] on the response: a request extension.
///
/// A log or a metrics wrapper outside a router sets it, so that nobody else pays for the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a mark, which wrappers make by its name"
)]
pub struct RouteWanted;

/// The pattern that a request's path had: a response extension, where a [`RouteWanted`] asked for it.
///
/// Where routers are nested, the patterns of all of them are in it, one behind the other. It ends with `/...` where an
/// application was mounted and no router in it had a pattern: `/static/...` is no route.
///
/// ```
/// use enfilade_core::{Application, IntoResponse, MatchedPattern, Request, RouteWanted};
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
    /// A pattern, for routers to say.
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
