//! Cases about one function.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use enfilade::headers::{format_http_date, parse_http_date};
use enfilade::host::Host;
use enfilade::middleware::{
    ForwardedElement, Negotiated, Slashes, negotiate_coding, parse_forwarded,
};
use enfilade::{Application, Connection, Request, Response, Scheme, path};
use http::header::FORWARDED;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::case::{Case, known, number, required, text, texts};
use crate::facts::Facts;
use crate::observed::{Log, Recorder};
use crate::verdict::{Check, Trouble, any_of, ensure, fail, needs, unsupported};
use crate::{apps, in_process, lint, request, stack};

/// What a function gave, or that it refused its input.
type Output = Result<Value, String>;

pub(crate) fn run(case: &Case) -> Check {
    case.has_only(&["function", "input"])?;
    let input = &case.value["input"];
    let function = required(&case.value, "function")?;
    let output = match function.split('(').next().unwrap_or_default() {
        "lint.request" => validity(lint::request(input))?,
        "lint.response" => validity(lint::response(input))?,
        "format_http_date" => format_date(input)?,
        "parse_http_date" => parse_date(input)?,
        "in_context" => in_context(input)?,
        "shift_path_info" => shift_path_info(input)?,
        "reconstruct_url" => reconstruct_url(input)?,
        "header operation at construction" => header_operation(input)?,
        "negotiate_encoding" => negotiate_encoding(input)?,
        "host_is_allowed" => host_is_allowed(input)?,
        "effective_host" => effective_host(input)?,
        "split_authority" => split_authority(input)?,
        "render_access_log" => render_access_log(input)?,
        "normalize" => normalize(input)?,
        "merge_slashes_redirect" => merge_slashes_redirect(input)?,
        "parse_forwarded" => forwarded(input)?,
        "is_private_proxy_address" => is_proxy_address(input)?,
        "remove_dot_segments" => remove_dot_segments(input)?,
        // A body here is a stream of buffers, which nobody reads by the line.
        "limited_read" => return needs("a limited file to read"),
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

/// What the types refuse is not valid, and never comes so far that anybody could tell.
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

fn in_context(input: &Value) -> Check<Output> {
    known(input, "input", &["path", "prefix"])?;
    let (path, prefix) = (required(input, "path")?, required(input, "prefix")?);
    Ok(Ok(json!(path::match_prefix(path, prefix).is_some())))
}

/// A request whose decoded path is in these two parts.
fn request_at(script_name: &str, path_info: &str, query: &str) -> Check<Request> {
    let mark = if query.is_empty() { "" } else { "?" };
    let target = format!("{}{mark}{query}", path::encode(path_info));
    let uri = Uri::try_from(&target);
    let uri = uri.or_else(|error| unsupported(format!("{target:?}: {error}")))?;
    let mut request = Request::new(Method::GET, uri);
    request.prepend_script_name(&path::encode(script_name));
    Ok(request)
}

fn shift_path_info(input: &Value) -> Check<Output> {
    known(input, "input", &["script_name", "path_info"])?;
    let (script_name, path_info) = (
        required(input, "script_name")?,
        required(input, "path_info")?,
    );
    let mut request = request_at(script_name, path_info, "")?;
    let name = request.shift_segment();
    Ok(Ok(json!({
        "name": name,
        "script_name": path::decode(request.script_name()),
        "path_info": request.path_info(),
    })))
}

/// Our connections know addresses and not names, so a server's name is this address for the while.
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

fn reconstruct_url(input: &Value) -> Check<Output> {
    known(input, "input", &["env", "with_query"])?;
    if input["with_query"] != json!(true) {
        return unsupported("a URL without its query");
    }
    let env = &input["env"];
    let mut request = request_at(
        required(env, "script_name")?,
        required(env, "path_info")?,
        required(env, "query")?,
    )?;
    request.set_connection(connection(env)?);
    if let Some(Ok(host)) = text(env, "host").map(HeaderValue::from_str) {
        request.headers_mut().insert("host", host);
    }
    let name = text(env, "server_name").unwrap_or_default();
    let url = request.url().replace(&ADDRESS.to_string(), name);
    Ok(Ok(json!(url)))
}

fn connection(env: &Value) -> Check<Connection> {
    let keys = [
        "scheme",
        "host",
        "script_name",
        "path_info",
        "query",
        "server_name",
        "server_port",
    ];
    known(env, "env", &keys)?;
    let connection = match required(env, "scheme")? {
        "http" => Connection::new(Scheme::Http),
        "https" => Connection::new(Scheme::Https),
        other => return unsupported(format!("the scheme {other:?}")),
    };
    let port = number(env, "server_port").and_then(|port| u16::try_from(port).ok());
    Ok(match (text(env, "server_name"), port) {
        (Some(name), Some(port)) => {
            let address = name.parse().unwrap_or(ADDRESS);
            connection.with_local((address, port).into())
        }
        _ => connection,
    })
}

fn host_is_allowed(input: &Value) -> Check<Output> {
    known(input, "input", &["host", "allow"])?;
    let wrapper = match stack::trusted_hosts(&texts(&input["allow"])?) {
        // A list that is refused lets nobody in.
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

/// The elements as objects, or null where the header is malformed.
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

/// Whether this address is a proxy's where all private networks are trusted: then the one to its left is the client's.
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

fn effective_host(input: &Value) -> Check<Output> {
    let keys = ["scheme", "host", "server", "server_name", "server_port"];
    known(input, "input", &keys)?;
    let mut env = json!({"scheme": input["scheme"]});
    for key in ["server_name", "server_port"] {
        env[key] = input[key].clone();
    }
    if let Some((name, port)) = text(input, "server").and_then(|server| server.rsplit_once(':')) {
        env["server_name"] = json!(name);
        env["server_port"] = json!(port.parse::<u16>().ok());
    }
    let mut request = Request::get("/");
    request.set_connection(connection(&env)?);
    if let Some(Ok(host)) = text(input, "host").map(HeaderValue::from_str) {
        request.headers_mut().insert("host", host);
    }
    let name = text(&env, "server_name").unwrap_or_default();
    let host = request.effective_host().unwrap_or_default();
    Ok(Ok(json!(host.replace(&ADDRESS.to_string(), name))))
}

fn split_authority(input: &Value) -> Check<Output> {
    known(input, "input", &["value"])?;
    let host = Host::parse(required(input, "value")?);
    Ok(Ok(host.map_or(
        Value::Null,
        |host| json!({"host": host.name(), "port": host.port()}),
    )))
}

/// What an application behind these slashes answers, which is the target that it sees.
fn behind(slashes: Slashes, target: &str) -> Check<Response> {
    let uri = Uri::try_from(target);
    let uri = uri.or_else(|error| unsupported(format!("{target:?}: {error}")))?;
    let app = Application::new(|request: Request| request.uri().to_string()).wrap(slashes);
    Ok(pollster::block_on(app.call(Request::new(Method::GET, uri))))
}

fn normalize(input: &Value) -> Check<Output> {
    known(input, "input", &["target", "mode"])?;
    let slashes = stack::slashes(required(input, "mode")?)?;
    let mut response = behind(slashes, required(input, "target")?)?;
    let seen = std::mem::take(response.body_mut());
    Ok(match (response.status(), seen.as_bytes()) {
        (StatusCode::OK, Some(seen)) => Ok(json!(String::from_utf8_lossy(seen))),
        (status, _) => Err(format!("the application was not asked: {status}")),
    })
}

fn merge_slashes_redirect(input: &Value) -> Check<Output> {
    known(input, "input", &["path"])?;
    let response = behind(Slashes::merged().redirect(), required(input, "path")?)?;
    let location = response.headers().get("location");
    Ok(
        match (response.status(), location.map(HeaderValue::to_str)) {
            (StatusCode::OK, None) => Ok(Value::Null),
            (status, Some(Ok(location))) if status.is_redirection() => Ok(json!(location)),
            (status, _) => Err(format!("neither an answer nor a redirect: {status}")),
        },
    )
}

fn remove_dot_segments(input: &Value) -> Check<Output> {
    known(input, "input", &["path"])?;
    Ok(Ok(json!(path::remove_dots(required(input, "path")?))))
}

fn header_operation(input: &Value) -> Check<Output> {
    known(input, "input", &["name", "value"])?;
    let (name, value) = (required(input, "name")?, required(input, "value")?);
    // One way that lets it through is enough to fail.
    let results = stack::header_operations(name, value);
    let refused = results.into_iter().collect::<Result<Vec<()>, _>>();
    Ok(match refused {
        Err(error) => Err(error.to_string()),
        Ok(_) => Ok(json!("accepted")),
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
