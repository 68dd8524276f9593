//! One response, on its way from the application to hyper.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use enfilade_core::headers::{content_length, has_token};
use enfilade_core::{HttpError, IntoResponse, RequestIdValue, Response, gateway};
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TE, TRAILER};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};

use crate::server::connection::activity::InFlight;
use crate::server::connection::date;
use crate::server::connection::malformed::MalformedStream;
use crate::server::connection::pending_upgrade::PendingUpgrade;
use crate::server::connection::piece::Piece;
use crate::server::connection::response_body::{PIECE, ResponseBody};
#[cfg(feature = "http2")]
use crate::server::connection::stream_upgrade::StreamUpgrade;

/// What the client supports, according to its request.
#[derive(Clone, Copy)]
pub(super) struct ClientSupport {
    version: Version,
    trailers: bool,
    /// Whether bytes after the request may belong to another protocol.
    is_connect: bool,
}

impl ClientSupport {
    pub(super) fn new(method: &Method, version: Version, headers: &HeaderMap) -> ClientSupport {
        ClientSupport {
            version,
            trailers: version == Version::HTTP_11 && has_token(headers, &TE, "trailers"),
            is_connect: method == Method::CONNECT,
        }
    }
}

/// The gateway's response, or the reset of a malformed HTTP/2 request.
pub(super) struct ResponseFuture {
    response_future: Result<gateway::ResponseFuture, MalformedRequest>,
    client: ClientSupport,
    in_flight: Option<InFlight>,
    #[cfg(feature = "http2")]
    upgrade: Option<Box<StreamUpgrade>>,
}

/// A request without a response.
pub(super) struct MalformedRequest;

impl ResponseFuture {
    pub(super) fn new(
        response_future: Result<gateway::ResponseFuture, MalformedRequest>,
        client: ClientSupport,
        in_flight: InFlight,
    ) -> ResponseFuture {
        ResponseFuture {
            response_future,
            client,
            in_flight: Some(in_flight),
            #[cfg(feature = "http2")]
            upgrade: None,
        }
    }

    /// Sets the way to pass on the stream.
    #[cfg(feature = "http2")]
    pub(super) fn with_upgrade(mut self, upgrade: StreamUpgrade) -> ResponseFuture {
        self.upgrade = Some(Box::new(upgrade));
        self
    }

    /// Makes sure that the task of an upgrade runs, and returns the head, which is sent first.
    fn upgrade(
        &mut self,
        mut response: Response,
        in_flight: Option<InFlight>,
    ) -> http::Response<ResponseBody> {
        let upgrade = response
            .body_mut()
            .take_upgrade()
            .map(|task| PendingUpgrade {
                task,
                request_id: response.extensions_mut().remove(),
            });
        let mut response = response.map(|body| ResponseBody::new(body, self.client.version, None));
        if let Some(date) = date::correction() {
            response.headers_mut().entry(DATE).or_insert(date);
        }
        if let (Some(upgrade), Some(in_flight)) = (upgrade, in_flight) {
            #[cfg(feature = "http2")]
            if let Some(stream) = self.upgrade.take() {
                stream.start(upgrade, in_flight);
                return response;
            }
            in_flight.activity().upgrade(upgrade);
        }
        response
    }
}

impl Future for ResponseFuture {
    type Output = Result<http::Response<ResponseBody>, MalformedStream>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let client = self.client;
        let Ok(response_future) = &mut self.response_future else {
            return Poll::Ready(Err(MalformedStream::new()));
        };
        let response = ready!(Pin::new(&mut *response_future).poll(context));
        let has_panicked = response_future.has_panicked();
        let in_flight = self.in_flight.take();
        if let (true, Some(in_flight)) = (has_panicked, &in_flight) {
            in_flight.failures().panicked(response.extensions().get());
        } else if let Some(in_flight) = &in_flight {
            in_flight.failures().look_at(&response);
        }
        if response.body().is_upgrade() {
            return Poll::Ready(Ok(self.upgrade(response, in_flight)));
        }
        Poll::Ready(Ok(prepare_for_hyper(response, client, in_flight, context)))
    }
}

/// Passes information to hyper that it does not see by itself.
fn prepare_for_hyper(
    mut response: Response,
    client: ClientSupport,
    in_flight: Option<InFlight>,
    context: &mut Context<'_>,
) -> http::Response<ResponseBody> {
    let mut first = None;
    let limit = match client.version {
        Version::HTTP_2 => Piece::limit(),
        _ => PIECE,
    };
    if let Some(length) = length_of_stream(&response)
        && let Poll::Ready(frame) = response.body_mut().poll_piece(context, limit)
    {
        // If the length is known to differ before the head is sent, the response can be replaced.
        let has = |count: usize| failed(format!("the body has {count} bytes instead of {length}"));
        match frame {
            Some(Ok(frame)) => match frame.data_ref().map_or(0, bytes::Bytes::len) {
                count if count as u64 > length => response = has(count),
                _ => first = Some(frame),
            },
            Some(Err(error)) => {
                if let Some(in_flight) = &in_flight {
                    let id = response.extensions().get();
                    in_flight.failures().body_failed(&error, id);
                }
                response = failed(error);
            }
            None if length > 0 => response = has(0),
            None => {}
        }
    }
    if let Some(date) = date::correction() {
        response.headers_mut().entry(DATE).or_insert(date);
    }
    let is_last = in_flight
        .as_ref()
        .is_some_and(|in_flight| in_flight.activity().is_finishing());
    if client.version != Version::HTTP_2 && (client.is_connect || is_last) {
        // After CONNECT, data for the tunnel may have been sent ahead; it must not be read as a request (RFC 9931).
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    if client.version == Version::HTTP_10 && ends_connection(&response) {
        // For a response in its own version, hyper does not declare that the connection is kept, as it would for a
        // client that requested it.
        *response.version_mut() = Version::HTTP_10;
    }
    let is_stream = response.body().as_bytes().is_none();
    let request_id = is_stream
        .then(|| response.extensions_mut().remove::<RequestIdValue>())
        .flatten();
    let has_trailers = client.trailers && is_stream && response.headers().contains_key(TRAILER);
    let length = is_stream
        .then(|| content_length(response.headers()))
        .flatten();
    if has_trailers {
        // Trailers only follow chunks (RFC 9112, section 7.1.2), and hyper sends no chunks if it knows the length.
        response.headers_mut().remove(CONTENT_LENGTH);
    }
    response.map(|body| {
        ResponseBody::new(body, client.version, in_flight)
            .with_first(first)
            .with_request_id(request_id)
            .with_length(length)
            .measured(!has_trailers)
    })
}

/// The `Content-Length` of a body whose real length may differ.
fn length_of_stream(response: &Response) -> Option<u64> {
    if response.body().is_in_memory() || response.body().is_finished() {
        return None;
    }
    content_length(response.headers())
}

fn failed(cause: impl Into<enfilade_core::BoxError>) -> Response {
    HttpError::new(StatusCode::INTERNAL_SERVER_ERROR)
        .caused_by(cause)
        .into_response()
}

/// Whether an HTTP/1.0 connection ends with this response: without a length, its end is the end of the content (RFC
/// 9112, section 6.3).
fn ends_connection(response: &Response) -> bool {
    let headers = response.headers();
    let is_measured =
        headers.contains_key(CONTENT_LENGTH) || response.body().known_length().is_some();
    headers.contains_key(CONNECTION) || !is_measured
}
