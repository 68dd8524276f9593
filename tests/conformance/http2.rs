//! Over a real socket as HTTP/2, by prior knowledge.
//!
//! The client is `h2`, which rejects responses that HTTP/2 does not allow: connection-specific headers, a body of
//! another length than announced.

use std::future::poll_fn;

use bytes::Bytes;
use enfilade::Application;
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use http::uri::Authority;
use http::{HeaderName, HeaderValue, Request, Uri, Version};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use crate::apps;
use crate::observed::{Log, ObservedResponse, Recorder};
use crate::request::Wanted;
use crate::server::{self, PATIENCE, Running};
use crate::transport::{Pending, Session, Transport, mentions};
use crate::verdict::{Check, fail, unsupported};

pub(crate) const TRANSPORT: Transport = Transport {
    name: "HTTP/2",
    protocol: "HTTP/2.0",
    open,
    cannot: &[
        (
            |said| said.any_request(|request| request.version != Version::HTTP_11),
            "it is about HTTP/1.0",
        ),
        (
            |said| said.any_app(|app| app["status"] == 101),
            "there is no 101 (RFC 9113, section 8.6)",
        ),
        (
            |said| said.any_request(has_connection_headers),
            "the request has connection-specific headers (RFC 9113, section 8.2.2)",
        ),
        (
            |said| said.any_request(|request| Uri::try_from(&request.target).is_err()),
            "the client's type takes no such target",
        ),
        (
            |said| said.any_request(has_two_authorities),
            "the target has one authority and Host another (RFC 9113, section 8.3.1)",
        ),
        (
            |said| said.any_request(has_padded_values),
            "a value begins or ends with white space (RFC 9113, section 8.2.1)",
        ),
        (
            |said| said.any_request(|request| !says_its_length(request)),
            "the length that is said is not that of the body (RFC 9113, section 8.1.1)",
        ),
        (
            |said| said.is_incremental_at_once(),
            "a source that is ready at once has ended before the client looks",
        ),
        (
            |said| mentions(said.case, "interim_100"),
            "hyper sends no 100 over HTTP/2",
        ),
    ],
};

fn has_connection_headers(wanted: &Wanted) -> bool {
    const NAMES: [&str; 5] = [
        "connection",
        "keep-alive",
        "proxy-connection",
        "transfer-encoding",
        "upgrade",
    ];
    let is_other = |(name, value): &(String, String)| {
        name.eq_ignore_ascii_case("te") && !value.eq_ignore_ascii_case("trailers")
    };
    NAMES.iter().any(|name| wanted.has(name)) || wanted.headers.iter().any(is_other)
}

fn has_two_authorities(wanted: &Wanted) -> bool {
    let target = Uri::try_from(&wanted.target).ok();
    let authority = target.as_ref().and_then(Uri::authority);
    let hosts = wanted.values("host");
    authority.is_some_and(|authority| hosts.iter().any(|host| *host != authority.as_str()))
}

/// Whether a `Content-Length`, if there is one, is the length of the content.
fn says_its_length(wanted: &Wanted) -> bool {
    let length: usize = wanted.content.parts().map(|part| part.len()).sum();
    let mut said = wanted.headers.iter();
    said.all(|(name, value)| {
        !name.eq_ignore_ascii_case("content-length") || value.parse().ok() == Some(length)
    })
}

fn has_padded_values(wanted: &Wanted) -> bool {
    let space = [' ', '\t'];
    let is_padded = |value: &String| value.starts_with(space) || value.ends_with(space);
    wanted.headers.iter().any(|(_, value)| is_padded(value))
}

/// A server and one connection to it.
struct Http2 {
    recorder: Recorder,
    client: SendRequest<Bytes>,
    server: Running,
    runtime: Runtime,
}

fn open(app: Application, recorder: &Recorder) -> Check<Box<dyn Session>> {
    let server = server::serve(app)?;
    // The connection runs between requests, so it has a thread.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .or_else(|error| fail(format!("the client: {error}")))?;
    let client = runtime.block_on(async {
        let stream = TcpStream::connect(server.address).await;
        let stream = stream.or_else(|error| fail(format!("connecting: {error}")))?;
        // A connection without the option is slower.
        let _ = stream.set_nodelay(true);
        let (client, connection) = h2::client::handshake(stream).await.or_else(broken)?;
        tokio::spawn(connection);
        Ok(client)
    })?;
    Ok(Box::new(Http2 {
        recorder: recorder.clone(),
        client,
        server,
        runtime,
    }))
}

impl Session for Http2 {
    fn send(&mut self, wanted: &Wanted) -> Check<ObservedResponse> {
        let exchange = in_time(self.client.clone(), wanted.clone(), self.recorder.clone());
        self.runtime.block_on(exchange)
    }

    fn start(&mut self, wanted: &Wanted) -> Check<Pending> {
        let exchange = in_time(self.client.clone(), wanted.clone(), self.recorder.clone());
        let runtime = self.runtime.handle().clone();
        Pending::in_thread(move || runtime.block_on(exchange))
    }

    /// All requests go over the same connection.
    fn send_after(&mut self, wanted: &Wanted) -> Check<Option<ObservedResponse>> {
        self.send(wanted).map(Some)
    }

    fn panics(&self) -> Log {
        self.server.panics.clone()
    }
}

fn broken<T>(error: h2::Error) -> Check<T> {
    fail(format!("the server sent no response: {error}"))
}

async fn in_time(
    client: SendRequest<Bytes>,
    wanted: Wanted,
    recorder: Recorder,
) -> Check<ObservedResponse> {
    let exchange = exchange(client, &wanted, &recorder);
    let response = tokio::time::timeout(PATIENCE, exchange).await;
    response.unwrap_or_else(|_| fail("the server sent no complete response"))
}

async fn exchange(
    client: SendRequest<Bytes>,
    wanted: &Wanted,
    recorder: &Recorder,
) -> Check<ObservedResponse> {
    let request = head(wanted)?;
    let mut client = client.ready().await.or_else(broken)?;
    let is_empty = wanted.content.is_empty();
    let (response, stream) = client.send_request(request, is_empty).or_else(broken)?;
    if !is_empty {
        // A server may respond before it has read the content.
        let parts = wanted.content.parts();
        tokio::spawn(send_content(stream, parts));
    }
    let (head, body) = response.await.or_else(broken)?.into_parts();
    let mut response = ObservedResponse {
        status: head.status.as_u16(),
        headers: apps::list(&head.headers),
        ..ObservedResponse::default()
    };
    read(body, wanted.abort, &mut response, recorder).await;
    Ok(response)
}

/// Returns the fields of a request; adds a length if it is known and absent.
fn head(wanted: &Wanted) -> Check<Request<()>> {
    let target = Uri::try_from(&wanted.target).or_else(wrong)?;
    let mut request = Request::new(());
    *request.method_mut() = wanted.method.clone();
    let authority = authority(wanted, &target);
    let names_host = authority.is_none();
    *request.uri_mut() = match authority {
        None => {
            // `h2` sends no `:authority` only in this way.
            *request.version_mut() = Version::HTTP_11;
            target
        }
        Some(authority) => {
            let path = target.path_and_query().map_or("/", |path| path.as_str());
            let uri = Uri::builder().scheme(wanted.scheme.as_str());
            let uri = uri.authority(authority).path_and_query(path).build();
            *request.version_mut() = Version::HTTP_2;
            uri.or_else(wrong)?
        }
    };
    let content = &wanted.content;
    if content.is_sized() && !content.is_empty() && !wanted.has("content-length") {
        let length: usize = content.parts().map(|part| part.len()).sum();
        request
            .headers_mut()
            .insert("content-length", length.into());
    }
    for (name, value) in &wanted.headers {
        if names_host || !name.eq_ignore_ascii_case("host") {
            let name = HeaderName::try_from(name).or_else(wrong)?;
            let value = HeaderValue::from_bytes(&wanted.bytes(value));
            let value = value.or_else(wrong)?;
            request.headers_mut().append(name, value);
        }
    }
    Ok(request)
}

fn wrong<T>(error: impl std::fmt::Display) -> Check<T> {
    unsupported(format!("the request in HTTP/2: {error}"))
}

/// Returns the `:authority` that clients send (RFC 9113, section 8.3.1); a `Host` that is not one stays a field.
fn authority(wanted: &Wanted, target: &Uri) -> Option<Authority> {
    if let Some(authority) = target.authority() {
        return Some(authority.clone());
    }
    match wanted.values("host")[..] {
        [] => Some(Authority::from_static("localhost")),
        [host] => Authority::try_from(host).ok(),
        _ => None,
    }
}

async fn send_content(
    mut stream: SendStream<Bytes>,
    parts: impl Iterator<Item = Bytes>,
) -> Result<(), h2::Error> {
    for mut part in parts {
        while !part.is_empty() {
            stream.reserve_capacity(part.len());
            let Some(capacity) = poll_fn(|context| stream.poll_capacity(context)).await else {
                return Ok(());
            };
            let length = capacity?.min(part.len());
            stream.send_data(part.split_to(length), false)?;
        }
    }
    stream.send_data(Bytes::new(), true)
}

/// Reads the response to its end, or to its first bytes and resets it.
async fn read(
    mut body: RecvStream,
    abort: bool,
    response: &mut ObservedResponse,
    recorder: &Recorder,
) {
    while let Some(data) = body.data().await {
        match data {
            Ok(data) => {
                let _ = body.flow_control().release_capacity(data.len());
                if response.body.is_empty() {
                    response.first_before_end = recorder.lock().sources_ended == 0;
                }
                response.body.extend_from_slice(&data);
            }
            Err(error) => {
                response.broken = Some(error.to_string());
                return;
            }
        }
        if abort {
            // The stream is dropped, so `h2` resets it.
            return;
        }
    }
    match body.trailers().await {
        Ok(Some(trailers)) => response.trailers = apps::list(&trailers),
        Ok(None) => {}
        Err(error) => response.broken = Some(error.to_string()),
    }
}
