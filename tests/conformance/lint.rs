//! Cases about messages that break the rules: the types refuse them, or `Lint` reports them.

use std::sync::{Arc, Mutex};

use enfilade::{Application, Request, unpoisoned};
use enfilade_testing::{Client, Lint};
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use serde_json::{Value, json};

use crate::apps;
use crate::case::{known, number, pairs, required, text};
use crate::verdict::{Check, refused, unsupported};

/// Whether a response may leave an application.
pub(crate) fn response(input: &Value) -> Check<Value> {
    let keys = [
        "request_method",
        "status",
        "headers",
        "body",
        "header_encoding",
    ];
    known(input, "input", &keys)?;
    let method = method(required(input, "request_method")?)?;
    let headers = headers(input)?;
    let Some(status) = number(input, "status").and_then(|status| u16::try_from(status).ok()) else {
        return unsupported(format!("the response {input}"));
    };
    let status = StatusCode::from_u16(status).or_else(refused)?;
    let content = apps::content(input)?;
    let app = Application::new(move |request: Request| {
        let upgrade = apps::any_upgrade(&request);
        let mut response = match upgrade.filter(|_| status == StatusCode::SWITCHING_PROTOCOLS) {
            Some(upgrade) => upgrade.respond(async |_| Ok(())),
            None => enfilade::Response::new(content.body()),
        };
        *response.status_mut() = status;
        *response.headers_mut() = headers.clone();
        response
    });
    let request = Request::new(method, Uri::from_static("/"));
    match status {
        StatusCode::SWITCHING_PROTOCOLS => is_clean(app, |client| {
            // A gateway offers the upgrade.
            let upgrade = client.prepared(request).upgrade("websocket");
            drop(pollster::block_on(upgrade));
        }),
        _ => is_clean(app, |client| send(client, request)),
    }
}

/// Whether a request may reach an application with its path in these two parts.
pub(crate) fn request(input: &Value) -> Check<Value> {
    known(input, "input", &["method", "script_name", "path_info"])?;
    let (script_name, path) = (
        required(input, "script_name")?,
        required(input, "path_info")?,
    );
    let method = method(required(input, "method")?)?;
    let mut request = Request::new(method, Uri::try_from(path).or_else(refused)?);
    request.prepend_script_name(script_name);
    let made = (request.script_name(), request.path());
    if made != (script_name, path) {
        return refused(format!("it becomes {made:?}"));
    }
    is_clean(Application::new(|_: Request| "clean"), |client| {
        send(client, request)
    })
}

/// Without a gateway, which would correct much of it.
fn send(client: Client, request: Request) {
    client.without_gateway().prepared(request).send();
}

fn is_clean(app: Application, send: impl FnOnce(Client)) -> Check<Value> {
    let findings = Arc::new(Mutex::new(Vec::new()));
    let list = findings.clone();
    let lint = Lint::report(move |finding| {
        let mut list = unpoisoned(list.lock());
        list.push(finding.to_string());
    });
    send(Client::new(app.wrap(lint)));
    let findings = unpoisoned(findings.lock());
    Ok(json!({"valid": findings.is_empty()}))
}

fn method(name: &str) -> Check<Method> {
    Method::from_bytes(name.as_bytes()).or_else(refused)
}

fn headers(input: &Value) -> Check<http::HeaderMap> {
    let mut headers = http::HeaderMap::new();
    for (name, value) in pairs(input, "headers")? {
        let bytes = match text(input, "header_encoding") {
            None => value.as_bytes().to_vec(),
            Some("latin-1") => latin1(value)?,
            Some(other) => return unsupported(format!("the header encoding {other:?}")),
        };
        let name = HeaderName::from_bytes(name.as_bytes()).or_else(refused)?;
        headers.append(name, HeaderValue::from_bytes(&bytes).or_else(refused)?);
    }
    Ok(headers)
}

fn latin1(value: &str) -> Check<Vec<u8>> {
    let bytes = value.chars().map(u8::try_from);
    bytes.collect::<Result<_, _>>().or_else(refused)
}
