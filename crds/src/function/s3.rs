//! The bucket: how objects are written, encrypted and tagged.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::values::{
    AccountId, Bucket, Endpoint, KmsKeyArn, Prefix, RESERVED_IN_AWS, Region, StorageClass, cel_partition_of,
    region_pattern,
};

/// The bucket that stores the events, and how objects are written.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.forcePathStyle) || has(self.endpoint)")
        .message("forcePathStyle requires an endpoint: leave it out for AWS, or add endpoint: https://minio.storage.svc:9000"),
    validation = Rule::new("!has(self.endpoint) || !((has(self.useFips) && self.useFips) || (has(self.useDualStack) && self.useDualStack))")
        .message("s3.useFips and s3.useDualStack choose among AWS's own endpoints: leave endpoint out, or leave them out"),
    validation = Rule::new("!has(self.encryption) || !has(self.encryption.keyId) || self.encryption.keyId.split(':')[3] == self.region")
        .message(Message::Expression("'encryption.keyId \"' + self.encryption.keyId + '\" is not in the bucket\\'s region ' + self.region + '; S3 accepts only a key of the bucket\\'s own region'".into())),
    validation = Rule::new(key_partition_rule())
        .message(Message::Expression("'encryption.keyId \"' + self.encryption.keyId + '\" is not in the partition of the region ' + self.region + '; copy the ARN from the key\\'s own account'".into())),
    validation = Rule::new(format!("has(self.endpoint) || self.region.matches('{}')", region_pattern()))
        .message(Message::Expression(NOT_AN_AWS_REGION.into()))
        .field_path(".region"),
    validation = Rule::new(format!("has(self.endpoint) || !self.bucket.matches('{RESERVED_IN_AWS}')"))
        .message(Message::Expression("'bucket \"' + self.bucket + '\" begins with a text that AWS reserves, so no bucket has this name; write it like my-bucket'".into()))
        .field_path(".bucket"),
)]
pub struct S3 {
    /// Name of the bucket ("S3 Bucket"), 3 to 63 characters. Access points and directory buckets are not supported.
    pub bucket: Bucket,
    /// Region of the bucket ("S3 Bucket Region"). With endpoint, the store's own name for it, such as garage, or auto for
    /// a store that has no regions.
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
    /// Whether to use AWS's FIPS endpoint of the region; by default as the platform sets it. Not with endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_fips: Option<bool>,
    /// Whether to use AWS's endpoint that also has IPv6 addresses; by default as the platform sets it. Not with endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_dual_stack: Option<bool>,
    /// Whether uploads carry a checksum: WhenSupported sends a CRC32, which S3 verifies; WhenRequired sends none, for
    /// stores that don't know the header.
    #[serde(default)]
    pub checksum: Checksum,
    /// Whether uploads carry If-None-Match, so that an event that is sent again doesn't overwrite its object. Set it to
    /// false for stores that don't support that header.
    #[serde(default = "yes")]
    pub conditional_writes: bool,
}

impl S3 {
    /// The endpoint of another store than AWS's S3; `None` for AWS, also at an endpoint such as a VPC endpoint's.
    pub fn store(&self) -> Option<&Endpoint> {
        self.endpoint.as_ref().filter(|endpoint| !endpoint.is_aws())
    }
}

/// The message of a rule about `self.region`, as a CEL expression.
pub(super) const NOT_AN_AWS_REGION: &str =
    "'region \"' + self.region + '\" is not an AWS region; write it like us-west-2, or add the endpoint of the store'";

/// A key's ARN names the partition of the bucket's region.
fn key_partition_rule() -> String {
    let partition = cel_partition_of("self.region");
    format!(
        "has(self.endpoint) || !has(self.encryption) || !has(self.encryption.keyId) || \
         self.encryption.keyId.split(':')[1] == ({partition})"
    )
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
            "message": "tags have a character or a length that S3 does not accept: letters, digits, spaces and +-=._:/@, a key of 1 to 128; write them like team: data"
        }],
    })
}

/// Server-side encryption of the objects.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.type == 'KMS' || !has(self.keyId)")
        .message("encryption.keyId is allowed only with type KMS: write type: KMS, or leave keyId out"),
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
