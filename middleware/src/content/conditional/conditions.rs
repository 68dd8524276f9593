//! The conditions of a request, kept until its response is there.

use enfilade_core::conditional::{Validators, evaluate, is_conditional, is_precondition};
use enfilade_core::{Request, Response};
use http::header::{ETAG, IF_MATCH, IF_NONE_MATCH, LAST_MODIFIED};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use smallvec::SmallVec;

use super::outcome::apply;

/// The conditions of a request that reads.
pub(super) struct Conditions {
    method: Method,
    /// A map would cost more, and many responses have no validators.
    lines: SmallVec<[(HeaderName, HeaderValue); 2]>,
}

impl Conditions {
    /// Returns the conditions of a request; `None` if it has none, or if its response comes too late to compare them.
    pub(super) fn of(request: &Request) -> Option<Conditions> {
        let (method, headers) = (request.method(), request.headers());
        let reads = matches!(*method, Method::GET | Method::HEAD | Method::QUERY);
        if !reads || !is_conditional(headers) {
            return None;
        }
        let all = headers.iter().filter(|(name, _)| is_precondition(name));
        Some(Conditions {
            method: method.clone(),
            lines: all
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        })
    }

    /// Turns a response into its 304 or 412, if the conditions demand it.
    ///
    /// Conditions count only if the response is a 2xx without them (RFC 9110, section 13.2.1).
    pub(super) fn apply(self, response: &mut Response) {
        let headers = response.headers();
        let has_validator = headers.contains_key(ETAG) || headers.contains_key(LAST_MODIFIED);
        if !response.status().is_success()
            || response.body().is_upgrade()
            || !(has_validator || self.is_decided_without_validators())
        {
            return;
        }
        let current = Validators::from_headers(headers);
        let headers: HeaderMap = self.lines.into_iter().collect();
        apply(evaluate(&self.method, &headers, &current), response);
    }

    /// Whether a condition is about the existence of the content, or fails if there is no tag.
    fn is_decided_without_validators(&self) -> bool {
        let is_star = |value: &HeaderValue| value.as_bytes().contains(&b'*');
        self.lines
            .iter()
            .any(|(name, value)| *name == IF_MATCH || (*name == IF_NONE_MATCH && is_star(value)))
    }
}
