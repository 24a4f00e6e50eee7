//! The accounts file, field by field. Unknown fields are refused.

use std::collections::BTreeMap;

use s3s::auth::SecretKey;
use serde::Deserialize;

use crate::arn::Partition;
use crate::fault::Fault;
use crate::oidc::Provider;
use crate::policy::Policy;

/// The whole document.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) accounts: BTreeMap<String, AccountEntry>,
    #[serde(default)]
    pub(super) faults: Vec<Fault>,
}

/// One AWS account.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AccountEntry {
    #[serde(default)]
    pub(super) partition: Partition,
    #[serde(default)]
    pub(super) roles: BTreeMap<String, RoleEntry>,
    #[serde(default)]
    pub(super) users: BTreeMap<String, UserEntry>,
    #[serde(default)]
    pub(super) pod_identities: Vec<PodIdentityEntry>,
    #[serde(default)]
    pub(super) oidc_providers: Vec<Provider>,
    #[serde(default)]
    pub(super) buckets: BTreeMap<String, BucketEntry>,
}

/// A role; the key it stands under may carry a path.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RoleEntry {
    pub(super) external_id: Option<String>,
    pub(super) principals: Option<Vec<String>>,
    pub(super) trust_policy: Option<Policy>,
    pub(super) policy: Option<Policy>,
    pub(super) max_session_duration: Option<u64>,
    #[serde(default)]
    pub(super) web_identity_tokens: Vec<WebIdentityEntry>,
    #[serde(default)]
    pub(super) web_identity_subjects: Vec<String>,
}

/// A token of AssumeRoleWithWebIdentity: alone, or with the time it ends at.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum WebIdentityEntry {
    Token(SecretKey),
    Expiring(ExpiringToken),
}

/// A token and its end.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ExpiringToken {
    pub(super) token: SecretKey,
    /// As `2026-01-01T00:00:00Z`.
    pub(super) expires: String,
}

/// A principal with long-lived keys.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct UserEntry {
    pub(super) access_key_id: String,
    pub(super) secret_access_key: SecretKey,
    pub(super) policy: Option<Policy>,
}

/// A token of the Pod Identity endpoint and the role, of the same account, that it stands for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PodIdentityEntry {
    pub(super) token: SecretKey,
    pub(super) role: String,
}

/// A bucket that exists.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct BucketEntry {
    pub(super) region: String,
    pub(super) policy: Option<Policy>,
    pub(super) kms_key_id: Option<String>,
}
