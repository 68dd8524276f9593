//! JSON as a response.

use http::HeaderValue;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use serde_json::Value;

use crate::message::body::Body;
use crate::message::http_error::HttpError;
use crate::message::response::{IntoResponse, Response};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A value as a JSON response: `application/json`. A [`serde_json::Value`] is one by itself.
///
/// A value that cannot be serialized, such as a map whose keys are not text, is a 500.
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::http::StatusCode;
/// use enfilade::{Application, Json, Request};
/// use serde::Serialize;
///
/// #[derive(Serialize)]
/// struct Room {
///     name: &'static str,
/// }
///
/// let app = Application::new(|_: Request| (StatusCode::CREATED, Json(Room { name: "salon" })));
/// let response = pollster::block_on(app.call(Request::get("/")));
/// assert_eq!(response.headers()["content-type"], "application/json");
/// assert_eq!(response.body().as_bytes().unwrap(), r#"{"name":"salon"}"#);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the value, and no more")]
pub struct Json<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        // For most values the first allocation is the last.
        let mut text = Vec::with_capacity(128);
        match serde_json::to_writer(&mut text, &self.0) {
            Ok(()) => {
                let mut response = Response::new(Body::from(text));
                response.headers_mut().insert(CONTENT_TYPE, JSON);
                response
            }
            Err(error) => HttpError::from(error).into_response(),
        }
    }
}

impl IntoResponse for Value {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}
