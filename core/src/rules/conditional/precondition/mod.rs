//! Preconditions, in the order of RFC 9110, section 13.2.2.

use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, HeaderName, Method};
use time::OffsetDateTime;

use super::tag_list::{matches, only};
use super::validators::{Validators, date};

/// The result of [`evaluate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Precondition {
    /// All conditions hold, or there are none: do what the request says.
    Met,
    /// The client has the current representation: respond with 304.
    NotModified,
    /// A condition does not hold: do nothing, and respond with 412.
    Failed,
}

/// Compares the conditions of a request with the current representation.
///
/// The order is that of RFC 9110, section 13.2.2: `If-Match` (strong comparison), otherwise `If-Unmodified-Since`; then
/// `If-None-Match` (weak comparison), otherwise `If-Modified-Since`. A date that is not valid, or for which there is no
/// [time of the last change](Validators::modified), is ignored. So is `If-Modified-Since` for methods other than GET, HEAD
/// and QUERY.
///
/// Evaluate before the work, and only if the response would be a 2xx without conditions (section 13.2.1).
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::conditional::{Precondition, Validators, evaluate};
/// use enfilade::http::{HeaderMap, HeaderValue, Method, header::IF_NONE_MATCH};
///
/// let mut headers = HeaderMap::new();
/// headers.insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
/// assert_eq!(evaluate(&Method::PUT, &headers, &Validators::missing()), Precondition::Met);
/// assert_eq!(evaluate(&Method::PUT, &headers, &Validators::new()), Precondition::Failed);
/// ```
#[must_use]
pub fn evaluate(method: &Method, headers: &HeaderMap, current: &Validators) -> Precondition {
    let reads = matches!(*method, Method::GET | Method::HEAD | Method::QUERY);
    let own = current.tag().map(|tag| tag.raw());
    let since = |name| current.modified().zip(only(headers, name).and_then(date));
    let is_unchanged = match matches(headers, &IF_MATCH, current.exists(), |tag| {
        own.is_some_and(|own| own.strong_eq(tag))
    }) {
        Some(is_match) => is_match,
        None => since(&IF_UNMODIFIED_SINCE).is_none_or(|(changed, date)| changed <= date),
    };
    if !is_unchanged {
        return Precondition::Failed;
    }
    let is_known = |(changed, date): (OffsetDateTime, OffsetDateTime)| changed <= date;
    let has_current = match matches(headers, &IF_NONE_MATCH, current.exists(), |tag| {
        own.is_some_and(|own| own.weak_eq(tag))
    }) {
        Some(is_match) => is_match,
        None => reads && since(&IF_MODIFIED_SINCE).is_some_and(is_known),
    };
    match (has_current, reads) {
        (false, _) => Precondition::Met,
        (true, true) => Precondition::NotModified,
        (true, false) => Precondition::Failed,
    }
}

/// Whether a request has a condition that [`evaluate`] reads.
#[must_use]
pub fn is_conditional(headers: &HeaderMap) -> bool {
    // One pass over the names costs less than four lookups.
    headers.keys().any(is_precondition)
}

/// Whether [`evaluate`] reads this header.
#[must_use]
pub fn is_precondition(name: &HeaderName) -> bool {
    *name == IF_NONE_MATCH
        || *name == IF_MODIFIED_SINCE
        || *name == IF_MATCH
        || *name == IF_UNMODIFIED_SINCE
}

#[cfg(test)]
mod tests;
