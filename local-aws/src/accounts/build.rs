//! Builds the accounts from the parsed file: checks each entry, and reports errors with its path.

use std::sync::Arc;
use std::time::Duration;

use tributary_crds::values::Partition;

use super::file::{AccountEntry, BucketEntry, File, RoleEntry, UserEntry, WebIdentityEntry};
use super::{Accounts, AccountsError, Bucket, Role, User, WebToken};
use crate::arn;
use crate::policy::{Policy, PolicyKind, check_principal};

/// The values that IAM allows for a role's maximum session duration, in seconds; the lower bound is the default.
const MAX_SESSION_SECONDS: std::ops::RangeInclusive<u64> = 3600..=43_200;

/// The location of an entry: its account, and its path in the file for errors.
struct EntryLocation<'a> {
    partition: Partition,
    account: &'a str,
    path: String,
}

impl EntryLocation<'_> {
    fn error(&self, message: impl Into<String>) -> AccountsError {
        AccountsError::Invalid { path: self.path.clone(), message: message.into() }
    }

    /// Returns the policy if it is valid as `kind`, or else an error that names `field`.
    fn policy(&self, field: &str, policy: Policy, kind: PolicyKind) -> Result<Policy, AccountsError> {
        match policy.check(kind) {
            Ok(()) => Ok(policy),
            Err(message) => Err(self.error(format!("{field}: {message}"))),
        }
    }
}

pub(super) fn build(file: File) -> Result<Accounts, AccountsError> {
    let mut accounts = Accounts { faults: file.faults, ..Accounts::default() };
    for (id, entry) in file.accounts {
        add_account(&mut accounts, &id, entry)?;
    }
    Ok(accounts)
}

fn add_account(accounts: &mut Accounts, id: &str, entry: AccountEntry) -> Result<(), AccountsError> {
    let partition = entry.partition;
    let locate = |path: String| EntryLocation { partition, account: id, path };
    if id.len() != 12 || !id.bytes().all(|b| b.is_ascii_digit()) {
        let location = locate(format!("accounts.{id}"));
        return Err(location.error("an account ID must be 12 digits in quotes, such as \"123456789012\""));
    }
    for (name, entry) in entry.roles {
        let location = locate(format!("accounts.{id}.roles.{name}"));
        let role = build_role(&location, &name, entry)?;
        accounts.roles.insert(role.arn.clone(), role);
    }
    for (name, entry) in entry.users {
        let location = locate(format!("accounts.{id}.users.{name}"));
        let user = build_user(&location, &name, entry)?;
        let previous = accounts.users.insert(user.access_key_id.clone(), Arc::new(user));
        if let Some(other) = previous {
            return Err(location.error(format!("accessKeyId is already used by {}", other.arn)));
        }
    }
    for (index, entry) in entry.pod_identities.into_iter().enumerate() {
        let location = locate(format!("accounts.{id}.podIdentities[{index}]"));
        let arn = arn::role(partition, id, &entry.role);
        if !accounts.roles.contains_key(&arn) {
            return Err(location.error(format!("this account has no role {:?}", entry.role)));
        }
        let token = entry.token.expose().to_owned();
        if accounts.pod_identities.insert(token, arn).is_some() {
            return Err(location.error("token is used twice"));
        }
    }
    accounts.providers.extend(entry.oidc_providers.into_iter().map(|provider| (id.to_owned(), provider)));
    for (name, entry) in entry.buckets {
        let location = locate(format!("accounts.{id}.buckets.{name}"));
        let bucket = build_bucket(&location, &name, entry)?;
        if let Some(other) = accounts.buckets.insert(name, bucket) {
            return Err(location.error(format!(
                "bucket names are unique across accounts, and account {} already has this bucket",
                other.owner
            )));
        }
    }
    Ok(())
}

fn build_role(location: &EntryLocation<'_>, name: &str, entry: RoleEntry) -> Result<Role, AccountsError> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    if !name.split('/').all(|part| !part.is_empty() && part.chars().all(is_allowed)) {
        return Err(
            location.error("a role's name may contain only letters, digits and _+=,.@-, after an optional path")
        );
    }
    let max_session = entry.max_session_duration.unwrap_or(*MAX_SESSION_SECONDS.start());
    if !MAX_SESSION_SECONDS.contains(&max_session) {
        return Err(location.error(format!("maxSessionDuration {max_session} is not between 3600 and 43200 seconds")));
    }
    let trust = match (entry.trust_policy, entry.principals, entry.external_id) {
        (Some(policy), None, None) => location.policy("trustPolicy", policy, PolicyKind::Trust)?,
        (Some(_), _, _) => {
            return Err(location.error("set either trustPolicy, or principals and externalId"));
        }
        (None, None, Some(_)) => return Err(location.error("externalId requires principals")),
        (None, principals, external_id) => {
            let principals = principals.unwrap_or_default();
            for principal in &principals {
                check_principal(principal).map_err(|message| location.error(message))?;
            }
            Policy::trust(principals, external_id.as_deref())
        }
    };
    let policy = entry.policy.map(|policy| location.policy("policy", policy, PolicyKind::Identity));
    let tokens = entry.web_identity_tokens.into_iter();
    let web_tokens = tokens.map(|token| build_web_token(location, token)).collect::<Result<_, _>>()?;
    Ok(Role {
        arn: arn::role(location.partition, location.account, name),
        partition: location.partition,
        account: location.account.to_owned(),
        name: name.to_owned(),
        trust,
        policy: policy.transpose()?.unwrap_or_else(Policy::allow_all),
        max_session: Duration::from_secs(max_session),
        web_tokens,
        web_subjects: entry.web_identity_subjects,
    })
}

fn build_web_token(location: &EntryLocation<'_>, entry: WebIdentityEntry) -> Result<WebToken, AccountsError> {
    let expiring = match entry {
        WebIdentityEntry::Token(token) => return Ok(WebToken { token, expires: None }),
        WebIdentityEntry::Expiring(expiring) => expiring,
    };
    let text = &expiring.expires;
    let Ok(expires) = text.parse::<jiff::Timestamp>() else {
        return Err(location.error(format!("expires {text:?} is not a timestamp such as 2026-01-01T00:00:00Z")));
    };
    Ok(WebToken { token: expiring.token, expires: Some(expires.into()) })
}

fn build_user(location: &EntryLocation<'_>, name: &str, entry: UserEntry) -> Result<User, AccountsError> {
    let id = &entry.access_key_id;
    // Access key IDs that start with ASIA are temporary, and only STS issues them.
    if id.len() < 16 || !id.bytes().all(|b| b.is_ascii_alphanumeric()) || id.starts_with("ASIA") {
        return Err(location.error("accessKeyId must be 16 or more letters and digits, such as AKIAIOSFODNN7EXAMPLE, and must not start with ASIA"));
    }
    if entry.secret_access_key.expose().is_empty() {
        return Err(location.error("secretAccessKey is empty"));
    }
    let policy = entry.policy.map(|policy| location.policy("policy", policy, PolicyKind::Identity));
    Ok(User {
        arn: arn::user(location.partition, location.account, name),
        account: location.account.to_owned(),
        policy: policy.transpose()?.unwrap_or_else(Policy::allow_all),
        access_key_id: entry.access_key_id,
        secret: entry.secret_access_key,
    })
}

fn build_bucket(location: &EntryLocation<'_>, name: &str, entry: BucketEntry) -> Result<Bucket, AccountsError> {
    let is_allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    let ends = [name.bytes().next(), name.bytes().last()];
    let ends_alphanumeric = ends.iter().flatten().all(u8::is_ascii_alphanumeric);
    if !(3..=63).contains(&name.len()) || !name.bytes().all(is_allowed) || !ends_alphanumeric || name.contains("..") {
        return Err(location.error("a bucket's name must be 3 to 63 lowercase letters, digits, hyphens and dots"));
    }
    let region = &entry.region;
    if region.is_empty() || !region.bytes().all(|b| is_allowed(b) && b != b'.') {
        // s3s refuses others in signatures.
        return Err(location.error(format!(
            "region {region:?} is not one that the embedded S3 supports: lower-case letters, digits and hyphens, such as \
             us-west-2"
        )));
    }
    let policy = entry.policy.map(|policy| location.policy("policy", policy, PolicyKind::Bucket));
    Ok(Bucket {
        owner: location.account.to_owned(),
        partition: location.partition,
        region: entry.region,
        policy: policy.transpose()?,
        kms_key_id: entry.kms_key_id,
    })
}
