//! Bodies of requests that turn out to be at fault while the application reads them.

use std::sync::{Arc, OnceLock};

use enfilade_core::{HttpError, IntoResponse, Response};
use http::StatusCode;

/// What was wrong with a body, as far as it was read; clones share it.
#[derive(Clone, Default)]
pub(crate) struct BodyFault(Arc<OnceLock<Fault>>);

/// The status that says what was wrong, and the same in words.
struct Fault {
    status: StatusCode,
    text: String,
}

impl BodyFault {
    /// Notes a fault; the first of a body counts.
    pub(crate) fn record(&self, status: StatusCode, text: impl Into<String>) {
        let text = text.into();
        let _ = self.0.set(Fault { status, text });
    }

    /// The status that says what was wrong.
    #[cfg(test)]
    pub(crate) fn status(&self) -> Option<StatusCode> {
        self.0.get().map(|fault| fault.status)
    }

    /// The application's answer, or, where the body was at fault and it does not say so, one that does.
    pub(crate) fn override_response(&self, mut response: Response) -> Response {
        let fault = self
            .0
            .get()
            .filter(|_| !response.status().is_client_error());
        let Some(fault) = fault else {
            return response;
        };
        let cause = format!("{}, and was answered {}", fault.text, response.status());
        let error = HttpError::new(fault.status).caused_by(cause);
        let mut replaced = error.into_response();
        // What components inside left for a log is true all the same.
        let own = std::mem::take(replaced.extensions_mut());
        response.extensions_mut().extend(own);
        *replaced.extensions_mut() = std::mem::take(response.extensions_mut());
        replaced
    }
}
