//! A logger with axum's `from_fn`, as users write it, on `tracing-appender`.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use axum::body::HttpBody;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::HeaderName;
use axum::http::header::{HOST, REFERER, USER_AGENT};
use axum::middleware::Next;
use axum::response::Response;
use time::OffsetDateTime;
use time::macros::format_description;
use tracing_appender::non_blocking::NonBlocking;

#[derive(serde::Serialize)]
struct Line<'a> {
    time: String,
    client: IpAddr,
    user: Option<&'a str>,
    method: &'a str,
    host: String,
    target: String,
    protocol: &'a str,
    status: u16,
    bytes: u64,
    total_us: u64,
    referer: String,
    user_agent: String,
    id: Option<&'a str>,
}

/// Writes a line in the combined format, or a JSON object, for each request.
pub async fn log(
    State((appender, is_json)): State<(NonBlocking, bool)>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let format = format_description!(
        "[day]/[month repr:short]/[year]:[hour]:[minute]:[second] [offset_hour sign:mandatory][offset_minute]"
    );
    let time = OffsetDateTime::now_utc().format(format).unwrap_or_default();
    let (method, uri, version) = (
        request.method().clone(),
        request.uri().clone(),
        request.version(),
    );
    let headers = request.headers().clone();
    let response = next.run(request).await;
    let header = |name: HeaderName| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or("-").to_owned()
    };
    let (client, status) = (peer.ip(), response.status().as_u16());
    let bytes = response.body().size_hint().exact().unwrap_or_default();
    let (referer, agent) = (header(REFERER), header(USER_AGENT));
    let line = match is_json {
        true => {
            let line = Line {
                time,
                client,
                user: None,
                method: method.as_str(),
                host: header(HOST),
                target: uri.to_string(),
                protocol: "HTTP/1.1",
                status,
                bytes,
                total_us: started.elapsed().as_micros() as u64,
                referer,
                user_agent: agent,
                id: None,
            };
            serde_json::to_string(&line).unwrap_or_default() + "\n"
        }
        false => format!(
            "{client} - - [{time}] \"{method} {uri} {version:?}\" {status} {bytes} \"{referer}\" \"{agent}\"\n"
        ),
    };
    let _ = appender.clone().write_all(line.as_bytes());
    response
}
