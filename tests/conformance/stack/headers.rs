//! Wrappers that change headers.

use enfilade::middleware::{self, ContentType, Headers};
use enfilade::{Application, Request, Response};
use http::HeaderValue;
use serde_json::Value;

use super::Parts;
use crate::case::known;
use crate::verdict::{Check, refused, unsupported};

pub(super) fn headers(_: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    known(layer, "config", &["middleware", "response", "request"])?;
    let operations = |side: &str| {
        let list = layer.get(side).and_then(Value::as_array);
        list.cloned().unwrap_or_default()
    };
    let (mut responses, mut requests) = (Headers::new(), Headers::request());
    let mut types = None;
    for operation in operations("response") {
        match part(&operation, 0) {
            // A separate wrapper.
            "default_content_type" => types = Some(ContentType::new(part(&operation, 1))),
            _ => responses = on_response(responses, &operation)?,
        }
    }
    for operation in operations("request") {
        requests = on_request(requests, &operation)?;
    }
    let app = app.wrap(responses).wrap(requests);
    match types {
        Some(types) => types.map(|types| app.wrap(types)).or_else(refused),
        None => Ok(app),
    }
}

fn part(operation: &Value, at: usize) -> &str {
    operation
        .get(at)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn on_response(headers: Headers, operation: &Value) -> Check<Headers> {
    let (name, value) = (part(operation, 1), part(operation, 2));
    let result = match part(operation, 0) {
        "set" => headers.set(name, value),
        "append" => headers.append(name, value),
        "set_if_missing" => headers.default(name, value),
        "remove" => headers.remove(name),
        "set_from" if value == "closure returning DENY" => {
            headers.set_with(name, |_: &Response| Some(HeaderValue::from_static("DENY")))
        }
        "set_from" if value == "closure returning nothing" => {
            headers.set_with(name, |_: &Response| None)
        }
        _ => return unsupported(format!("the header operation {operation}")),
    };
    result.or_else(refused)
}

fn on_request(headers: Headers<Request>, operation: &Value) -> Check<Headers<Request>> {
    let (name, value) = (part(operation, 1), part(operation, 2));
    let result = match part(operation, 0) {
        "set" => headers.set(name, value),
        "append" => headers.append(name, value),
        "remove" => headers.remove(name),
        _ => return unsupported(format!("the header operation {operation}")),
    };
    result.or_else(refused)
}

/// Returns whether each way to make an operation of this name and value is refused.
pub(crate) fn header_operations(name: &str, value: &str) -> Vec<Result<(), middleware::Error>> {
    let (response, request) = (Headers::new, Headers::request);
    vec![
        response().set(name, value).map(drop),
        response().append(name, value).map(drop),
        response().default(name, value).map(drop),
        request().set(name, value).map(drop),
        request().append(name, value).map(drop),
    ]
}
