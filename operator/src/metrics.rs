//! What the operator counts. Names and labels are public; labels come from closed sets. What alerts
//! take the rate of begins at 0: Prometheus' `rate()` does not see a first sample as an increase.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use tributary_crds::conditions::Truth;
use tributary_telemetry::exposition::Format;

use crate::apply::REASONS;
use crate::client::Call;
use crate::function::FunctionRef;
use crate::rollouts::Counts;

/// Seconds: from a look that finds nothing to do to the time limit of one.
const SECONDS: [f64; 11] = [0.0005, 0.001, 0.0025, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 30.0];

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ReadyLabel {
    ready: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct StateLabel {
    state: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct CallLabels {
    verb: &'static str,
    kind: &'static str,
}

/// Everything that the operator counts.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    functions: Family<ReadyLabel, Gauge>,
    /// What each function counts as now.
    known: Mutex<HashMap<FunctionRef, Truth>>,
    reconcile_duration: Histogram,
    reconcile_errors: Family<ReasonLabel, Counter>,
    api_requests: Family<CallLabels, Counter>,
    leader: Gauge,
    rollouts: Family<StateLabel, Gauge>,
    rollout_halted: Gauge,
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Arc<Self> {
        let mut registry = Registry::with_prefix("tributary");
        registry.register("build", "What runs", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        let functions = Family::<ReadyLabel, Gauge>::default();
        registry.register("functions", "Functions, by whether they are ready", functions.clone());
        let reconcile_duration = Histogram::new(SECONDS);
        registry.register_with_unit(
            "reconcile_duration",
            "How long a look at a function takes",
            Unit::Seconds,
            reconcile_duration.clone(),
        );
        let reconcile_errors = Family::<ReasonLabel, Counter>::default();
        registry.register("reconcile_errors", "Looks at functions that failed", reconcile_errors.clone());
        let api_requests = Family::<CallLabels, Counter>::default();
        registry.register("api_requests", "Requests to the API server, the Lease's aside", api_requests.clone());
        let leader = Gauge::default();
        registry.register("leader", "Whether this process leads", Gauge::clone(&leader));
        let rollouts = Family::<StateLabel, Gauge>::default();
        registry.register("rollouts", "Functions on their way to the platform's sidecar, by state", rollouts.clone());
        let rollout_halted = Gauge::default();
        registry.register(
            "rollout_halted",
            "Whether no function begins to roll to the platform's sidecar, since too many failed",
            Gauge::clone(&rollout_halted),
        );
        let metrics = Self {
            registry,
            functions,
            known: Mutex::default(),
            reconcile_duration,
            reconcile_errors,
            api_requests,
            leader,
            rollouts,
            rollout_halted,
        };
        metrics.rollouts(Counts::default());
        for truth in [Truth::True, Truth::False, Truth::Unknown] {
            _ = metrics.functions.get_or_create(&ready(truth));
        }
        for reason in REASONS {
            _ = metrics.reconcile_errors.get_or_create(&ReasonLabel { reason });
        }
        Arc::new(metrics)
    }

    /// A request is begun.
    pub fn api_request(&self, Call { verb, kind }: Call) {
        self.api_requests.get_or_create(&CallLabels { verb, kind }).inc();
    }

    /// A function was looked at.
    pub fn reconciled(&self, took: Duration) {
        self.reconcile_duration.observe(took.as_secs_f64());
    }

    /// A look at a function failed.
    pub fn reconcile_error(&self, reason: &'static str) {
        self.reconcile_errors.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// A function is ready, or not; without a value it is gone.
    pub fn function(&self, function: &FunctionRef, now: Option<Truth>) {
        let mut known = self.known();
        let before = match now {
            Some(now) => known.insert(function.clone(), now),
            None => known.remove(function),
        };
        if before != now {
            before.inspect(|before| _ = self.functions.get_or_create(&ready(*before)).dec());
            now.inspect(|now| _ = self.functions.get_or_create(&ready(*now)).inc());
        }
    }

    /// How many functions are where in the platform's rollout.
    pub fn rollouts(&self, counts: Counts) {
        let Counts { rolling, waiting, failed, halted } = counts;
        for (state, count) in [("rolling", rolling), ("waiting", waiting), ("failed", failed)] {
            self.rollouts.get_or_create(&StateLabel { state }).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        self.rollout_halted.set(i64::from(halted));
    }

    /// This process leads, or not. Who doesn't knows nothing of functions.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
        if !leads {
            self.rollouts(Counts::default());
            let mut known = self.known();
            for (_, truth) in known.drain() {
                self.functions.get_or_create(&ready(truth)).dec();
            }
        }
    }

    /// All of them, as text.
    pub fn encode(&self, format: Format) -> String {
        format.encode(&self.registry)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<FunctionRef, Truth>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ready(truth: Truth) -> ReadyLabel {
    let ready = match truth {
        Truth::True => "true",
        Truth::False => "false",
        Truth::Unknown => "unknown",
    };
    ReadyLabel { ready }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_public_ones() {
        let metrics = Metrics::new();
        for reason in REASONS {
            let line = format!("tributary_reconcile_errors_total{{reason=\"{reason}\"}} 0\n");
            assert!(metrics.encode(Format::Text).contains(&line), "{line}");
        }
        let (one, two) = (FunctionRef::new("shop", "one"), FunctionRef::new("shop", "two"));
        metrics.leads(true);
        metrics.function(&one, Some(Truth::Unknown));
        metrics.function(&one, Some(Truth::True));
        metrics.function(&two, Some(Truth::False));
        metrics.function(&two, None);
        metrics.api_request(Call { verb: "patch", kind: "Deployment" });
        metrics.reconciled(Duration::from_millis(3));
        metrics.reconcile_error("Conflict");
        metrics.rollouts(Counts { rolling: 5, waiting: 7, failed: 1, halted: true });
        let text = metrics.encode(Format::Text);
        for line in [
            "tributary_functions{ready=\"true\"} 1",
            "tributary_functions{ready=\"false\"} 0",
            "tributary_functions{ready=\"unknown\"} 0",
            "tributary_api_requests_total{verb=\"patch\",kind=\"Deployment\"} 1",
            "tributary_reconcile_duration_seconds_count 1",
            "tributary_reconcile_errors_total{reason=\"Conflict\"} 1",
            "tributary_leader 1",
            "tributary_rollouts{state=\"rolling\"} 5",
            "tributary_rollouts{state=\"waiting\"} 7",
            "tributary_rollouts{state=\"failed\"} 1",
            "tributary_rollout_halted 1",
            "tributary_build_info{version=",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        metrics.leads(false);
        assert!(metrics.encode(Format::Text).contains("tributary_functions{ready=\"true\"} 0"));
    }
}
