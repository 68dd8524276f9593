//! The span of a request, with the names of OpenTelemetry's semantic conventions for HTTP.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt::Write;

use enfilade_core::host::Host;
use enfilade_core::{Request, is_unprintable};
use http::header::USER_AGENT;
use http::{Method, StatusCode, Version};
use tracing::Span;
use tracing::field::{Empty, display};

use crate::observe::trace_context::TraceContext;

/// The target of spans and events, for filters.
const TARGET: &str = "enfilade";

/// The maximum number of causes of an error that are reported; a chain of causes may be a ring.
const MAX_CAUSES: usize = 16;

/// The methods that spans distinguish: those of RFC 9110 and RFC 5789, as in the conventions.
const METHODS: [Method; 9] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::CONNECT,
    Method::OPTIONS,
    Method::TRACE,
    Method::PATCH,
];

/// Makes a span with all facts that are known when a request arrives.
pub(super) fn span(request: &Request, query: Option<&str>) -> Span {
    let method = request.method();
    let is_known = METHODS.contains(method);
    let host = Host::of(request);
    let port = host.map(|host| host.port().unwrap_or(request.scheme().default_port()));
    let peer = request.connection().peer();
    let agent = request.headers().get(USER_AGENT);
    let agent = agent.map(|agent| String::from_utf8_lossy(agent.as_bytes()));
    tracing::info_span!(
        target: TARGET,
        "HTTP request",
        otel.name = Empty,
        otel.kind = "server",
        otel.status_code = Empty,
        "error.type" = Empty,
        trace_id = Empty,
        span_id = Empty,
        parent_span_id = Empty,
        http.request.method = if is_known { method.as_str() } else { "_OTHER" },
        http.request.method_original = (!is_known).then(|| method.as_str()),
        url.scheme = request.scheme().as_str(),
        url.path = &*printable(request.uri().path()),
        url.query = query.map(printable).as_deref(),
        server.address = host.map(|host| host.name()),
        server.port = port,
        client.address = request.client_address().map(display),
        network.peer.address = peer.map(|peer| display(peer.ip())),
        network.peer.port = peer.map(|peer| peer.port()),
        network.protocol.version = protocol_version(request.version()),
        user_agent.original = agent.as_deref().map(printable).as_deref(),
        http.route = Empty,
        http.response.status_code = Empty,
        http.response.body.size = Empty,
    )
}

/// Records the IDs of the trace in the span.
pub(super) fn record_context(span: &Span, context: &TraceContext) {
    span.record(
        "trace_id",
        display(format_args!("{:032x}", context.trace_id())),
    );
    span.record(
        "span_id",
        display(format_args!("{:016x}", context.span_id())),
    );
    if let Some(parent) = context.parent_id() {
        span.record("parent_span_id", display(format_args!("{parent:016x}")));
    }
}

/// Records the name that tracing systems show: the method and the route, if there is one.
pub(super) fn record_name(span: &Span, method: &Method, route: Option<&str>) {
    let method = match METHODS.contains(method) {
        true => method.as_str(),
        false => "HTTP",
    };
    match route {
        Some(route) => {
            span.record("http.route", route);
            span.record("otel.name", display(format_args!("{method} {route}")));
        }
        None => {
            span.record("otel.name", method);
        }
    }
}

/// Who is at fault, which decides the status of the span.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Blame {
    Server,
    Client,
}

pub(super) fn record_failure(span: &Span, kind: &str, fault: Blame) {
    span.record("error.type", kind);
    if fault == Blame::Server {
        span.record("otel.status_code", "ERROR");
    }
}

/// Records the status, and returns whether it makes the span fail: a server span does not fail by a client error.
pub(super) fn record_status(span: &Span, status: StatusCode) -> bool {
    span.record("http.response.status_code", status.as_u16());
    let is_failure = status.is_server_error();
    if is_failure {
        record_failure(span, status.as_str(), Blame::Server);
    }
    is_failure
}

/// Emits an event inside the span with an error and its causes, as logs should show them.
pub(super) fn record_error(span: &Span, error: &(dyn StdError + 'static)) {
    let mut text = error.to_string();
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    for cause in causes.take(MAX_CAUSES) {
        let _ = write!(text, ": {cause}");
    }
    let message = printable(&text);
    tracing::error!(target: TARGET, parent: span, { exception.message = &*message }, "request failed");
}

/// Makes text without characters that move a cursor or start a line; subscribers write it unchanged.
fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unprintable) {
        return Cow::Borrowed(text);
    }
    let escape = |all: String, character: char| match is_unprintable(character) {
        true => all + &character.escape_default().to_string(),
        false => all + character.encode_utf8(&mut [0; 4]),
    };
    Cow::Owned(text.chars().fold(String::with_capacity(text.len()), escape))
}

fn protocol_version(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    }
}
