//! The accounts of the embedded AWS, with their roles, users, buckets and tokens, parsed from a file.

mod build;
mod file;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use s3s::auth::SecretKey;
use tributary_crds::values::Partition;

use crate::fault::Fault;
use crate::oidc::Provider;
use crate::policy::Policy;

/// Accounts with their roles, users, buckets and faults, parsed by [`Accounts::parse`].
#[derive(Default)]
pub struct Accounts {
    /// Roles by ARN.
    pub(crate) roles: HashMap<String, Role>,
    /// Users by access key ID.
    pub(crate) users: HashMap<String, Arc<User>>,
    /// OIDC identity providers, each with the account that trusts it.
    pub(crate) providers: Vec<(String, Provider)>,
    /// ARNs of roles by Pod Identity token.
    pub(crate) pod_identities: HashMap<String, String>,
    /// Buckets by name, which is unique across accounts.
    pub(crate) buckets: HashMap<String, Bucket>,
    /// The faults of the file, in its order.
    pub(crate) faults: Vec<Fault>,
}

/// A role that can be assumed.
pub(crate) struct Role {
    pub(crate) arn: String,
    pub(crate) partition: Partition,
    pub(crate) account: String,
    /// Its name, with its path if it has one.
    pub(crate) name: String,
    pub(crate) trust: Policy,
    pub(crate) policy: Policy,
    pub(crate) max_session: Duration,
    pub(crate) web_tokens: Vec<WebToken>,
    /// Patterns, with wildcards, of the identity providers' subjects that may assume the role.
    pub(crate) web_subjects: Vec<String>,
}

/// A token that AssumeRoleWithWebIdentity accepts for a role without a signature check.
pub(crate) struct WebToken {
    pub(crate) token: SecretKey,
    pub(crate) expires: Option<SystemTime>,
}

/// An IAM user with long-lived credentials.
pub(crate) struct User {
    pub(crate) arn: String,
    pub(crate) account: String,
    pub(crate) policy: Policy,
    pub(crate) access_key_id: String,
    pub(crate) secret: SecretKey,
}

/// A bucket, with its region and policy.
pub(crate) struct Bucket {
    /// ID of the account that owns it.
    pub(crate) owner: String,
    pub(crate) partition: Partition,
    pub(crate) region: String,
    pub(crate) policy: Option<Policy>,
    /// KMS key for objects whose request has no encryption headers.
    pub(crate) kms_key_id: Option<String>,
}

/// Why an accounts file is refused.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// The text is not YAML, or does not match the schema; the message contains the path and the line.
    #[error("{0}")]
    Malformed(String),
    /// A value is invalid.
    #[error("{path}: {message}")]
    Invalid {
        /// The path of its entry, such as `accounts.123456789012.roles.writer`.
        path: String,
        /// Why the value is invalid.
        message: String,
    },
}

impl AccountsError {
    fn malformed(text: &str, error: &serde_yaml::Error) -> Self {
        let is_manifest = text.lines().any(|line| line.starts_with("kind:"));
        let hint = if is_manifest { "; this is a Kubernetes manifest, and not an accounts file" } else { "" };
        Self::Malformed(format!("{error}{hint}"))
    }
}

/// Shows only names, because policies contain external IDs, and other fields contain keys and tokens.
impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts")
            .field("roles", &self.roles.keys())
            .field("buckets", &self.buckets.keys())
            .finish_non_exhaustive()
    }
}

impl Accounts {
    /// Parses an accounts file: YAML, and therefore also JSON.
    ///
    /// ```
    /// let accounts = tributary_local_aws::Accounts::parse(r#"
    /// accounts:
    ///   "123456789012":
    ///     partition: aws                 # aws (default), aws-cn, aws-us-gov, …
    ///     roles:
    ///       team/writer:                 # a role's name, with its path if it has one
    ///         principals: ["arn:aws:iam::999999999999:user/segment"]
    ///         externalId: wX8/orders     # absent: the role requires none
    ///         maxSessionDuration: 3600   # seconds, 3600 (default) to 43200
    ///         policy:                    # absent: s3:*, kms:* and sts:* on everything
    ///           Version: "2012-10-17"
    ///           Statement:
    ///             - Effect: Allow
    ///               Action: s3:PutObject
    ///               Resource: arn:aws:s3:::my-bucket/*
    ///       base:
    ///         trustPolicy:               # instead of principals and externalId
    ///           Version: "2012-10-17"
    ///           Statement:
    ///             - Effect: Allow
    ///               Principal: {Service: pods.eks.amazonaws.com}
    ///               Action: ["sts:AssumeRole", "sts:TagSession"]
    ///         webIdentityTokens:         # tokens that AssumeRoleWithWebIdentity accepts as they are
    ///           - a-token
    ///           - {token: another, expires: 2030-01-01T00:00:00Z}
    ///         webIdentitySubjects:       # subjects of OIDC tokens that it accepts, with wildcards
    ///           - system:serviceaccount:shop:*
    ///     oidcProviders:                 # the issuers of these OIDC tokens; keys as in their JWKS
    ///       - {issuer: "https://oidc.example.com", audiences: [sts.amazonaws.com], keys: []}
    ///     podIdentities:                 # tokens that GET /v1/credentials accepts, and their roles
    ///       - {token: pod-token, role: base}
    ///     buckets:
    ///       my-bucket:
    ///         region: us-west-2
    ///         kmsKeyId: arn:aws:kms:us-west-2:123456789012:key/1234abcd  # optional default key
    ///         policy:                    # optional
    ///           Version: "2012-10-17"
    ///           Statement:
    ///             - Effect: Deny
    ///               Principal: "*"
    ///               Action: s3:*
    ///               Resource: arn:aws:s3:::my-bucket/*
    ///               Condition: {Bool: {aws:SecureTransport: false}}
    ///   "999999999999":
    ///     users:                         # users with long-lived credentials; policy as for a role
    ///       segment: {accessKeyId: AKIAIOSFODNN7EXAMPLE, secretAccessKey: a-secret}
    /// faults:                            # see Fault
    ///   - {service: s3, operation: PutObject, bucket: my-bucket, action: {error: SlowDown}, probability: 0.1}
    ///   - {service: sts, action: {latencyMs: 250}}
    ///   - {action: storeThenDrop, count: 1}
    /// "#)?;
    /// # Ok::<(), tributary_local_aws::AccountsError>(())
    /// ```
    ///
    /// # Errors
    /// If the text is not YAML, does not match the schema, or contains an invalid value.
    pub fn parse(text: &str) -> Result<Accounts, AccountsError> {
        let file: file::File = serde_yaml::from_str(text).map_err(|error| AccountsError::malformed(text, &error))?;
        build::build(file)
    }
}
