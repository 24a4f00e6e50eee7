//! The IAM policies that a function needs.
//!
//! A role's owner gives it the permissions of [`permissions`] and the trust of [`trust`]; the
//! sidecar cuts every session down to the same permissions, so that a role that may do more lends
//! a function nothing more.

use serde::Serialize;
use serde_json::{Value, json};

use crate::function::{DestinationFunctionSpec, EncryptionType};

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

    /// The document on one line, as STS takes it.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a document of strings is JSON")
    }
}

/// What a function's session may do: put objects under its prefix, tag them if it has tags, and
/// use the key that encrypts them.
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

/// The named key; or, since a bucket may encrypt by default with a key that the function does not
/// know of, any key that S3 in this region uses on the session's behalf.
fn kms_permission(spec: &DestinationFunctionSpec) -> Value {
    let named = spec.s3.encryption.as_ref().filter(|encryption| encryption.r#type == EncryptionType::Kms);
    match named.and_then(|encryption| encryption.key_id.as_ref()) {
        Some(key) => json!({"Effect": "Allow", "Action": "kms:GenerateDataKey", "Resource": key}),
        None => {
            let mut services = vec![format!("s3.{}.amazonaws.com", spec.s3.region)];
            if spec.role_arn.partition() == "aws-cn" {
                services.push(format!("s3.{}.amazonaws.com.cn", spec.s3.region));
            }
            json!({
                "Effect": "Allow",
                "Action": "kms:GenerateDataKey",
                "Resource": "*",
                "Condition": {"StringEquals": {"kms:ViaService": services}},
            })
        }
    }
}

/// A session that may do nothing, for asking STS whether it would give the role away.
pub fn nothing() -> PolicyDocument {
    PolicyDocument::new(vec![json!({"Effect": "Deny", "Action": "*", "Resource": "*"})])
}

/// Who may assume the role: `principal`, with the external ID and no other way.
///
/// With `pod_identity` the principal may pass session tags along, which EKS Pod Identity always does.
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
