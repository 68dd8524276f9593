//! A request from its start to the end of both bodies.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use enfilade_core::{Request, Response};

use super::Metrics;
use super::store::{MethodLabel, Series, nanoseconds};
use crate::shared::monotonic::TimerInstant;
use enfilade_core::RouteWanted;

/// A request in progress; dropping it counts it, so that it is always counted.
pub(super) struct CountedRequest {
    metrics: Arc<Metrics>,
    method: MethodLabel,
    started: TimerInstant,
    received: Option<Arc<CountedBody>>,
    series: Option<Arc<Series>>,
    bytes: u64,
}

impl CountedRequest {
    pub(super) fn begin(metrics: &Arc<Metrics>, request: &mut Request) -> CountedRequest {
        if request.extensions().get::<RouteWanted>().is_none() {
            request.extensions_mut().insert(RouteWanted);
        }
        let method = MethodLabel::of(request.method());
        metrics
            .app
            .in_flight(method)
            .fetch_add(1, Ordering::Relaxed);
        CountedRequest {
            received: CountedBody::watch(metrics, request),
            metrics: metrics.clone(),
            method,
            started: metrics.timer.start(),
            series: None,
            bytes: 0,
        }
    }

    pub(super) fn watch(mut self, mut response: Response) -> Response {
        self.series = Some(self.metrics.series(self.method, Some(&response)));
        let body = std::mem::take(response.body_mut());
        *response.body_mut() = body.on_end(move |end| {
            let mut counted = self;
            counted.bytes = end.bytes();
        });
        response
    }
}

impl Drop for CountedRequest {
    fn drop(&mut self) {
        let metrics = &self.metrics;
        let series = self.series.take();
        let series = series.unwrap_or_else(|| metrics.series(self.method, None));
        let elapsed = nanoseconds(metrics.timer.since(self.started));
        let settings = &metrics.store.settings;
        series.durations.observe(&settings.durations, elapsed);
        series.response_sizes.observe(&settings.sizes, self.bytes);
        match self.received.take() {
            // It counts itself when the request body has ended too.
            Some(received) => drop(received.series.set(series)),
            None => series.request_sizes.observe(&settings.sizes, 0),
        }
        let in_flight = metrics.app.in_flight(self.method);
        in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The bytes read from a request body; counted when the body and the response have ended.
struct CountedBody {
    metrics: Arc<Metrics>,
    bytes: AtomicU64,
    series: OnceLock<Arc<Series>>,
}

impl CountedBody {
    /// Counts the bytes of the body, if there is one.
    fn watch(metrics: &Arc<Metrics>, request: &mut Request) -> Option<Arc<CountedBody>> {
        if request.body().is_finished() {
            return None;
        }
        let received = Arc::new(CountedBody {
            metrics: metrics.clone(),
            bytes: AtomicU64::new(0),
            series: OnceLock::new(),
        });
        let report = received.clone();
        let body = request.take_body();
        *request.body_mut() =
            body.on_end(move |end| report.bytes.store(end.bytes(), Ordering::Relaxed));
        Some(received)
    }
}

impl Drop for CountedBody {
    fn drop(&mut self) {
        if let Some(series) = self.series.take() {
            let sizes = &self.metrics.store.settings.sizes;
            series.request_sizes.observe(sizes, *self.bytes.get_mut());
        }
    }
}
