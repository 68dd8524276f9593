//! Judges one request and its response.

use std::sync::Arc;

use enfilade_core::{Body, Request, Response, path};
use http::header::LOCATION;
use http::{HeaderMap, Method};

use super::body::{CheckedBody, ExpectedLength};
use super::check::{self, Content};
use super::codings::{CodingMemory, RequestCodings};
use super::finding::{Law, Side};
use super::location::{self, LocationScope};
use super::report::Report;
use super::values;

/// The part of a request that is needed to judge its response.
pub(super) struct RequestFacts {
    pub(super) method: Method,
    pub(super) script_name: Arc<str>,
    pub(super) codings: RequestCodings,
    pub(super) location_scope: LocationScope,
}

/// The mount that the nearest `Lint` further out saw.
#[derive(Clone)]
struct Mounted(Arc<str>);

pub(super) fn incoming(mut request: Request, script_name: &Arc<str>, report: &Report) -> Request {
    let record = |wrong: Option<String>| {
        wrong
            .into_iter()
            .for_each(|wrong| report.record(Law::Path, Side::Gateway, wrong));
    };
    record(check::path(
        script_name,
        request.path(),
        &path::canonical(request.uri().path()),
    ));
    let outer = request
        .extensions_mut()
        .insert(Mounted(script_name.clone()));
    if let Some(Mounted(outer)) = outer {
        record(check::mounts(&outer, script_name));
    }
    let said = said_length(request.headers(), request.body(), Side::Gateway, report);
    let body = request.take_body();
    *request.body_mut() = CheckedBody::around(body, Side::Gateway, report, said, false);
    request
}

pub(super) fn outgoing(method: &Method, mut response: Response, report: &Report) -> Response {
    let record = |law, wrong| report.record(law, Side::Application, wrong);
    let (status, headers) = (response.status(), response.headers());
    let hop = check::hop_by_hop(status, headers, response.body().is_upgrade());
    hop.into_iter().for_each(|hop| record(Law::HopByHop, hop));
    let missing = check::required(status, headers);
    missing
        .into_iter()
        .for_each(|missing| record(Law::Required, missing));
    let content = check::content(method, status);
    let expected = match content {
        Content::Sent => said_length(headers, response.body(), Side::Application, report),
        // The body is that of GET, and its expected length is unknown.
        Content::Unsent => {
            let wrong = check::content_length(headers).err();
            wrong
                .into_iter()
                .for_each(|wrong| record(Law::Length, wrong));
            None
        }
        Content::Forbidden => {
            let known = response.body().known_length();
            let wrong = check::no_content(status, headers, known);
            wrong
                .into_iter()
                .for_each(|wrong| record(Law::Length, wrong));
            let source = || format!("a {} has no body", status.as_u16());
            known.is_none().then(|| ExpectedLength {
                length: 0,
                source: source(),
            })
        }
    };
    let body = std::mem::take(response.body_mut());
    let unsent = content != Content::Sent;
    *response.body_mut() = CheckedBody::around(body, Side::Application, report, expected, unsent);
    response
}

/// Law 7, for one response and across earlier ones, and law 9 across earlier ones.
pub(super) fn wrong_headers(
    facts: RequestFacts,
    response: &Response,
    memory: &CodingMemory,
) -> Vec<(Law, String)> {
    let (status, headers) = (response.status(), response.headers());
    let location = headers.get(LOCATION);
    let location = location
        .and_then(|value| location::location(value, &facts.script_name, facts.location_scope));
    let mut wrong = values::values(headers);
    wrong.extend(location);
    let wrong = wrong.into_iter().map(|wrong| (Law::Values, wrong));
    let remembered = memory.record_response(facts.codings, status, headers);
    wrong.chain(remembered).collect()
}

/// Checks the declared length, and returns the length that the bytes must have.
fn said_length(
    headers: &HeaderMap,
    body: &Body,
    side: Side,
    report: &Report,
) -> Option<ExpectedLength> {
    let known = body.known_length();
    let hint = known.map(|length| ExpectedLength {
        length,
        source: format!("the body's size hint is {length}"),
    });
    match check::content_length(headers) {
        Err(wrong) => report.record(Law::Length, side, wrong),
        Ok(said) => match check::length(said, known) {
            Some(wrong) => report.record(Law::Length, side, wrong),
            None => {
                return hint.or(said.map(|length| ExpectedLength {
                    length,
                    source: format!("Content-Length is {length}"),
                }));
            }
        },
    }
    hint
}
