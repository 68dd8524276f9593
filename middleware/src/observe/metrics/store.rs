//! The numbers by label set.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use enfilade_core::unpoisoned;

use arc_swap::ArcSwap;
use http::{Method, StatusCode};

/// The methods that are distinguished; the last one stands for all others.
pub(super) const METHODS: [&str; 10] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "other",
];

/// The classes of statuses; the last one is for requests without a response.
pub(super) const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "aborted"];

/// The route of requests that no pattern matched; patterns begin with a slash.
pub(super) const UNMATCHED: &str = "unmatched";
/// The route of requests beyond the limit of label sets.
pub(super) const OVERFLOW: &str = "overflow";

/// The index of a method in `METHODS`.
#[derive(Clone, Copy)]
pub(super) struct MethodLabel(usize);

impl MethodLabel {
    pub(super) fn of(method: &Method) -> MethodLabel {
        let others = METHODS.len() - 1;
        let known = METHODS.iter().take(others);
        let at = known.clone().position(|known| method == known);
        MethodLabel(at.unwrap_or(others))
    }
}

/// The index of a class in `CLASSES`.
#[derive(Clone, Copy)]
pub(super) struct ClassLabel(usize);

impl ClassLabel {
    pub(super) const ABORTED: ClassLabel = ClassLabel(CLASSES.len() - 1);

    /// A status above 599 counts as a server error (RFC 9110, section 15).
    pub(super) fn of(status: StatusCode) -> ClassLabel {
        ClassLabel(usize::from(status.as_u16() / 100).clamp(1, 5) - 1)
    }
}

/// The options of the numbers.
#[derive(Clone)]
pub(super) struct BucketSettings {
    /// In nanoseconds, sorted.
    pub(super) durations: Vec<u64>,
    /// In bytes, sorted.
    pub(super) sizes: Vec<u64>,
    pub(super) limit: usize,
}

/// All numbers of a [`Metrics`](super::Metrics).
pub(super) struct Store {
    pub(super) settings: BucketSettings,
    granted: AtomicUsize,
    apps: Mutex<Vec<Arc<AppCounts>>>,
}

impl Store {
    pub(super) fn new(settings: BucketSettings) -> Store {
        Store {
            settings,
            granted: AtomicUsize::new(0),
            apps: Mutex::default(),
        }
    }

    /// Returns the application with this name; creates it if necessary.
    pub(super) fn app(&self, name: &str) -> Arc<AppCounts> {
        let mut apps = unpoisoned(self.apps.lock());
        let known = apps.iter().find(|app| app.name == name).cloned();
        known.unwrap_or_else(|| {
            let app = Arc::new(AppCounts::new(name));
            apps.push(app.clone());
            app
        })
    }

    pub(super) fn apps(&self) -> Vec<Arc<AppCounts>> {
        unpoisoned(self.apps.lock()).clone()
    }

    /// Returns the numbers of these labels, or those of the overflow if there are too many label sets.
    pub(super) fn series(
        &self,
        app: &AppCounts,
        method: MethodLabel,
        class: ClassLabel,
        pattern: Option<&str>,
    ) -> Arc<Series> {
        let fresh = || Arc::new(Series::new(&self.settings));
        let Some(pattern) = pattern else {
            return app
                .unmatched
                .place(method, class)
                .get_or_init(fresh)
                .clone();
        };
        let of_pattern = || {
            let route = app.route(pattern, || self.has_room())?;
            let place = route.place(method, class);
            match place.get() {
                Some(series) => Some(series.clone()),
                None => self.grant().then(|| self.fill(place)),
            }
        };
        of_pattern().unwrap_or_else(|| app.overflow.place(method, class).get_or_init(fresh).clone())
    }

    fn has_room(&self) -> bool {
        self.granted.load(Ordering::Relaxed) < self.settings.limit
    }

    fn grant(&self) -> bool {
        let next = |granted| (granted < self.settings.limit).then_some(granted + 1);
        self.granted
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
            .is_ok()
    }

    /// Fills a slot that was granted; if another thread was faster, the grant is returned.
    fn fill(&self, place: &SeriesSlot) -> Arc<Series> {
        let fresh = Arc::new(Series::new(&self.settings));
        if place.set(fresh.clone()).is_ok() {
            return fresh;
        }
        self.granted.fetch_sub(1, Ordering::Relaxed);
        place.get().cloned().unwrap_or(fresh)
    }
}

/// The numbers of one application.
pub(super) struct AppCounts {
    pub(super) name: String,
    in_flight: [AtomicI64; METHODS.len()],
    /// Finding a route takes no lock; a new route, which is rare, copies the map.
    routes: ArcSwap<HashMap<Arc<str>, Arc<RouteSeries>>>,
    unmatched: RouteSeries,
    overflow: RouteSeries,
}

impl AppCounts {
    fn new(name: &str) -> AppCounts {
        AppCounts {
            name: name.to_owned(),
            in_flight: Default::default(),
            routes: ArcSwap::default(),
            unmatched: RouteSeries::default(),
            overflow: RouteSeries::default(),
        }
    }

    /// Returns the route of this pattern; adds it only if there is room.
    fn route(&self, pattern: &str, has_room: impl Fn() -> bool) -> Option<Arc<RouteSeries>> {
        if let Some(route) = self.routes.load().get(pattern) {
            return Some(route.clone());
        }
        if !has_room() {
            return None;
        }
        self.routes.rcu(|routes| {
            let mut routes = HashMap::clone(routes);
            routes.entry(pattern.into()).or_default();
            routes
        });
        self.routes.load().get(pattern).cloned()
    }

    pub(super) fn in_flight(&self, method: MethodLabel) -> &AtomicI64 {
        &self.in_flight[method.0]
    }

    /// Returns the number of requests in progress by method.
    pub(super) fn all_in_flight(&self) -> impl Iterator<Item = (&'static str, i64)> {
        let counts = self.in_flight.iter();
        let counts = counts.map(|count| count.load(Ordering::Relaxed));
        METHODS.into_iter().zip(counts)
    }

    /// Returns all label sets, ordered by route, method and class.
    pub(super) fn all_series(&self) -> Vec<(MethodAndClass, Arc<str>, Arc<Series>)> {
        let routes = self.routes.load();
        let mut patterns: Vec<_> = routes.iter().collect();
        patterns.sort_unstable_by_key(|(pattern, _)| *pattern);
        let patterns = patterns
            .into_iter()
            .map(|(pattern, route)| (pattern.clone(), &**route));
        let others = [(UNMATCHED, &self.unmatched), (OVERFLOW, &self.overflow)];
        let others = others.map(|(name, route)| (name.into(), route));
        let all = patterns.chain(others).flat_map(|(pattern, route)| {
            route
                .all()
                .map(move |(labels, series)| (labels, pattern.clone(), series))
        });
        all.collect()
    }
}

/// The method and the class of a label set.
pub(super) type MethodAndClass = (&'static str, &'static str);

type SeriesSlot = OnceLock<Arc<Series>>;

/// The numbers of one pattern: a slot for each method and class, filled on first use.
#[derive(Default)]
struct RouteSeries {
    places: [[SeriesSlot; CLASSES.len()]; METHODS.len()],
}

impl RouteSeries {
    /// Labels come only from the constants that define the number of slots.
    fn place(&self, method: MethodLabel, class: ClassLabel) -> &SeriesSlot {
        &self.places[method.0][class.0]
    }

    fn all(&self) -> impl Iterator<Item = (MethodAndClass, Arc<Series>)> {
        METHODS.iter().zip(&self.places).flat_map(|(method, row)| {
            let row = CLASSES.iter().zip(row);
            row.filter_map(|(class, place)| Some(((*method, *class), place.get()?.clone())))
        })
    }
}

/// The numbers of one label set.
pub(super) struct Series {
    pub(super) durations: Histogram,
    pub(super) request_sizes: Histogram,
    pub(super) response_sizes: Histogram,
}

impl Series {
    fn new(settings: &BucketSettings) -> Series {
        Series {
            durations: Histogram::new(&settings.durations),
            request_sizes: Histogram::new(&settings.sizes),
            response_sizes: Histogram::new(&settings.sizes),
        }
    }
}

/// The number of values up to each bound, and above the last one; whole numbers, so that no lock is needed.
pub(super) struct Histogram {
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    fn new(bounds: &[u64]) -> Histogram {
        Histogram {
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }
    }

    /// Counts a value; `bounds` are those that it was made with, each included in its bucket.
    pub(super) fn observe(&self, bounds: &[u64], value: u64) {
        let at = bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get(at) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Returns the sum, and the number of values in each bucket.
    pub(super) fn read(&self) -> (u64, Vec<u64>) {
        let counts = self.counts.iter();
        let counts = counts.map(|count| count.load(Ordering::Relaxed));
        (self.sum.load(Ordering::Relaxed), counts.collect())
    }

    pub(super) fn count(&self) -> u64 {
        let counts = self.counts.iter();
        counts.map(|count| count.load(Ordering::Relaxed)).sum()
    }
}

/// A duration in the unit of histograms.
pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
