//! HTML as a response.

use http::HeaderValue;
use http::header::CONTENT_TYPE;

use crate::message::body::Body;
use crate::message::response::{IntoResponse, Response};

/// Text as an HTML response: `text/html; charset=utf-8`. Nothing is escaped.
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::{Application, Html, Request};
///
/// let app = Application::new(|_: Request| Html("<h1>Welcome</h1>"));
/// let response = pollster::block_on(app.call(Request::get("/")));
/// assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the text, and no more")]
pub struct Html<T>(pub T);

impl<T: Into<Body>> IntoResponse for Html<T> {
    fn into_response(self) -> Response {
        let mut response = Response::new(self.0.into());
        let html = HeaderValue::from_static("text/html; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, html);
        response
    }
}
