//! Functions of a request: of its path, its host and its URL.

use std::net::{IpAddr, Ipv4Addr};

use enfilade::host::Host;
use enfilade::middleware::Slashes;
use enfilade::{Application, Connection, Request, Response, Scheme, path};
use http::{HeaderValue, Method, StatusCode, Uri};
use serde_json::{Value, json};

use super::Output;
use crate::case::{known, number, required, text};
use crate::stack;
use crate::verdict::{Check, unsupported};

pub(super) fn in_context(input: &Value) -> Check<Output> {
    known(input, "input", &["path", "prefix"])?;
    let (path, prefix) = (required(input, "path")?, required(input, "prefix")?);
    Ok(Ok(json!(path::match_prefix(path, prefix).is_some())))
}

/// Makes a request whose decoded path is in these two parts.
fn request_at(script_name: &str, path_info: &str, query: &str) -> Check<Request> {
    let mark = if query.is_empty() { "" } else { "?" };
    let target = format!("{}{mark}{query}", path::encode(path_info));
    let uri = Uri::try_from(&target);
    let uri = uri.or_else(|error| unsupported(format!("{target:?}: {error}")))?;
    let mut request = Request::new(Method::GET, uri);
    request.prepend_script_name(&path::encode(script_name));
    Ok(request)
}

pub(super) fn shift_path_info(input: &Value) -> Check<Output> {
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

/// Our connections have addresses and not names, so this address stands for a server's name in the test.
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

pub(super) fn reconstruct_url(input: &Value) -> Check<Output> {
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

pub(super) fn effective_host(input: &Value) -> Check<Output> {
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

pub(super) fn split_authority(input: &Value) -> Check<Output> {
    known(input, "input", &["value"])?;
    let host = Host::parse(required(input, "value")?);
    Ok(Ok(host.map_or(
        Value::Null,
        |host| json!({"host": host.name(), "port": host.port()}),
    )))
}

/// Returns the response of an application behind these slashes, which is the target that it sees.
fn behind(slashes: Slashes, target: &str) -> Check<Response> {
    let uri = Uri::try_from(target);
    let uri = uri.or_else(|error| unsupported(format!("{target:?}: {error}")))?;
    let app = Application::new(|request: Request| request.uri().to_string()).wrap(slashes);
    Ok(pollster::block_on(app.call(Request::new(Method::GET, uri))))
}

pub(super) fn normalize(input: &Value) -> Check<Output> {
    known(input, "input", &["target", "mode"])?;
    let slashes = stack::slashes(required(input, "mode")?)?;
    let mut response = behind(slashes, required(input, "target")?)?;
    let seen = std::mem::take(response.body_mut());
    Ok(match (response.status(), seen.as_bytes()) {
        (StatusCode::OK, Some(seen)) => Ok(json!(String::from_utf8_lossy(seen))),
        (status, _) => Err(format!("the application was not called: {status}")),
    })
}

pub(super) fn merge_slashes_redirect(input: &Value) -> Check<Output> {
    known(input, "input", &["path"])?;
    let response = behind(Slashes::merged().redirect(), required(input, "path")?)?;
    let location = response.headers().get("location");
    Ok(
        match (response.status(), location.map(HeaderValue::to_str)) {
            (StatusCode::OK, None) => Ok(Value::Null),
            (status, Some(Ok(location))) if status.is_redirection() => Ok(json!(location)),
            (status, _) => Err(format!("neither a response nor a redirect: {status}")),
        },
    )
}

pub(super) fn remove_dot_segments(input: &Value) -> Check<Output> {
    known(input, "input", &["path"])?;
    Ok(Ok(json!(path::canonical(required(input, "path")?))))
}
