//! What is counted. Names and labels are public: dashboards and alerts are built on them.
//!
//! Labels come from closed sets, so that no client can make a new time series. Each of their values
//! is there from the beginning, at 0: Prometheus' `rate()` does not see a first sample as an increase.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant, SystemTime};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use tributary_telemetry::exposition::Format;

use crate::delivery::REASONS;
use crate::event::{Code, EventType};
use crate::ingest::{OTHER_PATH, PATHS, STATUSES};
use crate::memory::Budget;

/// Seconds: from a PUT next door to the 9 s within which everything is answered.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 9.0];

/// Bytes: from a lone event to the 64 MiB that a batch may have.
const BYTES: [f64; 9] = [1e3, 1e4, 1e5, 5e5, 1e6, 2.5e6, 5e6, 1e7, 6.4e7];

/// The values of the label `type`.
pub(crate) const TYPES: [&str; 7] = ["track", "identify", "page", "screen", "group", "alias", "other"];

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct TypeLabel {
    r#type: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct CodeLabel {
    code: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ScopeLabel {
    scope: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct RequestLabels {
    path: &'static str,
    status: u16,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// How a call to STS ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum StsOutcome {
    /// A session.
    Assumed,
    /// None.
    Failed,
    /// A probe, refused as it should be.
    ProbeRefused,
    /// A probe that got the role.
    ProbeAssumed,
}

impl StsOutcome {
    const ALL: [Self; 4] = [Self::Assumed, Self::Failed, Self::ProbeRefused, Self::ProbeAssumed];

    fn label(self) -> OutcomeLabel {
        let outcome = match self {
            Self::Assumed => "assumed",
            Self::Failed => "failed",
            Self::ProbeRefused => "probe_refused",
            Self::ProbeAssumed => "probe_assumed",
        };
        OutcomeLabel { outcome }
    }
}

/// The connections of one listener, counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConnectionCounts {
    /// Those that are open.
    pub(crate) open: Gauge,
    /// Idle ones that were asked to close, so that others could be accepted.
    pub(crate) shed: Counter,
}

/// Everything that a sidecar counts.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    events_received: Family<TypeLabel, Counter>,
    events_stored: Family<TypeLabel, Counter>,
    events_deduplicated: Counter,
    events_filtered: Counter,
    events_rejected: Family<CodeLabel, Counter>,
    /// The same without the code, for the summary.
    events_rejected_all: Counter,
    auth_failures: Counter,
    requests: Family<RequestLabels, Counter>,
    request_duration: Histogram,
    objects_stored: Counter,
    stored_bytes: Counter,
    upload_duration: Histogram,
    batch_bytes: Histogram,
    batch_age: Histogram,
    upload_errors: Family<CodeLabel, Counter>,
    circuit_breaker_open: Family<ScopeLabel, Gauge>,
    sts_requests: Family<OutcomeLabel, Counter>,
    session_expiry: Gauge<f64, AtomicU64>,
    certificate_expiry: Gauge<f64, AtomicU64>,
    session_renewal_failures: Counter,
    /// 1 from the first failed renewal until a session comes.
    session_renewal_failing: Gauge,
    in_flight: Gauge,
    requests_in_flight: Gauge,
    connections: ConnectionCounts,
}

/// What was done so far, for a summary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Events that S3 has.
    pub stored: u64,
    /// Of those, the ones that it had already.
    pub deduplicated: u64,
    /// Events that the function does not store.
    pub filtered: u64,
    /// Events refused for what they are.
    pub rejected: u64,
    /// Requests answered 4xx or 5xx: not all of their valid events are known to be stored.
    pub refused_requests: u64,
    /// Objects written.
    pub objects: u64,
    /// Bytes in them.
    pub bytes: u64,
}

impl Metrics {
    /// All at zero. The `budget` is read when somebody asks.
    pub(crate) fn new(budget: Budget) -> Arc<Self> {
        let mut registry = Registry::with_prefix("tributary");
        registry.register_collector(Box::new(MemoryCollector(budget)));
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "What runs", build);
        let (session_expiry, in_flight) = (Gauge::default(), Gauge::default());
        let session_renewal_failing = Gauge::default();
        registry.register("session_expiry_timestamp_seconds", "When the session ends", Gauge::clone(&session_expiry));
        let certificate_expiry = Gauge::default();
        registry.register(
            "certificate_expiry_timestamp_seconds",
            "When the certificate that clients are shown ends; 0 without TLS",
            Gauge::clone(&certificate_expiry),
        );
        let help = "Whether renewing the session fails, since a renewal failed and until one succeeds";
        registry.register("session_renewal_failing", help, Gauge::clone(&session_renewal_failing));
        registry.register("in_flight_events", "Events taken and not answered yet", Gauge::clone(&in_flight));
        let requests_in_flight = Gauge::default();
        let help = "Requests whose head was read and that are not answered yet";
        registry.register("in_flight_requests", help, Gauge::clone(&requests_in_flight));
        let circuit_breaker_open = Family::<ScopeLabel, Gauge>::default();
        registry.register(
            "circuit_breaker_open",
            "1 while uploads of an event type, or of the whole bucket, are refused without trying S3",
            circuit_breaker_open.clone(),
        );
        let connections = ConnectionCounts::default();
        registry.register("connections", "Clients' connections that are open", Gauge::clone(&connections.open));
        let shed = "Idle connections closed at the limit, to accept others";
        registry.register("connections_shed", shed, Counter::clone(&connections.shed));
        let metrics = Self {
            events_received: counter(&mut registry, "events_received", "Events in requests, good or not"),
            events_stored: counter(&mut registry, "events_stored", "Events that S3 has, now or already"),
            events_deduplicated: counter(&mut registry, "events_deduplicated", "Events that S3 had already"),
            events_filtered: counter(&mut registry, "events_filtered", "Events that the function does not store"),
            events_rejected: counter(&mut registry, "events_rejected", "Events refused for what they are"),
            events_rejected_all: Counter::default(),
            auth_failures: counter(&mut registry, "auth_failures", "Requests answered 401"),
            requests: counter(&mut registry, "requests", "Requests answered"),
            request_duration: seconds(&mut registry, "request_duration", "From a request's head to its answer"),
            objects_stored: counter(&mut registry, "objects_stored", "Objects written"),
            stored_bytes: counter(&mut registry, "stored_bytes", "Bytes of the objects written"),
            upload_duration: seconds(&mut registry, "upload_duration", "A single PUT, whatever came of it"),
            batch_bytes: histogram(
                &mut registry,
                "batch",
                "Sealed batches by size, before compression",
                Unit::Bytes,
                BYTES,
            ),
            batch_age: histogram(&mut registry, "batch_age", "Sealed batches by age", Unit::Seconds, SECONDS),
            upload_errors: counter(
                &mut registry,
                "upload_errors",
                "PUTs that failed, by reason; in lower case those that S3 did not end",
            ),
            circuit_breaker_open,
            sts_requests: counter(&mut registry, "sts_requests", "Calls to STS"),
            session_expiry,
            certificate_expiry,
            session_renewal_failures: counter(
                &mut registry,
                "session_renewal_failures",
                "Failed attempts to renew a session that still lived",
            ),
            session_renewal_failing,
            in_flight,
            requests_in_flight,
            connections,
            registry,
        };
        metrics.begin_at_zero();
        Arc::new(metrics)
    }

    /// Makes every series that there can be.
    fn begin_at_zero(&self) {
        for r#type in TYPES {
            _ = self.events_received.get_or_create(&TypeLabel { r#type });
            _ = self.events_stored.get_or_create(&TypeLabel { r#type });
        }
        for code in Code::ALL {
            _ = self.events_rejected.get_or_create(&code_label(code.as_str()));
        }
        for path in PATHS.into_iter().filter(|path| *path != OTHER_PATH) {
            for status in STATUSES {
                _ = self.requests.get_or_create(&RequestLabels { path, status });
            }
        }
        _ = self.requests.get_or_create(&RequestLabels { path: OTHER_PATH, status: 404 });
        for code in upload_error_codes() {
            _ = self.upload_errors.get_or_create(&code_label(&code));
        }
        for scope in TYPES.into_iter().chain(["bucket"]) {
            _ = self.circuit_breaker_open.get_or_create(&ScopeLabel { scope });
        }
        for outcome in StsOutcome::ALL {
            _ = self.sts_requests.get_or_create(&outcome.label());
        }
    }

    /// All of them, as text.
    pub fn encode(&self, format: Format) -> String {
        format.encode(&self.registry)
    }

    /// What was done so far.
    pub fn totals(&self) -> Totals {
        let stored = TYPES.map(|r#type| self.events_stored.get_or_create(&TypeLabel { r#type }).get());
        Totals {
            stored: stored.iter().sum(),
            deduplicated: self.events_deduplicated.get(),
            filtered: self.events_filtered.get(),
            rejected: self.events_rejected_all.get(),
            refused_requests: self.refused_requests(),
            objects: self.objects_stored.get(),
            bytes: self.stored_bytes.get(),
        }
    }

    fn refused_requests(&self) -> u64 {
        let refused = PATHS.into_iter().flat_map(|path| {
            STATUSES.into_iter().filter(|status| *status >= 400).map(move |status| RequestLabels { path, status })
        });
        let refused = refused.chain([RequestLabels { path: OTHER_PATH, status: 404 }]);
        refused.filter_map(|labels| Some(self.requests.get(&labels)?.get())).sum()
    }

    /// The counts of the connections on which events come.
    pub(crate) fn connections(&self) -> ConnectionCounts {
        self.connections.clone()
    }

    /// Events taken and not answered yet.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.get().try_into().unwrap_or_default()
    }

    /// Requests whose head was read and that are not answered yet.
    pub fn requests_in_flight(&self) -> u64 {
        self.requests_in_flight.get().try_into().unwrap_or_default()
    }

    /// Counts a request as in flight until the guard is dropped.
    pub(crate) fn request_flight(&self) -> Flight {
        self.requests_in_flight.inc();
        Flight(self.requests_in_flight.clone(), 1)
    }

    /// Counts events as in flight until the guard is dropped.
    pub(crate) fn flight(&self, events: usize) -> Flight {
        let events = i64::try_from(events).unwrap_or(i64::MAX);
        self.in_flight.inc_by(events);
        Flight(self.in_flight.clone(), events)
    }

    pub(crate) fn received(&self, event_type: &EventType) {
        self.events_received.get_or_create(&TypeLabel { r#type: label(event_type) }).inc();
    }

    /// An event that was refused before it was known what it is.
    pub(crate) fn received_of_no_type(&self) {
        self.events_received.get_or_create(&TypeLabel { r#type: "other" }).inc();
    }

    pub(crate) fn filtered(&self) {
        self.events_filtered.inc();
    }

    pub(crate) fn auth_failed(&self) {
        self.auth_failures.inc();
    }

    pub(crate) fn rejected(&self, code: Code) {
        self.events_rejected.get_or_create(&code_label(code.as_str())).inc();
        self.events_rejected_all.inc();
    }

    pub(crate) fn stored(&self, event_type: &EventType, existed: bool) {
        self.events_stored.get_or_create(&TypeLabel { r#type: label(event_type) }).inc();
        if existed {
            self.events_deduplicated.inc();
        }
    }

    /// The events of an object that holds many.
    pub(crate) fn stored_together(&self, counts: &TypeCounts) {
        for (r#type, count) in TYPES.into_iter().zip(counts.0).filter(|(_, count)| *count > 0) {
            self.events_stored.get_or_create(&TypeLabel { r#type }).inc_by(count);
        }
    }

    /// A PUT begins; it is counted once, whatever becomes of it.
    pub(crate) fn attempt(&self) -> Attempt<'_> {
        Attempt { metrics: self, start: Instant::now(), outcome: AttemptOutcome::Cancelled }
    }

    /// A batch that was sealed, of so many bytes before compression, so long after it was opened.
    pub(crate) fn batch(&self, plain_bytes: usize, age: Duration) {
        self.batch_bytes.observe(plain_bytes as f64);
        self.batch_age.observe(age.as_secs_f64());
    }

    /// Whether uploads of a scope, a type or `bucket`, are refused without trying.
    pub(crate) fn circuit_breaker(&self, scope: &'static str, open: bool) {
        self.circuit_breaker_open.get_or_create(&ScopeLabel { scope }).set(i64::from(open));
    }

    pub(crate) fn request(&self, path: &'static str, status: u16, took: Duration) {
        self.requests.get_or_create(&RequestLabels { path, status }).inc();
        self.request_duration.observe(took.as_secs_f64());
    }

    pub(crate) fn sts_request(&self, outcome: StsOutcome) {
        self.sts_requests.get_or_create(&outcome.label()).inc();
    }

    /// There is a session, which ends at `expiry`.
    pub(crate) fn session_renewed(&self, expiry: SystemTime) {
        self.session_expiry.set(timestamp(expiry));
        self.session_renewal_failing.set(0);
    }

    /// The session that lives could not be renewed.
    pub(crate) fn session_renewal_failed(&self) {
        self.session_renewal_failures.inc();
        self.session_renewal_failing.set(1);
    }

    /// When the certificate ends; nothing, where clients are shown none.
    pub(crate) fn certificate_expiry(&self, expiry: Option<SystemTime>) {
        self.certificate_expiry.set(expiry.map_or(0.0, timestamp));
    }
}

/// Shows how much of the budget of memory is in use.
#[derive(Debug)]
struct MemoryCollector(Budget);

impl Collector for MemoryCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let gauges = [
            ("memory_budget", "Memory that requests and batches may take together", self.0.bytes()),
            ("memory_reserved", "Memory that requests and batches take", self.0.reserved()),
        ];
        for (name, help, bytes) in gauges {
            let gauge = ConstGauge::new(i64::try_from(bytes).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, Some(&Unit::Bytes), gauge.metric_type())?)?;
        }
        Ok(())
    }
}

/// `code` of a PUT that had no answer in time.
pub(crate) const TIMEOUT: &str = "timeout";

/// `code` of a PUT that was given up before its end, with the request that it was part of.
const CANCELLED: &str = "cancelled";

/// `code` of a PUT to whose condition S3 answered 412, which alone does not prove that the object is there.
pub(crate) const PRECONDITION_FAILED: &str = "PreconditionFailed";

/// Every `code` of a PUT that failed.
fn upload_error_codes() -> impl Iterator<Item = String> {
    let reasons = REASONS.into_iter().map(|reason| reason.to_string());
    reasons.chain([PRECONDITION_FAILED, TIMEOUT, CANCELLED].map(str::to_owned))
}

/// A PUT under way. Dropped before its end, it counts as cancelled.
pub(crate) struct Attempt<'a> {
    metrics: &'a Metrics,
    start: Instant,
    outcome: AttemptOutcome,
}

enum AttemptOutcome {
    Stored,
    Existed,
    Failed(String),
    Cancelled,
}

impl Attempt<'_> {
    /// How long it has taken so far.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// S3 stored the object, of that many bytes.
    pub(crate) fn stored(mut self, bytes: usize) {
        self.metrics.objects_stored.inc();
        self.metrics.stored_bytes.inc_by(bytes as u64);
        self.outcome = AttemptOutcome::Stored;
    }

    /// S3 had the object already.
    pub(crate) fn existed(mut self) {
        self.outcome = AttemptOutcome::Existed;
    }

    /// It failed for this reason.
    pub(crate) fn failed(mut self, code: impl Into<String>) {
        self.outcome = AttemptOutcome::Failed(code.into());
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.metrics.upload_duration.observe(self.elapsed().as_secs_f64());
        let code = match &self.outcome {
            AttemptOutcome::Stored | AttemptOutcome::Existed => return,
            AttemptOutcome::Failed(code) => code,
            AttemptOutcome::Cancelled => CANCELLED,
        };
        self.metrics.upload_errors.get_or_create(&code_label(code)).inc();
    }
}

/// Events in flight.
pub(crate) struct Flight(Gauge, i64);

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.dec_by(self.1);
    }
}

/// How many events there are of each type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TypeCounts([u64; TYPES.len()]);

impl TypeCounts {
    pub(crate) fn add(&mut self, event_type: &EventType) {
        self.0[place(event_type)] += 1;
    }
}

/// A type as a label.
fn label(event_type: &EventType) -> &'static str {
    TYPES[place(event_type)]
}

/// A type's place among the labels: any beyond the six of Segment's spec is "other", the last.
pub(crate) fn place(event_type: &EventType) -> usize {
    TYPES.iter().position(|known| *known == event_type.as_str()).unwrap_or(TYPES.len() - 1)
}

/// A moment in Unix time.
fn timestamp(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn code_label(code: &str) -> CodeLabel {
    CodeLabel { code: code.to_owned() }
}

fn counter<M: prometheus_client::registry::Metric + Clone + Default>(
    registry: &mut Registry,
    name: &str,
    help: &str,
) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

fn seconds(registry: &mut Registry, name: &str, help: &str) -> Histogram {
    histogram(registry, name, help, Unit::Seconds, SECONDS)
}

fn histogram<const N: usize>(
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_public_ones() {
        let metrics = Metrics::new(Budget::new(100));
        metrics.received(&EventType::Track);
        metrics.stored(&EventType::Track, true);
        metrics.rejected(Code::NoUserAnonId);
        metrics.filtered();
        metrics.request("/v1/track", 200, Duration::from_millis(3));
        metrics.batch(100, Duration::from_millis(20));
        metrics.attempt().stored(10);
        metrics.attempt().existed();
        metrics.attempt().failed("AccessDenied");
        drop(metrics.attempt());
        metrics.circuit_breaker("page", true);
        metrics.sts_request(StsOutcome::Assumed);
        let text = metrics.encode(Format::Text);
        for line in [
            "tributary_events_received_total{type=\"track\"} 1",
            "tributary_events_stored_total{type=\"track\"} 1",
            "tributary_events_deduplicated_total 1",
            "tributary_events_rejected_total{code=\"no_user_anon_id\"} 1",
            "tributary_events_filtered_total 1",
            "tributary_requests_total{path=\"/v1/track\",status=\"200\"} 1",
            "tributary_request_duration_seconds_count 1",
            "tributary_objects_stored_total 1",
            "tributary_stored_bytes_total 10",
            "tributary_upload_duration_seconds_count 4",
            "tributary_upload_errors_total{code=\"AccessDenied\"} 1",
            "tributary_upload_errors_total{code=\"cancelled\"} 1",
            "tributary_upload_errors_total{code=\"timeout\"} 0",
            "tributary_circuit_breaker_open{scope=\"bucket\"} 0",
            "tributary_circuit_breaker_open{scope=\"page\"} 1",
            "tributary_sts_requests_total{outcome=\"assumed\"} 1",
            "tributary_session_expiry_timestamp_seconds ",
            "tributary_session_renewal_failures_total 0",
            "tributary_session_renewal_failing 0",
            "tributary_in_flight_events 0",
            "tributary_in_flight_requests 0",
            "tributary_batch_bytes_count 1",
            "tributary_batch_age_seconds_count 1",
            "tributary_memory_budget_bytes 100",
            "tributary_memory_reserved_bytes 0",
            "tributary_connections 0",
            "tributary_connections_shed_total 0",
            "tributary_build_info{version=",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert_eq!(
            metrics.totals(),
            Totals { stored: 1, deduplicated: 1, filtered: 1, rejected: 1, refused_requests: 0, objects: 1, bytes: 10 }
        );
    }

    #[test]
    fn requests_are_refused_that_are_answered_4xx_or_5xx() {
        let metrics = Metrics::new(Budget::new(100));
        for (path, status) in
            [("/v1/track", 200), ("/v1/track", 204), ("/v1/track", 401), ("/", 503), ("/", 503), (OTHER_PATH, 404)]
        {
            metrics.request(path, status, Duration::ZERO);
        }
        assert_eq!(metrics.totals().refused_requests, 4);
    }

    #[test]
    fn every_series_begins_at_zero() {
        let text = Metrics::new(Budget::new(100)).encode(Format::Text);
        let all = |name: &str, label: &str, values: &[String]| {
            let of_name: Vec<_> =
                text.lines().filter(|line| line.starts_with(&format!("tributary_{name}{{"))).collect();
            assert_eq!(of_name.len(), values.len(), "{name}: {of_name:#?}");
            for value in values {
                let line = format!("tributary_{name}{{{label}=\"{value}\"}} 0");
                assert!(of_name.contains(&line.as_str()), "{line} is not in\n{text}");
            }
        };
        let types = TYPES.map(str::to_owned);
        all("events_received_total", "type", &types);
        all("events_stored_total", "type", &types);
        all(
            "events_rejected_total",
            "code",
            &Code::ALL.iter().map(|code| code.as_str().to_owned()).collect::<Vec<_>>(),
        );
        all("upload_errors_total", "code", &upload_error_codes().collect::<Vec<_>>());
        all("circuit_breaker_open", "scope", &[&types[..], &["bucket".to_owned()]].concat());
        all("sts_requests_total", "outcome", &StsOutcome::ALL.map(|outcome| outcome.label().outcome.to_owned()));
        let requests = text.lines().filter(|line| line.starts_with("tributary_requests_total{")).count();
        assert_eq!(requests, (PATHS.len() - 1) * STATUSES.len() + 1);
        for line in [
            "tributary_requests_total{path=\"/v1/batch\",status=\"503\"} 0",
            "tributary_requests_total{path=\"/\",status=\"429\"} 0",
            "tributary_requests_total{path=\"other\",status=\"404\"} 0",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn counting_makes_no_series_that_was_not_there() {
        let metrics = Metrics::new(Budget::new(100));
        let series = || metrics.encode(Format::Text).lines().count();
        let before = series();
        for r#type in TYPES.into_iter().chain(["subscribe"]) {
            let event_type = EventType::parse(r#type).unwrap();
            metrics.received(&event_type);
            metrics.stored(&event_type, false);
        }
        Code::ALL.iter().for_each(|code| metrics.rejected(*code));
        upload_error_codes().for_each(|code| metrics.attempt().failed(code));
        drop(metrics.attempt());
        StsOutcome::ALL.into_iter().for_each(|outcome| metrics.sts_request(outcome));
        metrics.request(OTHER_PATH, 404, Duration::ZERO);
        for (path, status) in PATHS[..8].iter().flat_map(|path| STATUSES.map(|status| (*path, status))) {
            metrics.request(path, status, Duration::ZERO);
        }
        assert_eq!(series(), before);
    }

    #[test]
    fn events_are_in_flight_until_they_are_let_go() {
        let metrics = Metrics::new(Budget::new(100));
        let flight = metrics.flight(3);
        assert_eq!(metrics.in_flight(), 3);
        drop(flight);
        assert_eq!(metrics.in_flight(), 0);
    }
}
