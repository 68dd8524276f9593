//! Calls a second application if the first does not find the page.

use std::sync::Arc;

use enfilade_core::{
    Application, Description, Handler, HeadSnapshot, HttpError, IntoHandler, Middleware, Pass,
    Reply, Request, Response,
};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{Method, StatusCode};

use crate::matching::accept::accepts;

/// Calls a second application, the fallback, if the first one responds with an empty 404.
///
/// The fallback is called if the first response is one of these:
///
/// - a 404 without content,
/// - an [`HttpError`] of 404 without a [message](HttpError::message), as [`Request::param`] returns it for a value that
///   does not parse,
/// - a response with a [`Pass`], whatever its status.
///
/// The response of the fallback replaces the first one completely, including the status: an error page returns 404, a
/// single-page application 200. The first response's content is dropped before the fallback is called. All other
/// responses, and a 404 with content of its own, are returned unchanged.
///
/// The fallback gets the original request: method, target, headers, extensions, connection, captures and mounts,
/// without the changes of inner wrappers. It does not get the content, which the first application has, nor the headers
/// that frame it (`Content-Length`, `Transfer-Encoding`): a form that it reads is empty.
///
/// If the content of a 404 is a stream, it has content, even if the stream turns out to be empty. A response to HEAD is
/// treated like the response to GET: if it has no content but says `Content-Length: 12` or has a `Content-Encoding`, it
/// stays.
///
/// The head of each request is kept (see [`Request::keep_head`]). This costs a reference count, and a copy of
/// extensions and captures if there are any.
///
/// # Order
///
/// Put it inside wrappers that should see the final response, such as an access log or compression, and outside
/// applications that may pass. The fallback may pass too: `app.wrap(NotFound::new(second)).wrap(NotFound::new(third))`
/// tries them in that order.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::http::StatusCode;
/// use enfilade::middleware::{NotFound, Pass};
/// use enfilade::{Application, Reply, Request};
///
/// let page = |request: Request| (StatusCode::NOT_FOUND, format!("There is no {} here", request.path()));
/// let app = Application::new(|request: Request| match request.path() {
///     "/garden" => Reply::new("Roses"),
///     "/attic" => Reply::new(StatusCode::NOT_FOUND),
///     _ => Reply::new(Pass),
/// });
/// let app = app.wrap(NotFound::new(page));
/// for (target, status, text) in [
///     ("/garden", 200, "Roses"),
///     ("/attic", 404, "There is no /attic here"),
///     ("/cellar", 404, "There is no /cellar here"),
/// ] {
///     let response = pollster::block_on(app.call(Request::get(target)));
///     assert_eq!(response.status(), status);
///     assert_eq!(response.body().as_bytes().unwrap(), text);
/// }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct NotFound {
    fallback: Application,
    pages_only: bool,
}

impl NotFound {
    /// Calls `fallback` if the wrapped application does not find the page.
    pub fn new<M>(fallback: impl IntoHandler<M>) -> Self {
        NotFound {
            fallback: fallback.into_application(),
            pages_only: false,
        }
    }

    /// Calls the fallback only for requests that a browser shows as a page: for single-page applications.
    ///
    /// These are GET and HEAD requests whose `Accept` allows `text/html` and whose path has no dot in its last segment,
    /// so a missing script or picture stays a 404. Other requests then cost nothing.
    ///
    /// ```
    /// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
    /// use enfilade::middleware::{NotFound, Pass};
    /// use enfilade::{Application, Request};
    /// use enfilade_testing::Client;
    ///
    /// let index = |_: Request| "<div id=app>";
    /// let files = Application::new(|_: Request| Pass);
    /// let client = Client::new(files.wrap(NotFound::new(index).pages_only()));
    /// assert_eq!(client.get("/users/42").send().text(), "<div id=app>");
    /// assert_eq!(client.get("/app.js").send().status(), 404);
    /// assert_eq!(client.get("/users").header("accept", "application/json").send().status(), 404);
    /// ```
    pub fn pages_only(mut self) -> Self {
        self.pages_only = true;
        self
    }
}

impl Middleware for NotFound {
    fn wrap(self, app: Application) -> Application {
        Application::from_handler(WithFallback {
            app,
            not_found: self,
        })
    }
}

#[derive(Clone)]
struct WithFallback {
    app: Application,
    not_found: NotFound,
}

impl Handler for WithFallback {
    fn call(&self, request: Request) -> Reply {
        if self.not_found.pages_only && !is_page(&request) {
            return self.app.call(request);
        }
        // Whether the fallback is needed is known only when the request is consumed, so the head of every request is
        // kept.
        let head = request.keep_head();
        let reply = self.app.call(request);
        if reply.as_ready().is_some_and(has_response) {
            return reply;
        }
        match reply.try_into_response() {
            Ok(response) => replace(response, &self.not_found.fallback, head),
            Err(pending) => {
                let fallback = self.not_found.fallback.clone();
                Reply::from_future(async move {
                    let response = pending.await;
                    if has_response(&response) {
                        return response;
                    }
                    replace(response, &fallback, head).await
                })
            }
        }
    }

    fn describe(&self) -> Description {
        let description = Description::new("NotFound");
        let description = match self.not_found.pages_only {
            true => description.option("pages_only", true),
            false => description,
        };
        let otherwise = self.not_found.fallback.describe();
        description.around(&self.app).child("otherwise", otherwise)
    }

    fn map_inner(&self, change: &mut dyn FnMut(Application) -> Application) -> Option<Application> {
        let app = change(self.app.clone());
        let mut not_found = self.not_found.clone();
        not_found.fallback = change(not_found.fallback);
        Some(Application::from_handler(WithFallback { app, not_found }))
    }
}

/// Whether a browser would show the response as a page.
fn is_page(request: &Request) -> bool {
    let is_read = [Method::GET, Method::HEAD].contains(request.method());
    let last = request.path().rsplit('/').next().unwrap_or_default();
    is_read && !last.contains('.') && accepts(request.headers(), "text/html")
}

fn has_response(response: &Response) -> bool {
    response.extensions().get::<Pass>().is_none()
        && (response.status() != StatusCode::NOT_FOUND
            || has_content(response) && !says_status_only(response))
}

/// Whether the content is the text of an error without a message of its own.
fn says_status_only(response: &Response) -> bool {
    let error = response.extensions().get::<Arc<HttpError>>();
    error.is_some_and(|error| {
        error.status() == response.status() && error.client_message().is_none()
    })
}

/// Whether the response to GET would have content; headers of a response to HEAD say so (RFC 9110, section 9.3.2).
fn has_content(response: &Response) -> bool {
    let headers = response.headers();
    if !response.body().is_finished() || headers.is_empty() {
        return !response.body().is_finished();
    }
    let length = headers.get(CONTENT_LENGTH).map(http::HeaderValue::as_bytes);
    length.is_some_and(|length| length != b"0")
        || (length.is_none() && headers.contains_key(CONTENT_ENCODING))
}

fn replace(response: Response, fallback: &Application, head: HeadSnapshot) -> Reply {
    let mut head = head.into_request();
    // The client is still connected, so the body reports a successful end.
    response.into_body().discard();
    let framing = [CONTENT_LENGTH, TRANSFER_ENCODING];
    // Checked first, because a mutable borrow may copy shared headers.
    if head.headers().keys().any(|name| framing.contains(name)) {
        for name in framing {
            head.headers_mut().remove(name);
        }
    }
    fallback.call(head)
}

#[cfg(test)]
mod tests;
