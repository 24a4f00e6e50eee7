//! Computes how much memory a sidecar needs, from its function's spec alone. Pure.
//!
//! A sidecar's memory is bounded by budgets for connections, requests, uploads and batches. The constants here are
//! those budgets. The sidecar enforces them; the operator and `tributary check` add them up ([`MemoryNeed`]) and refuse
//! a function whose memory limit is below the sum.

use std::fmt;

use crate::function::{DeliveryMode, DestinationFunctionSpec};
use crate::values::{BatchBytes, Quantity};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Bytes that a sidecar needs at rest: code, threads, the AWS clients, metrics and memory that the allocator retains.
pub const PROCESS_BYTES: u64 = 24 * MIB;

/// Bytes per open connection: the buffers of HTTP.
pub const CONNECTION_BYTES: u64 = 48 * KIB;

/// Additional bytes per open connection if the sidecar serves HTTPS: a client may send a handshake message of 64 KiB
/// before anything of HTTP, and rustls keeps what has arrived of it.
pub const TLS_CONNECTION_BYTES: u64 = 32 * KIB;

/// Bytes that all requests together may hold: their bodies, and the events parsed from these.
pub const REQUEST_BYTES: u64 = 32 * MIB;

/// Bytes for bodies whose sender has shown no credential yet, if write keys are required: a write key may be in the
/// body. Room for four bodies of `/v1` of the largest size.
pub const UNPROVEN_API_BYTES: u64 = 4 * MIB;

/// Bytes for bodies without a proven credential if webhooks are signed: room for one body of 8 MiB, as sent and while it
/// is decompressed.
pub const UNPROVEN_WEBHOOK_BYTES: u64 = 24 * MIB;

/// Uploads in progress concurrently. S3 needs about 76 ms for a small object, so by Little's law this allows about 3,300
/// uploads per second, about what a partition of a bucket accepts.
pub const MAX_UPLOADS: u64 = 256;

/// Bytes per upload in progress, in addition to the object itself: a request of the AWS client and its connection.
pub const UPLOAD_BYTES: u64 = 128 * KIB;

/// Bytes of events at which a batch is sealed if `delivery.batch.maxBytes` is not set.
pub const DEFAULT_MAX_BATCH_BYTES: u64 = 5 * MIB;

/// How many times `delivery.batch.maxBytes` all batches together may hold: one that grows and one that is uploaded,
/// even if nothing compresses.
pub const BATCHES_PER_MAX_BYTES: u64 = 2;

/// How many times `delivery.batch.maxBytes` a sidecar may hold in addition to its budget: a growing buffer is moved, and
/// its old memory returns to the kernel a moment later.
pub const MOVED_PER_MAX_BYTES: u64 = 1;

/// Additional bytes for many open batches: their tasks, and lines that are not compressed yet.
pub const SMALL_BATCHES_BYTES: u64 = 8 * MIB;

/// Partitions by event time that may have an open batch if `delivery.batch.maxPartitions` is not set.
pub const DEFAULT_MAX_PARTITIONS: u32 = 64;

/// Additional bytes per partition by event time, as [`SMALL_BATCHES_BYTES`] has per event type: an open batch's task, and
/// its lines that are not compressed yet.
pub const PARTITION_BYTES: u64 = 128 * KIB;

/// Pieces of batches that may be compressed at the same time.
pub const MAX_COMPRESSORS: u64 = 4;

/// Bytes per compressor of a piece, with its output: zstd's, the largest.
pub const COMPRESSOR_BYTES: u64 = 2 * MIB;

/// The chart's default for `sidecar.resources.limits.memory`: the limit of a function that sets none.
pub const CHART_MEMORY_LIMIT: &str = "256Mi";

/// The smallest valid `delivery.batch.maxBytes`.
const MIN_MAX_BATCH_BYTES: u64 = 64 * KIB;

/// The memory that a function's sidecar may hold, by part, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryNeed {
    /// The process at rest.
    pub process: u64,
    /// Open connections of clients.
    pub connections: u64,
    /// Requests being read and answered, including bodies without a proven credential.
    pub requests: u64,
    /// Uploads in progress.
    pub uploads: u64,
    /// Open and sealed batches; 0 in Object mode.
    pub batches: u64,
    /// The maximum number of open connections.
    max_connections: u64,
    /// The bytes at which a batch is sealed; `None` in Object mode.
    max_batch_bytes: Option<u64>,
    /// The maximum number of partitions by event time; 0 without event times.
    max_partitions: u64,
}

impl MemoryNeed {
    /// The memory that a sidecar of this function needs.
    pub fn of(spec: &DestinationFunctionSpec) -> Self {
        let max_connections = u64::try_from(spec.max_connections()).unwrap_or(u64::MAX);
        let max_batch_bytes = max_batch_bytes(spec);
        let max_partitions = max_partitions(spec);
        Self {
            process: PROCESS_BYTES,
            connections: max_connections * connection_bytes(spec),
            requests: REQUEST_BYTES + unproven_bytes(spec),
            uploads: MAX_UPLOADS * UPLOAD_BYTES,
            batches: max_batch_bytes.map_or(0, |max| batch_bytes(max, max_partitions)),
            max_connections,
            max_batch_bytes,
            max_partitions,
        }
    }

    /// The sum of all parts, in bytes.
    pub fn total(&self) -> u64 {
        self.process + self.connections + self.requests + self.uploads + self.batches
    }

    /// Why a memory limit is too small, with the arithmetic and the fix; `None` if it is large enough.
    pub fn refusal(&self, limit: &Quantity) -> Option<String> {
        let total = self.total();
        // A limit that is not a quantity is refused by the schema.
        let given = limit.thousandths().filter(|given| *given < i128::from(total) * 1000)?;
        let min_partitions = self.max_partitions.min(1);
        let least =
            self.max_batch_bytes.map(|_| total - self.batches + batch_bytes(MIN_MAX_BATCH_BYTES, min_partitions));
        let smaller_batches_fit = least.is_some_and(|least| i128::from(least) * 1000 <= given);
        let or_lower = match smaller_batches_fit {
            false => "",
            true if self.max_partitions == 0 => ", or lower spec.delivery.batch.maxBytes",
            true => ", or lower spec.delivery.batch.maxBytes and maxPartitions",
        };
        let enough = total.div_ceil(MIB);
        Some(format!(
            "a memory limit of {limit} is too small: the function {self}; raise spec.resources.limits.memory to at \
             least {enough}Mi{or_lower}"
        ))
    }
}

/// The arithmetic, as `needs 120Mi: 24Mi for the process, …`.
impl fmt::Display for MemoryNeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "needs {}: {} for the process, {} for {} connections, {} for requests, {} for {MAX_UPLOADS} uploads",
            Bytes(self.total()),
            Bytes(self.process),
            Bytes(self.connections),
            Grouped(self.max_connections),
            Bytes(self.requests),
            Bytes(self.uploads),
        )?;
        if let Some(max) = self.max_batch_bytes {
            write!(
                f,
                ", {} for batches ({} × maxBytes {}, {} for small ones",
                Bytes(self.batches),
                BATCHES_PER_MAX_BYTES + MOVED_PER_MAX_BYTES,
                Bytes(max),
                Bytes(SMALL_BATCHES_BYTES),
            )?;
            if self.max_partitions > 0 {
                let bytes = Bytes(self.max_partitions * PARTITION_BYTES);
                write!(f, ", {bytes} for {} partitions by event time", self.max_partitions)?;
            }
            write!(f, " and {} for compressors)", Bytes(MAX_COMPRESSORS * COMPRESSOR_BYTES))?;
        }
        Ok(())
    }
}

fn connection_bytes(spec: &DestinationFunctionSpec) -> u64 {
    let serves_https = spec.ingest.as_ref().is_some_and(|ingest| ingest.tls_secret_ref.is_some());
    CONNECTION_BYTES + if serves_https { TLS_CONNECTION_BYTES } else { 0 }
}

/// Bytes for bodies whose sender has shown no credential yet; 0 if the function requires none.
pub fn unproven_bytes(spec: &DestinationFunctionSpec) -> u64 {
    match &spec.ingest {
        Some(ingest) if ingest.signature_secret_ref.is_some() => UNPROVEN_WEBHOOK_BYTES,
        Some(ingest) if ingest.write_key_secret_ref.is_some() => UNPROVEN_API_BYTES,
        _ => 0,
    }
}

/// Bytes of the one budget that requests and batches share.
pub fn budget_bytes(spec: &DestinationFunctionSpec) -> u64 {
    REQUEST_BYTES + max_batch_bytes(spec).map_or(0, |max| batch_budget_bytes(max, max_partitions(spec)))
}

/// The bytes at which a batch is sealed; `None` in Object mode.
pub fn max_batch_bytes(spec: &DestinationFunctionSpec) -> Option<u64> {
    let delivery = &spec.delivery;
    let asked = delivery.batch.as_ref().and_then(|batch| batch.max_bytes.as_ref());
    let bytes = asked.map(BatchBytes::bytes).and_then(|bytes| u64::try_from(bytes).ok());
    (delivery.mode == DeliveryMode::Batch).then(|| bytes.unwrap_or(DEFAULT_MAX_BATCH_BYTES))
}

/// The maximum number of partitions by event time, in addition to those that each event type always has; 0 if keys
/// have no event time.
pub fn max_partitions(spec: &DestinationFunctionSpec) -> u64 {
    let delivery = &spec.delivery;
    if delivery.key.as_ref().is_none_or(|key| key.event_time_fields().is_empty()) {
        return 0;
    }
    let asked = delivery.batch.as_ref().and_then(|batch| batch.max_partitions);
    asked.unwrap_or(DEFAULT_MAX_PARTITIONS).into()
}

fn batch_bytes(max: u64, partitions: u64) -> u64 {
    batch_budget_bytes(max, partitions) + MOVED_PER_MAX_BYTES * max + MAX_COMPRESSORS * COMPRESSOR_BYTES
}

/// The part of [`batch_bytes`] that belongs to the shared budget: all but the compressors and moved buffers.
fn batch_budget_bytes(max: u64, partitions: u64) -> u64 {
    BATCHES_PER_MAX_BYTES * max + SMALL_BATCHES_BYTES + partitions * PARTITION_BYTES
}

/// A size in Kubernetes' notation, exact.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes % MIB == 0 => write!(f, "{}Mi", bytes / MIB),
            bytes if bytes % KIB == 0 => write!(f, "{}Ki", bytes / KIB),
            bytes => write!(f, "{bytes}"),
        }
    }
}

/// A number with commas as thousands separators.
struct Grouped(u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 >= 1000 { write!(f, "{},{:03}", Grouped(self.0 / 1000), self.0 % 1000) } else { self.0.fmt(f) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn spec(delivery: &Value) -> Value {
        json!({
            "roleArn": "arn:aws:iam::123456789012:role/orders",
            "externalIdSecretRef": {"name": "orders-lake"},
            "s3": {"bucket": "orders-lake", "region": "us-west-2"},
            "delivery": delivery,
        })
    }

    fn need(delivery: &Value) -> MemoryNeed {
        MemoryNeed::of(&serde_json::from_value(spec(delivery)).unwrap())
    }

    fn batch(max_bytes: &str) -> Value {
        json!({"mode": "Batch", "batch": {"maxBytes": max_bytes}})
    }

    fn by_event_time(batch: &Value) -> Value {
        json!({"mode": "Batch", "key": "dt={timestamp:yyyy-MM-dd}/{batchId}", "batch": batch})
    }

    const OBJECT: &str = "24Mi for the process, 48Mi for 1,024 connections, 32Mi for requests, 32Mi for 256 uploads";
    const STATE: &str = "8Mi for small ones and 8Mi for compressors";

    #[test]
    fn the_arithmetic_adds_up_and_is_shown() {
        for (delivery, shown) in [
            (json!({}), format!("needs 136Mi: {OBJECT}")),
            (json!({"mode": "Batch"}), format!("needs 167Mi: {OBJECT}, 31Mi for batches (3 × maxBytes 5Mi, {STATE})")),
            (batch("64Mi"), format!("needs 344Mi: {OBJECT}, 208Mi for batches (3 × maxBytes 64Mi, {STATE})")),
            (batch("100Ki"), format!("needs 155948Ki: {OBJECT}, 16684Ki for batches (3 × maxBytes 100Ki, {STATE})")),
        ] {
            assert_eq!(need(&delivery).to_string(), shown);
        }
        let mut with_certificate = spec(&json!({}));
        with_certificate["ingest"] = json!({"tlsSecretRef": {"name": "orders-tls"}});
        let with_certificate = MemoryNeed::of(&serde_json::from_value(with_certificate).unwrap());
        let expected = format!("needs 168Mi: {}", OBJECT.replace("48Mi for", "80Mi for"));
        assert_eq!(with_certificate.to_string(), expected);
        let large = need(&batch("64Mi"));
        assert_eq!(large.total(), 344 << 20);
        assert_eq!(
            large.process + large.connections + large.requests + large.uploads + large.batches,
            large.total(),
            "{large:?}"
        );
    }

    #[test]
    fn partitions_by_event_time_add_to_the_need() {
        for (batch, partitions, total) in
            [(json!({}), "8Mi for 64 partitions", 175), (json!({"maxPartitions": 256}), "32Mi for 256 partitions", 199)]
        {
            let need = need(&by_event_time(&batch));
            let shown = format!("8Mi for small ones, {partitions} by event time and 8Mi for compressors)");
            assert!(need.to_string().ends_with(&shown), "{need}");
            assert_eq!(need.total(), total << 20);
        }
        let spec: DestinationFunctionSpec = serde_json::from_value(spec(&by_event_time(&json!({})))).unwrap();
        assert_eq!(budget_bytes(&spec), REQUEST_BYTES + (10 + 8 + 8) * MIB);
    }

    #[test]
    fn connections_and_credentials_add_to_the_need() {
        let need = |ingest: Value| {
            let mut spec = spec(&json!({}));
            spec["ingest"] = ingest;
            MemoryNeed::of(&serde_json::from_value(spec).unwrap())
        };
        let key = json!({"name": "keys", "key": "k"});
        assert_eq!(need(json!({"maxConnections": 128})).total(), (24 + 6 + 32 + 32) << 20);
        assert_eq!(need(json!({"writeKeySecretRef": key})).requests, 36 << 20);
        assert_eq!(need(json!({"writeKeySecretRef": key, "signatureSecretRef": key})).requests, 56 << 20);
    }

    #[test]
    fn a_limit_is_refused_exactly_when_it_is_below_the_need() {
        for (delivery, enough, too_small) in [
            (json!({}), "136Mi", "135Mi"),
            (json!({"mode": "Batch"}), "167Mi", "166Mi"),
            (batch("34Mi"), CHART_MEMORY_LIMIT, "253Mi"),
            (batch("64Mi"), "0.5Gi", CHART_MEMORY_LIMIT),
            (json!({}), "142606336", "142606335"),
        ] {
            let need = need(&delivery);
            let refusal = |limit: &str| need.refusal(&Quantity::Text(limit.to_owned()));
            assert_eq!(refusal(enough), None, "{delivery}");
            let message = refusal(too_small).unwrap_or_else(|| panic!("{delivery} takes {too_small}"));
            assert!(
                message.contains(&format!("limit of {too_small} ")) && message.contains(&need.to_string()),
                "{message}"
            );
        }
    }

    #[test]
    fn the_resources_description_has_the_same_figures() {
        let (object, batch) = (need(&json!({})).total() / MIB, need(&json!({"mode": "Batch"})).total());
        let per_max_bytes = BATCHES_PER_MAX_BYTES + MOVED_PER_MAX_BYTES;
        let beside_batches = (batch - per_max_bytes * DEFAULT_MAX_BATCH_BYTES) / MIB;
        let per_partition = PARTITION_BYTES / KIB;
        let message = format!(
            "at least {object}Mi, or {beside_batches}Mi and three times delivery.batch.maxBytes in mode Batch, with \
             {per_partition}Ki for each of delivery.batch.maxPartitions if keys have an event time;"
        );
        assert!(include_str!("../../docs/reference.md").contains(&message), "{message}");
    }

    #[test]
    fn a_refusal_names_the_fix() {
        let refusal =
            |delivery: &Value, limit: &str| need(delivery).refusal(&Quantity::Text(limit.to_owned())).unwrap();
        let raise = |least: &str| format!("; raise spec.resources.limits.memory to at least {least}");
        let lower = ", or lower spec.delivery.batch.maxBytes";
        for (delivery, limit, end) in [
            (json!({}), "16Mi", raise("136Mi")),
            // Not even the smallest batches fit.
            (json!({"mode": "Batch"}), "16Mi", raise("167Mi")),
            (json!({"mode": "Batch"}), "155Mi", raise("167Mi") + lower),
            (batch("64Mi"), "256Mi", raise("344Mi") + lower),
            (batch("100Ki"), "64Mi", raise("153Mi")),
            (by_event_time(&json!({})), "160Mi", raise("175Mi") + lower + " and maxPartitions"),
        ] {
            let message = refusal(&delivery, limit);
            assert!(message.ends_with(&end), "{message}");
        }
    }
}
