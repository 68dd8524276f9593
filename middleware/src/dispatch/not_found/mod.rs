//! Asks a second application where the first has no answer.

use std::sync::Arc;

use enfilade_core::{
    Application, Description, Handler, HeadSnapshot, HttpError, IntoHandler, Middleware, Pass,
    Reply, Request, Response,
};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{Method, StatusCode};

use crate::matching::accept::accepts;

/// Asks a second application, the fallback, where the first has no answer.
///
/// The first application has no answer if it responds with a 404 without content, or with an [`HttpError`] of 404 that
/// has no [message](HttpError::message), as [`Request::param`] makes it for a value that does not parse; or if it passes:
/// if its response has a [`Pass`], whatever the status. The fallback then answers, and its status stands: an error page
/// gives a 404, a single-page application a 200. Nothing of the first response is left; its content is dropped before the
/// fallback is called. Every other status, and a 404 with content of its own, goes out as it is.
///
/// The fallback sees the request as it came here, and not what happened to it further in: method, target, headers,
/// extensions, connection, captures and mounts. It does not see the content, which went to the first application, nor
/// the headers that frame it (`Content-Length`, `Transfer-Encoding`).
///
/// A 404 whose content is a stream has content, even if nothing comes of the stream. An answer to HEAD counts as the
/// one to GET would: where it has no content but says `Content-Length: 12` or has a `Content-Encoding`, it stays.
///
/// For each request the head is kept (see [`Request::keep_head`]), which costs a count, and a copy of extensions and
/// captures where there are any.
///
/// # Order
///
/// Put it inside what should see the final answer, such as an access log or a compression, and outside what may pass.
/// The fallback may pass too: `app.wrap(NotFound::new(second)).wrap(NotFound::new(third))` asks in that order.
///
/// # Example
///
/// ```
/// use enfilade_core::{Application, Reply, Request};
/// use enfilade_middleware::{NotFound, Pass};
/// use http::StatusCode;
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
    /// A wrapper that asks `fallback` where the application it is put around has no answer.
    pub fn new<M>(fallback: impl IntoHandler<M>) -> Self {
        NotFound {
            fallback: fallback.into_application(),
            pages_only: false,
        }
    }

    /// Asks the fallback only for what a browser shows as a page: for single-page applications.
    ///
    /// That is a GET or HEAD whose `Accept` takes `text/html` and whose path has no dot in its last segment, so that a
    /// missing script or picture stays missing. Other requests cost nothing then.
    ///
    /// ```
    /// use enfilade_core::{Application, Request};
    /// use enfilade_middleware::{NotFound, Pass};
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
        // Whether the fallback is needed is known when the request is gone, so its head has to be kept for every one.
        let head = request.keep_head();
        let reply = self.app.call(request);
        if reply.as_ready().is_some_and(has_answer) {
            return reply;
        }
        match reply.try_into_response() {
            Ok(response) => replace(response, &self.not_found.fallback, head),
            Err(pending) => {
                let fallback = self.not_found.fallback.clone();
                Reply::from_future(async move {
                    let response = pending.await;
                    if has_answer(&response) {
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

/// Whether a browser would show the answer as a page.
fn is_page(request: &Request) -> bool {
    let is_read = [Method::GET, Method::HEAD].contains(request.method());
    let last = request.path().rsplit('/').next().unwrap_or_default();
    is_read && !last.contains('.') && accepts(request.headers(), "text/html")
}

fn has_answer(response: &Response) -> bool {
    response.extensions().get::<Pass>().is_none()
        && (response.status() != StatusCode::NOT_FOUND
            || has_content(response) && !says_status_only(response))
}

/// Whether the content is the text of an error that has nothing to add to its status.
fn says_status_only(response: &Response) -> bool {
    let error = response.extensions().get::<Arc<HttpError>>();
    error.is_some_and(|error| {
        error.status() == response.status() && error.client_message().is_none()
    })
}

/// Whether the answer to GET would have content; an answer to HEAD says so in its headers (RFC 9110, section 9.3.2).
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
    // The client did not go away, so what watches the content is told a good end.
    response.into_body().discard();
    let framing = [CONTENT_LENGTH, TRANSFER_ENCODING];
    // Looked at first, as a change may copy headers that are shared.
    if head.headers().keys().any(|name| framing.contains(name)) {
        for name in framing {
            head.headers_mut().remove(name);
        }
    }
    fallback.call(head)
}

#[cfg(test)]
mod tests;
