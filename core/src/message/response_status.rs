//! A status beside a response.

use std::sync::Arc;

use http::StatusCode;

use crate::message::http_error::HttpError;
use crate::message::response::{IntoResponse, Response};

/// Sets the status, unless it would make a success of a response that could not be made.
impl<T: IntoResponse> IntoResponse for (StatusCode, T) {
    fn into_response(self) -> Response {
        let (status, mut response) = (self.0, self.1.into_response());
        let has_failed = response.extensions().get::<Arc<HttpError>>().is_some();
        if !(has_failed && status.is_success()) {
            *response.status_mut() = status;
        }
        response
    }
}
