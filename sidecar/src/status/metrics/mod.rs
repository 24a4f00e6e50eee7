//! The sidecar's metrics. Names and labels are a public interface: dashboards and alerts depend on them.
//!
//! Label values come from closed sets, so no client can create a time series. Every series exists from the start,
//! at 0: Prometheus' `rate()` does not count the first sample as an increase.

mod labels;
mod register;
#[cfg(test)]
mod tests;
mod totals;
mod upload_attempt;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use tributary_crds::conditions::Reason;
use tributary_runtime::exposition::Format;
use tributary_runtime::server::ConnectionCounts;

use crate::event::{Code, EventType};
use crate::memory::Budget;
use labels::{CodeLabel, OutcomeLabel, ReasonLabel, RequestLabels, ScopeLabel, TypeLabel, code_label, label};
use register::{DURATION_BUCKETS, MemoryCollector, counter, histogram, seconds};
use upload_attempt::upload_error_codes;

pub(crate) use labels::{DEAD_LETTER_SCOPE, StsOutcome, TYPES, TypeCounts, Unpartitioned, type_index};
pub use totals::Totals;
pub(crate) use upload_attempt::{Attempt, PRECONDITION_FAILED, TIMEOUT};

/// Histogram buckets in bytes: from a single event to the 64 MiB that a batch may have.
const BATCH_BYTES_BUCKETS: [f64; 9] = [1e3, 1e4, 1e5, 5e5, 1e6, 2.5e6, 5e6, 1e7, 6.4e7];

/// Label values that other modules define.
#[derive(Debug, Default)]
pub(crate) struct Series {
    /// Values of `code` for uploads that S3 refused.
    pub(crate) upload_errors: Vec<Reason>,
    /// Values of `path` and `status` for requests.
    pub(crate) requests: Vec<(&'static str, u16)>,
}

/// The registry and all metrics of a sidecar.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    events_received: Family<TypeLabel, Counter>,
    events_stored: Family<TypeLabel, Counter>,
    events_deduplicated: Counter,
    events_filtered: Counter,
    events_unpartitioned: Family<ReasonLabel, Counter>,
    events_rejected: Family<CodeLabel, Counter>,
    dead_letters_stored: Counter,
    times_unreadable: Counter,
    /// All rejected events, whatever their code, for [`Totals`].
    events_rejected_all: Counter,
    auth_failures: Counter,
    requests: Family<RequestLabels, Counter>,
    /// Requests answered 4xx or 5xx, for [`Totals`].
    refused_requests: Counter,
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
    /// 1 from the first failed renewal until there is a new session, otherwise 0.
    session_renewal_failing: Gauge,
    in_flight: Gauge,
    requests_in_flight: Gauge,
    connections: ConnectionCounts,
}

impl Metrics {
    /// Registers all metrics and creates their series. The `budget` is read at each scrape.
    pub(crate) fn new(budget: Budget, series: &Series) -> Arc<Self> {
        let mut registry = Registry::with_prefix("tributary");
        registry.register_collector(Box::new(MemoryCollector(budget)));
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "What runs", build);
        let (session_expiry, in_flight) = (Gauge::default(), Gauge::default());
        let session_renewal_failing = Gauge::default();
        registry.register(
            "session_expiry_timestamp_seconds",
            "When the session expires",
            Gauge::clone(&session_expiry),
        );
        let certificate_expiry = Gauge::default();
        registry.register(
            "certificate_expiry_timestamp_seconds",
            "When the server certificate expires; 0 without TLS",
            Gauge::clone(&certificate_expiry),
        );
        let help = "Whether the last attempt to renew the session failed";
        registry.register("session_renewal_failing", help, Gauge::clone(&session_renewal_failing));
        registry.register("in_flight_events", "Events accepted and not answered yet", Gauge::clone(&in_flight));
        let requests_in_flight = Gauge::default();
        let help = "Requests whose head was read and that are not answered yet";
        registry.register("in_flight_requests", help, Gauge::clone(&requests_in_flight));
        let circuit_breaker_open = Family::<ScopeLabel, Gauge>::default();
        registry.register(
            "circuit_breaker_open",
            "1 while uploads of an event type, of dead letters or of the whole bucket are refused without a request to S3",
            circuit_breaker_open.clone(),
        );
        let connections = ConnectionCounts::default();
        registry.register("connections", "Clients' connections that are open", Gauge::clone(&connections.open));
        let shed = "Idle connections closed at the limit, to accept others";
        registry.register("connections_shed", shed, Counter::clone(&connections.shed));
        let metrics = Self {
            events_received: counter(&mut registry, "events_received", "Events in requests, valid or not"),
            events_stored: counter(
                &mut registry,
                "events_stored",
                "Events that are stored, by this or an earlier request",
            ),
            events_deduplicated: counter(
                &mut registry,
                "events_deduplicated",
                "Events that an earlier request had stored",
            ),
            events_filtered: counter(&mut registry, "events_filtered", "Events that the function does not store"),
            events_unpartitioned: counter(
                &mut registry,
                "events_unpartitioned",
                "Events put into the partition without an event time",
            ),
            events_rejected: counter(&mut registry, "events_rejected", "Events rejected as invalid"),
            dead_letters_stored: counter(
                &mut registry,
                "dead_letters_stored",
                "Rejected events that are stored, by this or an earlier request",
            ),
            times_unreadable: counter(
                &mut registry,
                "times_unreadable",
                "Valid events with a timestamp or a sentAt that can't be read",
            ),
            events_rejected_all: Counter::default(),
            auth_failures: counter(&mut registry, "auth_failures", "Requests answered 401"),
            requests: counter(&mut registry, "requests", "Requests answered"),
            refused_requests: Counter::default(),
            request_duration: seconds(&mut registry, "request_duration", "Time from a request's head to its answer"),
            objects_stored: counter(&mut registry, "objects_stored", "Objects written"),
            stored_bytes: counter(&mut registry, "stored_bytes", "Bytes of the objects written"),
            upload_duration: seconds(&mut registry, "upload_duration", "Duration of a single PUT, successful or not"),
            batch_bytes: histogram(
                &mut registry,
                "batch",
                "Sealed batches by size, before compression",
                Unit::Bytes,
                BATCH_BYTES_BUCKETS,
            ),
            batch_age: histogram(&mut registry, "batch_age", "Sealed batches by age", Unit::Seconds, DURATION_BUCKETS),
            upload_errors: counter(
                &mut registry,
                "upload_errors",
                "Failed PUTs, by reason; those without an answer of S3 are in lower case",
            ),
            circuit_breaker_open,
            sts_requests: counter(&mut registry, "sts_requests", "Calls to STS"),
            session_expiry,
            certificate_expiry,
            session_renewal_failures: counter(
                &mut registry,
                "session_renewal_failures",
                "Failed attempts to renew a session that had not expired",
            ),
            session_renewal_failing,
            in_flight,
            requests_in_flight,
            connections,
            registry,
        };
        metrics.begin_at_zero(series);
        Arc::new(metrics)
    }

    /// Creates every possible series, at 0.
    fn begin_at_zero(&self, series: &Series) {
        for r#type in TYPES {
            _ = self.events_received.get_or_create(&TypeLabel { r#type });
            _ = self.events_stored.get_or_create(&TypeLabel { r#type });
        }
        for code in Code::ALL {
            _ = self.events_rejected.get_or_create(&code_label(code.as_str()));
        }
        for (path, status) in series.requests.iter().copied() {
            _ = self.requests.get_or_create(&RequestLabels { path, status });
        }
        for code in upload_error_codes(&series.upload_errors) {
            _ = self.upload_errors.get_or_create(&code_label(&code));
        }
        for scope in TYPES.into_iter().chain(["bucket", DEAD_LETTER_SCOPE]) {
            _ = self.circuit_breaker_open.get_or_create(&ScopeLabel { scope });
        }
        for reason in Unpartitioned::ALL {
            _ = self.events_unpartitioned.get_or_create(&reason.label());
        }
        for outcome in StsOutcome::ALL {
            _ = self.sts_requests.get_or_create(&outcome.label());
        }
    }

    /// All metrics, in the format that the scraper accepts.
    pub fn encode(&self, format: Format) -> String {
        format.encode(&self.registry)
    }

    /// The totals since the start.
    pub fn totals(&self) -> Totals {
        let stored = TYPES.map(|r#type| self.events_stored.get_or_create(&TypeLabel { r#type }).get());
        Totals {
            stored: stored.iter().sum(),
            deduplicated: self.events_deduplicated.get(),
            filtered: self.events_filtered.get(),
            rejected: self.events_rejected_all.get(),
            dead_letters: self.dead_letters_stored.get(),
            refused_requests: self.refused_requests.get(),
            objects: self.objects_stored.get(),
            bytes: self.stored_bytes.get(),
        }
    }

    /// The metrics of clients' connections, for the server to update.
    pub(crate) fn connections(&self) -> ConnectionCounts {
        self.connections.clone()
    }

    /// Valid events that are being stored and not answered yet.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.get().try_into().unwrap_or_default()
    }

    /// Requests whose head was read and that have no answer yet.
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

    /// Counts a received event that was rejected before its type was known.
    pub(crate) fn received_of_no_type(&self) {
        self.events_received.get_or_create(&TypeLabel { r#type: "other" }).inc();
    }

    pub(crate) fn filtered(&self) {
        self.events_filtered.inc();
    }

    /// Counts a valid event with a time that can't be read.
    pub(crate) fn time_unreadable(&self) {
        self.times_unreadable.inc();
    }

    pub(crate) fn auth_failed(&self) {
        self.auth_failures.inc();
    }

    /// Counts an event that was not put into the partition of its own time.
    pub(crate) fn unpartitioned(&self, reason: Unpartitioned) {
        self.events_unpartitioned.get_or_create(&reason.label()).inc();
    }

    pub(crate) fn rejected(&self, code: Code) {
        self.events_rejected.get_or_create(&code_label(code.as_str())).inc();
        self.events_rejected_all.inc();
    }

    /// Counts the rejected events of a stored object.
    pub(crate) fn dead_letters_stored(&self, events: u64) {
        self.dead_letters_stored.inc_by(events);
    }

    pub(crate) fn stored(&self, event_type: &EventType, existed: bool) {
        self.events_stored.get_or_create(&TypeLabel { r#type: label(event_type) }).inc();
        if existed {
            self.events_deduplicated.inc();
        }
    }

    /// Counts the events of a stored batch.
    pub(crate) fn stored_together(&self, counts: &TypeCounts) {
        for (r#type, count) in counts.iter() {
            self.events_stored.get_or_create(&TypeLabel { r#type }).inc_by(count);
        }
    }

    /// Starts to measure a PUT; the guard counts it once, however it ends.
    pub(crate) fn attempt(&self) -> Attempt<'_> {
        Attempt::begin(self)
    }

    /// Records a sealed batch: its size before compression, and its age since it was opened.
    pub(crate) fn batch(&self, plain_bytes: usize, age: Duration) {
        self.batch_bytes.observe(plain_bytes as f64);
        self.batch_age.observe(age.as_secs_f64());
    }

    /// Sets whether the circuit breaker of `scope`, an event type or `bucket`, is open.
    pub(crate) fn circuit_breaker(&self, scope: &'static str, open: bool) {
        self.circuit_breaker_open.get_or_create(&ScopeLabel { scope }).set(i64::from(open));
    }

    /// Records an answered request.
    pub(crate) fn request(&self, path: &'static str, status: u16, took: Duration) {
        self.requests.get_or_create(&RequestLabels { path, status }).inc();
        if status >= 400 {
            self.refused_requests.inc();
        }
        self.request_duration.observe(took.as_secs_f64());
    }

    pub(crate) fn sts_request(&self, outcome: StsOutcome) {
        self.sts_requests.get_or_create(&outcome.label()).inc();
    }

    /// Records a new session and its expiry.
    pub(crate) fn session_renewed(&self, expiry: SystemTime) {
        self.session_expiry.set(timestamp(expiry));
        self.session_renewal_failing.set(0);
    }

    /// Records a failed renewal while the session still lives.
    pub(crate) fn session_renewal_failed(&self) {
        self.session_renewal_failures.inc();
        self.session_renewal_failing.set(1);
    }

    /// Sets the expiry of the certificate; `None`, shown as 0, if none is in use.
    pub(crate) fn certificate_expiry(&self, expiry: Option<SystemTime>) {
        self.certificate_expiry.set(expiry.map_or(0.0, timestamp));
    }
}

/// A guard that counts events or requests as in flight until it is dropped.
pub(crate) struct Flight(Gauge, i64);

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.dec_by(self.1);
    }
}

/// Unix time in seconds.
fn timestamp(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
