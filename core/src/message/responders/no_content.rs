//! Responses without content, and to what was created.

use http::StatusCode;
use http::header::LOCATION;

use super::redirect::location;
use crate::message::request::Request;
use crate::message::response::{IntoResponse, Response};

/// A 204: the request succeeded, and there is nothing to show (RFC 9110, section 15.3.5).
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::{IntoResponse, NoContent};
///
/// assert_eq!(NoContent.into_response().status(), 204);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "it has nothing")]
pub struct NoContent;

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

/// A 201 with the `Location` of what was created (RFC 9110, section 15.3.2), and a body.
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::{Application, Created, Request};
///
/// let app = Application::new(|request: Request| Created::new(&request, "/users/42", "made"));
/// let response = pollster::block_on(app.call(Request::get("/")));
/// assert_eq!((response.status().as_u16(), &response.headers()["location"]), (201, &"/users/42".parse().unwrap()));
/// ```
#[derive(Clone, Debug)]
#[must_use = "a response does nothing until it is returned"]
pub struct Created<T> {
    location: String,
    content: T,
}

impl<T: IntoResponse> Created<T> {
    /// What is at `path` of this application now: the mount is put before it. See [`Redirect`](crate::Redirect) for its form.
    pub fn new(request: &Request, path: &str, content: T) -> Created<T> {
        Created {
            location: location(request, path),
            content,
        }
    }
}

impl<T: IntoResponse> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        let mut response = (StatusCode::CREATED, self.content).into_response();
        if response.status() == StatusCode::CREATED
            && let Ok(location) = self.location.try_into()
        {
            response.headers_mut().insert(LOCATION, location);
        }
        response
    }
}
