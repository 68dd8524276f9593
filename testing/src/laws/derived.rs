//! Responses that a component derives from a 200 because of conditions and ranges: 304, 412, 206 and 416.

use bytes::Bytes;
use enfilade_core::conditional::{
    ByteRanges, ContentRange, Precondition, Validators, byte_ranges, evaluate,
};
use http::header::{
    CACHE_CONTROL, CONTENT_LOCATION, CONTENT_RANGE, CONTENT_TYPE, DATE, ETAG, EXPIRES,
    IF_NONE_MATCH, LAST_MODIFIED, RANGE, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::attempt::{ObservedHead, SentHead};
use super::plan::{ClientPlan, Plan, header_map};
use crate::lint::{Law, is_condition};

/// Headers of a 200 that its 304 must have (RFC 9110, section 15.4.5).
const OF_A_304: [HeaderName; 6] = [CACHE_CONTROL, CONTENT_LOCATION, DATE, ETAG, EXPIRES, VARY];

/// More ranges than any component sends.
const MANY: usize = 1_000;

/// Plans that ask for a part of the content of `plan`, and whether it has changed.
pub(super) fn followups(plan: &Plan, head: Option<&ObservedHead>) -> Vec<Plan> {
    let has_content = plan.response.status == 200 && plan.response.body.may_have_content();
    if !has_content || plan.client != ClientPlan::ReadsAll {
        return Vec::new();
    }
    let mut plain = plan.clone();
    let headers = &mut plain.request.headers;
    headers.retain(|(name, _)| !is_condition(name));
    let with = |name: HeaderName, value: HeaderValue| {
        let mut plan = plain.clone();
        plan.request.headers.push((name, value));
        plan
    };
    let tag = head.and_then(|head| head.headers.get(ETAG).cloned());
    let mut plans = vec![
        with(RANGE, HeaderValue::from_static("bytes=0-2")),
        with(RANGE, HeaderValue::from_static("bytes=2-4, -1, 0-0")),
    ];
    plans.extend(tag.map(|tag| with(IF_NONE_MATCH, tag)));
    plans
}

/// Whether the status is that of a response derived from a 200.
pub(super) fn is_derived(plan: &Plan, status: StatusCode) -> bool {
    plan.response.status == 200
        && matches!(
            status,
            StatusCode::NOT_MODIFIED
                | StatusCode::PRECONDITION_FAILED
                | StatusCode::PARTIAL_CONTENT
                | StatusCode::RANGE_NOT_SATISFIABLE
        )
}

/// The law that a derived response breaks, and how; `content` is its content, if it was read to its end.
pub(super) fn fault(
    plan: &Plan,
    sent: &SentHead,
    head: &ObservedHead,
    content: Option<&Bytes>,
) -> Option<(Law, String)> {
    let (law, message) = match head.status {
        StatusCode::NOT_MODIFIED => (Law::Required, fault_of_304(plan, sent, head)),
        StatusCode::PRECONDITION_FAILED => (Law::Required, fault_of_412(plan, sent, head)),
        _ => (Law::Length, fault_of_ranges(plan, sent, head, content)),
    };
    Some((law, message?))
}

fn fault_of_412(plan: &Plan, sent: &SentHead, head: &ObservedHead) -> Option<String> {
    let outcome = evaluate(&sent.method, &sent.headers, &validators(plan, head));
    let message = "a 412, although no condition of the request fails";
    (outcome != Precondition::Failed).then(|| message.to_owned())
}

/// The validators of the 200; the component itself may have added the tag.
fn validators(plan: &Plan, head: &ObservedHead) -> Validators {
    let mut headers = header_map(&plan.response.headers);
    for name in [ETAG, LAST_MODIFIED] {
        if let (false, Some(value)) = (headers.contains_key(&name), head.headers.get(&name)) {
            headers.insert(name, value.clone());
        }
    }
    Validators::from_headers(&headers)
}

fn fault_of_304(plan: &Plan, sent: &SentHead, head: &ObservedHead) -> Option<String> {
    let outcome = evaluate(&sent.method, &sent.headers, &validators(plan, head));
    if outcome != Precondition::NotModified {
        return Some("a 304, although the request's conditions do not match".to_owned());
    }
    let given = header_map(&plan.response.headers);
    let is_lost =
        |name: &&HeaderName| given.contains_key(*name) && !head.headers.contains_key(*name);
    OF_A_304
        .iter()
        .find(is_lost)
        .map(|name| format!("the 304 lacks {name}, which its 200 has (RFC 9110, section 15.4.5)"))
}

fn fault_of_ranges(
    plan: &Plan,
    sent: &SentHead,
    head: &ObservedHead,
    content: Option<&Bytes>,
) -> Option<String> {
    let status = head.status.as_u16();
    let asked = sent
        .headers
        .get(RANGE)
        .filter(|_| sent.method == Method::GET);
    let Some(asked) = asked else {
        return Some(format!("a {status} to a request without a range"));
    };
    let whole = plan.response.body.content()?;
    let allowed = byte_ranges(asked, whole.len() as u64, MANY);
    match (head.status, allowed) {
        (StatusCode::PARTIAL_CONTENT, ByteRanges::Satisfiable(_)) => {
            let parts = parts(&head.headers, content?)?;
            let is_slice = |(value, part): &(HeaderValue, Bytes)| is_slice(&whole, value, part);
            let wrong = parts.iter().find(|part| !is_slice(part));
            wrong.map(|(value, part)| {
                let length = part.len();
                format!(
                    "a part with Content-Range {value:?} and {length} bytes is not that slice of the content"
                )
            })
        }
        (StatusCode::RANGE_NOT_SATISFIABLE, ByteRanges::Unsatisfiable) => {
            let expected = ContentRange::unsatisfied(whole.len() as u64).to_header_value();
            let found = head.headers.get(CONTENT_RANGE);
            let message = || format!("the Content-Range of a 416 is {found:?}, not {expected:?}");
            (found != Some(&expected)).then(message)
        }
        (_, allowed) => Some(format!("a {status}, although the range is {allowed:?}")),
    }
}

fn is_slice(whole: &Bytes, value: &HeaderValue, part: &Bytes) -> bool {
    let Some(range) = ContentRange::from_header_value(value) else {
        return false;
    };
    let length = whole.len() as u64;
    let slice = range.range().and_then(|range| {
        let (start, end) = (usize::try_from(range.start), usize::try_from(range.end));
        whole.get(start.ok()?..end.ok()?)
    });
    range
        .complete_length()
        .is_none_or(|complete| complete == length)
        && slice == Some(&**part)
}

/// The parts of a 206, each with its `Content-Range`.
fn parts(headers: &HeaderMap, content: &Bytes) -> Option<Vec<(HeaderValue, Bytes)>> {
    if let Some(value) = headers.get(CONTENT_RANGE) {
        return Some(vec![(value.clone(), content.clone())]);
    }
    let content_type = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let (_, boundary) = content_type.split_once("boundary=")?;
    let delimiter = format!("--{}", boundary.trim_matches('"'));
    let mut found = Vec::new();
    let mut rest = content.clone();
    while let Some(at) = position(&rest, delimiter.as_bytes()) {
        let part = rest.split_to(at);
        drop(rest.split_to(delimiter.len()));
        found.push(part);
    }
    // The first is what stands before the first delimiter.
    Some(found.into_iter().skip(1).map(part).collect())
}

/// Splits a part into its `Content-Range` and its content; an invalid value stands for one that is missing.
fn part(part: Bytes) -> (HeaderValue, Bytes) {
    let end = position(&part, b"\r\n\r\n").unwrap_or(part.len());
    let (head, rest) = part.split_at(end);
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let mut lines = head.lines();
    let value = lines.find_map(|line| line.strip_prefix("content-range:"));
    let value = HeaderValue::from_str(value.unwrap_or_default().trim());
    let content = rest.strip_prefix(b"\r\n\r\n").unwrap_or_default();
    let content = content.strip_suffix(b"\r\n").unwrap_or(content);
    let missing = HeaderValue::from_static("");
    (value.unwrap_or(missing), Bytes::copy_from_slice(content))
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|found| found == wanted)
}
