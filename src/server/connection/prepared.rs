//! A response, prepared for hyper.

use std::task::{Context, Poll};

use enfilade_core::headers::{content_length, has_token};
use enfilade_core::{HttpError, IntoResponse, RequestIdValue, Response};
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TE, TRAILER};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};

use crate::server::connection::date;
use crate::server::connection::piece::Piece;
use crate::server::connection::response_body::{PIECE, ResponseBody, Watch};

/// What the client supports, according to its request.
#[derive(Clone, Copy, Debug)]
pub struct ClientSupport {
    pub(super) version: Version,
    trailers: bool,
    /// Whether bytes after the request may belong to another protocol.
    is_connect: bool,
}

impl ClientSupport {
    /// Reads it from a head.
    #[must_use]
    pub fn new(method: &Method, version: Version, headers: &HeaderMap) -> ClientSupport {
        ClientSupport {
            version,
            trailers: version == Version::HTTP_11 && has_token(headers, &TE, "trailers"),
            is_connect: method == Method::CONNECT,
        }
    }
}

/// Passes information to hyper that it does not see by itself.
///
/// `is_last` is whether the connection closes after it.
pub fn prepare_for_hyper<W: Watch>(
    mut response: Response,
    client: ClientSupport,
    watch: Option<W>,
    is_last: bool,
    context: &mut Context<'_>,
) -> http::Response<ResponseBody<W>> {
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
                if let Some(watch) = &watch {
                    watch.fails(&error, response.extensions().get());
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
        ResponseBody::new(body, client.version, watch)
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
