//! Sets, adds, removes, renames and rewrites headers.

mod change;
#[cfg(feature = "regex")]
mod replace;
mod request;
mod response;
mod rules;

use std::fmt;
use std::sync::Arc;

use enfilade_core::{
    Application, Description, Middleware, Reply, Request, Response, Wrapper, wrapped,
};

use self::rules::{HeaderRules, Message, Summary};

/// Sets, adds, removes, renames and rewrites headers of responses, or of requests.
///
/// [`Headers::new`] is for responses, [`Headers::request`] for requests; the rules are the same. Rules run in the order
/// in which they are written, on responses of every status and on headers of inner wrappers;
/// [`for_requests`](Headers::for_requests) and [`for_responses`](Headers::for_responses) limit some of them.
/// Names and values are text or already parsed. Text is parsed here, once, so that a request costs no more than the
/// entry in the header map. [`describe`](Application::describe) shows the names but not the values, which may be secrets.
///
/// # Order
///
/// Wrappers outside it see, and may change, what it sets. Put it outside a [`NotFound`](crate::NotFound) and other
/// wrappers that respond by themselves, so that their responses have the headers too. A 400 or 500 of the gateway itself
/// is not changed.
///
/// # Security
///
/// A value with CR, LF or NUL is rejected when the stack is built, so no option can forge a second header. To keep
/// clients from setting a header that an application trusts, remove it from requests (`Proxy`, for example, which a CGI
/// program reads as the setting `HTTP_PROXY`).
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::Headers;
/// use enfilade::{Application, Request};
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
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
/// A value can depend on the request and the response, and so can a rule:
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::http::HeaderValue;
/// use enfilade::middleware::{ResponseFilter, Guard, Headers};
/// use enfilade::{Application, Request, Response};
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
/// let pages = ResponseFilter::new().media_type("text/html")?;
/// let headers = Headers::new()
///     .for_responses(pages, Headers::new().set("x-frame-options", "DENY")?)
///     .for_requests(Guard::path("/api/**")?, Headers::new().set("cache-control", "no-store")?)
///     .replace("location", "^http://", "https://")?
///     .set_with("x-length", |response| response.body().known_length().map(HeaderValue::from))?
///     .set_from("x-echo", |request: &Request| {
///         let echo = request.headers().get("x-say").cloned();
///         move |_: &Response| echo
///     })?;
/// let html = [("content-type", "text/html"), ("location", "http://a.example/")];
/// let app = Application::new(move |_: Request| (html, "<p>")).wrap(headers);
/// let app = app.wrap(Headers::request().remove("proxy")?.default("accept", "text/html")?);
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
#[expect(private_bounds, reason = "only requests and responses have headers")]
#[must_use = "a middleware does nothing until it wraps an application"]
pub struct Headers<T: Message = Response> {
    rules: HeaderRules<T>,
}

impl Default for Headers {
    fn default() -> Self {
        Headers::none()
    }
}

impl<T: Message> Clone for Headers<T> {
    fn clone(&self) -> Self {
        Headers {
            rules: self.rules.clone(),
        }
    }
}

impl<T: Message> fmt::Debug for Headers<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be secrets.
        write!(f, "Headers({} rules)", self.rules.list.len())
    }
}

impl<T: Message> Middleware for Headers<T> {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self.rules)
    }
}

impl<T: Message> Wrapper for HeaderRules<T> {
    fn call(self: &Arc<Self>, inner: &Application, request: Request) -> Reply {
        T::call(self, inner, request)
    }

    fn describe(&self) -> Description {
        let mut summary = Summary::default();
        self.summarize("", &mut summary);
        summary.describe_in(Description::new("Headers"))
    }
}

#[cfg(test)]
mod tests;
