//! A page that shows developers what failed.

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

/// Shows the error with its causes, the panic with its backtrace, the request and the stack.
///
/// It makes a page for a panic of the call or the future, and for a response of 500 or more that has no content or
/// comes from an [`HttpError`]. [`client_errors`](DebugErrors::client_errors) adds pages for 400 to 499. Content that
/// an application wrote stays. Status and headers stay (`WWW-Authenticate`, `Retry-After`, `Allow`), except headers
/// that describe the replaced content. If the body panics, it is too late for a page: the body fails, so that the
/// client notices that it is incomplete.
///
/// | | |
/// |---|---|
/// | the error | the chain of errors with their `Debug` and, if known, their types; for a panic its message, its place, a backtrace, and the source lines around it if they can be read |
/// | the request | method, target, query, headers, client, the path that mounts consumed, the pattern that a [`Router`](crate::Router) matched, the [ID](crate::RequestId); not the body |
/// | the stack | the inner components with their options, as they [describe](Application::describe) themselves |
///
/// The page is HTML, problem JSON (RFC 9457) with the details in extension members, or text, as `Accept` says. It is
/// text if there is no `Accept`, or if `Accept` allows none of these. The page has no scripts and no controls. Long
/// texts and long lists are cut and marked as cut.
///
/// A panic hook records the place of a panic. The first of these wrappers installs it in front of the current hook, and
/// it calls that one afterwards. It records only panics on threads that are inside one of these wrappers, so a panic on
/// another thread has no backtrace. `RUST_BACKTRACE` has no effect. If a program sets its own hook later, that hook
/// must call this one. Names and places come from the debug information; reading it takes time. A program built with
/// `panic = "abort"` cannot catch panics.
///
/// # Order
///
/// Inside logs and other wrappers that read responses, outside everything that may fail. During development it replaces
/// [`CatchPanic`](crate::CatchPanic) and [`ErrorPages`](crate::ErrorPages). If these are inside it, its page replaces
/// theirs and has the backtrace of a panic. If [`ErrorPages`](crate::ErrorPages) is outside it, that replaces this
/// page. Put it inside [`ProxyFix`](crate::ProxyFix) and [`RequestId`](crate::RequestId), so that it knows the client
/// and the ID. A wrapper outside that replaces `Content-Security-Policy` disables the style of the page.
///
/// # Security
///
/// The page shows internals to every client that can make the application fail: paths and parts of its source, its
/// options, the content of its errors, and names of headers. Use it only for development. [`new`](DebugErrors::new)
/// fails if the crate was built without `debug_assertions`, as in Cargo's `release` profile. The values of
/// `Authorization`, `Proxy-Authorization`, `Cookie` and of all headers that a [`Sensitive`](crate::Sensitive) outside
/// marked are shown as `***`. A secret in the text of an error or a panic is shown.
///
/// Everything is escaped, and control characters are spelled out. The page forbids scripts, frames and forms
/// (`Content-Security-Policy`), and caching (`Cache-Control: no-store`).
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::DebugErrors;
/// use enfilade::{Application, HttpError, Request};
/// use enfilade_testing::Client;
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
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

/// Marks a response that already has a page, for another such wrapper outside.
#[derive(Clone)]
struct HasPage;

impl DebugErrors {
    /// Shows pages for server errors, in a program that is built for development.
    ///
    /// # Errors
    ///
    /// If this crate was built without `debug_assertions`: [`ErrorKind::Build`].
    pub fn new() -> Result<Self, Error> {
        permitted(cfg!(debug_assertions))?;
        Ok(DebugErrors::insecure_in_release())
    }

    /// Shows pages in any program, also in one that is built for release.
    ///
    /// Use it only if no client but the developers can reach the program; see the security notes of the type.
    pub fn insecure_in_release() -> Self {
        DebugErrors {
            redaction: Redaction::new(),
            client_errors: false,
        }
    }

    /// Also shows pages for client errors: responses of 400 to 499.
    ///
    /// By default these stay unchanged, because most of them are intended.
    pub fn client_errors(mut self) -> Self {
        self.client_errors = true;
        self
    }

    /// Shows `***` for the values of a request header.
    pub fn redact_header(mut self, name: HeaderName) -> Self {
        self.redaction.hide_header(name);
        self
    }

    /// Shows `***` for the values of a query parameter.
    ///
    /// The name is decoded text; upper and lower case are equal. Queries in `Referer` are included.
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

/// A request that is being handled.
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
        // Formatting the application's errors may panic too; then the response stays unchanged.
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

/// Browsers send `Accept`; a client without it is a program or a person at a terminal.
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
        // The query of the target may contain a secret.
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Response::from_parts(parts, Body::from(content))
}

#[cfg(test)]
mod tests;
