//! The measurements of each component.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use enfilade_core::{Description, Outcome, unpoisoned};
use hdrhistogram::Histogram;

/// The longest time that is recorded, in nanoseconds: a minute. Longer times count as that.
const LONGEST: u64 = 60_000_000_000;
/// Times are recorded with a precision of two digits.
const DIGITS: u8 = 2;

/// All components, in the order of the tree, as long as their stack exists.
#[derive(Default)]
pub(super) struct ComponentTable(Mutex<LiveComponents>);

#[derive(Default)]
struct LiveComponents {
    components: Vec<Weak<ProfiledComponent>>,
    /// The number of all components so far.
    count: usize,
}

/// One component, and its measurements.
pub(super) struct ProfiledComponent {
    pub(super) number: usize,
    pub(super) parent: Option<usize>,
    pub(super) depth: usize,
    /// When it is called; empty if always.
    pub(super) label: String,
    pub(super) name: String,
    pub(super) options: Vec<(String, String)>,
    in_flight: AtomicU64,
    totals: Mutex<ComponentTotals>,
}

/// The measurements of calls that have ended.
#[derive(Clone)]
pub(super) struct ComponentTotals {
    /// The time of each call itself, in nanoseconds.
    pub(super) times: Histogram<u64>,
    pub(super) calls: u64,
    /// The sum of the times, in nanoseconds.
    pub(super) total: u64,
    pub(super) bytes: u64,
    /// Calls by status; 0 stands for calls that were aborted before there was a response.
    pub(super) statuses: BTreeMap<u16, u64>,
    pub(super) failed: u64,
    pub(super) dropped: u64,
}

/// A call that has ended.
pub(super) struct EndedCall {
    pub(super) nanoseconds: u64,
    pub(super) status: u16,
    pub(super) bytes: u64,
    pub(super) outcome: Outcome,
}

impl ComponentTable {
    pub(super) fn add(
        &self,
        tree: &Description,
        label: &str,
        parent: Option<&Arc<ProfiledComponent>>,
    ) -> Arc<ProfiledComponent> {
        let mut known = lock(&self.0);
        let options = tree.options();
        let component = Arc::new(ProfiledComponent {
            number: known.count,
            parent: parent.map(|parent| parent.number),
            depth: parent.map_or(0, |parent| parent.depth + 1),
            label: label.to_owned(),
            name: tree.name().to_owned(),
            options: options
                .map(|(name, value)| (name.to_owned(), value.to_string()))
                .collect(),
            in_flight: AtomicU64::new(0),
            totals: Mutex::new(ComponentTotals::new()),
        });
        known.count += 1;
        known.components.push(Arc::downgrade(&component));
        component
    }

    pub(super) fn all(&self) -> Vec<Arc<ProfiledComponent>> {
        let mut known = lock(&self.0);
        known
            .components
            .retain(|component| component.strong_count() > 0);
        known.components.iter().filter_map(Weak::upgrade).collect()
    }

    pub(super) fn reset(&self) {
        for component in self.all() {
            *lock(&component.totals) = ComponentTotals::new();
        }
    }
}

impl ProfiledComponent {
    pub(super) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end(&self, call: &EndedCall) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        lock(&self.totals).add(call);
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(super) fn totals(&self) -> ComponentTotals {
        lock(&self.totals).clone()
    }
}

impl ComponentTotals {
    fn new() -> ComponentTotals {
        ComponentTotals {
            times: Histogram::new_with_max(LONGEST, DIGITS)
                .expect("the bounds and the digits are ones that it takes"),
            calls: 0,
            total: 0,
            bytes: 0,
            statuses: BTreeMap::new(),
            failed: 0,
            dropped: 0,
        }
    }

    fn add(&mut self, call: &EndedCall) {
        self.times.saturating_record(call.nanoseconds);
        self.calls += 1;
        self.total = self.total.saturating_add(call.nanoseconds);
        self.bytes = self.bytes.saturating_add(call.bytes);
        *self.statuses.entry(call.status).or_default() += 1;
        match call.outcome {
            Outcome::Failed => self.failed += 1,
            Outcome::Dropped => self.dropped += 1,
            _ => {}
        }
    }
}

/// Numbers are consistent after each change, so a panic in between does no harm.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    unpoisoned(mutex.lock())
}
