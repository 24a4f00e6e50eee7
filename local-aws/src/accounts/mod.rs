//! Who and what there is: accounts with their roles, users and buckets, read from a file.

mod build;
mod file;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use s3s::auth::SecretKey;

use crate::arn::Partition;
use crate::fault::Fault;
use crate::oidc::Provider;
use crate::policy::Policy;

/// The AWS side of things: made by [`Accounts::parse`].
#[derive(Default)]
pub struct Accounts {
    /// By ARN.
    pub(crate) roles: HashMap<String, Role>,
    /// By access key id.
    pub(crate) users: HashMap<String, Arc<User>>,
    /// Identity providers, each with the account that trusts it.
    pub(crate) providers: Vec<(String, Provider)>,
    /// From a Pod Identity token to a role's ARN.
    pub(crate) pod_identities: HashMap<String, String>,
    /// By name, which is one account's in all of AWS.
    pub(crate) buckets: HashMap<String, Bucket>,
    /// The file's own faults.
    pub(crate) faults: Vec<Fault>,
}

/// A role that can be assumed.
pub(crate) struct Role {
    pub(crate) arn: String,
    pub(crate) partition: Partition,
    pub(crate) account: String,
    /// With its path, if it has one.
    pub(crate) name: String,
    pub(crate) trust: Policy,
    pub(crate) policy: Policy,
    pub(crate) max_session: Duration,
    pub(crate) web_tokens: Vec<WebToken>,
    /// Whom tokens of the account's identity providers open it for, with wildcards.
    pub(crate) web_subjects: Vec<String>,
}

/// What AssumeRoleWithWebIdentity takes for a role.
pub(crate) struct WebToken {
    pub(crate) token: SecretKey,
    pub(crate) expires: Option<SystemTime>,
}

/// A principal with long-lived keys.
pub(crate) struct User {
    pub(crate) arn: String,
    pub(crate) account: String,
    pub(crate) policy: Policy,
    pub(crate) access_key_id: String,
    pub(crate) secret: SecretKey,
}

/// A bucket.
pub(crate) struct Bucket {
    /// The account it belongs to.
    pub(crate) owner: String,
    pub(crate) partition: Partition,
    pub(crate) region: String,
    pub(crate) policy: Option<Policy>,
    /// The key that objects are encrypted with when the request names none.
    pub(crate) kms_key_id: Option<String>,
}

/// Why an accounts file is refused.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// It is not YAML of this shape; the message has the path and the line.
    #[error("{0}")]
    Shape(String),
    /// A value is wrong.
    #[error("{at}: {message}")]
    Invalid {
        /// The path to it, as `accounts.123456789012.roles.writer`.
        at: String,
        /// What is wrong with it.
        message: String,
    },
}

/// Names only: policies hold external IDs, and the rest keys and tokens.
impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts")
            .field("roles", &self.roles.keys())
            .field("buckets", &self.buckets.keys())
            .finish_non_exhaustive()
    }
}

impl Accounts {
    /// Reads an accounts file: YAML, and so JSON too.
    ///
    /// ```
    /// let accounts = tributary_local_aws::Accounts::parse(r#"
    /// accounts:
    ///   "123456789012":
    ///     partition: aws                 # aws (default), aws-cn or aws-us-gov
    ///     roles:
    ///       team/writer:                 # a role's name, behind its path if it has one
    ///         principals: ["arn:aws:iam::999999999999:user/segment"]
    ///         externalId: wX8/orders     # absent: a role that enforces none
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
    ///         webIdentityTokens:         # what AssumeRoleWithWebIdentity takes for it
    ///           - a-token
    ///           - {token: another, expires: 2030-01-01T00:00:00Z}
    ///         webIdentitySubjects:       # or of providers' tokens, by whom they speak of
    ///           - system:serviceaccount:shop:*
    ///     oidcProviders:                 # whose tokens those are; keys as in their JWKS
    ///       - {issuer: "https://oidc.example.com", audiences: [sts.amazonaws.com], keys: []}
    ///     podIdentities:                 # what GET /v1/credentials takes, and for which role
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
    ///     users:                         # principals with long-lived keys; policy as a role's
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
    /// If it isn't of the right shape or a value is wrong.
    pub fn parse(text: &str) -> Result<Accounts, AccountsError> {
        let file: file::File = serde_yaml::from_str(text).map_err(|error| AccountsError::Shape(error.to_string()))?;
        build::build(file)
    }
}
