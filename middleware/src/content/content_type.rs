//! Sets the type of responses that have none.

use std::sync::Arc;

use enfilade_core::headers::{MediaType, allows_content, is_token};
use enfilade_core::{
    Application, Description, Middleware, Reply, Request, Response, Wrapper, wrapped,
};
use http::HeaderValue;
use http::header::CONTENT_TYPE;

use crate::error::Error;
use crate::error::ErrorKind;
use crate::matching::path_glob::PathGlob;

/// Sets `Content-Type` on responses that have none, and optionally the charset of texts.
///
/// Only the status decides, not the body, so that a response to HEAD has the headers of GET. Responses that cannot have
/// content (1xx, 204, 205 and 304) are not changed. A type that the application sets stays.
///
/// # Order
///
/// Inside compression and cache policies, which read the type; outside applications and wrappers that make responses: a
/// fallback, a router.
///
/// # Security
///
/// Without a type a browser guesses one, and may treat a user's upload as a page. A default and
/// `X-Content-Type-Options: nosniff` (see [`SecurityHeaders`](crate::SecurityHeaders)) prevent that.
/// `application/octet-stream` is the safest default.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::ContentType;
/// use enfilade::{Application, Body, Request};
/// use enfilade_testing::Client;
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
/// let types = ContentType::new("application/json")?
///     .path("/**/*.txt", "text/plain")?
///     .charset("utf-8")?;
/// let client = Client::new(Application::new(|_: Request| Body::from("[]")).wrap(types));
/// assert_eq!(client.get("/list").send().header("content-type"), Some("application/json"));
/// let text = client.get("/a/list.txt").send();
/// assert_eq!(text.header("content-type"), Some("text/plain; charset=utf-8"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct ContentType {
    default: HeaderValue,
    paths: Vec<(PathGlob, HeaderValue)>,
    charset: Option<String>,
}

impl ContentType {
    /// Sets the type of responses without one, such as `text/html; charset=utf-8`.
    ///
    /// # Errors
    ///
    /// If it is not a media type (RFC 9110, section 8.3.1).
    pub fn new(default: &str) -> Result<Self, Error> {
        Ok(ContentType {
            default: parse(default)?,
            paths: Vec::new(),
            charset: None,
        })
    }

    /// Sets another type for paths such as `/**/*.wasm`; the first pattern that matches is used.
    ///
    /// Patterns have the syntax of [`Guard::path`](crate::Guard::path).
    ///
    /// # Errors
    ///
    /// If the pattern is malformed, begins with neither a slash nor `**/`, or if the type is not a media type.
    pub fn path(mut self, pattern: &str, media_type: &str) -> Result<Self, Error> {
        let rule = (PathGlob::new(pattern)?, parse(media_type)?);
        self.paths.push(rule);
        Ok(self)
    }

    /// Adds `charset` to `text/` types that have none, also to types that the application set.
    ///
    /// Off by default, because the application may have omitted it on purpose. Formats without this parameter that
    /// define their own encoding, such as JSON (RFC 8259, section 11), are not changed.
    ///
    /// # Errors
    ///
    /// If the name is not a token.
    pub fn charset(mut self, name: &str) -> Result<Self, Error> {
        if !is_token(name) {
            let message = format!("{name:?} is not the name of a charset");
            return Err(Error::new(ErrorKind::HeaderValue, message));
        }
        self.charset = Some(name.to_owned());
        Ok(self)
    }

    /// The default for this request.
    fn choose(&self, request: &Request) -> &HeaderValue {
        if self.paths.is_empty() {
            return &self.default;
        }
        let first = self.paths.iter().find(|(glob, _)| glob.matches(request));
        first.map_or(&self.default, |(_, value)| value)
    }

    fn decorate(&self, default: HeaderValue, response: &mut Response) {
        if !allows_content(response.status()) {
            return;
        }
        let headers = response.headers_mut();
        let value = headers.entry(CONTENT_TYPE).or_insert(default);
        if let Some(charset) = &self.charset
            && let Some(named) = with_charset(value, charset)
        {
            *value = named;
        }
    }
}

impl Middleware for ContentType {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl Wrapper for ContentType {
    fn call(self: &Arc<Self>, inner: &Application, request: Request) -> Reply {
        let options = self.clone();
        let default = options.choose(&request).clone();
        inner.call(request).update(move |response| {
            options.decorate(default, response);
        })
    }

    fn describe(&self) -> Description {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let mut tree = Description::new("ContentType").option("default", text(&self.default));
        for (glob, value) in &self.paths {
            tree = tree.option(glob.to_string(), text(value));
        }
        if let Some(charset) = &self.charset {
            tree = tree.option("charset", charset);
        }
        tree
    }
}

fn parse(text: &str) -> Result<HeaderValue, Error> {
    let is_good = MediaType::parse(text).is_some() && !text.contains('*');
    let value = HeaderValue::from_str(text).ok().filter(|_| is_good);
    value.ok_or_else(|| {
        let message = format!("{text:?} is not a media type");
        Error::new(ErrorKind::HeaderValue, message)
    })
}

/// Returns the type with this charset, if it is a text type without one.
fn with_charset(value: &HeaderValue, charset: &str) -> Option<HeaderValue> {
    let text = value.to_str().ok()?;
    let media_type = MediaType::parse(text)?;
    let is_open =
        media_type.kind().eq_ignore_ascii_case("text") && media_type.param("charset").is_none();
    is_open
        .then(|| HeaderValue::try_from(format!("{}; charset={charset}", text.trim_end())).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use enfilade_testing::{Client, Lint, laws};

    use http::StatusCode;

    use super::*;

    /// The `Content-Type` of a response with this status and this `Content-Type`, if any.
    fn content_type_of(
        types: &ContentType,
        path: &'static str,
        status: u16,
        own: Option<&'static str>,
    ) -> String {
        let app = Application::new(move |_: Request| {
            let mut response = Response::default();
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            if let Some(own) = own {
                let value = HeaderValue::from_static(own);
                response.headers_mut().insert(CONTENT_TYPE, value);
            }
            response
        });
        let app = app.wrap(Lint::new()).wrap(types.clone()).wrap(Lint::new());
        let response = Client::new(app).get(path).send();
        assert!(response.headers().get_all(CONTENT_TYPE).iter().count() < 2);
        response.header("content-type").unwrap_or("none").to_owned()
    }

    #[test]
    fn a_default_is_for_statuses_that_have_content() {
        let types = ContentType::new("text/html").unwrap();
        for (status, own, expected) in [
            (200, None, "text/html"),
            (404, None, "text/html"),
            (200, Some("a/b"), "a/b"),
            (204, None, "none"),
            (205, None, "none"),
            (304, None, "none"),
            (304, Some("a/b"), "a/b"),
        ] {
            assert_eq!(
                content_type_of(&types, "/", status, own),
                expected,
                "{status} {own:?}"
            );
        }
    }

    #[test]
    fn the_first_path_that_fits_decides() {
        let types = ContentType::new("a/default").unwrap();
        let types = types.path("/x/*.js", "text/javascript").unwrap();
        let types = types.path("**/*.js", "a/other").unwrap();
        for (path, expected) in [
            ("/x/a.js", "text/javascript"),
            ("/x/y/a.js", "a/other"),
            ("/x/%61.j%73", "text/javascript"),
            ("/y/../x/a.js", "text/javascript"),
            ("/x/a.jsx", "a/default"),
            ("/", "a/default"),
        ] {
            assert_eq!(content_type_of(&types, path, 200, None), expected, "{path}");
        }
    }

    #[test]
    fn texts_without_a_charset_get_one() {
        let types = ContentType::new("text/plain")
            .unwrap()
            .charset("utf-8")
            .unwrap();
        for (own, expected) in [
            (None, "text/plain; charset=utf-8"),
            (Some("text/css"), "text/css; charset=utf-8"),
            (
                Some("TEXT/CSS; a=\"b;c\""),
                "TEXT/CSS; a=\"b;c\"; charset=utf-8",
            ),
            (Some("text/css; Charset=latin1"), "text/css; Charset=latin1"),
            (
                Some("text/css; x=\"; charset=y\""),
                "text/css; x=\"; charset=y\"; charset=utf-8",
            ),
            (Some("application/json"), "application/json"),
        ] {
            assert_eq!(content_type_of(&types, "/", 200, own), expected, "{own:?}");
        }
        // A response that cannot have content gets no type.
        assert_eq!(
            content_type_of(&types, "/", 304, Some("text/css")),
            "text/css"
        );
    }

    #[test]
    fn mistakes_are_found_when_the_stack_is_built() {
        for text in [
            "",
            "text",
            "text/",
            "*/*",
            "text/*",
            "text/html; charset",
            "a b/c",
            "text/html\r\nx: y",
        ] {
            let error = ContentType::new(text).unwrap_err();
            let expected = format!("{text:?} is not a media type");
            assert_eq!(
                (error.kind(), error.to_string()),
                (ErrorKind::HeaderValue, expected)
            );
        }
        let new = || ContentType::new("a/b").unwrap();
        let error = new().path("/a", "x").unwrap_err();
        assert_eq!(error.to_string(), "\"x\" is not a media type");
        let error = new().path("a", "x/y").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rule);
        let error = new().charset("utf 8").unwrap_err();
        assert_eq!(error.to_string(), "\"utf 8\" is not the name of a charset");
    }

    #[test]
    fn is_described_with_its_rules() {
        let types = ContentType::new("a/b")
            .unwrap()
            .path("/*.js", "c/d")
            .unwrap();
        let app = Application::new(|_: Request| "x").wrap(types.charset("utf-8").unwrap());
        let text = app.describe().to_string();
        assert!(
            text.starts_with("ContentType (default: a/b, /*.js: c/d, charset: utf-8)\n"),
            "{text}"
        );
    }

    #[test]
    fn keeps_the_laws() {
        laws::check(ContentType::new("a/b").unwrap().path("/x", "c/d").unwrap());
        let charset = ContentType::new("text/plain")
            .unwrap()
            .charset("utf-8")
            .unwrap();
        laws::Check::new(charset).touches([CONTENT_TYPE]).run();
    }
}
