//! Counts and measures requests, for Prometheus.

mod collector;
mod counted_request;
mod page;
mod plain;
mod store;

use std::fmt;
use std::sync::{Arc, RwLock};
use std::thread;
use std::time::Duration;

use enfilade_core::{
    Application, Description, Middleware, Reply, Request, Response, Wrapper, unpoisoned, wrapped,
};
use http::StatusCode;
use prometheus_client::collector::Collector;
use prometheus_client::registry::Registry;

use self::collector::StoreCollector;
use self::counted_request::CountedRequest;
use self::page::MetricsPage;
use self::store::{AppCounts, BucketSettings, ClassLabel, MethodLabel, Series, Store, nanoseconds};
use crate::shared::monotonic::Timer;
use enfilade_core::MatchedPattern;

/// The default upper bounds of the duration buckets, in milliseconds: those that OpenTelemetry recommends for
/// `http.server.request.duration`.
const DURATIONS: [u64; 14] = [
    5, 10, 25, 50, 75, 100, 250, 500, 750, 1_000, 2_500, 5_000, 7_500, 10_000,
];

/// The default upper bounds of the size buckets, in bytes.
const SIZES: [u64; 8] = [
    256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 16_777_216,
];

/// The default limit of label sets, which OpenTelemetry recommends.
const LABEL_SETS: usize = 2_000;

/// Counts and measures requests: how many, how long, how large, and how many in progress.
///
/// | | |
/// |---|---|
/// | `http_server_requests_total` | a counter |
/// | `http_server_request_duration_seconds` | a histogram: from the request to the end of the response body |
/// | `http_server_request_body_size_bytes` | a histogram: the bytes actually read |
/// | `http_server_response_body_size_bytes` | a histogram: the bytes actually sent |
/// | `http_server_active_requests` | a gauge, by method only: requests whose response body has not ended |
///
/// The names are from OpenTelemetry, in the form of Prometheus. The labels are `method`, `status` and `route`:
///
/// - `method` is one of the nine of RFC 9110 and RFC 5789, or `other`, because a client can send any method.
/// - `status` is the class, `1xx` to `5xx`, or `aborted` if the request was aborted before it had a response. A panic
///   is a `5xx`, because a gateway responds with that.
/// - `route` is the [pattern](MatchedPattern) that a [`Router`](crate::Router) inside matched, or `unmatched`. So there
///   are as many routes as patterns, whatever clients send. If there are still too many label sets, new ones are
///   counted with the route `overflow`: see [`label_sets`](Metrics::label_sets).
///
/// A request is counted when its response body has ended: sent, failed, or dropped because the client disconnected. The
/// request body is counted when both bodies have ended. So a stream of events that stays open for hours is counted
/// after hours.
///
/// Clones share the same numbers. To separate several applications see [`for_app`](Metrics::for_app).
///
/// # The page
///
/// [`application`](Metrics::application) returns the application for collectors, usually mounted at `/metrics`. It
/// responds with OpenMetrics 1.0 if the client requests that by name, as Prometheus does, and otherwise with the text
/// format 0.0.4. Your own metrics are on the same page: see [`register`](Metrics::register).
///
/// # Order
///
/// Outside everything that responds itself, also a [`NotFound`](crate::NotFound) and a
/// [`Compression`](crate::Compression), so that it counts what is really sent. Outside the router, because its response
/// has the pattern.
///
/// # Security
///
/// The page shows how a site is built and how busy it is: do not make it public. No request can create a new label
/// value.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::{Metrics, Router};
/// use enfilade::{Application, Request};
/// use enfilade_testing::Client;
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
/// let metrics = Metrics::new();
/// let app = Router::new()
///     .get("/users/{id}", |_: Request| "A user")
///     .get("/metrics", metrics.application())
///     .build()?
///     .wrap(metrics);
/// let client = Client::new(app);
/// client.get("/users/1").send();
/// client.get("/users/2").send();
/// client.get("/cellar").send();
///
/// let page = client.get("/metrics").send();
/// assert_eq!(page.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
/// let counted: Vec<_> = page.text().lines().map(str::to_owned).collect();
/// for line in [
///     r#"http_server_requests_total{method="GET",route="/users/{id}",status="2xx"} 2"#,
///     r#"http_server_requests_total{method="GET",route="unmatched",status="4xx"} 1"#,
///     r#"http_server_active_requests{method="GET"} 1"#, // the one for this page
/// ] {
///     assert!(counted.contains(&line.to_owned()), "{line}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct Metrics {
    timer: Timer,
    store: Arc<Store>,
    app: Arc<AppCounts>,
    registry: Arc<RwLock<Registry>>,
}

impl Metrics {
    /// Starts with its own numbers, all zero.
    pub fn new() -> Self {
        let store = Store::new(BucketSettings {
            durations: DURATIONS.map(|millis| millis * 1_000_000).to_vec(),
            sizes: SIZES.to_vec(),
            limit: LABEL_SETS,
        });
        Metrics {
            timer: Timer::default(),
            app: store.app(""),
            store: Arc::new(store),
            registry: Arc::default(),
        }
    }

    /// Sets the upper bounds of the duration buckets; from 5 ms to 10 s by default, as OpenTelemetry recommends.
    ///
    /// Without bounds there are only the sum and the count. This and the other options start with new numbers, so set
    /// them before you clone it.
    pub fn duration_buckets(self, bounds: impl IntoIterator<Item = Duration>) -> Self {
        let bounds = in_order(bounds.into_iter().map(nanoseconds));
        self.with(|settings| settings.durations = bounds)
    }

    /// Sets the upper bounds of the size buckets, in bytes; from 256 to 16 Mi by default.
    pub fn size_buckets(self, bounds: impl IntoIterator<Item = u64>) -> Self {
        let bounds = in_order(bounds.into_iter());
        self.with(|settings| settings.sizes = bounds)
    }

    /// Sets the maximum number of label sets; 2,000 by default, as OpenTelemetry recommends.
    ///
    /// Later ones are counted with the route `overflow`. Each label set takes about forty lines on the page.
    pub fn label_sets(self, limit: usize) -> Self {
        self.with(|settings| settings.limit = limit)
    }

    /// Sets the timer, which returns the time since any moment and must not run backward.
    ///
    /// By default it is the system's monotonic clock; tests use a fixed one.
    pub fn timer(mut self, elapsed: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.timer = Timer::new(elapsed);
        self
    }

    /// Returns metrics for another application, with a label `app`; both are on the same page.
    ///
    /// All applications share the limit of label sets. Calls with the same name share the same numbers.
    ///
    /// ```
    /// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
    /// use enfilade::middleware::Metrics;
    /// use enfilade::{Application, Request};
    /// use enfilade_testing::Client;
    ///
    /// let metrics = Metrics::new();
    /// let shop = Application::new(|_: Request| "Shop").wrap(metrics.for_app("shop"));
    /// Client::new(shop).get("/").send();
    /// let page = Client::new(metrics.application()).get("/").send();
    /// let line = r#"http_server_requests_total{app="shop",method="GET",route="unmatched",status="2xx"} 1"#;
    /// assert!(page.text().contains(line));
    /// ```
    pub fn for_app(&self, name: &str) -> Metrics {
        Metrics {
            app: self.store.app(name),
            ..self.clone()
        }
    }

    /// Registers your own metrics, which are then on the page too.
    ///
    /// Names that begin with `http_server_` are reserved. `prometheus-client` is a public dependency only here and in
    /// [`collector`](Metrics::collector).
    ///
    /// ```
    /// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
    /// use enfilade::middleware::Metrics;
    /// use enfilade_testing::Client;
    /// use prometheus_client::metrics::counter::Counter;
    ///
    /// let metrics = Metrics::new();
    /// let orders: Counter = Counter::default();
    /// metrics.register(|registry| registry.register("orders", "Orders taken", orders.clone()));
    /// orders.inc();
    /// let page = Client::new(metrics.application()).get("/").send();
    /// assert!(page.text().ends_with("# TYPE orders_total counter\norders_total 1\n"));
    /// ```
    pub fn register(&self, register: impl FnOnce(&mut Registry)) {
        let mut registry = unpoisoned(self.registry.write());
        register(&mut registry);
    }

    /// Returns a collector of these numbers, for your own registry that already has a page.
    ///
    /// It has all applications, but not the metrics that were [registered](Metrics::register) here.
    ///
    /// ```
    /// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
    /// use enfilade::middleware::Metrics;
    /// use prometheus_client::registry::Registry;
    ///
    /// let metrics = Metrics::new();
    /// let mut registry = Registry::with_prefix("shop");
    /// registry.register_collector(metrics.collector());
    /// let mut page = String::new();
    /// prometheus_client::encoding::text::encode(&mut page, &registry).unwrap();
    /// assert!(page.contains("shop_http_server_active_requests"));
    /// ```
    #[must_use]
    pub fn collector(&self) -> Box<dyn Collector> {
        Box::new(StoreCollector(self.store.clone()))
    }

    /// Returns the application for collectors, which responds to GET and HEAD at any path.
    ///
    /// If it is inside this wrapper, it counts its own requests too.
    #[must_use]
    pub fn application(&self) -> Application {
        Application::from_handler(MetricsPage {
            store: self.store.clone(),
            registry: self.registry.clone(),
        })
    }

    fn with(mut self, change: impl FnOnce(&mut BucketSettings)) -> Self {
        let mut settings = self.store.settings.clone();
        change(&mut settings);
        self.store = Arc::new(Store::new(settings));
        self.app = self.store.app(&self.app.name);
        self
    }

    /// The numbers of a response, or of a request without one.
    fn series(&self, method: MethodLabel, response: Option<&Response>) -> Arc<Series> {
        let pattern = response.and_then(|response| response.extensions().get::<MatchedPattern>());
        let class = match response {
            Some(response) => ClassLabel::of(response.status()),
            None if thread::panicking() => ClassLabel::of(StatusCode::INTERNAL_SERVER_ERROR),
            None => ClassLabel::ABORTED,
        };
        let pattern = pattern.map(MatchedPattern::as_str);
        self.store.series(&self.app, method, class, pattern)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("app", &self.app.name)
            .finish_non_exhaustive()
    }
}

impl Middleware for Metrics {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl Wrapper for Metrics {
    fn call(self: &Arc<Self>, inner: &Application, mut request: Request) -> Reply {
        let counted = CountedRequest::begin(self, &mut request);
        inner
            .call(request)
            .map(move |response| counted.watch(response))
    }

    fn describe(&self) -> Description {
        let name = Some(&self.app.name).filter(|name| !name.is_empty());
        let description = Description::new("Metrics");
        match name {
            Some(name) => description.option("app", name),
            None => description,
        }
    }
}

fn in_order(bounds: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut bounds: Vec<_> = bounds.collect();
    bounds.sort_unstable();
    bounds.dedup();
    bounds
}

#[cfg(test)]
mod tests;
