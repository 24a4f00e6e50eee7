//! Builds the IAM policies of a function: the role's permissions and trust policy, and the session policies.
//!
//! A role's owner gives the role the permissions of [`permissions`] and the trust policy of [`trust`]. The sidecar
//! passes the same permissions as session policy, so its sessions can do nothing else, regardless of the role's other permissions.

use serde::Serialize;
use serde_json::{Value, json};

use crate::function::{DestinationFunctionSpec, EncryptionType};
use crate::values::Partition;

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

/// The permissions of a function's session: put objects under its prefix, tag them if the function sets tags, and use
/// the KMS key that encrypts them.
pub fn permissions(spec: &DestinationFunctionSpec) -> PolicyDocument {
    let partition = spec.role_arn.partition();
    let prefix = spec.s3.prefix.as_ref().map_or("", |prefix| prefix.as_str());
    let mut actions = vec!["s3:PutObject"];
    if !spec.s3.tags.is_empty() {
        actions.push("s3:PutObjectTagging");
    }
    PolicyDocument::new(vec![
        json!({
            "Effect": "Allow",
            "Action": actions,
            "Resource": format!("arn:{partition}:s3:::{}/{prefix}*", spec.s3.bucket),
        }),
        kms_permission(spec),
    ])
}

/// The permission for the key that the function names. Without one, for any key that S3 in this region uses on the
/// session's behalf: the bucket may encrypt by default with a key that the function doesn't know.
fn kms_permission(spec: &DestinationFunctionSpec) -> Value {
    let named = spec.s3.encryption.as_ref().filter(|encryption| encryption.r#type == EncryptionType::Kms);
    match named.and_then(|encryption| encryption.key_id.as_ref()) {
        Some(key) => json!({"Effect": "Allow", "Action": "kms:GenerateDataKey", "Resource": key}),
        None => {
            // For partitions with a domain of their own, AWS documents both domains in places.
            let mut domains = vec![Partition::default().dns_suffix(), spec.role_arn.partition().dns_suffix()];
            domains.dedup();
            let services: Vec<_> =
                domains.into_iter().map(|domain| format!("s3.{}.{domain}", spec.s3.region)).collect();
            json!({
                "Effect": "Allow",
                "Action": "kms:GenerateDataKey",
                "Resource": "*",
                "Condition": {"StringEquals": {"kms:ViaService": services}},
            })
        }
    }
}

/// A session policy that denies everything, for probing whether STS grants the role.
pub fn nothing() -> PolicyDocument {
    PolicyDocument::new(vec![json!({"Effect": "Deny", "Action": "*", "Resource": "*"})])
}

/// The role's trust policy: `principal` may assume the role, but only with the external ID.
///
/// With `pod_identity` the principal may also pass session tags, as EKS Pod Identity always does.
/// <https://docs.aws.amazon.com/eks/latest/userguide/pod-id-abac.html>
pub fn trust(principal: &str, external_id: &str, pod_identity: bool) -> PolicyDocument {
    let who = json!({"AWS": principal});
    let mut statements = vec![json!({
        "Effect": "Allow",
        "Principal": who,
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": external_id}},
    })];
    if pod_identity {
        statements.push(json!({"Effect": "Allow", "Principal": who, "Action": "sts:TagSession"}));
    }
    PolicyDocument::new(statements)
}
