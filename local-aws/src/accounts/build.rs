//! Builds the accounts from the parsed file: checks each entry, and reports errors with its path.

use std::sync::Arc;
use std::time::Duration;

use super::file::{AccountEntry, BucketEntry, File, RoleEntry, UserEntry, WebIdentityEntry};
use super::{Accounts, AccountsError, Bucket, Role, User, WebToken};
use crate::arn::{self, Partition};
use crate::policy::{Kind, Policy, check_principal};

/// A role's maximum session duration in seconds, as IAM allows it; the lower bound is IAM's default.
const SESSION_SECONDS: std::ops::RangeInclusive<u64> = 3600..=43_200;

/// The position of an entry: its account, and its path in the file for errors.
struct Place<'a> {
    partition: Partition,
    account: &'a str,
    at: String,
}

impl Place<'_> {
    fn error(&self, message: impl Into<String>) -> AccountsError {
        AccountsError::Invalid { at: self.at.clone(), message: message.into() }
    }

    /// Returns the policy if it may be attached as `kind`, or an error that names `field`.
    fn policy(&self, field: &str, policy: Policy, kind: Kind) -> Result<Policy, AccountsError> {
        match policy.check(kind) {
            Ok(()) => Ok(policy),
            Err(message) => Err(self.error(format!("{field}: {message}"))),
        }
    }
}

pub(super) fn build(file: File) -> Result<Accounts, AccountsError> {
    let mut accounts = Accounts { faults: file.faults, ..Accounts::default() };
    for (id, entry) in file.accounts {
        account(&mut accounts, &id, entry)?;
    }
    Ok(accounts)
}

fn account(accounts: &mut Accounts, id: &str, entry: AccountEntry) -> Result<(), AccountsError> {
    let partition = entry.partition;
    let place = |at: String| Place { partition, account: id, at };
    if id.len() != 12 || !id.bytes().all(|b| b.is_ascii_digit()) {
        let here = place(format!("accounts.{id}"));
        return Err(here.error("an account is 12 digits in quotes, as \"123456789012\""));
    }
    for (name, entry) in entry.roles {
        let here = place(format!("accounts.{id}.roles.{name}"));
        let role = role(&here, &name, entry)?;
        accounts.roles.insert(role.arn.clone(), role);
    }
    for (name, entry) in entry.users {
        let here = place(format!("accounts.{id}.users.{name}"));
        let user = user(&here, &name, entry)?;
        let taken = accounts.users.insert(user.access_key_id.clone(), Arc::new(user));
        if let Some(other) = taken {
            return Err(here.error(format!("accessKeyId is that of {}", other.arn)));
        }
    }
    for (index, entry) in entry.pod_identities.into_iter().enumerate() {
        let here = place(format!("accounts.{id}.podIdentities[{index}]"));
        let arn = arn::role(partition, id, &entry.role);
        if !accounts.roles.contains_key(&arn) {
            return Err(here.error(format!("role {:?} is not among this account's roles", entry.role)));
        }
        let token = entry.token.expose().to_owned();
        if accounts.pod_identities.insert(token, arn).is_some() {
            return Err(here.error("token is used twice"));
        }
    }
    accounts.providers.extend(entry.oidc_providers.into_iter().map(|provider| (id.to_owned(), provider)));
    for (name, entry) in entry.buckets {
        let here = place(format!("accounts.{id}.buckets.{name}"));
        let bucket = bucket(&here, &name, entry)?;
        if let Some(other) = accounts.buckets.insert(name, bucket) {
            return Err(here.error(format!("a bucket's name is one account's, and {} has it", other.owner)));
        }
    }
    Ok(())
}

fn role(here: &Place<'_>, name: &str, entry: RoleEntry) -> Result<Role, AccountsError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    if !name.split('/').all(|part| !part.is_empty() && part.chars().all(legal)) {
        return Err(here.error("a role's name has letters, digits and _+=,.@- only, behind a path if any"));
    }
    let max_session = entry.max_session_duration.unwrap_or(*SESSION_SECONDS.start());
    if !SESSION_SECONDS.contains(&max_session) {
        return Err(here.error(format!("maxSessionDuration {max_session} is not from 3600 to 43200 seconds")));
    }
    let trust = match (entry.trust_policy, entry.principals, entry.external_id) {
        (Some(policy), None, None) => here.policy("trustPolicy", policy, Kind::Trust)?,
        (Some(_), _, _) => {
            return Err(here.error("give trustPolicy, or principals and externalId, not both"));
        }
        (None, None, Some(_)) => return Err(here.error("externalId needs principals")),
        (None, principals, external_id) => {
            let principals = principals.unwrap_or_default();
            for principal in &principals {
                check_principal(principal).map_err(|message| here.error(message))?;
            }
            Policy::trust(principals, external_id.as_deref())
        }
    };
    let policy = entry.policy.map(|policy| here.policy("policy", policy, Kind::Identity));
    let tokens = entry.web_identity_tokens.into_iter();
    let web_tokens = tokens.map(|token| web_token(here, token)).collect::<Result<_, _>>()?;
    Ok(Role {
        arn: arn::role(here.partition, here.account, name),
        partition: here.partition,
        account: here.account.to_owned(),
        name: name.to_owned(),
        trust,
        policy: policy.transpose()?.unwrap_or_else(Policy::everything),
        max_session: Duration::from_secs(max_session),
        web_tokens,
        web_subjects: entry.web_identity_subjects,
    })
}

fn web_token(here: &Place<'_>, entry: WebIdentityEntry) -> Result<WebToken, AccountsError> {
    let expiring = match entry {
        WebIdentityEntry::Token(token) => return Ok(WebToken { token, expires: None }),
        WebIdentityEntry::Expiring(expiring) => expiring,
    };
    let text = &expiring.expires;
    let Ok(expires) = text.parse::<jiff::Timestamp>() else {
        return Err(here.error(format!("expires {text:?} is not a time, as 2026-01-01T00:00:00Z")));
    };
    Ok(WebToken { token: expiring.token, expires: Some(expires.into()) })
}

fn user(here: &Place<'_>, name: &str, entry: UserEntry) -> Result<User, AccountsError> {
    let id = &entry.access_key_id;
    // Access key IDs that start with ASIA are temporary, and only STS issues them.
    if id.len() < 16 || !id.bytes().all(|b| b.is_ascii_alphanumeric()) || id.starts_with("ASIA") {
        return Err(here.error("accessKeyId is 16 or more letters and digits, as AKIAIOSFODNN7EXAMPLE, not ASIA…"));
    }
    if entry.secret_access_key.expose().is_empty() {
        return Err(here.error("secretAccessKey is empty"));
    }
    let policy = entry.policy.map(|policy| here.policy("policy", policy, Kind::Identity));
    Ok(User {
        arn: arn::user(here.partition, here.account, name),
        account: here.account.to_owned(),
        policy: policy.transpose()?.unwrap_or_else(Policy::everything),
        access_key_id: entry.access_key_id,
        secret: entry.secret_access_key,
    })
}

fn bucket(here: &Place<'_>, name: &str, entry: BucketEntry) -> Result<Bucket, AccountsError> {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    let ends = [name.bytes().next(), name.bytes().last()];
    let rounded = ends.iter().flatten().all(u8::is_ascii_alphanumeric);
    if !(3..=63).contains(&name.len()) || !name.bytes().all(legal) || !rounded || name.contains("..") {
        return Err(here.error("a bucket's name is 3 to 63 lowercase letters, digits, - and ."));
    }
    let region = &entry.region;
    if region.is_empty() || !region.bytes().all(|b| legal(b) && b != b'.') {
        return Err(here.error(format!("region {region:?} is not a region's name, as us-west-2")));
    }
    let policy = entry.policy.map(|policy| here.policy("policy", policy, Kind::Bucket));
    Ok(Bucket {
        owner: here.account.to_owned(),
        partition: here.partition,
        region: entry.region,
        policy: policy.transpose()?,
        kms_key_id: entry.kms_key_id,
    })
}
