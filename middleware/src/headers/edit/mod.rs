//! Sets, adds, removes, renames and rewrites headers.

mod change;
mod on_request;
mod on_response;

use std::fmt;
use std::sync::Arc;

use enfilade_core::{Application, Description, Handler, Middleware, Reply, Request};

use self::on_request::RequestOperation;
use self::on_response::Operations;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::matching::guard::Guard;
use crate::matching::response_filter::Answers;

/// Sets, adds, removes, renames and rewrites headers of answers, and of requests.
///
/// Operations run in the order in which they are written, on answers of every status and on what inner wrappers set;
/// [`for_requests`](Headers::for_requests) and [`for_answers`](Headers::for_answers) keep some of them to those that are
/// meant. Those whose names begin with `request_` change the request before the application sees it, all others the answer.
/// Names and values are text or already parsed; text is parsed here, once, so that a request costs no more than the
/// entry in the header map. [`describe`](Application::describe) shows the names and keeps the values to itself, as they
/// may be secrets.
///
/// # Order
///
/// What stands outside it sees, and may change, what it set. Put it outside a [`NotFound`](crate::NotFound) or whatever
/// else makes answers of its own, so that those have the headers too. A 400 or 500 that the gateway itself makes is not
/// touched.
///
/// # Security
///
/// A value with CR, LF or NUL is refused when the stack is built, so no option can forge a second header. To keep
/// clients from setting a header that an application trusts, remove it with [`request_remove`](Headers::request_remove)
/// (`Proxy`, for example, which a CGI program reads as the setting `HTTP_PROXY`).
///
/// # Example
///
/// ```
/// use enfilade_core::{Application, Request};
/// use enfilade_middleware::Headers;
///
/// # fn main() -> Result<(), enfilade_middleware::Error> {
/// let headers = Headers::new()
///     .set("x-content-type-options", "nosniff")?
///     .default("cache-control", "no-store")?
///     .remove("x-powered-by")?;
/// let app = Application::new(|_: Request| ([("x-powered-by", "steam")], "Hello")).wrap(headers);
/// let response = pollster::block_on(app.call(Request::get("/")));
/// assert_eq!(response.headers()["x-content-type-options"], "nosniff");
/// assert_eq!(response.headers()["cache-control"], "no-store");
/// assert!(!response.headers().contains_key("x-powered-by"));
/// # Ok(())
/// # }
/// ```
///
/// A value can depend on the request and the answer, and operations on what they are:
///
/// ```
/// use enfilade_core::{Application, Request, Response};
/// use enfilade_middleware::{Answers, Guard, Headers};
/// use http::HeaderValue;
///
/// # fn main() -> Result<(), enfilade_middleware::Error> {
/// let pages = Answers::new().media_type("text/html")?;
/// let headers = Headers::new()
///     .for_answers(pages, Headers::new().set("x-frame-options", "DENY")?)?
///     .for_requests(Guard::path("/api/**")?, Headers::new().set("cache-control", "no-store")?)
///     .replace("location", "^http://", "https://")?
///     .set_with("x-length", |answer| answer.body().known_length().map(HeaderValue::from))?
///     .set_from("x-echo", |request: &Request| {
///         let echo = request.headers().get("x-say").cloned();
///         move |_: &Response| echo
///     })?;
/// let html = [("content-type", "text/html"), ("location", "http://a.example/")];
/// let app = Application::new(move |_: Request| (html, "<p>")).wrap(headers);
///
/// let mut request = Request::get("/api/users");
/// request.headers_mut().insert("x-say", HeaderValue::from_static("hello"));
/// let response = pollster::block_on(app.call(request));
/// for (name, value) in [
///     ("x-frame-options", "DENY"),
///     ("cache-control", "no-store"),
///     ("location", "https://a.example/"),
///     ("x-length", "3"),
///     ("x-echo", "hello"),
/// ] {
///     assert_eq!(response.headers()[name], value);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct Headers {
    request: Vec<RequestOperation>,
    response: Operations,
}

impl Headers {
    /// No operations, which leaves requests and answers as they are.
    pub fn new() -> Self {
        <Headers as Default>::default()
    }

    /// Does what `headers` says, on requests that the guard lets through and on their answers.
    ///
    /// For operations on answers the guard looks at the request as the application gets it, after all operations on
    /// requests; for those on requests, as the operations before left it.
    pub fn for_requests(mut self, guard: Guard, headers: Headers) -> Self {
        if !headers.request.is_empty() {
            let operation = RequestOperation::If(guard.clone(), headers.request);
            self.request.push(operation);
        }
        if !headers.response.is_empty() {
            self.response.push_for_requests(guard, headers.response);
        }
        self
    }

    /// Does what `headers` says, on these answers alone; they are looked at once, before the first of its operations.
    ///
    /// # Errors
    ///
    /// Where `headers` has operations on requests: when they run there is no answer yet.
    pub fn for_answers(mut self, answers: Answers, headers: Headers) -> Result<Self, Error> {
        if !headers.request.is_empty() {
            let message = format!("the answer ({answers}) cannot decide what is done to a request");
            return Err(Error::new(ErrorKind::Rule, message));
        }
        self.response.push_for_answers(answers, headers.response);
        Ok(self)
    }
}

impl Middleware for Headers {
    fn wrap(self, app: Application) -> Application {
        Application::from_handler(WithHeaders {
            app,
            request: self.request,
            response: Arc::new(self.response),
        })
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be secrets.
        f.debug_struct("Headers")
            .field("request", &self.request.len())
            .field("response", &self.response.len())
            .finish()
    }
}

#[derive(Clone)]
struct WithHeaders {
    app: Application,
    request: Vec<RequestOperation>,
    /// Shared with pending replies, which may outlive the application.
    response: Arc<Operations>,
}

impl Handler for WithHeaders {
    fn call(&self, mut request: Request) -> Reply {
        for operation in &self.request {
            operation.apply(&mut request);
        }
        if self.response.need_request() {
            let (facts, operations) = (self.response.look_at(&request), self.response.clone());
            let reply = self.app.call(request);
            return reply.update(move |response| operations.apply(response, facts));
        }
        let mut reply = self.app.call(request);
        if let Some(response) = reply.as_ready_mut() {
            self.response.apply(response, []);
            return reply;
        }
        let operations = self.response.clone();
        reply.update(move |response| operations.apply(response, Vec::new()))
    }

    fn describe(&self) -> Description {
        let mut options = Vec::new();
        for operation in &self.request {
            operation.summarize("", &mut options);
        }
        self.response.summarize("", &mut options);
        let tree = Description::new("Headers");
        let tree = options
            .into_iter()
            .fold(tree, |tree, (verb, names)| tree.option(verb, names));
        tree.around(&self.app)
    }

    fn map_inner(&self, change: &mut dyn FnMut(Application) -> Application) -> Option<Application> {
        let app = change(self.app.clone());
        Some(Application::from_handler(WithHeaders {
            app,
            ..self.clone()
        }))
    }
}

#[cfg(test)]
mod tests;
