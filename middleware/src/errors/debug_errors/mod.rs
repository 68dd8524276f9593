//! A page that says what went wrong, for whoever writes the application.

mod backtrace;
mod facts;
mod hook;
mod page;
mod plain;
mod problem;
mod report;
mod shown;
mod source;

use std::sync::Arc;

use enfilade_core::{
    Application, Body, Description, HttpError, IntoResponse, Middleware, Panic, Reply, Request,
    Response, Wrapper, wrapped,
};
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY_REPORT_ONLY,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use self::report::{Evidence, Report};
use crate::dispatch::router::RouteTrail;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::errors::catching;
use crate::errors::error_pages::ErrorFormat;
use crate::errors::new_content::{is_standard, reset_content_headers};
use crate::matching::accept;
use crate::shared::redaction::Redaction;
use enfilade_core::RouteWanted;

/// Shows what went wrong, to whoever asks: the error with its causes, the panic with its backtrace, the request, the stack.
///
/// A panic of the call or the future gets a page, and so does an answer of 500 or more that has no content or that an
/// [`HttpError`] made; with [`client_errors`](DebugErrors::client_errors) one of 400 or more too. What an application
/// wrote itself stays. Status and headers stay (`WWW-Authenticate`, `Retry-After`, `Allow`), but for those that speak of
/// the content that was there. A body that panics is too late for a page: it fails, so that the client sees that it is
/// not whole.
///
/// | | |
/// |---|---|
/// | what went wrong | the chain of errors with their `Debug`, and their types where they are known; of a panic what it said, where, a backtrace, and the source around it where that can be read |
/// | the request | method, target, query, headers, client, what mounts consumed, the pattern that a [`Router`](crate::Router) matched, the [id](crate::RequestId); not the body |
/// | the stack | the components inside with their options, as they [describe](Application::describe) themselves |
///
/// It is HTML, a problem in JSON (RFC 9457) with the details in members of its own, or text, as `Accept` says; text where
/// there is no `Accept`, or where none of these is in it. There is no script in the page, and nothing can be done with it.
/// Long texts and long lists are cut, and say so.
///
/// Where a panic was is noted by a hook, which the first of these wrappers puts in front of the panic hook that is there,
/// and which goes on to that one. It looks at panics of threads that are inside one of these wrappers at that moment, so a
/// panic on another thread has no backtrace; `RUST_BACKTRACE` does not matter. A program that sets a hook of its own
/// afterwards has to go on to this one. Names and places are those that the debug information has, and finding them takes
/// its time. Where a program is built with `panic = "abort"`, nothing can be caught.
///
/// # Order
///
/// Inside logs and what else looks at answers, outside everything that may fail: it takes the place of
/// [`CatchPanic`](crate::CatchPanic) and [`ErrorPages`](crate::ErrorPages) while an application is written. Where these are
/// inside of it, its page comes in the place of theirs, with the backtrace of a panic; outside of it,
/// [`ErrorPages`](crate::ErrorPages) would replace its page. Inside [`ProxyFix`](crate::ProxyFix) and
/// [`RequestId`](crate::RequestId) it knows the client and the id. What is outside of it and replaces
/// `Content-Security-Policy` takes the style away.
///
/// # Security
///
/// It tells everybody who can make the application fail how it is made: paths and pieces of its source, its options, what
/// its errors know, and names of headers. So it is for development, and [`new`](DebugErrors::new) refuses where the crate was
/// built without `debug_assertions`, which Cargo's `release` profile leaves out. The values of `Authorization`,
/// `Proxy-Authorization`, `Cookie` and of everything that [`Sensitive`](crate::Sensitive) marked outside are shown as `***`;
/// a secret that an error or a panic says is shown.
///
/// Everything is escaped, control characters are spelled, and the page forbids scripts, frames and forms
/// (`Content-Security-Policy`), and caching (`Cache-Control: no-store`).
///
/// # Example
///
/// ```
/// use enfilade_core::{Application, HttpError, Request};
/// use enfilade_middleware::DebugErrors;
/// use enfilade_testing::Client;
///
/// # fn main() -> Result<(), enfilade_middleware::Error> {
/// let app = Application::new(|request: Request| -> Result<String, HttpError> {
///     let shelf: u32 = request.path().trim_start_matches('/').parse()?;
///     Ok(format!("Shelf {shelf}"))
/// });
/// # // Tests that are built for release have no more to see.
/// # if DebugErrors::new().is_err() { return Ok(()); }
/// let client = Client::new(app.wrap(DebugErrors::new()?));
/// assert_eq!(client.get("/3").send().text(), "Shelf 3");
/// let page = client.get("/x").header("accept", "text/html").send();
/// assert_eq!(page.status(), 500);
/// assert!(page.text().contains("<h1>invalid digit found in string</h1>"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct DebugErrors {
    redaction: Redaction,
    client_errors: bool,
}

/// On an answer that has its page already, for another one outside.
#[derive(Clone)]
struct HasPage;

impl DebugErrors {
    /// Shows pages of errors of the server, in a program that is built for development.
    ///
    /// # Errors
    ///
    /// Where this crate was built without `debug_assertions`: [`ErrorKind::Build`].
    pub fn new() -> Result<Self, Error> {
        permitted(cfg!(debug_assertions))?;
        Ok(DebugErrors::insecure_in_release())
    }

    /// The same in any program, one that is built for release too.
    ///
    /// Only where nobody but its makers reaches it; see the type's notes on security.
    pub fn insecure_in_release() -> Self {
        DebugErrors {
            redaction: Redaction::new(),
            client_errors: false,
        }
    }

    /// Shows pages of errors of the client too: of answers of 400 to 499.
    ///
    /// By default those stay as they are, as most of them are meant.
    pub fn client_errors(mut self) -> Self {
        self.client_errors = true;
        self
    }

    /// Shows `***` for the values of a header of requests.
    pub fn redact_header(mut self, name: HeaderName) -> Self {
        self.redaction.hide_header(name);
        self
    }

    /// Shows `***` for the values of a parameter of queries.
    ///
    /// The name is text, in upper or lower case, and is compared with those of a query decoded. Queries in `Referer` are
    /// included.
    pub fn redact_query(mut self, name: &str) -> Self {
        self.redaction.hide_parameter(name);
        self
    }

    fn is_shown(&self, response: &Response) -> bool {
        let status = response.status();
        (status.is_server_error() || self.client_errors && status.is_client_error())
            && is_standard(response)
            && response.extensions().get::<HasPage>().is_none()
    }
}

impl Middleware for DebugErrors {
    fn wrap(self, app: Application) -> Application {
        hook::install();
        wrapped(app, self)
    }
}

impl Wrapper for DebugErrors {
    fn call(self: &Arc<Self>, inner: &Application, mut request: Request) -> Reply {
        let trail = RouteTrail::default();
        request.extensions_mut().insert(trail);
        let debugged = DebuggedRequest {
            request: request.clone_head(),
            app: inner.clone(),
            options: self.clone(),
        };
        request.extensions_mut().insert(RouteWanted);
        catching::call_catching(inner, request, hook::watch, move |outcome| {
            debugged.response(outcome)
        })
    }

    fn describe(&self) -> Description {
        let statuses = match self.client_errors {
            true => "400 to 599",
            false => "500 to 599",
        };
        Description::new("DebugErrors").option("statuses", statuses)
    }
}

/// Whether pages may be shown in a build with or without `debug_assertions`.
fn permitted(debug_assertions: bool) -> Result<(), Error> {
    match debug_assertions {
        true => Ok(()),
        false => Err(Error::new(
            ErrorKind::Build,
            "DebugErrors shows everybody how the program is made, so a program that is built for release does not \
             have it, unless it says DebugErrors::insecure_in_release()",
        )),
    }
}

/// A request that is on its way.
struct DebuggedRequest {
    request: Request,
    app: Application,
    options: Arc<DebugErrors>,
}

impl DebuggedRequest {
    fn response(&self, outcome: Result<Response, Panic>) -> Response {
        let response = outcome.unwrap_or_else(|panic| {
            let error = HttpError::from_panic(panic);
            error.into_response()
        });
        if !self.options.is_shown(&response) {
            return response;
        }
        // What the application says of its errors may panic too; then the answer stays as it is.
        match Panic::catch(|| self.content(&response)) {
            Ok((media_type, content)) => replace(response, media_type, content),
            Err(_) => response,
        }
    }

    /// The media type and the page.
    fn content(&self, response: &Response) -> (&'static str, String) {
        let error = response.extensions().get::<Arc<HttpError>>();
        let cause = error.and_then(|error| error.source());
        let seen = cause.and_then(|cause| hook::take(&cause.to_string()));
        let report = Report::new(
            response,
            &Evidence {
                request: &self.request,
                redaction: &self.options.redaction,
                tree: &self.app.describe(),
                seen: seen.as_ref(),
                folder: std::env::current_dir().ok().as_deref(),
            },
        );
        match choose(self.request.headers()) {
            ErrorFormat::Html => ("text/html; charset=utf-8", page::html(&report)),
            ErrorFormat::Problem => ("application/problem+json", problem::text(&report)),
            ErrorFormat::Text => ("text/plain; charset=utf-8", plain::text(&report)),
        }
    }
}

/// Browsers say what they like; who says nothing is a program, or a person at a terminal.
fn choose(accepted: &HeaderMap) -> ErrorFormat {
    let offered = [
        ("text/html", ErrorFormat::Html),
        ("application/problem+json", ErrorFormat::Problem),
        ("application/json", ErrorFormat::Problem),
        ("text/plain", ErrorFormat::Text),
    ];
    match accepted.contains_key(ACCEPT) {
        true => accept::choose(accepted, &offered).unwrap_or(ErrorFormat::Text),
        false => ErrorFormat::Text,
    }
}

fn replace(response: Response, media_type: &'static str, content: String) -> Response {
    let (mut parts, body) = response.into_parts();
    body.discard();
    parts.extensions.insert(HasPage);
    let headers = &mut parts.headers;
    reset_content_headers(headers, parts.status, media_type);
    headers.remove(CONTENT_SECURITY_POLICY_REPORT_ONLY);
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, page::POLICY),
        // The target may have a secret in its query.
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Response::from_parts(parts, Body::from(content))
}

#[cfg(test)]
mod tests;
