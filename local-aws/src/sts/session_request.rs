//! The common part of AssumeRole and AssumeRoleWithWebIdentity: checks the request's fields, and issues
//! the session.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::{StsError, error};
use crate::accounts::Role;
use crate::answer::escape;
use crate::clock::iso8601;
use crate::policy::{Policy, PolicyKind};
use crate::sessions::{NewSession, Session};
use crate::state::ServerState;
use crate::target::Form;

/// Maximum length of a session policy, in characters.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
const MAX_POLICY_CHARS: usize = 2048;
/// Bytes of policy (without white space) and tags that count as a full packed policy. An estimate:
/// AWS does not publish how it packs them.
const MAX_PACKED_BYTES: usize = 2048;

/// Session duration without `DurationSeconds`.
const DEFAULT_DURATION_SECONDS: u64 = 3600;
/// Minimum `DurationSeconds`.
const MIN_DURATION_SECONDS: u64 = 900;
/// Maximum `DurationSeconds` that a role can allow.
const MAX_DURATION_SECONDS: u64 = 43_200;

/// The fields of a request, each valid by itself; the role is not looked up yet.
pub(super) struct AssumeRoleRequest<'a> {
    pub(super) role_arn: &'a str,
    pub(super) session_name: &'a str,
    pub(super) duration: Duration,
    policy: Option<Policy>,
    /// Size of the packed policy, in percent of the limit.
    packed: usize,
}

impl<'a> AssumeRoleRequest<'a> {
    /// Validates the fields; `tag_bytes` is the size of the session tags.
    pub(super) fn parse(form: &'a Form, tag_bytes: usize) -> Result<AssumeRoleRequest<'a>, StsError> {
        let role_arn = text(form, "RoleArn", "roleArn", 20..=2048, |_| true)?;
        let session_name = text(form, "RoleSessionName", "roleSessionName", 2..=64, |c| {
            c.is_ascii_alphanumeric() || "_+=,.@-".contains(c)
        })?;
        let duration = match form.get("DurationSeconds") {
            None => DEFAULT_DURATION_SECONDS,
            Some(text) => seconds(text)?,
        };
        let policy = form.get("Policy").map(|text| session_policy(text)).transpose()?;
        let policy_bytes = policy.as_ref().map_or(0, |(_, bytes)| *bytes);
        let packed = (policy_bytes + tag_bytes) * 100 / MAX_PACKED_BYTES;
        if packed > 100 {
            return Err(error(
                "PackedPolicyTooLarge",
                format!("Packed policy consumes {packed}% of allotted space, please use smaller policy."),
            ));
        }
        Ok(AssumeRoleRequest {
            role_arn,
            session_name,
            duration: Duration::from_secs(duration),
            policy: policy.map(|(policy, _)| policy),
            packed,
        })
    }

    /// Issues the session and returns the elements of the answer; an error if the role allows only shorter sessions.
    pub(super) fn grant(self, state: &ServerState, role: &Role, transitive_tags: bool) -> Result<String, StsError> {
        if self.duration > role.max_session {
            return Err(error(
                "ValidationError",
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
            ));
        }
        let now = state.clock.now();
        let new = NewSession {
            role,
            name: self.session_name,
            expires: now + self.duration,
            policy: self.policy,
            transitive_tags,
        };
        Ok(session_xml(&state.sessions.issue(new, now), self.packed))
    }
}

/// A required field, with a length in characters and legal characters; errors call it `display_name`.
pub(super) fn text<'a>(
    form: &'a Form,
    field: &str,
    display_name: &str,
    length: RangeInclusive<usize>,
    is_allowed: impl Fn(char) -> bool,
) -> Result<&'a str, StsError> {
    let Some(value) = form.get(field) else {
        return Err(invalid(&format!(
            "Value null at '{display_name}' failed to satisfy constraint: Member must not be null"
        )));
    };
    if !length.contains(&value.chars().count()) || !value.chars().all(is_allowed) {
        return Err(invalid(&format!(
            "Value at '{display_name}' failed to satisfy constraint: \
             Member must have length from {} to {} and legal characters only",
            length.start(),
            length.end()
        )));
    }
    Ok(value)
}

fn invalid(what: &str) -> StsError {
    error("ValidationError", format!("1 validation error detected: {what}"))
}

fn seconds(text: &str) -> Result<u64, StsError> {
    let at = format!("Value '{text}' at 'durationSeconds' failed to satisfy constraint: Member must have value");
    match text.parse() {
        Ok(short) if short < MIN_DURATION_SECONDS => {
            Err(invalid(&format!("{at} greater than or equal to {MIN_DURATION_SECONDS}")))
        }
        Ok(long) if long > MAX_DURATION_SECONDS => {
            Err(invalid(&format!("{at} less than or equal to {MAX_DURATION_SECONDS}")))
        }
        Ok(seconds) => Ok(seconds),
        Err(_) => Err(invalid(&format!("{at} that is a number"))),
    }
}

/// The parsed policy, and its length without white space, in bytes.
fn session_policy(text: &str) -> Result<(Policy, usize), StsError> {
    let malformed = |what: String| error("MalformedPolicyDocument", what);
    if text.chars().count() > MAX_POLICY_CHARS {
        return Err(invalid(&format!(
            "Value at 'policy' failed to satisfy constraint: \
             Member must have length less than or equal to {MAX_POLICY_CHARS}"
        )));
    }
    let policy: Policy = serde_json::from_str(text).map_err(|e| malformed(e.to_string()))?;
    policy.check(PolicyKind::Identity).map_err(malformed)?;
    let bytes = text.bytes().filter(|b| !b.is_ascii_whitespace()).count();
    Ok((policy, bytes))
}

fn session_xml(session: &Session, packed: usize) -> String {
    let id = unique_id("AROA", &session.role_arn);
    format!(
        "<AssumedRoleUser><AssumedRoleId>{id}:{name}</AssumedRoleId><Arn>{arn}</Arn></AssumedRoleUser>\
         <Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>\
         <SessionToken>{token}</SessionToken><Expiration>{expiration}</Expiration></Credentials>\
         <PackedPolicySize>{packed}</PackedPolicySize>",
        name = session.name,
        arn = escape(&session.assumed_role_arn),
        key = session.access_key_id,
        secret = session.secret.expose(),
        token = session.token,
        expiration = iso8601(session.expires),
    )
}

/// The unique ID of a role or user, derived from its ARN so that it is always the same.
pub(super) fn unique_id(prefix: &str, arn: &str) -> String {
    let mut hasher = DefaultHasher::new();
    arn.hash(&mut hasher);
    format!("{prefix}{:016X}Z", hasher.finish())
}
