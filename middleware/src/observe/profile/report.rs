//! What was measured, in the form in which it is shown.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::stats::{Component, Numbers};

/// One component.
pub(super) struct Row {
    pub(super) component: Arc<Component>,
    pub(super) numbers: Numbers,
    /// Which part of all time was its own, from 0 to 1.
    pub(super) share: f64,
}

/// All of them, in the order of the tree.
pub(super) fn rows(components: Vec<Arc<Component>>) -> Vec<Row> {
    let with_numbers = components.into_iter().map(|component| {
        let numbers = component.numbers();
        (component, numbers)
    });
    let all: Vec<_> = with_numbers.collect();
    let total: f64 = all.iter().map(|(_, numbers)| numbers.total as f64).sum();
    let rows = all.into_iter().map(|(component, numbers)| Row {
        share: if total > 0.0 {
            numbers.total as f64 / total
        } else {
            0.0
        },
        component,
        numbers,
    });
    rows.collect()
}

pub(super) fn to_json(rows: &[Row]) -> String {
    let components: Vec<Value> = rows.iter().map(Row::to_json).collect();
    json!({ "components": components }).to_string()
}

impl Row {
    /// The time within which so many of a hundred calls were done, in nanoseconds.
    pub(super) fn percentile(&self, percent: f64) -> u64 {
        self.numbers.times.value_at_percentile(percent)
    }

    fn to_json(&self) -> Value {
        let Row {
            component, numbers, ..
        } = self;
        let options = component.options.iter();
        let options = options.map(|(name, value)| (name.clone(), Value::from(&**value)));
        let statuses = numbers.statuses.iter();
        let statuses = statuses.map(|(status, calls)| (status.to_string(), Value::from(*calls)));
        json!({
            "number": component.number,
            "parent": component.parent,
            "depth": component.depth,
            "label": component.label,
            "name": component.name,
            "options": options.collect::<Map<_, _>>(),
            "calls": numbers.calls,
            "in_flight": component.in_flight(),
            "total_ns": numbers.total,
            "share": self.share,
            "p50_ns": self.percentile(50.0),
            "p90_ns": self.percentile(90.0),
            "p99_ns": self.percentile(99.0),
            "bytes": numbers.bytes,
            "statuses": statuses.collect::<Map<_, _>>(),
            "failed": numbers.failed,
            "dropped": numbers.dropped,
        })
    }
}
