//! The sidecars that were stopped: each still answers its requests in flight, while the run goes on.

use std::sync::Arc;

use tokio::task::JoinHandle;
use tributary_sidecar::status::metrics::{Metrics, Totals};

/// The stopped sidecars of a run.
#[derive(Default)]
pub struct StoppedSidecars {
    /// Sidecars that still answer requests: their metrics and tasks.
    draining: Vec<(Arc<Metrics>, JoinHandle<()>)>,
    /// The totals of the sidecars that have ended.
    ended: Totals,
    /// The requests to these that got no answer within the grace period.
    unanswered: u64,
}

impl StoppedSidecars {
    /// Adds a sidecar that was told to stop.
    pub fn add(&mut self, metrics: Arc<Metrics>, task: JoinHandle<()>) {
        self.draining.push((metrics, task));
    }

    /// The totals of all stopped sidecars. Forgets the metrics of those that have ended.
    pub fn totals(&mut self) -> Totals {
        let ended: Vec<_> = self.draining.extract_if(.., |(_, task)| task.is_finished()).collect();
        ended.iter().for_each(|(metrics, _)| self.end(metrics));
        self.draining.iter().fold(self.ended, |sum, (metrics, _)| sum + metrics.totals())
    }

    /// Requests that have no answer: those in flight, and those that the ended sidecars did not answer.
    pub fn requests_without_answer(&self) -> u64 {
        self.draining.iter().map(|(metrics, _)| metrics.requests_in_flight()).sum::<u64>() + self.unanswered
    }

    /// Waits until every sidecar has ended: when it has answered its requests, or its grace period is over.
    pub async fn ended(&mut self) {
        while let Some((metrics, task)) = self.draining.last_mut() {
            let _ = task.await;
            let metrics = Arc::clone(metrics);
            self.draining.pop();
            self.end(&metrics);
        }
    }

    fn end(&mut self, metrics: &Metrics) {
        self.ended = self.ended + metrics.totals();
        self.unanswered += metrics.requests_in_flight();
    }
}
