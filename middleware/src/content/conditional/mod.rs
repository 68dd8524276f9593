//! Responds with 304 or 412 to conditional requests.

mod conditions;
pub(crate) mod outcome;

use std::sync::Arc;

use enfilade_core::conditional::{Precondition, Validators, evaluate};
use enfilade_core::{
    Application, Body, Description, HttpError, IntoResponse, Middleware, OptionValue, Reply,
    Request, Response, Wrapper, wrapped,
};
use http::header::{IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, Method, StatusCode};

use self::conditions::Conditions;

/// Responds with 304 to clients that have the current content, and with 412 if a condition does not hold.
///
/// It compares the conditions of GET, HEAD and QUERY with the `ETag` and the `Last-Modified` of the response, in the
/// order of RFC 9110, section 13.2.2. Only a 2xx changes. A 304 loses the content and the headers that describe it, and
/// `Last-Modified` if it has an `ETag`; all others stay. A 412 has the text of an error. The content is dropped at once,
/// so a stream stops.
///
/// A QUERY is compared by the response to its own content; a cache in front needs the content of the request in its key.
///
/// A request of another method passes, because this wrapper sees its response only after the work. A handler checks the
/// conditions itself, before it works: [`check`](Conditional::check). It saves the work for GET, too.
///
/// # Order
///
/// Outside [`Etag`](crate::Etag), inside [`Ranges`](crate::Ranges) and [`Compression`](crate::Compression).
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::{Conditional, Etag};
/// use enfilade::{Pipeline, Request};
/// use enfilade_testing::Client;
///
/// let app = Pipeline::new()
///     .with(Conditional::new())
///     .with(Etag::new())
///     .wrap(|_: Request| "a long page");
/// let client = Client::new(app);
///
/// let first = client.get("/").send();
/// let tag = first.header("etag").unwrap();
/// let again = client.get("/").header("if-none-match", tag).send();
/// assert_eq!(again.status(), 304);
/// assert_eq!(again.header("etag"), Some(tag));
/// assert_eq!(again.text(), "");
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct Conditional {
    guarded: Vec<Method>,
}

impl Conditional {
    /// Compares conditions, and requires none.
    pub fn new() -> Self {
        Conditional::default()
    }

    /// Responds with 428 to these methods if a request has no `If-Match` (RFC 6585, section 3); none by default.
    ///
    /// Then no client overwrites a change that it has not seen. `If-None-Match: *` is accepted too: it allows only to
    /// create. The handler compares the tag, with [`check`](Conditional::check).
    ///
    /// ```
    /// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
    /// use enfilade::http::Method;
    /// use enfilade::middleware::Conditional;
    /// use enfilade::{Application, Request};
    /// use enfilade_testing::Client;
    ///
    /// let app = Application::new(|_: Request| "saved")
    ///     .wrap(Conditional::new().require_if_match([Method::PUT, Method::PATCH]));
    /// let client = Client::new(app);
    /// assert_eq!(client.put("/").send().status(), 428);
    /// assert_eq!(client.put("/").header("if-match", "\"v7\"").send().status(), 200);
    /// ```
    pub fn require_if_match(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.guarded = methods.into_iter().collect();
        self
    }

    /// Compares the conditions of a request with the current version, before the work.
    ///
    /// Returns the 304 or 412 to respond with, or `None` if the request is to be handled. A 304 has the validators. Add
    /// the `Cache-Control`, `Content-Location`, `Expires` and `Vary` of the 200, if it has them (RFC 9110, section
    /// 15.4.5).
    ///
    /// Check, then read or write, while no other request can write: in one transaction or under one lock.
    ///
    /// ```
    /// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
    /// use std::sync::Mutex;
    ///
    /// use enfilade::conditional::{EntityTag, Validators};
    /// use enfilade::middleware::Conditional;
    /// use enfilade::{Application, HttpError, IntoResponse, Request, Response};
    /// use enfilade_testing::Client;
    ///
    /// let version = Mutex::new(7);
    /// let app = Application::new(move |request: Request| -> Result<Response, HttpError> {
    ///     let mut version = version.lock().unwrap();
    ///     let current = Validators::new().entity_tag(EntityTag::strong(version.to_string())?);
    ///     if let Some(response) = Conditional::check(&request, &current) {
    ///         return Ok(response);
    ///     }
    ///     *version += 1;
    ///     Ok(format!("version {version}").into_response())
    /// });
    /// let client = Client::new(app);
    /// assert_eq!(client.put("/").header("if-match", "\"7\"").send().text(), "version 8");
    /// // Another client has not seen version 8.
    /// assert_eq!(client.put("/").header("if-match", "\"7\"").send().status(), 412);
    /// ```
    #[must_use]
    pub fn check(request: &Request, current: &Validators) -> Option<Response> {
        match evaluate(request.method(), request.headers(), current) {
            Precondition::NotModified => {
                let mut response = Response::new(Body::empty());
                current.set_on(response.headers_mut());
                outcome::apply(Precondition::NotModified, &mut response);
                Some(response)
            }
            Precondition::Failed => Some(outcome::failed().into_response()),
            _ => None,
        }
    }

    fn is_unguarded(&self, request: &Request) -> bool {
        self.guarded.contains(request.method()) && !has_guard(request.headers())
    }
}

/// Whether a write cannot overwrite a change that its client has not seen.
fn has_guard(headers: &HeaderMap) -> bool {
    let creates = || headers.get(IF_NONE_MATCH).is_some_and(|value| value == "*");
    headers.contains_key(IF_MATCH) || creates()
}

fn precondition_required() -> HttpError {
    HttpError::new(StatusCode::PRECONDITION_REQUIRED)
        .message("Send If-Match with the ETag of the version that you change.")
}

impl Middleware for Conditional {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl Wrapper for Conditional {
    fn call(self: &Arc<Self>, inner: &Application, request: Request) -> Reply {
        if self.is_unguarded(&request) {
            return Reply::new(precondition_required());
        }
        let conditions = Conditions::of(&request);
        let reply = inner.call(request);
        match conditions {
            Some(conditions) => reply.update(move |response| conditions.apply(response)),
            None => reply,
        }
    }

    fn describe(&self) -> Description {
        let description = Description::new("Conditional");
        match self.guarded.is_empty() {
            true => description,
            false => {
                let methods = self.guarded.iter().map(Method::to_string);
                description.option("require_if_match", methods.collect::<OptionValue>())
            }
        }
    }
}

#[cfg(test)]
mod tests;
