//! Makes the responses.

use std::io;

use enfilade_core::conditional::{Precondition, Validators, evaluate, is_conditional};
use enfilade_core::headers::{format_http_date, vary_add};
use enfilade_core::{Body, HttpError, IntoResponse, Request, Response};
use http::header::{
    ACCEPT_ENCODING, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_TYPE, ETAG, LAST_MODIFIED,
    LOCATION, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use time::OffsetDateTime;

use super::coding::Chosen;
use super::find::FoundFile;
use super::options::Options;
use super::policy::HeaderRule;
use super::types;
use crate::content::conditional::outcome;
use crate::content::ranges::RangeRequest;
use crate::files::tree::entry::FileEntry;
use crate::files::tree::path::TreePath;

/// The 200 of a file, or the 206, 304, 412 or 416 that the request asks for.
pub(super) fn of_file(options: &Options, request: &Request, found: FoundFile) -> Response {
    let FoundFile { path, chosen } = found;
    let file = &chosen.file;
    let now = file.last_modified().map(|time| (time, (options.now)()));
    let outcome = match is_conditional(request.headers()) {
        true => evaluate(request.method(), request.headers(), &validators(file, now)),
        false => Precondition::Met,
    };
    let media_type = options.types.of(path.extension());
    // A rule may set any header, so that it has to see those of the content too.
    if outcome == Precondition::NotModified && options.headers.is_empty() {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        let headers = response.headers_mut();
        headers.reserve(4);
        set_validators(headers, file, now, ForContent::No);
        set_policy(headers, options, &path, &media_type, &chosen);
        return response;
    }
    let mut response = Response::new(file.body());
    let headers = response.headers_mut();
    headers.reserve(8);
    set_validators(headers, file, now, ForContent::Yes);
    set_policy(headers, options, &path, &media_type, &chosen);
    if options.untrusted && types::is_active(&media_type) {
        headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    }
    headers.insert(CONTENT_TYPE, media_type);
    if let Some(coding) = chosen.coding {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    for rule in &options.headers {
        rule.apply(request, headers);
    }
    if options.headers.iter().any(HeaderRule::sets_vary) && chosen.varies {
        vary_add(headers, &ACCEPT_ENCODING);
    }
    outcome::apply(outcome, &mut response);
    match RangeRequest::of(request) {
        Some(ranges) => options.ranges.respond(ranges, response),
        None => response,
    }
}

/// Whether there is content, and not only the news that it is unchanged.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ForContent {
    Yes,
    No,
}

/// When a file was modified, and the time of now.
type Times = Option<(OffsetDateTime, OffsetDateTime)>;

/// What conditions are compared with.
fn validators(file: &FileEntry, times: Times) -> Validators {
    let mut validators = Validators::new();
    if let Some((time, now)) = times {
        validators = validators.last_modified(time.min(now));
    }
    match file.entity_tag() {
        Some(tag) => validators.entity_tag(tag.clone()),
        None => validators,
    }
}

/// Sets `ETag` and `Last-Modified`; a 304 has the second only without the first, which is better (RFC 9110, section 15.4.5).
fn set_validators(headers: &mut HeaderMap, file: &FileEntry, times: Times, content: ForContent) {
    let tag = file.entity_tag();
    if let Some(tag) = tag {
        headers.insert(ETAG, tag.as_header_value().clone());
    }
    let Some((time, now)) = times.filter(|_| content == ForContent::Yes || tag.is_none()) else {
        return;
    };
    let date = match time > now {
        // RFC 9110, section 8.8.2.1.
        true => HeaderValue::try_from(format_http_date(now)).ok(),
        false => file.headers().get(LAST_MODIFIED).cloned(),
    };
    if let Some(date) = date {
        headers.insert(LAST_MODIFIED, date);
    }
}

/// Sets what caches and browsers do with the file.
fn set_policy(
    headers: &mut HeaderMap,
    options: &Options,
    path: &TreePath<'_>,
    media_type: &HeaderValue,
    chosen: &Chosen,
) {
    options.cache.apply(path.as_str(), media_type, headers);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if chosen.varies {
        headers.insert(VARY, HeaderValue::from(ACCEPT_ENCODING));
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
