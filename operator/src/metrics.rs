//! The operator's metrics. Names and labels are public; labels come from closed sets. Counters that alerts
//! take the rate of start at 0: Prometheus' `rate()` does not count the first sample as an increase.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use tributary_crds::conditions::{ConditionStatus, ConditionType};
use tributary_runtime::exposition::Format;

use crate::apply::REASONS;
use crate::client::ApiRequest;
use crate::finding::Finding;
use crate::function::FunctionRef;

/// Histogram buckets in seconds: from a reconcile that changes nothing to its time limit.
const DURATION_BUCKETS: [f64; 11] = [0.0005, 0.001, 0.0025, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 30.0];

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ReadyLabel {
    ready: &'static str,
}

/// A function's current condition. Prometheus sets the label `namespace` to the operator's own.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ConditionLabels {
    function_namespace: String,
    function: String,
    condition: String,
    status: &'static str,
    reason: String,
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
struct ApiRequestLabels {
    verb: &'static str,
    kind: &'static str,
}

/// The values that the metrics show for a function.
#[derive(Clone, Debug, PartialEq)]
struct Reported {
    ready: ConditionStatus,
    conditions: Vec<ConditionLabels>,
}

/// The conditions that metrics show: whether the function stores events, whether the platform allows it, and whether
/// its sidecars are up to date.
const REPORTED_CONDITIONS: [ConditionType; 3] =
    [ConditionType::Ready, ConditionType::Accepted, ConditionType::UpToDate];

/// The number of functions per state of the platform's rollout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RolloutCounts {
    /// Functions that hold a slot.
    pub rolling: usize,
    /// Functions that wait for a slot.
    pub waiting: usize,
    /// Functions whose rollout failed.
    pub failed: usize,
    /// Whether no other rollout starts, since too many failed.
    pub halted: bool,
}

/// The registry and all metrics of the operator.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    functions: Family<ReadyLabel, Gauge>,
    function_conditions: Family<ConditionLabels, Gauge>,
    /// The values that the gauges currently show for each function.
    known: Mutex<HashMap<FunctionRef, Reported>>,
    reconcile_duration: Histogram,
    reconcile_errors: Family<ReasonLabel, Counter>,
    api_requests: Family<ApiRequestLabels, Counter>,
    leader: Gauge,
    rollouts: Family<StateLabel, Gauge>,
    rollout_halted: Gauge,
}

impl Metrics {
    /// Registers all metrics.
    pub fn new() -> Arc<Self> {
        let mut registry = Registry::with_prefix("tributary");
        registry.register("build", "What runs", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        let functions = Family::<ReadyLabel, Gauge>::default();
        registry.register("functions", "Functions, by whether they are ready", functions.clone());
        let function_conditions = Family::<ConditionLabels, Gauge>::default();
        registry.register(
            "function_condition",
            "1 for the current status and reason of a function's conditions Ready, Accepted and UpToDate",
            function_conditions.clone(),
        );
        let reconcile_duration = Histogram::new(DURATION_BUCKETS);
        registry.register_with_unit(
            "reconcile_duration",
            "How long reconciling a function takes",
            Unit::Seconds,
            reconcile_duration.clone(),
        );
        let reconcile_errors = Family::<ReasonLabel, Counter>::default();
        registry.register(
            "reconcile_errors",
            "Reconciles of functions that failed, by reason",
            reconcile_errors.clone(),
        );
        let api_requests = Family::<ApiRequestLabels, Counter>::default();
        registry.register(
            "api_requests",
            "Requests to the API server, except those for the Lease",
            api_requests.clone(),
        );
        let leader = Gauge::default();
        registry.register("leader", "Whether this process leads", Gauge::clone(&leader));
        let rollouts = Family::<StateLabel, Gauge>::default();
        registry.register("rollouts", "Functions in the rollout of the platform's sidecar, by state", rollouts.clone());
        let rollout_halted = Gauge::default();
        registry.register(
            "rollout_halted",
            "Whether the rollout of the platform's sidecar is halted, since too many functions failed",
            Gauge::clone(&rollout_halted),
        );
        let metrics = Self {
            registry,
            functions,
            function_conditions,
            known: Mutex::default(),
            reconcile_duration,
            reconcile_errors,
            api_requests,
            leader,
            rollouts,
            rollout_halted,
        };
        metrics.rollouts(RolloutCounts::default());
        for truth in [ConditionStatus::True, ConditionStatus::False, ConditionStatus::Unknown] {
            _ = metrics.functions.get_or_create(&ready(truth));
        }
        for reason in REASONS {
            _ = metrics.reconcile_errors.get_or_create(&ReasonLabel { reason });
        }
        Arc::new(metrics)
    }

    /// Counts a request to the API server; called before it is sent.
    pub fn api_request(&self, ApiRequest { verb, kind }: ApiRequest) {
        self.api_requests.get_or_create(&ApiRequestLabels { verb, kind }).inc();
    }

    /// Records the duration of a reconcile, failed or not.
    pub fn reconciled(&self, duration: Duration) {
        self.reconcile_duration.observe(duration.as_secs_f64());
    }

    /// Counts a failed reconcile; `reason` is one of [`REASONS`].
    pub fn reconcile_error(&self, reason: &'static str) {
        self.reconcile_errors.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// Replaces the values that the metrics show for a function; empty `findings` remove it.
    pub fn function(&self, function: &FunctionRef, findings: &[Finding]) {
        let now = reported(function, findings);
        let mut known = self.known();
        if known.get(function) == now.as_ref() {
            return;
        }
        known.remove(function).inspect(|before| self.remove_series(before));
        if let Some(now) = now {
            self.functions.get_or_create(&ready(now.ready)).inc();
            now.conditions.iter().for_each(|labels| _ = self.function_conditions.get_or_create(labels).set(1));
            known.insert(function.clone(), now);
        }
    }

    fn remove_series(&self, Reported { ready: truth, conditions }: &Reported) {
        self.functions.get_or_create(&ready(*truth)).dec();
        conditions.iter().for_each(|labels| _ = self.function_conditions.remove(labels));
    }

    /// Sets the gauges of the platform's rollout.
    pub fn rollouts(&self, counts: RolloutCounts) {
        let RolloutCounts { rolling, waiting, failed, halted } = counts;
        for (state, count) in [("rolling", rolling), ("waiting", waiting), ("failed", failed)] {
            self.rollouts.get_or_create(&StateLabel { state }).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        self.rollout_halted.set(i64::from(halted));
    }

    /// Sets whether this process leads. A standby shows no functions and no rollouts.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
        if !leads {
            self.rollouts(RolloutCounts::default());
            self.known().drain().for_each(|(_, reported)| self.remove_series(&reported));
        }
    }

    /// All metrics, in the format that the scraper asked for.
    pub fn encode(&self, format: Format) -> String {
        format.encode(&self.registry)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<FunctionRef, Reported>> {
        self.known.lock()
    }
}

fn reported(function: &FunctionRef, findings: &[Finding]) -> Option<Reported> {
    let ready = findings.iter().find(|finding| finding.r#type == ConditionType::Ready)?.status;
    let reported = findings.iter().filter(|finding| REPORTED_CONDITIONS.contains(&finding.r#type));
    let labels = |finding: &Finding| ConditionLabels {
        function_namespace: function.namespace.clone(),
        function: function.name.clone(),
        condition: finding.r#type.to_string(),
        status: text(finding.status),
        reason: finding.reason.to_string(),
    };
    Some(Reported { ready, conditions: reported.map(labels).collect() })
}

fn ready(truth: ConditionStatus) -> ReadyLabel {
    ReadyLabel { ready: text(truth) }
}

fn text(truth: ConditionStatus) -> &'static str {
    match truth {
        ConditionStatus::True => "true",
        ConditionStatus::False => "false",
        ConditionStatus::Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use tributary_crds::conditions::Reason;

    use super::*;

    #[test]
    fn metrics_have_their_public_names() {
        let metrics = Metrics::new();
        for reason in REASONS {
            let line = format!("tributary_reconcile_errors_total{{reason=\"{reason}\"}} 0\n");
            assert!(metrics.encode(Format::Text).contains(&line), "{line}");
        }
        let (one, two) = (FunctionRef::new("shop", "one"), FunctionRef::new("shop", "two"));
        metrics.leads(true);
        let found = |status, reason| {
            [ConditionType::Ready, ConditionType::RoleAssumed, ConditionType::UpToDate].map(|r#type| Finding {
                r#type,
                status,
                reason,
                message: String::new(),
            })
        };
        metrics.function(&one, &found(ConditionStatus::Unknown, Reason::Pending));
        metrics.function(&one, &found(ConditionStatus::True, Reason::Ok));
        metrics.function(&two, &found(ConditionStatus::False, Reason::AccessDenied));
        metrics.function(&two, &[]);
        metrics.api_request(ApiRequest { verb: "patch", kind: "Deployment" });
        metrics.reconciled(Duration::from_millis(3));
        metrics.reconcile_error("Conflict");
        metrics.rollouts(RolloutCounts { rolling: 5, waiting: 7, failed: 1, halted: true });
        let text = metrics.encode(Format::Text);
        for line in [
            "tributary_functions{ready=\"true\"} 1",
            "tributary_functions{ready=\"false\"} 0",
            "tributary_functions{ready=\"unknown\"} 0",
            "tributary_function_condition{function_namespace=\"shop\",function=\"one\",condition=\"Ready\",\
             status=\"true\",reason=\"Ok\"} 1",
            "tributary_function_condition{function_namespace=\"shop\",function=\"one\",condition=\"UpToDate\",\
             status=\"true\",reason=\"Ok\"} 1",
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
        assert_eq!(text.matches("tributary_function_condition{").count(), 2, "only current values\n{text}");
        metrics.leads(false);
        let text = metrics.encode(Format::Text);
        assert!(text.contains("tributary_functions{ready=\"true\"} 0"));
        assert!(!text.contains("tributary_function_condition{"));
    }
}
