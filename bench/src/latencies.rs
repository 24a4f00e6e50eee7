//! Records latencies and computes exact percentiles.

use std::time::Duration;

/// Every latency of a round in µs: four bytes each, a few MiB in total.
#[derive(Default)]
pub struct Latencies(Vec<u32>);

impl Latencies {
    pub fn record(&mut self, latency: Duration) {
        // A latency above 71 minutes is recorded as 71 minutes.
        self.0.push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
    }

    pub fn merge(&mut self, other: Latencies) {
        self.0.extend(other.0);
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub fn sorted(mut self) -> SortedLatencies {
        self.0.sort_unstable();
        SortedLatencies(self.0)
    }
}

/// Latencies in ascending order.
pub struct SortedLatencies(Vec<u32>);

impl SortedLatencies {
    /// The smallest latency, in milliseconds, that at least `share` of all do not exceed (nearest rank); `None` if
    /// there are no latencies.
    pub fn percentile_ms(&self, share: f64) -> Option<f64> {
        let rank = (share * self.0.len() as f64).ceil() as usize;
        let micros = *self.0.get(rank.max(1) - 1)?;
        Some(f64::from(micros) / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latencies(millis: impl IntoIterator<Item = u64>) -> Latencies {
        let mut latencies = Latencies::default();
        millis.into_iter().for_each(|ms| latencies.record(Duration::from_millis(ms)));
        latencies
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        let sorted = latencies((1..=100).rev()).sorted();
        for (share, expected) in [(0.0, 1.0), (0.5, 50.0), (0.99, 99.0), (0.991, 100.0), (1.0, 100.0)] {
            assert_eq!(sorted.percentile_ms(share), Some(expected), "{share}");
        }
    }

    #[test]
    fn one_latency_is_every_percentile_and_none_has_none() {
        assert_eq!(latencies([7]).sorted().percentile_ms(0.99), Some(7.0));
        assert_eq!(latencies([]).sorted().percentile_ms(0.5), None);
    }

    #[test]
    fn merging_keeps_all_latencies() {
        let mut all = latencies([1, 3]);
        all.merge(latencies([2]));
        assert_eq!(all.count(), 3);
        assert_eq!(all.sorted().percentile_ms(0.5), Some(2.0));
    }

    #[test]
    fn too_long_latencies_are_capped() {
        let sorted = latencies([u64::MAX / 1_000_000]).sorted();
        assert_eq!(sorted.percentile_ms(1.0), Some(f64::from(u32::MAX) / 1000.0));
    }
}
