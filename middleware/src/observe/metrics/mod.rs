//! Counts requests and measures them, for Prometheus.

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

/// Up to how many milliseconds each bucket of the durations goes, unless an option says otherwise: those that
/// OpenTelemetry advises for `http.server.request.duration`.
const DURATIONS: [u64; 14] = [
    5, 10, 25, 50, 75, 100, 250, 500, 750, 1_000, 2_500, 5_000, 7_500, 10_000,
];

/// Up to how many bytes each bucket of the sizes goes, unless an option says otherwise.
const SIZES: [u64; 8] = [
    256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 16_777_216,
];

/// How many label sets there may be, unless an option says otherwise: what OpenTelemetry advises.
const LABEL_SETS: usize = 2_000;

/// Counts requests and measures them: how many, how long, how large, and how many are in flight.
///
/// | | |
/// |---|---|
/// | `http_server_requests_total` | a counter |
/// | `http_server_request_duration_seconds` | a histogram: from the request to the end of the answer's body |
/// | `http_server_request_body_size_bytes` | a histogram: what was really read of it |
/// | `http_server_response_body_size_bytes` | a histogram: what was really sent of it |
/// | `http_server_active_requests` | a gauge, by method only: requests whose answer's body has not ended |
///
/// The names are those of OpenTelemetry, as Prometheus writes them. Labels are `method`, `status` and `route`:
///
/// - `method` is one of the nine of RFC 9110 and RFC 5789, or `other`, as a client can send any.
/// - `status` is the class, `1xx` to `5xx`, or `aborted` where the request was given up before it had an answer. A panic
///   is a `5xx`, which is what a gateway then answers.
/// - `route` is the [pattern](MatchedPattern) that a [`Router`](crate::Router) inside matched, or `unmatched`. So there
///   are as many as patterns, whatever clients ask for. Where there are too many label sets all the same, what is new is
///   counted under the route `overflow`: see [`label_sets`](Metrics::label_sets).
///
/// A request is counted when the body of its answer has ended, whether it was sent, failed, or was dropped because the
/// client had gone; the body of a request is counted when both have ended. A stream of events that stays open for hours
/// takes hours, then.
///
/// Clones count into the same numbers. For several applications whose numbers are to be told apart see
/// [`for_app`](Metrics::for_app).
///
/// # The page
///
/// [`application`](Metrics::application) gives the application that collectors ask, usually at `/metrics`. It answers in
/// OpenMetrics 1.0 where the client asks for that by name, as Prometheus does, and in the text format 0.0.4 otherwise.
/// Metrics of one's own are on the same page: see [`register`](Metrics::register).
///
/// # Order
///
/// Outside whatever answers itself, a [`NotFound`](crate::NotFound) and a [`Compression`](crate::Compression) too, so that
/// what is really sent is counted; outside the router, as the pattern is on its answer.
///
/// # Security
///
/// The page tells how a site is built and how busy it is: do not show it to the public. Nothing that a client sends makes
/// a new label.
///
/// # Example
///
/// ```
/// use enfilade_core::{Application, Request};
/// use enfilade_middleware::{Metrics, Router};
/// use enfilade_testing::Client;
///
/// # fn main() -> Result<(), enfilade_middleware::Error> {
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
    /// Numbers of their own, all zero.
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

    /// Sets up to where each bucket of the durations goes; from 5 ms to 10 s by default, as OpenTelemetry advises.
    ///
    /// With none there are the sum and the number alone. This and the other options begin with new numbers, so they are
    /// for one that has no clones yet.
    pub fn duration_buckets(self, bounds: impl IntoIterator<Item = Duration>) -> Self {
        let bounds = in_order(bounds.into_iter().map(nanoseconds));
        self.with(|settings| settings.durations = bounds)
    }

    /// Sets up to how many bytes each bucket of the sizes goes; from 256 to 16 Mi by default.
    pub fn size_buckets(self, bounds: impl IntoIterator<Item = u64>) -> Self {
        let bounds = in_order(bounds.into_iter());
        self.with(|settings| settings.sizes = bounds)
    }

    /// How many label sets patterns may make; 2,000 by default, as OpenTelemetry advises.
    ///
    /// What comes after them is counted under the route `overflow`. Each takes about forty lines on the page.
    pub fn label_sets(self, limit: usize) -> Self {
        self.with(|settings| settings.limit = limit)
    }

    /// Sets the timer: it returns the time since any moment and must not run backward.
    ///
    /// By default it is the system's monotonic clock; tests fix it.
    pub fn timer(mut self, elapsed: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.timer = Timer::new(elapsed);
        self
    }

    /// The same numbers for another application, told apart by a label `app`.
    ///
    /// All of them are on one page, and share the number of label sets; those of one name are the same.
    ///
    /// ```
    /// use enfilade_core::{Application, Request};
    /// use enfilade_middleware::Metrics;
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

    /// Registers metrics of one's own, which are then on the page too.
    ///
    /// Names that begin with `http_server_` are taken. `prometheus-client` shows here and in
    /// [`collector`](Metrics::collector), and nowhere else.
    ///
    /// ```
    /// use enfilade_middleware::Metrics;
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

    /// These numbers for a registry of one's own, which has a page already.
    ///
    /// It has all applications; what was [registered](Metrics::register) here is not in it.
    ///
    /// ```
    /// use enfilade_middleware::Metrics;
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

    /// The application that collectors ask; it answers GET and HEAD at whatever path it is put.
    ///
    /// Wrapped by what it shows, it counts itself.
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

    /// The numbers of an answer, or of a request that had none.
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
