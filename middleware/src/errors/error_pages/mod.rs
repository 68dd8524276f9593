//! Pages for error responses.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use enfilade_core::{
    Application, Body, Description, HeadSnapshot, HttpError, Middleware, OptionValue, Reply,
    Request, Response, Wrapper, wrapped,
};
use http::header::ACCEPT;
use http::{HeaderMap, StatusCode};

use crate::error::Error;
use crate::errors::new_content::{is_standard, reset_content_headers};
use crate::matching::accept;
use crate::shared::header_values::HeaderValues;
use crate::shared::html::HtmlEscaped;
use crate::shared::json;
use crate::shared::valid_status::ValidStatus;

/// Adds a page to error responses: HTML, problem JSON (RFC 9457) or plain text, as the client prefers.
///
/// A response of 400 or more gets a page if it has no content, or if its content is the standard text of an
/// [`HttpError`]. Content that an application wrote stays, unless [`replace_content`](ErrorPages::replace_content) is
/// set. Status and headers stay (`WWW-Authenticate`, `Retry-After`, `Allow`), except headers that describe the replaced
/// content.
///
/// The page has the status, its reason phrase and the [error's text for the client](HttpError::client_message). It
/// shows nothing of the cause. `Vary: Accept` is added. If the client accepts none of the formats, it gets plain text.
///
/// # Order
///
/// Outside everything that responds with errors: [`CatchPanic`](crate::CatchPanic), limits,
/// [`NotFound`](crate::NotFound) and [`Cascade`](crate::Cascade) (with the page inside them, they would not see an
/// empty 404). Inside [`Compression`](crate::Compression) and logs.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::http::StatusCode;
/// use enfilade::middleware::ErrorPages;
/// use enfilade::{Application, HttpError, Request};
/// use enfilade_testing::Client;
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
/// let app = Application::new(|request: Request| match request.path() {
///     "/taken" => Err(HttpError::new(StatusCode::CONFLICT).message("the name is taken")),
///     _ => Err(HttpError::new(StatusCode::NOT_FOUND)),
/// } as Result<(), _>);
/// let pages = ErrorPages::new().page(StatusCode::NOT_FOUND, "<h1>Nothing here</h1>")?;
/// let client = Client::new(app.wrap(pages));
///
/// let page = client.get("/").header("accept", "text/html").send();
/// assert_eq!((page.status().as_u16(), &*page.text()), (404, "<h1>Nothing here</h1>"));
/// let problem = client.get("/taken").header("accept", "application/json").send();
/// assert_eq!(problem.header("content-type"), Some("application/problem+json"));
/// assert_eq!(
///     problem.text(),
///     r#"{"detail":"the name is taken","status":409,"title":"Conflict","type":"about:blank"}"#,
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct ErrorPages {
    formats: Vec<ErrorFormat>,
    pages: Vec<(StatusCode, Bytes)>,
    client_errors: Option<Bytes>,
    server_errors: Option<Bytes>,
    render: Option<Arc<Render>>,
    replace_content: bool,
}

type Render = dyn Fn(&ErrorPage, &Request) -> String + Send + Sync;

/// A format of error pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorFormat {
    /// An HTML page: `text/html`.
    Html,
    /// `application/problem+json` (RFC 9457), also for clients that want `application/json`.
    Problem,
    /// A line of text: `text/plain`.
    Text,
}

/// The content of a page.
#[derive(Clone, Debug)]
pub struct ErrorPage {
    status: StatusCode,
    detail: Option<String>,
    members: Vec<(String, OptionValue)>,
}

impl ErrorPage {
    /// Returns the status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the status in words.
    #[must_use]
    pub fn title(&self) -> &'static str {
        self.status.canonical_reason().unwrap_or("Error")
    }

    /// Returns the error's members for a problem (RFC 9457), see [`HttpError::member`]; escape them.
    pub fn members(&self) -> impl Iterator<Item = (&str, &OptionValue)> {
        self.members.iter().map(|(name, value)| (&**name, value))
    }

    /// Returns the error's message for the client, if it says more than the status; escape it.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    fn html(&self) -> String {
        let title = self.title();
        let detail = self
            .detail
            .as_deref()
            .map(|detail| format!("<p>{}</p>\n", HtmlEscaped(detail)));
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n</head>\n\
             <body>\n<h1>{title}</h1>\n{}</body>\n</html>\n",
            detail.unwrap_or_default(),
        )
    }

    fn problem(&self) -> String {
        let detail = self.detail.as_deref();
        let detail = detail.map(|detail| ("detail", json::string(detail)));
        let status = ("status", self.status.as_u16().to_string());
        let mut problem = Vec::from_iter(detail.into_iter().chain([status]));
        for (name, standard) in [
            ("title", self.title()),
            // Nothing more than what the status says (RFC 9457, section 4.2.1).
            ("type", "about:blank"),
        ] {
            if !self.members.iter().any(|(member, _)| member == name) {
                problem.push((name, json::string(standard)));
            }
        }
        let own = self.members.iter();
        let own = own.filter(|(name, _)| !["detail", "status"].contains(&name.as_str()));
        problem.extend(own.map(|(name, value)| (name.as_str(), value.to_json())));
        json::object(problem)
    }

    fn text(&self) -> String {
        match &self.detail {
            Some(detail) => format!("{}: {detail}\n", self.title()),
            None => format!("{}\n", self.title()),
        }
    }
}

impl ErrorPages {
    /// Uses the built-in pages, in all formats.
    pub fn new() -> Self {
        ErrorPages {
            formats: vec![ErrorFormat::Html, ErrorFormat::Problem, ErrorFormat::Text],
            pages: Vec::new(),
            client_errors: None,
            server_errors: None,
            render: None,
            replace_content: false,
        }
    }

    /// Sets the formats, the best first: if the client accepts several equally, the first one is used.
    ///
    /// The default is HTML, problem, text. Put the problem first in an API.
    pub fn formats(mut self, formats: impl IntoIterator<Item = ErrorFormat>) -> Self {
        self.formats = formats.into_iter().collect();
        self
    }

    /// Sets the HTML page of one status.
    ///
    /// # Errors
    ///
    /// If the status is not between 400 and 599.
    pub fn page(mut self, status: StatusCode, html: impl Into<String>) -> Result<Self, Error> {
        let status = ValidStatus::Error.check(status)?;
        self.pages.push((status, html.into().into()));
        Ok(self)
    }

    /// Sets the HTML page of every 4xx that has no page of its own.
    pub fn client_errors(mut self, html: impl Into<String>) -> Self {
        self.client_errors = Some(html.into().into());
        self
    }

    /// Sets the HTML page of every 5xx that has no page of its own.
    pub fn server_errors(mut self, html: impl Into<String>) -> Self {
        self.server_errors = Some(html.into().into());
        self
    }

    /// Renders the HTML of all other errors, in the layout of a site for example; `render` must escape what it shows.
    ///
    /// The request is as it came to this wrapper, without its body: it has the mount prefix for links, the cookies and
    /// languages of the client, and what wrappers outside put into its extensions, such as a
    /// [`CspNonce`](crate::CspNonce). Keeping it costs a reference count, and a copy of its extensions.
    ///
    /// ```
    /// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
    /// use enfilade::middleware::{ErrorPages, Mounts};
    /// use enfilade::{Application, Middleware};
    /// use enfilade::http::StatusCode;
    /// use enfilade_testing::Client;
    ///
    /// # fn main() -> Result<(), enfilade::middleware::Error> {
    /// let pages = ErrorPages::new().render(|page, request| {
    ///     format!("<h1>{}</h1><a href=\"{}\">Home</a>", page.title(), request.url_for_path("/"))
    /// });
    /// let shop = pages.wrap(Application::new(|_| StatusCode::NOT_FOUND));
    /// let client = Client::new(Mounts::new().at("/shop", shop)?);
    /// let page = client.get("/shop/cellar").header("accept", "text/html").send();
    /// assert_eq!(page.text(), "<h1>Not Found</h1><a href=\"/shop/\">Home</a>");
    /// # Ok(())
    /// # }
    /// ```
    pub fn render(
        mut self,
        render: impl Fn(&ErrorPage, &Request) -> String + Send + Sync + 'static,
    ) -> Self {
        self.render = Some(Arc::new(render));
        self
    }

    /// Also replaces error content that applications wrote; off by default.
    pub fn replace_content(mut self) -> Self {
        self.replace_content = true;
        self
    }

    /// Returns the HTML for an error; the request is there if there is a function that renders.
    fn html(&self, page: &ErrorPage, request: Option<HeadSnapshot>) -> Bytes {
        let own = self
            .pages
            .iter()
            .rev()
            .find(|(status, _)| *status == page.status);
        let class = match page.status.is_client_error() {
            true => &self.client_errors,
            false => &self.server_errors,
        };
        let fixed = own.map(|(_, html)| html).or(class.as_ref());
        match (fixed, self.render.as_ref().zip(request)) {
            (Some(html), _) => html.clone(),
            (None, Some((render, request))) => render(page, &request.into_request()).into(),
            (None, None) => page.html().into(),
        }
    }

    fn is_replaced(&self, response: &Response) -> bool {
        let status = response.status();
        (status.is_client_error() || status.is_server_error())
            && (self.replace_content || is_standard(response))
    }

    fn replace(
        &self,
        format: ErrorFormat,
        request: Option<HeadSnapshot>,
        response: Response,
    ) -> Response {
        let (mut parts, body) = response.into_parts();
        body.discard();
        let error = parts.extensions.get::<Arc<HttpError>>();
        let page = ErrorPage {
            status: parts.status,
            detail: error
                .and_then(|error| error.client_message())
                .map(str::to_owned),
            members: error.map_or_else(Vec::new, |error| {
                let members = error.members();
                members
                    .map(|(name, value)| (name.to_owned(), value.clone()))
                    .collect()
            }),
        };
        let (media_type, content) = match format {
            ErrorFormat::Html => ("text/html; charset=utf-8", self.html(&page, request)),
            ErrorFormat::Problem => ("application/problem+json", page.problem().into()),
            ErrorFormat::Text => ("text/plain; charset=utf-8", page.text().into()),
        };
        reset_content_headers(&mut parts.headers, parts.status, media_type);
        Response::from_parts(parts, Body::from(content))
    }
}

impl Default for ErrorPages {
    fn default() -> Self {
        ErrorPages::new()
    }
}

impl Middleware for ErrorPages {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl Wrapper for ErrorPages {
    fn call(self: &Arc<Self>, inner: &Application, request: Request) -> Reply {
        let accepted = HeaderValues::of(request.headers(), &ACCEPT);
        let kept = self.render.as_ref().map(|_| request.keep_head());
        let reply = inner.call(request);
        // Most responses are not errors; they are not even moved.
        let is_done = |response| !self.is_replaced(response);
        if reply.as_ready().is_some_and(is_done) {
            return reply;
        }
        let options = self.clone();
        reply.map(move |response| match options.is_replaced(&response) {
            true => options.replace(
                choose(&accepted.to_headers(&ACCEPT), &options.formats),
                kept,
                response,
            ),
            false => response,
        })
    }

    fn describe(&self) -> Description {
        let formats = self.formats.iter().map(|format| format!("{format:?}"));
        let statuses = self.pages.iter().map(|(status, _)| status);
        Description::new("ErrorPages")
            .option("formats", formats.collect::<OptionValue>())
            .option("pages", statuses.collect::<OptionValue>())
    }
}

impl fmt::Debug for ErrorPages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErrorPages")
            .field("formats", &self.formats)
            .field("replace_content", &self.replace_content)
            .finish_non_exhaustive()
    }
}

fn choose(accepted: &HeaderMap, formats: &[ErrorFormat]) -> ErrorFormat {
    let offered = formats.iter().flat_map(|format| {
        let media_types: &[&str] = match format {
            ErrorFormat::Html => &["text/html"],
            ErrorFormat::Problem => &["application/problem+json", "application/json"],
            ErrorFormat::Text => &["text/plain"],
        };
        media_types.iter().map(|media_type| (*media_type, *format))
    });
    let offered: Vec<_> = offered.collect();
    accept::choose(accepted, &offered).unwrap_or(ErrorFormat::Text)
}

#[cfg(test)]
mod tests;
