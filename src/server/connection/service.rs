//! The application, as hyper calls it.

use std::sync::Arc;

use enfilade_core::{Application, Body, Connection, HttpError, Request, gateway};
use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderValue, Method, StatusCode, Version};
use hyper::body::{Body as _, Incoming};

use crate::server::connection::activity::Activity;
use crate::server::connection::framing::MessageBody;
use crate::server::connection::limits::Limits;
use crate::server::connection::malformed::{MalformedStream, is_malformed};
use crate::server::connection::prepared::ClientSupport;
use crate::server::connection::request_body::RequestBody;
use crate::server::connection::response_future::{MalformedRequest, ResponseFuture, ServerBody};
#[cfg(feature = "http2")]
use crate::server::connection::stream_upgrade::{StreamUpgrade, UpgradeContext};
use crate::server::refusal::{Refusal, RefusalHooks};
use crate::upgraded::OfferedUpgrade;

/// The application, as hyper calls it.
pub(super) struct Service {
    pub(super) app: Application,
    pub(super) connection: Connection,
    pub(super) limits: Limits,
    pub(super) refusals: RefusalHooks,
    pub(super) activity: Arc<Activity>,
    /// Over HTTP/2.
    #[cfg(feature = "http2")]
    pub(super) upgrades: Option<UpgradeContext>,
}

impl hyper::service::Service<http::Request<Incoming>> for Service {
    type Response = http::Response<ServerBody>;
    type Error = MalformedStream;
    type Future = ResponseFuture;

    fn call(&self, request: http::Request<Incoming>) -> ResponseFuture {
        let (mut parts, body) = request.into_parts();
        let in_flight = self.activity.begin(match body.is_end_stream() {
            true => MessageBody::Known(0),
            false => body
                .size_hint()
                .exact()
                .map_or(MessageBody::Chunked, MessageBody::Known),
        });
        let client = ClientSupport::new(&parts.method, parts.version, &parts.headers);
        if is_malformed(&parts) {
            self.refuse(None, "the HTTP/2 request is malformed");
            return ResponseFuture::new(Err(MalformedRequest), client, in_flight);
        }
        // In HTTP/1 hyper has counted them.
        let has_too_many =
            parts.version == Version::HTTP_2 && parts.headers.len() > self.limits.max_headers;
        name_host(&mut parts);
        let upgrade = OfferedUpgrade::of(&mut parts);
        let body = match body.is_end_stream() {
            true => Body::empty(),
            false => Body::new(RequestBody::new(
                body,
                self.limits.pace,
                self.activity.read(),
            )),
        };
        let request = Request::from_parts(parts, body, self.connection.clone());
        let version = request.version();
        let response_future = match *request.method() {
            // hyper takes a successful response as the start of a tunnel, and would close without a response.
            Method::CONNECT if !upgrade.is_connect() => {
                self.refuse_all(request, StatusCode::NOT_IMPLEMENTED, "CONNECT")
            }
            _ if has_too_many => {
                let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
                self.refuse_all(request, status, "too many headers")
            }
            _ => gateway::respond_upgradable(&self.app, request, upgrade.upgradable()),
        };
        if let Some(error) = response_future.refusal() {
            self.refuse(Some(error.status()), "HTTP does not allow the request");
        }
        // Over HTTP/1 hyper writes it without a header of its own.
        let response_future = match version {
            Version::HTTP_2 => response_future,
            _ => response_future.omit_length(),
        };
        let response_future = ResponseFuture::new(Ok(response_future), client, in_flight);
        #[cfg(feature = "http2")]
        if let (Some(stream), Some(context)) = (upgrade.into_inner(), &self.upgrades) {
            let context = context.clone();
            return response_future.with_upgrade(StreamUpgrade { stream, context });
        }
        response_future
    }
}

impl Service {
    fn refuse(&self, status: Option<StatusCode>, reason: &'static str) {
        let peer = self.connection.peer();
        self.refusals.report(&Refusal::new(peer, status, reason));
    }

    /// The response to a request that does not reach the application: an origin server need not support CONNECT (RFC
    /// 9110, section 9.3.6), and there may be more headers than [`Limits::max_headers`].
    fn refuse_all(
        &self,
        request: Request,
        status: StatusCode,
        reason: &'static str,
    ) -> gateway::ResponseFuture {
        let app = Application::new(move |_: Request| HttpError::new(status));
        let response_future = gateway::respond(&app, request);
        if response_future.refusal().is_none() {
            self.refuse(Some(status), reason);
        }
        response_future
    }
}

/// Copies HTTP/2's `:authority` to `Host` (RFC 9113, section 8.3.1), where applications look for it, as with WSGI's
/// `HTTP_HOST`.
fn name_host(parts: &mut Parts) {
    if parts.version != Version::HTTP_2 || parts.headers.contains_key(HOST) {
        return;
    }
    let authority = parts.uri.authority().map(Authority::as_str);
    if let Some(Ok(host)) = authority.map(HeaderValue::from_str) {
        parts.headers.insert(HOST, host);
    }
}
