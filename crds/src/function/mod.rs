//! `DestinationFunction`, the resource: its schema, its defaults, and the CEL rules that compare fields.
//!
//! One file per part of the spec. The schemas of single values are in [`crate::values`]. No field names an image, a
//! service account, environment variables, volumes, host access or another namespace: the platform decides what else
//! reaches a pod.

mod delivery;
mod events;
mod external_id;
mod ingest;
mod log_level;
mod resources;
mod s3;
mod sts;

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::conditions::FunctionStatus;
use crate::values::{Endpoint, RoleArn, SessionName, cel_home_region_of, cel_partition_of};

pub use delivery::{Batch, Compression, DeadLetter, Delivery, DeliveryMode};
pub use events::{EventFilter, SegmentType};
pub use external_id::{ExternalIdEnforcement, ExternalIdSecretRef};
pub use ingest::{Cors, DEFAULT_MAX_CONNECTIONS, Ingest, SecretKeyRef, TlsSecretRef};
pub use log_level::LogLevel;
pub use resources::{Amounts, Resources};
pub use s3::{Checksum, Encryption, EncryptionType, S3};
pub use sts::Sts;

/// The desired state of a destination function: which role to assume, where and how to store events, and how clients
/// send them.
#[derive(Clone, CustomResource, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "tributary.dev",
    version = "v1alpha1",
    kind = "DestinationFunction",
    plural = "destinationfunctions",
    shortname = "df",
    shortname = "dfn",
    category = "tributary",
    namespaced,
    status = "FunctionStatus",
    derive = "PartialEq",
    doc = "A destination function: a sidecar that takes Segment events over HTTP and stores them in an S3 bucket, through a role that trusts it with an external ID.",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason"),
    printcolumn(name = "Up-To-Date", type_ = "string", json_path = ".status.conditions[?(@.type==\"UpToDate\")].status"),
    printcolumn(name = "Desired", type_ = "integer", json_path = ".spec.replicas"),
    printcolumn(name = "Running", type_ = "integer", json_path = ".status.readyReplicas"),
    printcolumn(name = "Bucket", type_ = "string", json_path = ".spec.s3.bucket", priority = 1),
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.delivery.mode", priority = 1),
    printcolumn(name = "Role", type_ = "string", json_path = ".spec.roleArn", priority = 1),
    printcolumn(name = "Region", type_ = "string", json_path = ".spec.s3.region", priority = 1),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    // The Service and other children have the same name: a DNS-1035 label, with room for a suffix.
    validation = Rule::new("self.metadata.name.matches('^[a-z]([a-z0-9-]{0,50}[a-z0-9])?$')")
        .message(Message::Expression("'metadata.name \"' + self.metadata.name + '\" is not a label of at most 52 lower-case letters, digits and hyphens that begins with a letter; write it like orders'".into())),
    // Every namespace has a ServiceAccount of this name, which Kubernetes creates again when it is deleted.
    validation = Rule::new("self.metadata.name != 'default'")
        .message("metadata.name \"default\" is taken: the sidecars' ServiceAccount carries the function's name, and each namespace has one called default; choose another name")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(same_partition_rule("self.s3.region", "has(self.s3.endpoint)"))
        .message(Message::Expression(other_partition_message("s3.region", "self.s3.region"))),
    validation = Rule::new(same_partition_rule("self.sts.region", "!has(self.sts) || !has(self.sts.region) || has(self.sts.endpoint)"))
        .message(Message::Expression(other_partition_message("sts.region", "self.sts.region"))),
)]
pub struct DestinationFunctionSpec {
    /// ARN of the IAM role to assume ("IAM Role ARN").
    pub role_arn: RoleArn,
    /// The Secret with the role's external ID ("IAM Role External ID"), in the function's own namespace.
    pub external_id_secret_ref: ExternalIdSecretRef,
    /// What to do if STS grants the role without the external ID: Require stores no event until STS is known to refuse
    /// that; Warn stores events and sets the condition ExternalIdEnforced to False.
    #[serde(default)]
    pub external_id_enforcement: ExternalIdEnforcement,
    /// The role session name that CloudTrail shows; by default `<namespace>.<name>`, cut to 64 characters. A name with
    /// a dot must begin with the function's namespace and a dot, so that no function can imitate one of another
    /// namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_name: Option<SessionName>,
    /// The bucket that stores the events, and how objects are written.
    pub s3: S3,
    /// The STS endpoint that issues sessions; by default the regional endpoint of the platform's region or, if the
    /// platform sets none in the role's partition, of s3.region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sts: Option<Sts>,
    /// Which events to store; the others are accepted and dropped. By default all are stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<EventFilter>,
    /// How events become S3 objects: one object per event, or many events per object.
    #[serde(default)]
    pub delivery: Delivery,
    /// How clients send events: credentials, TLS, CORS and limits. Without credentials, anyone who can reach the
    /// Service can send events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingest: Option<Ingest>,
    /// Number of sidecars. Without it a function starts with 1, and an autoscaler or a person may scale it.
    // No default: with one the field would never be absent, and its value would compete with an autoscaler's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    // Not nullable: the API server would keep the null, and then refuse it because the scale subresource wants a number.
    #[schemars(with = "i32", range(min = 0, max = 1000))]
    pub replicas: Option<i32>,
    /// CPU and memory of each sidecar, within the platform's bounds; an amount that is not set is the platform's
    /// default. The memory limit must be at least 136Mi, or 152Mi and three times delivery.batch.maxBytes in mode Batch,
    /// with 128Ki for each of delivery.batch.maxPartitions if keys have an event time; write keys, a signature, a
    /// certificate, and more than the default ingest.maxConnections need more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// How much the sidecars log; each level includes those before it. A change between info, debug and trace restarts
    /// no sidecar.
    #[serde(default)]
    pub log_level: LogLevel,
    /// Whether changes of the function are held back: its sidecars keep running with the last accepted spec, and a
    /// function without sidecars gets none. Changes by the platform are still applied.
    #[serde(default)]
    pub paused: bool,
}

impl DestinationFunctionSpec {
    /// The prefix of the keys of dead letters, `s3.prefix` included; `None` if the function does not store them.
    pub fn dead_letter_prefix(&self) -> Option<String> {
        let own = &self.delivery.dead_letter.as_ref()?.prefix;
        Some(self.s3.prefix.as_ref().map_or_else(|| own.to_string(), |prefix| format!("{prefix}{own}")))
    }

    /// The endpoint of another STS than AWS's, if the function names one.
    pub fn sts_store(&self) -> Option<&Endpoint> {
        self.sts.as_ref().and_then(Sts::store)
    }
}

/// The CEL expression of the role's partition.
const ROLES_PARTITION: &str = "self.roleArn.split(':')[1]";

/// The CEL rule that the role and a region of AWS are in the same partition, unless `exempt` holds. The rules of the
/// region's own object report a region that is not AWS's.
fn same_partition_rule(region: &str, exempt: &str) -> String {
    format!("{exempt} || {ROLES_PARTITION} == ({})", cel_partition_of(region))
}

/// The message of [`same_partition_rule`], a CEL expression.
fn other_partition_message(field: &str, region: &str) -> String {
    let (partition, home) = (cel_partition_of(region), cel_home_region_of(ROLES_PARTITION));
    format!(
        "'roleArn \"' + self.roleArn + '\" and {field} \"' + {region} + '\" are in different partitions, ' + \
         {ROLES_PARTITION} + ' and ' + ({partition}) + '; a role is valid only in its own, in a region like ' + {home}"
    )
}
