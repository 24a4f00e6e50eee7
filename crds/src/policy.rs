//! Builds the IAM policies of a function: the role's permissions and trust policy, and the session policies.
//!
//! A role's owner gives the role the permissions of [`permissions`] and the trust policy of [`trust`]. The sidecar
//! passes the same permissions as session policy, so its sessions can do nothing else, regardless of the role's other permissions.

use serde::Serialize;
use serde_json::{Value, json};

use crate::function::{DestinationFunctionSpec, EncryptionType, ExternalIdEnforcement};
use crate::values::{KmsKeyArn, Partition};

/// An IAM policy document.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PolicyDocument {
    version: &'static str,
    statement: Vec<Value>,
}

impl PolicyDocument {
    fn new(statement: Vec<Value>) -> Self {
        Self { version: "2012-10-17", statement }
    }

    /// The document as JSON on one line, as STS expects a session policy.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a document of strings is JSON")
    }
}

/// The KMS keys that a function's session may use, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KmsPermission<'a> {
    /// The key that the function names.
    Key(&'a KmsKeyArn),
    /// Any key that S3 in the bucket's region uses on the session's behalf: the bucket may encrypt by default with a key
    /// that the function doesn't know.
    AnyKeyOfS3,
    /// No key: the function has its objects encrypted with keys that S3 manages.
    S3ManagedKeys,
    /// No key: another store than AWS's has no KMS of AWS. MinIO refuses a policy with `kms:ViaService` or
    /// `kms:GenerateDataKey`.
    OtherStore,
}

impl<'a> KmsPermission<'a> {
    /// The keys for a function.
    pub fn of(spec: &'a DestinationFunctionSpec) -> Self {
        if spec.s3.store().is_some() {
            return Self::OtherStore;
        }
        match spec.s3.encryption.as_ref().map(|encryption| (encryption.r#type, encryption.key_id.as_ref())) {
            Some((EncryptionType::S3, _)) => Self::S3ManagedKeys,
            Some((EncryptionType::Kms, Some(key))) => Self::Key(key),
            Some((EncryptionType::Kms, None)) | None => Self::AnyKeyOfS3,
        }
    }

    fn statement(self, spec: &DestinationFunctionSpec) -> Option<Value> {
        match self {
            Self::Key(key) => Some(json!({"Effect": "Allow", "Action": "kms:GenerateDataKey", "Resource": key})),
            Self::AnyKeyOfS3 => Some(json!({
                "Effect": "Allow",
                "Action": "kms:GenerateDataKey",
                "Resource": "*",
                "Condition": {"StringEquals": {"kms:ViaService": s3_services(spec)}},
            })),
            Self::S3ManagedKeys | Self::OtherStore => None,
        }
    }
}

/// The names of S3 in the bucket's region, as KMS sees them. For partitions with a domain of their own, AWS documents
/// both domains in places.
/// <https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service>
fn s3_services(spec: &DestinationFunctionSpec) -> Vec<String> {
    let mut domains = vec![Partition::default().dns_suffix(), spec.role_arn.partition().dns_suffix()];
    domains.dedup();
    domains.into_iter().map(|domain| format!("s3.{}.{domain}", spec.s3.region)).collect()
}

/// The permissions of a function's session: put objects under its prefix, tag them if the function sets tags, and use
/// the KMS keys of [`KmsPermission`].
pub fn permissions(spec: &DestinationFunctionSpec) -> PolicyDocument {
    let partition = spec.role_arn.partition();
    let prefix = spec.s3.prefix.as_ref().map_or("", |prefix| prefix.as_str());
    let mut actions = vec!["s3:PutObject"];
    if !spec.s3.tags.is_empty() {
        actions.push("s3:PutObjectTagging");
    }
    let put = json!({
        "Effect": "Allow",
        "Action": actions,
        "Resource": format!("arn:{partition}:s3:::{}/{prefix}*", spec.s3.bucket),
    });
    PolicyDocument::new([Some(put), KmsPermission::of(spec).statement(spec)].into_iter().flatten().collect())
}

/// A session policy that denies everything, for probing whether STS grants the role.
pub fn nothing() -> PolicyDocument {
    PolicyDocument::new(vec![json!({"Effect": "Deny", "Action": "*", "Resource": "*"})])
}

/// Whether the role's trust policy should require the external ID. A function that only warns about another STS than
/// AWS's accepts that it ignores external IDs. Some of these, such as SeaweedFS, would refuse the role for good if its
/// trust policy had a condition on `sts:ExternalId`.
pub fn requires_external_id(spec: &DestinationFunctionSpec) -> bool {
    spec.sts_store().is_none() || spec.external_id_enforcement == ExternalIdEnforcement::Require
}

/// The role's trust policy: `principal` may assume the role, but only with the external ID, if there is one.
///
/// With `pod_identity` the principal may also pass session tags, as EKS Pod Identity always does.
/// <https://docs.aws.amazon.com/eks/latest/userguide/pod-id-abac.html>
pub fn trust(principal: &str, external_id: Option<&str>, pod_identity: bool) -> PolicyDocument {
    let who = json!({"AWS": principal});
    let mut assume = json!({"Effect": "Allow", "Principal": who, "Action": "sts:AssumeRole"});
    if let Some(external_id) = external_id {
        assume["Condition"] = json!({"StringEquals": {"sts:ExternalId": external_id}});
    }
    let mut statements = vec![assume];
    if pod_identity {
        statements.push(json!({"Effect": "Allow", "Principal": who, "Action": "sts:TagSession"}));
    }
    PolicyDocument::new(statements)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(role: &str, s3: &Value) -> DestinationFunctionSpec {
        let mut spec = json!({
            "roleArn": role,
            "externalIdSecretRef": {"name": "orders-lake"},
            "s3": {"bucket": "lake", "region": "us-west-2", "prefix": "in/"},
        });
        spec["s3"].as_object_mut().unwrap().extend(s3.as_object().unwrap().clone());
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn only_a_bucket_of_aws_that_may_encrypt_with_kms_needs_a_permission_for_kms() {
        const ROLE: &str = "arn:aws:iam::123456789012:role/r";
        let key = "arn:aws:kms:us-west-2:123456789012:key/1234abcd";
        let via = |services: &[&str]| {
            Some(json!({"Effect": "Allow", "Action": "kms:GenerateDataKey", "Resource": "*",
                        "Condition": {"StringEquals": {"kms:ViaService": services}}}))
        };
        let of_key = Some(json!({"Effect": "Allow", "Action": "kms:GenerateDataKey", "Resource": key}));
        let in_us_west_2 = via(&["s3.us-west-2.amazonaws.com"]);
        for (role, s3, expected) in [
            (ROLE, json!({}), in_us_west_2.clone()),
            (ROLE, json!({"encryption": {"type": "KMS"}}), in_us_west_2.clone()),
            (ROLE, json!({"encryption": {"type": "KMS", "keyId": key}}), of_key),
            (ROLE, json!({"encryption": {"type": "S3"}}), None),
            (ROLE, json!({"endpoint": "https://bucket.vpce-1.s3.us-west-2.vpce.amazonaws.com"}), in_us_west_2),
            (ROLE, json!({"endpoint": "https://minio.storage.svc:9000"}), None),
            (ROLE, json!({"endpoint": "https://minio.storage.svc:9000", "encryption": {"type": "KMS"}}), None),
            (
                ROLE,
                json!({"endpoint": "https://minio.storage.svc:9000", "encryption": {"type": "KMS", "keyId": key}}),
                None,
            ),
            (
                "arn:aws-us-gov:iam::123456789012:role/r",
                json!({"region": "us-gov-west-1"}),
                via(&["s3.us-gov-west-1.amazonaws.com"]),
            ),
            (
                "arn:aws-cn:iam::123456789012:role/r",
                json!({"region": "cn-north-1"}),
                via(&["s3.cn-north-1.amazonaws.com", "s3.cn-north-1.amazonaws.com.cn"]),
            ),
            (
                "arn:aws-eusc:iam::123456789012:role/r",
                json!({"region": "eusc-de-east-1"}),
                via(&["s3.eusc-de-east-1.amazonaws.com", "s3.eusc-de-east-1.amazonaws.eu"]),
            ),
        ] {
            let spec = spec(role, &s3);
            let statements = permissions(&spec).statement;
            let partition = role.split(':').nth(1).unwrap();
            assert_eq!(statements[0]["Resource"], format!("arn:{partition}:s3:::lake/in/*"));
            assert_eq!(statements.get(1), expected.as_ref(), "{:?}", spec.s3);
        }
    }
}
