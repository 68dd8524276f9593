//! Checks an attempt against the laws.

use std::time::{Duration, Instant};

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::alarm::Alarm;
use super::attempt::{BodyEnding, Observation, ObservedHead, Records};
use super::derived::{fault, is_derived};
use super::plan::{BodyPlan, ClientPlan, OWN_TRAILER, Plan, header_map};
use super::subject::{ENDLESS_STOPS_AT, ObservedCall, Record};
use super::{Allowances, GeneratedResponse};
use crate::lint::Law;

/// How many bytes a component may hold back without a declaration.
const HELD_BACK_MOST: u64 = 1024 * 1024;
/// The timeout for a component with a thread of its own to drop a body.
const TIMEOUT: Duration = Duration::from_secs(1);

/// A law that was broken, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BrokenLaw {
    pub(super) law: Law,
    pub(super) message: String,
}

/// The error that the check needs a runtime; not a fault of the component.
pub(super) fn needs_runtime() -> BrokenLaw {
    let message = "the component needs a runtime of tokio that runs while it waits: await `laws::check_async` or \
                   `Check::run_async` in a `#[tokio::test]`";
    BrokenLaw {
        law: Law::Tested,
        message: message.to_owned(),
    }
}

/// Law 10.
pub(super) fn check_calls(is_called: bool, never_calls: bool) -> Verdict {
    match (is_called, never_calls) {
        (true, false) | (false, true) => Ok(()),
        (false, false) => broken(
            Law::Tested,
            "the wrapper never called the application, so nothing was tested: let requests pass with `Check::request`, \
             or call `Check::never_calls`",
        ),
        (true, true) => broken(
            Law::Tested,
            "the wrapper called the application, but `Check::never_calls` is set",
        ),
    }
}

/// Whether a panic comes from a function of tokio outside a runtime.
pub(super) fn wants_tokio(panic: &str) -> bool {
    panic.contains("there is no reactor running") || panic.contains("Tokio 1.x context")
}

type Verdict = Result<(), BrokenLaw>;

fn broken(law: Law, message: impl Into<String>) -> Verdict {
    Err(BrokenLaw {
        law,
        message: message.into(),
    })
}

/// Judges one attempt.
pub(super) async fn check_plan(
    plan: &Plan,
    seen: &Observation,
    records: &Records,
    options: &Allowances,
    alarm: &mut Alarm,
) -> Verdict {
    check_conduct(seen)?;
    let is_replaced = is_replaced(plan, &records.response, options);
    check_ends(seen, records, alarm).await?;
    let derives = |head: &ObservedHead| is_derived(plan, head.status);
    if !is_replaced && !seen.head.as_ref().is_some_and(derives) {
        check_failure(plan, seen)?;
    }
    check_request(plan, seen, &records.response, options)?;
    match &seen.head {
        Some(head) if !is_replaced => check_response(plan, seen, head, options),
        _ => Ok(()),
    }
}

/// Law 6, and the findings of the Lints.
pub(super) fn check_conduct(seen: &Observation) -> Verdict {
    if let Some(panic) = &seen.panic {
        if wants_tokio(panic) {
            return Err(needs_runtime());
        }
        return broken(Law::Robust, format!("the component {panic}"));
    }
    if seen.is_stuck {
        return broken(
            Law::Robust,
            "the component waits, and its task is never woken",
        );
    }
    match seen.findings.first() {
        Some(finding) => broken(finding.law(), finding.message()),
        None => Ok(()),
    }
}

/// Whether the response is not the application's: it returned none, or the component may replace it.
fn is_replaced(plan: &Plan, record: &Record, options: &Allowances) -> bool {
    let response = GeneratedResponse::new(&plan.response);
    record.notes().responses == 0 || options.replaces.iter().any(|replaces| replaces(&response))
}

/// Law 4, and the part of law 5 that is about buffers.
async fn check_ends(seen: &Observation, records: &Records, alarm: &mut Alarm) -> Verdict {
    for (whose, record) in [
        ("response", &records.response),
        ("request", &records.request),
    ] {
        if !wait_for(alarm, || record.notes().sources_alive == 0).await {
            let message =
                format!("the body of the {whose} is still held after the client disconnected");
            return broken(Law::BodyEnd, message);
        }
    }
    let all_ended = || {
        let notes = records.response.notes();
        notes.ends.len() == notes.responses
    };
    if !wait_for(alarm, all_ended).await {
        let message =
            "the client disconnected, and the end of the body is not reported: it is still held";
        return broken(Law::BodyEnd, message);
    }
    if seen.held_back > HELD_BACK_MOST || records.response.notes().pulled >= ENDLESS_STOPS_AT {
        let message = "an endless body is buffered without a limit: none of it is passed on";
        return broken(Law::Unchanged, message);
    }
    Ok(())
}

/// Law 4 for a body that fails.
fn check_failure(plan: &Plan, seen: &Observation) -> Verdict {
    let fails = plan.response.body.content().is_none();
    if fails
        && plan.client == ClientPlan::ReadsAll
        && seen.ended == Some(BodyEnding::Well)
        && seen.head_is_marked()
    {
        return broken(
            Law::BodyEnd,
            "the body of the application failed, and its client saw a complete one",
        );
    }
    Ok(())
}

/// Law 5 for the request that the application received.
fn check_request(
    plan: &Plan,
    seen: &Observation,
    record: &Record,
    options: &Allowances,
) -> Verdict {
    let Some(sent) = &seen.sent else {
        return Ok(());
    };
    for call in &record.notes().calls {
        if !call.has_mark {
            return broken(
                Law::Unchanged,
                "the request's extensions are lost on the way in",
            );
        }
        if call.method != sent.method && !options.rewrites {
            let message = format!("the method {} became {}", sent.method, call.method);
            return broken(Law::Unchanged, message);
        }
        if call.target != sent.target && !options.rewrites {
            return broken(
                Law::Path,
                format!("the target {} became {}", sent.target, call.target),
            );
        }
        same_headers("request", &sent.headers, &call.headers, options)?;
        check_request_body(plan, call)?;
    }
    Ok(())
}

fn check_request_body(plan: &Plan, call: &ObservedCall) -> Verdict {
    match (&call.body, plan.request.body.content()) {
        (Some(found), Some(sent)) if *found != sent => {
            let (found, sent) = (found.len(), sent.len());
            let message =
                format!("the request's body of {sent} bytes arrived with {found}, or with others");
            broken(Law::Unchanged, message)
        }
        (Some(_), None) => broken(
            Law::BodyEnd,
            "the request's body failed, and the application saw a complete one",
        ),
        _ => Ok(()),
    }
}

/// Law 5 for the response that the client received, if it is the application's.
fn check_response(
    plan: &Plan,
    seen: &Observation,
    head: &ObservedHead,
    options: &Allowances,
) -> Verdict {
    if !head.has_mark {
        return broken(
            Law::Unchanged,
            "the response's extensions are lost on the way out",
        );
    }
    if let Some(sent) = seen.sent.as_ref().filter(|_| is_derived(plan, head.status)) {
        let is_whole = seen.ended == Some(BodyEnding::Well);
        let content = is_whole.then(|| seen.content.clone().freeze());
        return match fault(plan, sent, head, content.as_ref()) {
            Some((law, message)) => broken(law, message),
            None => Ok(()),
        };
    }
    if head.status.as_u16() != plan.response.status {
        let message = format!(
            "the status {} became {}",
            plan.response.status,
            head.status.as_u16()
        );
        return broken(Law::Unchanged, message);
    }
    same_headers(
        "response",
        &header_map(&plan.response.headers),
        &head.headers,
        options,
    )?;
    if matches!(plan.response.body, BodyPlan::Upgrade) && !head.is_upgrade {
        return broken(Law::Unchanged, "the upgrade of the application is lost");
    }
    if seen.ended != Some(BodyEnding::Well) || plan.request.method == "HEAD" {
        return Ok(());
    }
    let content = (options.decodes)(&head.headers, seen.content.clone().freeze());
    if plan
        .response
        .body
        .content()
        .is_some_and(|given| given != content)
    {
        return broken(
            Law::Unchanged,
            "the content of the response is not the application's",
        );
    }
    let trailers = seen.trailers.as_ref();
    if plan.response.body.has_trailers()
        && trailers.is_none_or(|trailers| !trailers.contains_key(OWN_TRAILER))
    {
        return broken(Law::Unchanged, "the trailers of the response are lost");
    }
    Ok(())
}

/// Checks that every header of `given` arrived with all its values, except headers that the component may touch.
fn same_headers(
    whose: &str,
    given: &HeaderMap,
    found: &HeaderMap,
    options: &Allowances,
) -> Verdict {
    for name in given.keys().filter(|name| !options.touches.contains(name)) {
        if lines(given, name) != lines(found, name) {
            let (given, found) = (lines(given, name), lines(found, name));
            let message = format!("the {whose}'s header {name} was {given:?} and became {found:?}");
            return broken(Law::Unchanged, message);
        }
    }
    Ok(())
}

fn lines<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a HeaderValue> {
    headers.get_all(name).iter().collect()
}

/// Law 2 for HEAD: the headers of GET (RFC 9110, section 9.3.2), except a `Content-Length` that would have to be
/// computed.
pub(super) fn check_head(get: &Observation, head: &Observation, options: &Allowances) -> Verdict {
    let (Some(get), Some(head)) = (&get.head, &head.head) else {
        return Ok(());
    };
    // Ranges are defined for GET only (RFC 9110, section 14.2).
    let is_part = [
        StatusCode::PARTIAL_CONTENT,
        StatusCode::RANGE_NOT_SATISFIABLE,
    ]
    .contains(&get.status);
    if is_part && head.status == StatusCode::OK {
        return Ok(());
    }
    if get.status != head.status {
        let message = format!(
            "the status is {} for GET and {} for HEAD",
            get.status.as_u16(),
            head.status.as_u16()
        );
        return broken(Law::Length, message);
    }
    for name in get
        .headers
        .keys()
        .chain(head.headers.keys())
        .filter(|name| !options.varies.contains(name))
    {
        let (by_get, by_head) = (lines(&get.headers, name), lines(&head.headers, name));
        let is_left_out = *name == CONTENT_LENGTH && by_head.is_empty();
        if by_get != by_head && !is_left_out {
            let message =
                format!("the header {name} is {by_get:?} for GET and {by_head:?} for HEAD");
            return broken(Law::Length, message);
        }
    }
    Ok(())
}

impl Observation {
    fn head_is_marked(&self) -> bool {
        self.head.as_ref().is_some_and(|head| head.has_mark)
    }
}

async fn wait_for(alarm: &mut Alarm, is_so: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while !is_so() {
        if start.elapsed() > TIMEOUT {
            return false;
        }
        alarm.sleep(Duration::from_millis(1)).await;
    }
    true
}
