//! Redirects within the application, and elsewhere.

use http::header::LOCATION;
use http::{HeaderValue, StatusCode, Uri};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::message::http_error::HttpError;
use crate::message::request::Request;
use crate::message::response::{IntoResponse, Response};

/// What a URL must not have as it is (RFC 3986, section 2), and the backslash, which browsers take for a slash.
const NOT_IN_URLS: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A redirect to another path of this application, or with [`off_site`](Redirect::off_site) to another site.
///
/// A path is that of the application, and may have a query and a fragment: `/users/42?tab=rooms#top`. The mount is put before
/// it. What a URL must not have is percent-encoded; percent signs stay. Whatever the path is, the redirect stays on this site:
/// `//other.example` is a path here.
///
/// | | | a POST becomes a GET |
/// |---|---|---|
/// | [`see_other`](Redirect::see_other) | 303 | yes: after a form was handled |
/// | [`temporary`](Redirect::temporary) | 307 | no |
/// | [`permanent`](Redirect::permanent) | 308, which browsers cache | no |
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::{Application, Redirect, Request};
///
/// let app = Application::new(|request: Request| Redirect::see_other(&request, "/users/42"));
/// let mut request = Request::get("/shop/users");
/// request.mount("/shop").unwrap();
/// let response = pollster::block_on(app.call(request));
/// assert_eq!((response.status().as_u16(), &response.headers()["location"]), (303, &"/shop/users/42".parse().unwrap()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a response does nothing until it is returned"]
pub struct Redirect {
    status: StatusCode,
    location: String,
}

impl Redirect {
    /// A 303: the client gets `path` instead, with GET (RFC 9110, section 15.4.4).
    pub fn see_other(request: &Request, path: &str) -> Redirect {
        Redirect {
            status: StatusCode::SEE_OTHER,
            location: location(request, path),
        }
    }

    /// A 307: the client repeats its request at `path` (RFC 9110, section 15.4.8).
    pub fn temporary(request: &Request, path: &str) -> Redirect {
        Redirect {
            status: StatusCode::TEMPORARY_REDIRECT,
            location: location(request, path),
        }
    }

    /// A 308: the client repeats its request at `path`, and from now on asks there (RFC 9110, section 15.4.9).
    pub fn permanent(request: &Request, path: &str) -> Redirect {
        Redirect {
            status: StatusCode::PERMANENT_REDIRECT,
            location: location(request, path),
        }
    }

    /// A redirect to any URL, with 301, 302, 303, 307 or 308; another status is a mistake, and the response a 500.
    ///
    /// Never take the URL from a request without checking its host.
    pub fn off_site(status: StatusCode, url: &Uri) -> Redirect {
        Redirect {
            status,
            location: url.to_string(),
        }
    }
}

impl IntoResponse for Redirect {
    fn into_response(self) -> Response {
        if !matches!(self.status.as_u16(), 301..=303 | 307 | 308) {
            let text = format!("a redirect cannot have the status {}", self.status);
            return HttpError::from(text).into_response();
        }
        let mut response = self.status.into_response();
        if let Ok(location) = HeaderValue::try_from(self.location) {
            response.headers_mut().insert(LOCATION, location);
        }
        response
    }
}

/// The reference to a path of this application, on this site.
pub(super) fn location(request: &Request, path: &str) -> String {
    let location = request.url_for_path(path);
    // The mount too: a gateway's prefix is as its operator wrote it.
    let location = utf8_percent_encode(&location, NOT_IN_URLS).to_string();
    // Two slashes at the start would name a host (RFC 3986, section 4.2); the dot segment is removed again.
    match location.starts_with("//") {
        true => format!("/.{location}"),
        false => location,
    }
}
