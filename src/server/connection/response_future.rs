//! One response, on its way from the application to hyper.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use enfilade_core::{BodyError, RequestIdValue, Response, gateway};
use http::header::DATE;

use crate::server::connection::activity::InFlight;
use crate::server::connection::date;
use crate::server::connection::malformed::MalformedStream;
use crate::server::connection::pending_upgrade::PendingUpgrade;
use crate::server::connection::prepared::{ClientSupport, prepare_for_hyper};
use crate::server::connection::response_body::{ResponseBody, Watch};
#[cfg(feature = "http2")]
use crate::server::connection::stream_upgrade::StreamUpgrade;

/// The body of a response of this server.
pub(super) type ServerBody = ResponseBody<InFlight>;

impl Watch for InFlight {
    fn fails(&self, error: &BodyError, id: Option<&RequestIdValue>) {
        self.failures().body_failed(error, id);
    }

    fn breaks_off(&self) {
        self.activity().break_off();
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
    ) -> http::Response<ServerBody> {
        let upgrade = response
            .body_mut()
            .take_upgrade()
            .map(|task| PendingUpgrade {
                task,
                request_id: response.extensions_mut().remove(),
            });
        let mut response = response.map(|body| ServerBody::new(body, self.client.version, None));
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
    type Output = Result<http::Response<ServerBody>, MalformedStream>;

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
        let is_last = in_flight
            .as_ref()
            .is_some_and(|in_flight| in_flight.activity().is_finishing());
        Poll::Ready(Ok(prepare_for_hyper(
            response, client, in_flight, is_last, context,
        )))
    }
}
