//! The schema of the accounts file, before validation. Unknown fields are errors.

use std::collections::BTreeMap;

use s3s::auth::SecretKey;
use serde::Deserialize;
use tributary_crds::values::Partition;

use crate::fault::Fault;
use crate::oidc::Provider;
use crate::policy::Policy;

/// The root of the document; accounts are by ID.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) accounts: BTreeMap<String, AccountEntry>,
    #[serde(default)]
    pub(super) faults: Vec<Fault>,
}

/// One AWS account; its roles, users and buckets are by name.
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

/// A role; its name, the key of the map, may include a path.
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

/// A token for AssumeRoleWithWebIdentity, with or without an expiry.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum WebIdentityEntry {
    Token(SecretKey),
    Expiring(ExpiringToken),
}

/// A token with its expiry.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ExpiringToken {
    pub(super) token: SecretKey,
    /// A timestamp, such as `2026-01-01T00:00:00Z`.
    pub(super) expires: String,
}

/// An IAM user with long-lived credentials.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct UserEntry {
    pub(super) access_key_id: String,
    pub(super) secret_access_key: SecretKey,
    pub(super) policy: Option<Policy>,
}

/// A token for the Pod Identity endpoint, and the name of the role, in the same account, that it is for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PodIdentityEntry {
    pub(super) token: SecretKey,
    pub(super) role: String,
}

/// A bucket that the account owns.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct BucketEntry {
    pub(super) region: String,
    pub(super) policy: Option<Policy>,
    pub(super) kms_key_id: Option<String>,
}
