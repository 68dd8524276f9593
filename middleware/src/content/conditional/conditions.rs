//! The conditions of a request, kept until its response is there.

use enfilade_core::conditional::{Validators, evaluate, is_conditional};
use enfilade_core::{Request, Response};
use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, Method};

use super::outcome::apply;

/// The conditions of a request that reads.
pub(super) struct Conditions {
    method: Method,
    headers: HeaderMap,
}

impl Conditions {
    /// Returns the conditions of a request; `None` if it has none, or if its response comes too late to compare them.
    pub(super) fn of(request: &Request) -> Option<Conditions> {
        let (method, all) = (request.method(), request.headers());
        let reads = [Method::GET, Method::HEAD, Method::QUERY].contains(method);
        if !reads || !is_conditional(all) {
            return None;
        }
        let names = [
            IF_MATCH,
            IF_UNMODIFIED_SINCE,
            IF_NONE_MATCH,
            IF_MODIFIED_SINCE,
        ];
        let mut headers = HeaderMap::with_capacity(names.len());
        for name in names {
            for value in all.get_all(&name) {
                headers.append(&name, value.clone());
            }
        }
        let method = method.clone();
        Some(Conditions { method, headers })
    }

    /// Turns a response into its 304 or 412, if the conditions demand it.
    ///
    /// Conditions count only if the response is a 2xx without them (RFC 9110, section 13.2.1).
    pub(super) fn apply(self, response: &mut Response) {
        if !response.status().is_success() || response.body().is_upgrade() {
            return;
        }
        let current = Validators::from_headers(response.headers());
        apply(evaluate(&self.method, &self.headers, &current), response);
    }
}
