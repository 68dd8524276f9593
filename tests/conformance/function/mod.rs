//! Cases about one function.

mod auth;
mod cookies;
mod ranges;
mod requests;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use enfilade::headers::{format_http_date, parse_http_date};
use enfilade::middleware::{
    self, ForwardedElement, Negotiated, TreePath, negotiate_coding, parse_forwarded,
};
use enfilade::{Application, Connection, Request, path};
use http::header::FORWARDED;
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::case::{Case, known, number, required, text, texts};
use crate::facts::Facts;
use crate::observed::{Log, Recorder};
use crate::verdict::{Check, Trouble, any_of, ensure, fail, unsupported};
use crate::{apps, in_process, lint, request, stack};

/// The output of a function, or its error.
type Output = Result<Value, String>;

pub(crate) fn run(case: &Case) -> Check {
    case.has_only(&["function", "input"])?;
    let input = &case.value["input"];
    let function = required(&case.value, "function")?;
    let name = function.split('(').next().unwrap_or_default();
    if let Some(check) = cookies::run(name, input, &case.value["expect"]) {
        return check;
    }
    let output = match name {
        "lint.request" => validity(lint::request(input))?,
        "lint.response" => validity(lint::response(input))?,
        "format_http_date" => format_date(input)?,
        "parse_http_date" => parse_date(input)?,
        "in_context" => requests::in_context(input)?,
        "shift_path_info" => requests::shift_path_info(input)?,
        "reconstruct_url" => requests::reconstruct_url(input)?,
        "header operation at construction" => header_operation(input)?,
        "mount" => mount(input)?,
        "negotiate_encoding" => negotiate_encoding(input)?,
        "host_is_allowed" => host_is_allowed(input)?,
        "effective_host" => requests::effective_host(input)?,
        "split_authority" => requests::split_authority(input)?,
        "render_access_log" => render_access_log(input)?,
        "normalize" => requests::normalize(input)?,
        "merge_slashes_redirect" => requests::merge_slashes_redirect(input)?,
        "parse_forwarded" => forwarded(input)?,
        "is_private_proxy_address" => is_proxy_address(input)?,
        "resolve" => resolve(input)?,
        "is_child_of" => is_child_of(input)?,
        "is_reserved_windows_name" => is_reserved_on_windows(input)?,
        "encode_basic" => auth::encode_basic(input)?,
        "parse_basic" => auth::parse_basic(input)?,
        "parse_range" => ranges::parse_range(input)?,
        "parse_content_range" => ranges::parse_content_range(input)?,
        "remove_dot_segments" => requests::remove_dot_segments(input)?,
        _ => return unsupported(format!("the function {function}")),
    };
    judge(&case.value["expect"], &output)
}

fn judge(expect: &Value, output: &Output) -> Check {
    known(expect, "expect", &["output", "any_of", "error"])?;
    let is = |wanted: &Value| match output {
        Ok(found) => ensure(found == wanted, || {
            format!("the output is {found} and not {wanted}")
        }),
        Err(error) => fail(format!("an error and not {wanted}: {error}")),
    };
    let object = expect.as_object();
    let field = |key: &str| object.and_then(|object| object.get(key));
    match (field("output"), field("any_of"), field("error")) {
        // An output may be null.
        (Some(wanted), None, None) => is(wanted),
        (None, Some(Value::Array(list)), None) => any_of(list, is),
        (None, None, Some(Value::Bool(true))) => {
            ensure(output.is_err(), || format!("no error but {output:?}"))
        }
        _ => unsupported(format!("expect is {expect}")),
    }
}

/// If the types refuse a value, it is invalid, and `Lint` never sees it.
fn validity(checked: Check<Value>) -> Check<Output> {
    match checked {
        Err(Trouble::Refused(_)) => Ok(Ok(json!({"valid": false}))),
        checked => checked.map(Ok),
    }
}

fn parse_date(input: &Value) -> Check<Output> {
    known(input, "input", &["value"])?;
    let date = parse_http_date(required(input, "value")?);
    Ok(Ok(json!(date.map(OffsetDateTime::unix_timestamp))))
}

fn format_date(input: &Value) -> Check<Output> {
    known(input, "input", &["seconds"])?;
    let seconds = input["seconds"].as_f64().map(Duration::seconds_f64);
    match seconds.and_then(|seconds| OffsetDateTime::UNIX_EPOCH.checked_add(seconds)) {
        Some(time) => Ok(Ok(json!(format_http_date(time)))),
        None => unsupported(format!("the time {input}")),
    }
}

fn host_is_allowed(input: &Value) -> Check<Output> {
    known(input, "input", &["host", "allow"])?;
    let wrapper = match stack::trusted_hosts(&texts(&input["allow"])?) {
        // A refused list allows no host.
        Err(Trouble::Refused(_)) => return Ok(Ok(json!(false))),
        wrapper => wrapper?,
    };
    let mut request = Request::get("/");
    match text(input, "host").map(HeaderValue::from_str) {
        None => {}
        Some(Ok(host)) => drop(request.headers_mut().insert("host", host)),
        // No gateway can make a header of it.
        Some(Err(_)) => return Ok(Ok(json!(false))),
    }
    let app = Application::new(|_: Request| ()).wrap(wrapper);
    let response = pollster::block_on(app.call(request));
    Ok(Ok(json!(response.status().is_success())))
}

/// Returns the elements as objects, or null if the header is malformed.
fn forwarded(input: &Value) -> Check<Output> {
    known(input, "input", &["value"])?;
    let Ok(value) = HeaderValue::from_str(required(input, "value")?) else {
        // No gateway can make a header of it.
        return Ok(Ok(Value::Null));
    };
    let headers = HeaderMap::from_iter([(FORWARDED, value)]);
    let object = |element: &ForwardedElement<'_>| {
        let pairs = [
            ("for", element.for_node()),
            ("by", element.by_node()),
            ("host", element.host()),
            ("proto", element.proto()),
        ];
        let pairs = pairs
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        json!(pairs.collect::<BTreeMap<_, _>>())
    };
    Ok(Ok(parse_forwarded(&headers)
        .map_or(Value::Null, |elements| {
            elements.iter().map(object).collect()
        })))
}

/// Whether this address is a proxy's if all private networks are trusted: then the one to its left is the client's.
fn is_proxy_address(input: &Value) -> Check<Output> {
    known(input, "input", &["address"])?;
    let address = required(input, "address")?;
    let Ok(list) = HeaderValue::from_str(&format!("192.0.2.1, {address}")) else {
        // No gateway can make a header of it.
        return Ok(Ok(json!(false)));
    };
    let networks = [
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::1",
        "fc00::/7",
    ];
    let app = Application::new(|request: Request| {
        request.client_address().map(|address| address.to_string())
    });
    let app = app.wrap(stack::trusted_proxies(&networks)?);
    let mut request = Request::get("/");
    let peer = (Ipv4Addr::LOCALHOST, 40_000).into();
    request.set_connection(Connection::default().with_peer(peer));
    request.headers_mut().insert("x-forwarded-for", list);
    let response = pollster::block_on(app.call(request));
    let found = response.body().as_bytes();
    Ok(Ok(json!(
        found.is_some_and(|found| found == "192.0.2.1".as_bytes())
    )))
}

/// The path in a tree of files of a decoded path; null if it has none.
fn resolve(input: &Value) -> Check<Output> {
    known(input, "input", &["path"])?;
    let path = format!("/{}", path::encode(required(input, "path")?));
    let found = TreePath::new(&path);
    Ok(Ok(json!(found.as_ref().map(TreePath::as_str))))
}

/// Whether a path is below another one; there is one function here that compares them.
fn is_child_of(input: &Value) -> Check<Output> {
    known(input, "input", &["root", "path"])?;
    let (root, path) = (required(input, "root")?, required(input, "path")?);
    Ok(Ok(json!(path::match_prefix(path, root).is_some())))
}

fn is_reserved_on_windows(input: &Value) -> Check<Output> {
    known(input, "input", &["name"])?;
    let path = format!("/{}", path::encode_segment(required(input, "name")?));
    match TreePath::new(&path) {
        Some(path) => Ok(Ok(json!(!path.is_safe_on_windows()))),
        None => unsupported(format!("the name {input}")),
    }
}

fn header_operation(input: &Value) -> Check<Output> {
    known(input, "input", &["name", "value"])?;
    let (name, value) = (required(input, "name")?, required(input, "value")?);
    at_construction(stack::header_operations(name, value))
}

fn mount(input: &Value) -> Check<Output> {
    known(input, "input", &["prefix"])?;
    at_construction(stack::mount_prefix(required(input, "prefix")?))
}

/// Judges that all ways to construct something are refused, or none.
fn at_construction(results: Vec<Result<(), middleware::Error>>) -> Check<Output> {
    let ways = results.len();
    let errors: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    Ok(match &errors[..] {
        [] => Ok(json!("accepted")),
        [error, ..] if errors.len() == ways => Err(error.to_string()),
        [error, ..] => {
            return fail(format!(
                "only {} of {ways} ways refuse it: {error}",
                errors.len()
            ));
        }
    })
}

fn negotiate_encoding(input: &Value) -> Check<Output> {
    known(input, "input", &["accept_encoding", "supported"])?;
    let lines = match &input["accept_encoding"] {
        Value::Null => Vec::new(),
        lines => texts(lines)?,
    };
    let lines: Vec<_> = lines
        .into_iter()
        .map(|line| ("accept-encoding", line))
        .collect();
    let headers = apps::header_map(&lines)?;
    let supported = texts(&input["supported"])?;
    Ok(match negotiate_coding(&headers, &supported) {
        Negotiated::Coding(coding) => Ok(json!(coding)),
        Negotiated::Identity => Ok(json!("identity")),
        Negotiated::NotAcceptable => Ok(Value::Null),
        other => return unsupported(format!("the result {other:?}")),
    })
}

fn render_access_log(input: &Value) -> Check<Output> {
    known(input, "input", &["format", "request", "response"])?;
    let response = &input["response"];
    known(response, "response", &["status", "headers", "bytes"])?;
    let Some(bytes) = number(response, "bytes") else {
        return unsupported(format!("the response {response}"));
    };
    let spec = json!({
        "kind": "fixed",
        "status": response["status"],
        "headers": response["headers"],
        "body": "x".repeat(usize::try_from(bytes).unwrap_or(0)),
    });
    let (recorder, log) = (Recorder::default(), Log::default());
    let app = apps::build(&spec, None, &recorder)?;
    let app = stack::log_format(required(input, "format")?, &log, app)?;
    let wanted = request::parse(&input["request"])?;
    let facts = Facts::default();
    facts.tell(&wanted);
    let mut session = (in_process::TRANSPORT.open)(facts.around(app), &recorder)?;
    session.send(&wanted)?;
    Ok(match &log.settled(1)[..] {
        [line] => Ok(json!(line)),
        lines => Err(format!("not one line but {lines:?}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_expectation_can_pass_and_fail() {
        let (ok, null, error) = (Ok(json!("a")), Ok(json!(null)), Err("why".to_owned()));
        for (expect, passes, fails) in [
            (json!({"output": "a"}), &ok, &error),
            (json!({"output": null}), &null, &ok),
            (json!({"any_of": ["b", "a"]}), &ok, &null),
            (json!({"any_of": ["b", null]}), &null, &ok),
            (json!({"error": true}), &error, &ok),
        ] {
            assert_eq!(judge(&expect, passes), Ok(()), "{expect}");
            assert!(judge(&expect, fails).is_err(), "{expect}");
        }
        assert!(judge(&json!({"output": "a", "forbid": "b"}), &ok).is_err());
        assert!(judge(&json!({}), &ok).is_err());
    }
}
