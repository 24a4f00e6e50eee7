//! The workloads: what is sent, and what becomes of it. Programs are compared under the same workload.

use std::time::Duration;

use crate::content::Content;
use crate::load::LoadShape;

/// How long a batch waits for more events (`maxAge`): the minimum, because in a closed loop the next requests wait for
/// these answers, and nothing happens meanwhile.
pub const BATCH_AGE: Duration = Duration::from_millis(100);

#[derive(Debug, PartialEq)]
pub struct Workload {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its description in the report.
    pub title: &'static str,
    pub shape: LoadShape,
    /// The content of the objects; `None` if events are not stored, so that no S3 is needed.
    pub content: Option<Content>,
    /// Time by which S3 delays the answer to a PutObject.
    pub s3_latency: Duration,
    /// Whether S3 is used over TLS.
    pub s3_tls: bool,
    /// Whether clients connect over TLS.
    pub client_tls: bool,
    /// The name of the workload whose peak rate is halved for an open loop; `None` for a closed loop.
    pub half_of_peak: Option<&'static str>,
}

const OBJECT: Workload = Workload {
    name: "object",
    title: "object",
    shape: LoadShape { connections: 64, events: 1 },
    content: Some(Content::Event),
    s3_latency: Duration::ZERO,
    s3_tls: false,
    client_tls: false,
    half_of_peak: None,
};

const OBJECT_30_MS: Workload = Workload {
    name: "object-30ms",
    title: "object, S3 answers after 30 ms",
    shape: LoadShape { connections: 256, events: 1 },
    s3_latency: Duration::from_millis(30),
    ..OBJECT
};

const BATCH: Workload = Workload {
    name: "batch",
    title: "batch, 1 event per request",
    // All connections wait for the same batch, so fewer connections would make it small.
    shape: LoadShape { connections: 512, events: 1 },
    content: Some(Content::Gzip),
    ..OBJECT
};

const BATCH_100: Workload = Workload {
    name: "batch-100",
    title: "batch, 100 events per request",
    shape: LoadShape { connections: 64, events: 100 },
    ..BATCH
};

/// All workloads, in the report's order.
pub static WORKLOADS: [Workload; 10] = [
    Workload { name: "take", title: "take", content: None, ..OBJECT },
    OBJECT,
    Workload {
        name: "object-100",
        title: "object, 100 events per request",
        // Each request stores its events concurrently, so 4 requests have 400 PUTs in flight.
        shape: LoadShape { connections: 4, events: 100 },
        ..OBJECT
    },
    Workload { name: "object-tls", title: "object, TLS to S3", s3_tls: true, ..OBJECT },
    Workload { name: "object-client-tls", title: "object, TLS from clients", client_tls: true, ..OBJECT },
    OBJECT_30_MS,
    Workload {
        name: "object-open",
        title: "object, open loop at half of the sidecar's peak",
        half_of_peak: Some(OBJECT_30_MS.name),
        ..OBJECT_30_MS
    },
    BATCH,
    BATCH_100,
    Workload {
        name: "batch-zstd",
        title: "batch, 100 events per request, zstd",
        content: Some(Content::Zstd),
        ..BATCH_100
    },
];

impl Workload {
    /// The workload with this name. Only the names of [`WORKLOADS`] have one.
    #[cfg(test)]
    pub fn named(name: &str) -> &'static Workload {
        WORKLOADS.iter().find(|workload| workload.name == name).expect("a workload has this name")
    }
}
