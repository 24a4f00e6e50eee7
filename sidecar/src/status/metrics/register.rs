//! Creates and registers metrics.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::memory::Budget;

/// Histogram buckets in seconds: from a fast PUT to the 9 s within which a request is answered once its body has been
/// read.
pub(super) const DURATION_BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 9.0];

pub(super) fn counter<M: prometheus_client::registry::Metric + Clone + Default>(
    registry: &mut Registry,
    name: &str,
    help: &str,
) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

pub(super) fn seconds(registry: &mut Registry, name: &str, help: &str) -> Histogram {
    histogram(registry, name, help, Unit::Seconds, DURATION_BUCKETS)
}

pub(super) fn histogram<const N: usize>(
    registry: &mut Registry,
    name: &str,
    help: &str,
    unit: Unit,
    buckets: [f64; N],
) -> Histogram {
    let histogram = Histogram::new(buckets);
    registry.register_with_unit(name, help, unit, histogram.clone());
    histogram
}

/// Collects the size of the memory budget and how much of it is reserved, at each scrape.
#[derive(Debug)]
pub(super) struct MemoryCollector(pub(super) Budget);

impl Collector for MemoryCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let gauges = [
            ("memory_budget", "Maximum memory of requests and batches together", self.0.bytes()),
            ("memory_reserved", "Memory of requests and batches", self.0.reserved()),
        ];
        for (name, help, bytes) in gauges {
            let gauge = ConstGauge::new(i64::try_from(bytes).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, Some(&Unit::Bytes), gauge.metric_type())?)?;
        }
        Ok(())
    }
}
