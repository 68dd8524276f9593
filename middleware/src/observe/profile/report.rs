//! The measurements in the form in which they are shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::stats::{ComponentTotals, ProfiledComponent};
use crate::shared::json::{array, object, object_of_texts, string};

/// One component.
pub(super) struct ComponentRow {
    pub(super) component: Arc<ProfiledComponent>,
    pub(super) totals: ComponentTotals,
    /// Its own share of all time, from 0 to 1.
    pub(super) share: f64,
}

/// All components, in the order of the tree.
pub(super) fn rows(components: Vec<Arc<ProfiledComponent>>) -> Vec<ComponentRow> {
    let with_numbers = components.into_iter().map(|component| {
        let totals = component.totals();
        (component, totals)
    });
    let all: Vec<_> = with_numbers.collect();
    let total: f64 = all.iter().map(|(_, totals)| totals.total as f64).sum();
    let rows = all.into_iter().map(|(component, totals)| ComponentRow {
        share: if total > 0.0 {
            totals.total as f64 / total
        } else {
            0.0
        },
        component,
        totals,
    });
    rows.collect()
}

pub(super) fn to_json(rows: &[ComponentRow]) -> String {
    object([("components", array(rows.iter().map(ComponentRow::to_json)))])
}

impl ComponentRow {
    /// The time within which this percentage of calls was done, in nanoseconds.
    pub(super) fn percentile(&self, percent: f64) -> u64 {
        self.totals.times.value_at_percentile(percent)
    }

    fn to_json(&self) -> String {
        let ComponentRow {
            component, totals, ..
        } = self;
        let number_or_null = |number: Option<usize>| {
            number.map_or_else(|| "null".to_owned(), |number| number.to_string())
        };
        let statuses: BTreeMap<_, _> = totals
            .statuses
            .iter()
            .map(|(status, calls)| (status.to_string(), calls.to_string()))
            .collect();
        object([
            ("bytes", totals.bytes.to_string()),
            ("calls", totals.calls.to_string()),
            ("depth", component.depth.to_string()),
            ("dropped", totals.dropped.to_string()),
            ("failed", totals.failed.to_string()),
            ("in_flight", component.in_flight().to_string()),
            ("label", string(&component.label)),
            ("name", string(&component.name)),
            ("number", component.number.to_string()),
            ("options", object_of_texts(&component.options)),
            ("p50_ns", self.percentile(50.0).to_string()),
            ("p90_ns", self.percentile(90.0).to_string()),
            ("p99_ns", self.percentile(99.0).to_string()),
            ("parent", number_or_null(component.parent)),
            // In JSON it always has a fraction or an exponent, because it is from 0 to 1.
            ("share", format!("{:?}", self.share)),
            ("statuses", object(statuses)),
            ("total_ns", totals.total.to_string()),
        ])
    }
}
