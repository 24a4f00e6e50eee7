//! `DestinationFunction`, the resource.
//!
//! Field by field the schema judges single values (see [`crate::values`]); the rules here judge
//! values against each other. No field names an image, a service account, environment, volumes,
//! host access or another namespace: what reaches a pod is the platform's to decide.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::conditions::FunctionStatus;
use crate::values::{
    AccountId, BatchAge, BatchBytes, Bucket, Endpoint, EventBytes, EventNamePattern, KeyTemplate, KmsKeyArn, Origin,
    Prefix, Quantity, Region, RoleArn, SecretKey, SecretName, SessionName, StorageClass,
};

/// A destination function: a sidecar that takes Segment events over HTTP and stores them in an S3 bucket, through a role that trusts it with an external ID.
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
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Up-To-Date", type_ = "string", json_path = ".status.conditions[?(@.type==\"UpToDate\")].status"),
    printcolumn(name = "Desired", type_ = "integer", json_path = ".spec.replicas"),
    printcolumn(name = "Running", type_ = "integer", json_path = ".status.readyReplicas"),
    printcolumn(name = "Bucket", type_ = "string", json_path = ".spec.s3.bucket"),
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.delivery.mode"),
    printcolumn(name = "Role", type_ = "string", json_path = ".spec.roleArn", priority = 1),
    printcolumn(name = "Region", type_ = "string", json_path = ".spec.s3.region", priority = 1),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    // A Service and more carry the name: a DNS-1035 label, with room for a suffix.
    validation = Rule::new("self.metadata.name.matches('^[a-z]([a-z0-9-]{0,50}[a-z0-9])?$')")
        .message(Message::Expression("'metadata.name \"' + self.metadata.name + '\" is not a label of at most 52 lower-case letters, digits and hyphens that begins with a letter; write it like orders'".into())),
    // The ServiceAccount of that name is there in every namespace, and nobody's to delete.
    validation = Rule::new("self.metadata.name != 'default'")
        .message("metadata.name \"default\" is taken: the sidecars' ServiceAccount carries the function's name, and each namespace has one called default; name it otherwise")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(self.s3.region.startsWith('cn-') ? 'aws-cn' : self.s3.region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws') == self.roleArn.split(':')[1] || has(self.s3.endpoint)")
        .message(Message::Expression("'roleArn \"' + self.roleArn + '\" and s3.region \"' + self.s3.region + '\" are in different partitions; a role in aws-cn goes with a region like cn-north-1, one in aws-us-gov with us-gov-west-1, one in aws with us-west-2'".into())),
)]
pub struct DestinationFunctionSpec {
    /// The role to assume ("IAM Role ARN").
    pub role_arn: RoleArn,
    /// The Secret that holds the external ID ("IAM Role External ID"), in the function's own namespace.
    pub external_id_secret_ref: ExternalIdSecretRef,
    /// What happens to a role that STS gives away without the external ID.
    #[serde(default)]
    pub external_id_enforcement: ExternalIdEnforcement,
    /// The session's name, which CloudTrail shows; by default `<namespace>.<name>`, cut to 64 characters. One with a dot
    /// begins with the function's namespace and the dot, so that no function passes for another namespace's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_name: Option<SessionName>,
    /// Where objects go.
    pub s3: S3,
    /// Where sessions come from; by default the regional endpoint of the platform's region, else of s3.region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sts: Option<Sts>,
    /// Which events are stored; by default all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<EventFilter>,
    /// How events become objects.
    #[serde(default)]
    pub delivery: Delivery,
    /// How events are let in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingest: Option<Ingest>,
    /// How many sidecars. Without it a function begins with 1, and an autoscaler or a person scales it.
    // No default: with one it would never be absent, and an autoscaler would fight it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub replicas: Option<i32>,
    /// CPU and memory of each sidecar, within the platform's bounds. A memory limit is at least 136Mi, or 152Mi and twice delivery.batch.maxBytes in mode Batch, with the default number of connections and no credentials in bodies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// How much the sidecar logs. A change between info, debug and trace restarts nothing.
    #[serde(default)]
    pub log_level: LogLevel,
    /// Nothing that is changed of the function is taken up, and its sidecars go on. What the platform changes is
    /// applied to them all the same.
    #[serde(default)]
    pub paused: bool,
}

/// A key of a Secret that holds the external ID.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
pub struct ExternalIdSecretRef {
    /// The Secret, in the function's own namespace.
    pub name: SecretName,
    /// The key within it.
    #[serde(default = "external_id_key")]
    pub key: SecretKey,
}

fn external_id_key() -> SecretKey {
    "externalId".parse().expect("a constant, parsed by this file's tests")
}

/// A key of a Secret.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
pub struct SecretKeyRef {
    /// The Secret, in the function's own namespace.
    pub name: SecretName,
    /// The key within it.
    pub key: SecretKey,
}

/// A Secret of type kubernetes.io/tls.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
pub struct TlsSecretRef {
    /// The Secret, in the function's own namespace.
    pub name: SecretName,
}

/// What happens to a role that STS gives away without the external ID.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
pub enum ExternalIdEnforcement {
    /// No event goes through it.
    #[default]
    Require,
    /// Only the condition says so.
    Warn,
}

/// Where objects go.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.forcePathStyle) || has(self.endpoint)")
        .message("forcePathStyle goes with an endpoint; AWS needs none: leave it out, or add endpoint: https://minio.storage.svc:9000"),
    validation = Rule::new("!has(self.encryption) || !has(self.encryption.keyId) || self.encryption.keyId.split(':')[3] == self.region")
        .message(Message::Expression("'encryption.keyId \"' + self.encryption.keyId + '\" is not in the bucket\\'s region ' + self.region + '; S3 takes a key of the bucket\\'s own region'".into())),
)]
pub struct S3 {
    /// The bucket ("S3 Bucket").
    pub bucket: Bucket,
    /// The bucket's region ("S3 Bucket Region").
    pub region: Region,
    /// What every key begins with: empty, or with / at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<Prefix>,
    /// The account that must own the bucket, or S3 refuses the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_bucket_owner: Option<AccountId>,
    /// How S3 encrypts the objects; by default as the bucket says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// The objects' storage class; by default STANDARD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<StorageClass>,
    /// The objects' tags: at most ten.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "tags_schema")]
    pub tags: BTreeMap<String, String>,
    /// An S3-compatible store, if the platform allows it; by default AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// The bucket in the path instead of the host name, as many S3-compatible stores need it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force_path_style: Option<bool>,
    /// Whether objects carry a checksum that the store may not know.
    #[serde(default)]
    pub checksum: Checksum,
    /// Whether If-None-Match keeps an object from being written twice; false for stores that do not know it.
    #[serde(default = "yes")]
    pub conditional_writes: bool,
}

fn yes() -> bool {
    true
}

/// Ten tags at most, of S3's characters.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html>
fn tags_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "description": "The objects' tags: at most ten.",
        "maxProperties": 10,
        "additionalProperties": {"type": "string", "maxLength": 256},
        "x-kubernetes-validations": [{
            "rule": "self.all(k, k.matches('^[A-Za-z0-9 +=._:/@-]{1,128}$') && self[k].matches('^[A-Za-z0-9 +=._:/@-]*$'))",
            "message": "tags have a character or a length that S3 does not take: letters, digits, spaces and +-=._:/@, a key of 1 to 128; write them like team: data"
        }],
    })
}

/// How S3 encrypts the objects.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.type == 'KMS' || !has(self.keyId)")
        .message("encryption.keyId goes with type KMS only: write type: KMS, or leave keyId out"),
)]
pub struct Encryption {
    /// S3's own keys, or KMS.
    pub r#type: EncryptionType,
    /// The KMS key; by default the account's aws/s3 key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<KmsKeyArn>,
}

/// Whose keys encrypt the objects.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
pub enum EncryptionType {
    /// S3's own (SSE-S3).
    S3,
    /// KMS (SSE-KMS).
    #[serde(rename = "KMS")]
    Kms,
}

/// Whether objects carry a checksum that the store may not know.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
pub enum Checksum {
    /// A CRC32 with every object, checked by S3.
    #[default]
    WhenSupported,
    /// None.
    WhenRequired,
}

/// Where sessions come from.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[x_kube(
    validation = Rule::new("has(self.region) || has(self.endpoint)")
        .message("sts names neither region nor endpoint: write region: us-west-2, or leave sts out"),
)]
pub struct Sts {
    /// The region whose endpoint is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// An STS-compatible service, if the platform allows it; by default AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
}

/// Which events are stored.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[x_kube(
    validation = Rule::new("!has(self.names) || !has(self.types) || 'track' in self.types")
        .message("events.names are names of track events: add track to events.types, or leave names out"),
)]
pub struct EventFilter {
    /// The types stored; by default all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 6), extend("x-kubernetes-list-type" = "set"))]
    pub types: Option<Vec<SegmentType>>,
    /// The names of track events stored, with * for any text; by default all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    pub names: Option<Vec<EventNamePattern>>,
}

/// The types of Segment's spec.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SegmentType {
    /// What a user did.
    Track,
    /// Who a user is.
    Identify,
    /// A web page seen.
    Page,
    /// An app's screen seen.
    Screen,
    /// What a user belongs to.
    Group,
    /// Two identities of one user.
    Alias,
}

/// How events become objects.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[x_kube(
    validation = Rule::new("self.mode == 'Batch' || !has(self.batch)")
        .message("delivery.batch goes with mode Batch only: write mode: Batch, or leave batch out"),
    validation = Rule::new("!has(self.key) || self.mode == 'Batch' || self.key.contains('{messageId}')")
        .message(Message::Expression("'delivery.key \"' + self.key + '\" has no {messageId}, without which two events could share a key in mode Object; write it like {type}/{millis}-{messageId}.json'".into())),
    validation = Rule::new("!has(self.key) || self.mode == 'Batch' || !self.key.contains('{batchId}')")
        .message(Message::Expression("'delivery.key \"' + self.key + '\" has {batchId}, which only mode Batch has; write it like {type}/{millis}-{messageId}.json'".into())),
    validation = Rule::new("!has(self.key) || self.mode == 'Object' || self.key.contains('{batchId}')")
        .message(Message::Expression("'delivery.key \"' + self.key + '\" has no {batchId}, without which two batches could share a key; write it like {type}/{millis}-{batchId}.ndjson.gz'".into())),
    validation = Rule::new("!has(self.key) || self.mode == 'Object' || !self.key.matches('[{](event|messageId|userId)[}]')")
        .message(Message::Expression("'delivery.key \"' + self.key + '\" has a variable of a single event, of which a batch has many; in mode Batch it may have {type}, {millis}, times and {batchId}'".into())),
)]
pub struct Delivery {
    /// One object per event, or objects of many events.
    #[serde(default)]
    pub mode: DeliveryMode,
    /// The template of object keys, behind the prefix: literals, {type}, {yyyy} to {ss} and {millis}; {event},
    /// {userId} and {messageId}, which must be there, in Object mode; {batchId}, which must be there, in Batch mode, in
    /// which events of types beyond 64, not counting the six of Segment, share objects whose {type} is other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyTemplate>,
    /// When a batch is sealed, and how it is compressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
}

/// One object per event, or objects of many events.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
pub enum DeliveryMode {
    /// One object an event.
    #[default]
    Object,
    /// Newline-delimited JSON of many events.
    Batch,
}

/// When a batch is sealed, and how it is compressed.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Batch {
    /// Sealed at this size, from 64Ki to 64Mi, before compression; by default 5Mi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<BatchBytes>,
    /// Sealed at this many events; by default 10,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    // As i32: Kubernetes knows no unsigned formats.
    #[schemars(with = "Option<i32>", range(min = 1, max = 100_000))]
    pub max_events: Option<u32>,
    /// Sealed at this age, from 100ms to 5s; by default 1s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<BatchAge>,
    /// How the object is compressed.
    #[serde(default)]
    pub compression: Compression,
}

/// How a batch's object is compressed.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// RFC 1952.
    #[default]
    Gzip,
    /// RFC 8878.
    Zstd,
    /// Not at all.
    None,
}

/// How events are let in.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ingest {
    /// The write keys that clients must show, one a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_key_secret_ref: Option<SecretKeyRef>,
    /// The shared secret of Segment's webhook destinations (X-Signature).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature_secret_ref: Option<SecretKeyRef>,
    /// The certificate and key for HTTPS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_secret_ref: Option<TlsSecretRef>,
    /// What browsers may send from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
    /// The largest event taken, from 1Ki to 256Ki; by default 32Ki, as Segment takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_event_bytes: Option<EventBytes>,
    /// How many connections a sidecar has at once; by default 1,024. At the limit idle ones are closed for new ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    // As i32: Kubernetes knows no unsigned formats.
    #[schemars(with = "Option<i32>", range(min = 16, max = 10_000))]
    pub max_connections: Option<u32>,
}

/// How many connections a sidecar has at once where `ingest.maxConnections` says nothing: each may fill a buffer, and
/// all of them together fit into the chart's default memory limit.
pub const DEFAULT_MAX_CONNECTIONS: usize = 1024;

impl DestinationFunctionSpec {
    /// How many connections each sidecar of the function has at once.
    pub fn max_connections(&self) -> usize {
        let named = self.ingest.as_ref().and_then(|ingest| ingest.max_connections);
        named.and_then(|count| count.try_into().ok()).unwrap_or(DEFAULT_MAX_CONNECTIONS)
    }
}

/// What browsers may send from.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cors {
    /// The pages' origins.
    #[schemars(length(min = 1, max = 50))]
    pub allowed_origins: Vec<Origin>,
}

/// CPU and memory of each sidecar.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
pub struct Resources {
    /// What the scheduler sets aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<Amounts>,
    /// What the kernel allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Amounts>,
}

/// An amount of CPU and one of memory.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
pub struct Amounts {
    /// Cores: 100m, 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Quantity>,
    /// Bytes: 64Mi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Quantity>,
}

/// How much the sidecar logs. Each level includes those before it.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What ends the process.
    Error,
    /// What a person should look at.
    Warn,
    /// Changes of state.
    #[default]
    Info,
    /// A line for each request and each upload, without personal data.
    Debug,
    /// The steps between them.
    Trace,
}

impl LogLevel {
    /// The level as the resource spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }

    /// The level of this spelling.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace].into_iter().find(|level| level.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_levels_are_spelt_as_in_the_resource() {
        for text in ["error", "warn", "info", "debug", "trace"] {
            let level: LogLevel = serde_json::from_value(text.into()).unwrap();
            assert_eq!((level.as_str(), LogLevel::parse(text)), (text, Some(level)));
        }
        assert_eq!(LogLevel::parse("INFO"), None);
        assert!(LogLevel::Error < LogLevel::Warn && LogLevel::Info < LogLevel::Debug);
    }

    #[test]
    fn the_external_ids_key_has_a_default() {
        let reference: ExternalIdSecretRef = serde_json::from_str(r#"{"name": "orders-lake"}"#).unwrap();
        assert_eq!(reference.key.as_str(), "externalId");
    }
}
