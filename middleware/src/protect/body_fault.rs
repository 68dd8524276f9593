//! Faults in request bodies that are found while the application reads them.

use std::sync::{Arc, OnceLock};

use enfilade_core::{HttpError, IntoResponse, Response};
use http::StatusCode;

/// The fault that was found in a body so far; clones share it.
#[derive(Clone, Default)]
pub(crate) struct BodyFault(Arc<OnceLock<Fault>>);

/// The status for the fault, and its description.
struct Fault {
    status: StatusCode,
    text: String,
}

impl BodyFault {
    /// Records a fault; only the first one of a body counts.
    pub(crate) fn record(&self, status: StatusCode, text: impl Into<String>) {
        let text = text.into();
        let _ = self.0.set(Fault { status, text });
    }

    /// The status for the fault.
    #[cfg(test)]
    pub(crate) fn status(&self) -> Option<StatusCode> {
        self.0.get().map(|fault| fault.status)
    }

    /// Returns the application's response, or an error response if the body had a fault and the response does not say
    /// so.
    pub(crate) fn override_response(&self, mut response: Response) -> Response {
        let fault = self
            .0
            .get()
            .filter(|_| !response.status().is_client_error());
        let Some(fault) = fault else {
            return response;
        };
        let cause = format!(
            "{}, and the application responded with {}",
            fault.text,
            response.status()
        );
        let error = HttpError::new(fault.status).caused_by(cause);
        let mut replaced = error.into_response();
        // Extensions that inner components left for a log are still valid.
        let own = std::mem::take(replaced.extensions_mut());
        response.extensions_mut().extend(own);
        *replaced.extensions_mut() = std::mem::take(response.extensions_mut());
        replaced
    }
}
