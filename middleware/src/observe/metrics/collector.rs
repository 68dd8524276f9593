//! The numbers in the form that `prometheus-client` collects.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use super::store::{AppCounts, Histogram, Series, Store};

/// Provides the numbers of a store on each collection.
pub(super) struct StoreCollector(pub(super) Arc<Store>);

/// The labels of a sample, and its numbers.
type Sample = (SampleLabels, Arc<Series>);
type SampleLabels = Vec<(&'static str, Arc<str>)>;

/// No labels besides those of the family; the crate's own type for that is not public.
type NoLabels = [(&'static str, &'static str); 0];

/// A histogram: its name and help, its unit and the stored values per unit, its bounds, and how to find it.
struct HistogramFamily<'a> {
    name: &'static str,
    help: &'static str,
    unit: Unit,
    scale: f64,
    bounds: &'a [u64],
    of: fn(&Series) -> &Histogram,
}

impl Collector for StoreCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let apps = self.0.apps();
        encode_active(&mut encoder, &apps)?;
        let samples: Vec<Sample> = apps.iter().flat_map(|app| samples(app)).collect();
        if samples.is_empty() {
            return Ok(());
        }
        encode_requests(&mut encoder, &samples)?;
        self.histogram_families()
            .iter()
            .try_for_each(|family| encode_histogram(&mut encoder, &samples, family))
    }
}

impl StoreCollector {
    fn histogram_families(&self) -> [HistogramFamily<'_>; 3] {
        let settings = &self.0.settings;
        [
            HistogramFamily {
                name: "http_server_request_duration",
                help: "Time from a request to the end of the response body.",
                unit: Unit::Seconds,
                scale: 1e9,
                bounds: &settings.durations,
                of: |series| &series.durations,
            },
            HistogramFamily {
                name: "http_server_request_body_size",
                help: "Bytes read from request bodies.",
                unit: Unit::Bytes,
                scale: 1.0,
                bounds: &settings.sizes,
                of: |series| &series.request_sizes,
            },
            HistogramFamily {
                name: "http_server_response_body_size",
                help: "Bytes sent of response bodies.",
                unit: Unit::Bytes,
                scale: 1.0,
                bounds: &settings.sizes,
                of: |series| &series.response_sizes,
            },
        ]
    }
}

impl fmt::Debug for StoreCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Numbers of enfilade_middleware::Metrics")
    }
}

/// The label of the application, if it has a name.
fn app_label(app: &AppCounts) -> SampleLabels {
    let name = Some(&*app.name).filter(|name| !name.is_empty());
    name.map(|name| ("app", name.into())).into_iter().collect()
}

fn samples(app: &AppCounts) -> impl Iterator<Item = Sample> {
    let app_label = app_label(app);
    let all = app.all_series().into_iter();
    all.map(move |((method, class), route, series)| {
        let mut labels = app_label.clone();
        labels.extend([
            ("method", method.into()),
            ("route", route),
            ("status", class.into()),
        ]);
        (labels, series)
    })
}

fn encode_active(encoder: &mut DescriptorEncoder<'_>, apps: &[Arc<AppCounts>]) -> fmt::Result {
    let name = "http_server_active_requests";
    let help = "Requests whose responses have not ended.";
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for app in apps {
        for (method, count) in app.all_in_flight() {
            let mut labels = app_label(app);
            labels.push(("method", method.into()));
            metric.encode_family(&labels)?.encode_gauge(&count)?;
        }
    }
    Ok(())
}

fn encode_requests(encoder: &mut DescriptorEncoder<'_>, samples: &[Sample]) -> fmt::Result {
    let name = "http_server_requests";
    let help = "Requests whose responses have ended.";
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, series) in samples {
        let count = series.durations.count();
        let mut metric = metric.encode_family(labels)?;
        metric.encode_counter::<NoLabels, u64, f64>(&count, None)?;
    }
    Ok(())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "numbers past 2^53 are rounded, as all that a collector reads"
)]
fn encode_histogram(
    encoder: &mut DescriptorEncoder<'_>,
    samples: &[Sample],
    family: &HistogramFamily<'_>,
) -> fmt::Result {
    let unit = Some(&family.unit);
    let mut metric =
        encoder.encode_descriptor(family.name, family.help, unit, MetricType::Histogram)?;
    for (labels, series) in samples {
        let (sum, counts) = (family.of)(series).read();
        let bounds = family
            .bounds
            .iter()
            .map(|bound| *bound as f64 / family.scale);
        let bounds = bounds.chain([f64::INFINITY]);
        let buckets: Vec<_> = bounds.zip(counts.iter().copied()).collect();
        let (sum, count) = (sum as f64 / family.scale, counts.iter().sum());
        let mut metric = metric.encode_family(labels)?;
        metric.encode_histogram::<NoLabels>(sum, count, &buckets, None)?;
    }
    Ok(())
}
