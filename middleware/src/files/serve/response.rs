//! Makes the responses.

use std::io;

use enfilade_core::conditional::{Validators, evaluate, is_conditional};
use enfilade_core::headers::{format_http_date, vary_add};
use enfilade_core::{Body, HttpError, IntoResponse, Request, Response};
use http::header::{
    ACCEPT_ENCODING, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_TYPE, LAST_MODIFIED, LOCATION,
    VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, StatusCode};

use super::find::FoundFile;
use super::options::Options;
use super::policy::HeaderRule;
use super::types;
use crate::content::conditional::outcome;
use crate::content::ranges::RangeRequest;

/// The 200 of a file, or the 206, 304, 412 or 416 that the request asks for.
pub(super) fn of_file(options: &Options, request: &Request, found: FoundFile) -> Response {
    let FoundFile { path, chosen } = found;
    let file = &chosen.file;
    let mut response = Response::new(file.body());
    let headers = response.headers_mut();
    headers.reserve(8);
    headers.extend(file.headers().clone());
    let media_type = options.types.of(path.name());
    options.cache.apply(path.as_str(), &media_type, headers);
    if options.untrusted && types::is_active(&media_type) {
        headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    }
    headers.insert(CONTENT_TYPE, media_type);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Some(coding) = chosen.coding {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    if chosen.varies {
        headers.insert(VARY, HeaderValue::from(ACCEPT_ENCODING));
    }
    let mut validators = Validators::new();
    if let Some(time) = file.last_modified() {
        let now = (options.now)();
        if time > now {
            // RFC 9110, section 8.8.2.1.
            if let Ok(date) = HeaderValue::try_from(format_http_date(now)) {
                headers.insert(LAST_MODIFIED, date);
            }
        }
        validators = validators.last_modified(time.min(now));
    }
    for rule in &options.headers {
        rule.apply(request, headers);
    }
    if options.headers.iter().any(HeaderRule::sets_vary) && chosen.varies {
        vary_add(headers, &ACCEPT_ENCODING);
    }
    if is_conditional(request.headers()) {
        if let Some(tag) = file.entity_tag() {
            validators = validators.entity_tag(tag.clone());
        }
        let outcome = evaluate(request.method(), request.headers(), &validators);
        outcome::apply(outcome, &mut response);
    }
    match RangeRequest::of(request) {
        Some(ranges) => options.ranges.respond(ranges, response),
        None => response,
    }
}

pub(super) fn redirect(place: String) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    // A canonical path is visible ASCII, and the query was in a target.
    if let Ok(place) = HeaderValue::try_from(place) {
        response.headers_mut().insert(LOCATION, place);
    }
    response
}

pub(super) fn not_acceptable() -> Response {
    let mut response = HttpError::new(StatusCode::NOT_ACCEPTABLE).into_response();
    vary_add(response.headers_mut(), &ACCEPT_ENCODING);
    response
}

/// The error of a tree.
pub(super) fn failure(error: io::Error) -> HttpError {
    HttpError::new(status_of(&error)).caused_by(error)
}

fn status_of(error: &io::Error) -> StatusCode {
    use io::ErrorKind::{OutOfMemory, PermissionDenied, ResourceBusy, TimedOut, WouldBlock};
    match error.kind() {
        PermissionDenied => StatusCode::FORBIDDEN,
        OutOfMemory | ResourceBusy | TimedOut | WouldBlock => StatusCode::SERVICE_UNAVAILABLE,
        _ if is_out_of_descriptors(error) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// `EMFILE` and `ENFILE`, which have no kind.
#[cfg(unix)]
fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

#[cfg(not(unix))]
fn is_out_of_descriptors(_: &io::Error) -> bool {
    false
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_system_has_its_status() {
        for (code, status) in [
            (libc::EACCES, 403),
            (libc::EPERM, 403),
            (libc::EMFILE, 503),
            (libc::ENFILE, 503),
            (libc::ENOMEM, 503),
            (libc::EIO, 500),
        ] {
            let error = failure(io::Error::from_raw_os_error(code));
            assert_eq!(error.status().as_u16(), status, "{code}");
            assert!(error.source().is_some());
        }
    }
}
