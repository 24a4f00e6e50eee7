//! `DestinationFunction`, the resource: its schema, its defaults, and the CEL rules that compare fields.
//!
//! The schemas of single values are in [`crate::values`]. No field names an image, a service account, environment
//! variables, volumes, host access or another namespace: the platform decides what else reaches a pod.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::conditions::FunctionStatus;
use crate::values::{
    AccountId, BatchAge, BatchBytes, Bucket, Endpoint, EventBytes, EventNamePattern, KeyTemplate, KmsKeyArn, Origin,
    Prefix, Quantity, Region, RoleArn, SecretKey, SecretName, SessionName, StorageClass,
};

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
    printcolumn(name = "Bucket", type_ = "string", json_path = ".spec.s3.bucket"),
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.delivery.mode"),
    printcolumn(name = "Role", type_ = "string", json_path = ".spec.roleArn", priority = 1),
    printcolumn(name = "Region", type_ = "string", json_path = ".spec.s3.region", priority = 1),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    // The Service and other children have the same name: a DNS-1035 label, with room for a suffix.
    validation = Rule::new("self.metadata.name.matches('^[a-z]([a-z0-9-]{0,50}[a-z0-9])?$')")
        .message(Message::Expression("'metadata.name \"' + self.metadata.name + '\" is not a label of at most 52 lower-case letters, digits and hyphens that begins with a letter; write it like orders'".into())),
    // Every namespace has a ServiceAccount of this name, which Kubernetes creates again when it is deleted.
    validation = Rule::new("self.metadata.name != 'default'")
        .message("metadata.name \"default\" is taken: the sidecars' ServiceAccount carries the function's name, and each namespace has one called default; name it otherwise")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(self.s3.region.startsWith('cn-') ? 'aws-cn' : self.s3.region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws') == self.roleArn.split(':')[1] || has(self.s3.endpoint)")
        .message(Message::Expression("'roleArn \"' + self.roleArn + '\" and s3.region \"' + self.s3.region + '\" are in different partitions; a role in aws-cn goes with a region like cn-north-1, one in aws-us-gov with us-gov-west-1, one in aws with us-west-2'".into())),
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
    /// platform sets none, of s3.region.
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
    #[schemars(range(min = 0, max = 1000))]
    pub replicas: Option<i32>,
    /// CPU and memory of each sidecar, within the platform's bounds; an amount that is not set is the platform's
    /// default. The memory limit must be at least 136Mi, or 152Mi and three times delivery.batch.maxBytes in mode Batch;
    /// write keys, a signature, and more than the default ingest.maxConnections need more.
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

/// Reference to the Secret and the key that hold the external ID.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
pub struct ExternalIdSecretRef {
    /// Name of the Secret, in the function's own namespace.
    pub name: SecretName,
    /// Key within the Secret. One newline at the end of its value is ignored.
    #[serde(default = "external_id_key")]
    pub key: SecretKey,
}

fn external_id_key() -> SecretKey {
    "externalId".parse().expect("a constant, parsed by this file's tests")
}

/// Reference to a key of a Secret.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
pub struct SecretKeyRef {
    /// Name of the Secret, in the function's own namespace.
    pub name: SecretName,
    /// Key within the Secret.
    pub key: SecretKey,
}

/// Reference to a Secret of type kubernetes.io/tls.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
pub struct TlsSecretRef {
    /// Name of the Secret, in the function's own namespace. Its keys are tls.crt and tls.key.
    pub name: SecretName,
}

/// What to do if STS grants the role without the external ID.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
pub enum ExternalIdEnforcement {
    /// No event is stored until STS is known to refuse the role without the external ID.
    #[default]
    Require,
    /// Events are stored, and the condition ExternalIdEnforced is False.
    Warn,
}

/// The bucket that stores the events, and how objects are written.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.forcePathStyle) || has(self.endpoint)")
        .message("forcePathStyle goes with an endpoint; AWS needs none: leave it out, or add endpoint: https://minio.storage.svc:9000"),
    validation = Rule::new("!has(self.encryption) || !has(self.encryption.keyId) || self.encryption.keyId.split(':')[3] == self.region")
        .message(Message::Expression("'encryption.keyId \"' + self.encryption.keyId + '\" is not in the bucket\\'s region ' + self.region + '; S3 takes a key of the bucket\\'s own region'".into())),
)]
pub struct S3 {
    /// Name of the bucket ("S3 Bucket").
    pub bucket: Bucket,
    /// Region of the bucket ("S3 Bucket Region"); auto for an S3-compatible store that has no regions.
    pub region: Region,
    /// Prefix of every object key: empty, or with / at its end. The function's sessions can write only below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<Prefix>,
    /// ID of the AWS account that must own the bucket; S3 refuses the objects if another one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_bucket_owner: Option<AccountId>,
    /// Server-side encryption of the objects; by default as the bucket is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// Storage class of the objects; by default STANDARD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<StorageClass>,
    /// Tags of every object, at most ten, with keys of 1 to 128 and values of at most 256 characters: letters, digits,
    /// spaces and +-=._:/@.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "tags_schema")]
    pub tags: BTreeMap<String, String>,
    /// Scheme, host and port of an S3-compatible store, which the platform must allow; by default AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// Whether requests name the bucket in the path instead of the host name, as many S3-compatible stores need it.
    /// Only with endpoint; by default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force_path_style: Option<bool>,
    /// Whether uploads carry a checksum: WhenSupported sends a CRC32, which S3 verifies; WhenRequired sends none, for
    /// stores that don't know the header.
    #[serde(default)]
    pub checksum: Checksum,
    /// Whether uploads carry If-None-Match, so that an event that is sent again doesn't overwrite its object. Set it to
    /// false for stores that don't support that header.
    #[serde(default = "yes")]
    pub conditional_writes: bool,
}

fn yes() -> bool {
    true
}

/// The schema of tags: as many as S3 allows, of the characters that it allows.
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

/// Server-side encryption of the objects.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.type == 'KMS' || !has(self.keyId)")
        .message("encryption.keyId goes with type KMS only: write type: KMS, or leave keyId out"),
)]
pub struct Encryption {
    /// Keys that S3 manages (S3, which is SSE-S3) or a KMS key (KMS, which is SSE-KMS).
    pub r#type: EncryptionType,
    /// ARN of the KMS key, in the bucket's region; by default the account's key aws/s3. Only with type KMS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<KmsKeyArn>,
}

/// Which keys encrypt the objects.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
pub enum EncryptionType {
    /// Keys that S3 manages (SSE-S3).
    S3,
    /// A KMS key (SSE-KMS).
    #[serde(rename = "KMS")]
    Kms,
}

/// Whether uploads carry a checksum, which some S3-compatible stores don't support.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
pub enum Checksum {
    /// A CRC32 with every object, which S3 verifies.
    #[default]
    WhenSupported,
    /// No checksum: S3 requires none for a `PutObject`.
    WhenRequired,
}

/// The STS endpoint that issues sessions.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[x_kube(
    validation = Rule::new("has(self.region) || has(self.endpoint)")
        .message("sts names neither region nor endpoint: write region: us-west-2, or leave sts out"),
)]
pub struct Sts {
    /// Region whose STS endpoint issues sessions; by default the platform's or, if the platform sets none, s3.region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// Scheme, host and port of an STS-compatible service, which the platform must allow; by default AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
}

/// Which events to store.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[x_kube(
    validation = Rule::new("!has(self.names) || !has(self.types) || 'track' in self.types")
        .message("events.names are names of track events: add track to events.types, or leave names out"),
)]
pub struct EventFilter {
    /// Event types to store; by default all, also those of webhooks that Segment's spec doesn't have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 6), extend("x-kubernetes-list-type" = "set"))]
    pub types: Option<Vec<SegmentType>>,
    /// Names of track events to store, case-sensitive, with * for any text; by default all. Events of other types are
    /// not affected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    pub names: Option<Vec<EventNamePattern>>,
}

/// The event types of Segment's spec.
#[derive(Clone, Copy, Debug, Deserialize, Hash, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SegmentType {
    /// An action of a user.
    Track,
    /// A user's identity and traits.
    Identify,
    /// A view of a web page.
    Page,
    /// A view of a screen of an app.
    Screen,
    /// A user's membership in a group.
    Group,
    /// A merge of two identities of one user.
    Alias,
}

impl SegmentType {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 6] = [Self::Track, Self::Identify, Self::Page, Self::Screen, Self::Group, Self::Alias];

    /// The type as events spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Track => "track",
            Self::Identify => "identify",
            Self::Page => "page",
            Self::Screen => "screen",
            Self::Group => "group",
            Self::Alias => "alias",
        }
    }

    /// The type that is spelled like this; `None` if it is none of the six.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == text)
    }
}

/// How events become S3 objects: one object per event, or many events per object.
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
    /// Object stores one object per event; Batch stores many events per object, as newline-delimited JSON.
    #[serde(default)]
    pub mode: DeliveryMode,
    /// Template of object keys, after the prefix: literals and variables. Both modes have {type}, {millis} and UTC
    /// times of yyyy, MM, dd, HH, mm and ss, such as {yyyy-MM-dd}. Mode Object also has {event}, {userId} and
    /// {messageId}, which is required; its times are the event's timestamp. Mode Batch also has {batchId}, which is
    /// required; its times are when the batch was sealed. If a key of mode Batch has {type}, 64 types at a time, in
    /// addition to Segment's six, have objects of their own; events of further types share objects whose {type} is
    /// other. By default {type}/{millis}-{messageId}.json, and in mode Batch
    /// {type}/dt={yyyy-MM-dd}/hour={HH}/{millis}-{batchId} with the extension of its compression, such as .ndjson.gz.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyTemplate>,
    /// When a batch is sealed, and how its object is compressed. Only with mode Batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
}

/// One object per event, or many events per object.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
pub enum DeliveryMode {
    /// One object per event.
    #[default]
    Object,
    /// Many events per object, as newline-delimited JSON.
    Batch,
}

/// When a batch is sealed, and how its object is compressed.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Batch {
    /// Size before compression at which a batch is sealed, from 64Ki to 64Mi; by default 5Mi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<BatchBytes>,
    /// Number of events at which a batch is sealed; by default 10,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    // As i32: Kubernetes has no unsigned integer formats.
    #[schemars(with = "Option<i32>", range(min = 1, max = 100_000))]
    pub max_events: Option<u32>,
    /// Longest time that a batch waits for more events before it is sealed, from 100ms to 5s; by default 1s. After a
    /// pause of that length a batch is sealed almost at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<BatchAge>,
    /// Compression of the object: gzip, zstd or none.
    #[serde(default)]
    pub compression: Compression,
}

/// Compression of a batch's object.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// gzip, RFC 1952.
    #[default]
    Gzip,
    /// Zstandard, RFC 8878.
    Zstd,
    /// No compression.
    None,
}

/// How clients send events: credentials, TLS, CORS and limits.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ingest {
    /// The write keys, one per line of the Secret's value. With them, every request must show one; a webhook's request
    /// to the path / may be signed instead (signatureSecretRef).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_key_secret_ref: Option<SecretKeyRef>,
    /// The shared secrets of Segment's webhook destinations (X-Signature), one per line of the Secret's value. With
    /// them, a request to the path / must be signed or show a write key; without writeKeySecretRef, requests to /v1 are
    /// refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature_secret_ref: Option<SecretKeyRef>,
    /// The server certificate and its private key. With it, the sidecars serve only HTTPS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_secret_ref: Option<TlsSecretRef>,
    /// Which web pages may send events from browsers (CORS); by default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
    /// Maximum size of an event, from 1Ki to 256Ki; by default 32Ki, which is Segment's own limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_event_bytes: Option<EventBytes>,
    /// Maximum number of open connections per sidecar; by default 1,024. At the limit, idle connections are closed for
    /// new ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    // As i32: Kubernetes has no unsigned integer formats.
    #[schemars(with = "Option<i32>", range(min = 16, max = 10_000))]
    pub max_connections: Option<u32>,
}

/// The maximum number of open connections per sidecar if `ingest.maxConnections` is not set: each may fill its buffers,
/// and all together fit into the chart's default memory limit.
pub const DEFAULT_MAX_CONNECTIONS: usize = 1024;

impl DestinationFunctionSpec {
    /// The maximum number of open connections per sidecar of the function, with the default applied.
    pub fn max_connections(&self) -> usize {
        let named = self.ingest.as_ref().and_then(|ingest| ingest.max_connections);
        named.and_then(|count| count.try_into().ok()).unwrap_or(DEFAULT_MAX_CONNECTIONS)
    }
}

/// Which web pages may send events from browsers (CORS).
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cors {
    /// Origins of the pages, as scheme, host and port; * allows every page.
    #[schemars(length(min = 1, max = 50))]
    pub allowed_origins: Vec<Origin>,
}

/// CPU and memory of each sidecar, as in a container's resources.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
pub struct Resources {
    /// CPU and memory that the scheduler reserves for each sidecar on its node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<Amounts>,
    /// CPU and memory that the kernel allows each sidecar: it throttles one that needs more CPU, and kills one that
    /// needs more memory (OOMKilled).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Amounts>,
}

/// An amount of CPU and one of memory; what is not set is the platform's default.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
pub struct Amounts {
    /// CPU in cores, such as 100m or 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Quantity>,
    /// Memory in bytes, such as 64Mi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Quantity>,
}

/// How much the sidecars log. Each level includes those before it.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Errors that end the process.
    Error,
    /// Faults that need a person.
    Warn,
    /// Changes of state.
    #[default]
    Info,
    /// One line per request and per upload attempt, without personal data.
    Debug,
    /// The steps within requests and uploads.
    Trace,
}

impl LogLevel {
    /// The level's spelling in the resource.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }

    /// The level that the resource spells like this; `None` if there is none.
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
