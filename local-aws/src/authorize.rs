//! Decides whether a caller may perform an action: combines the caller's own policy, its session policy
//! and the resource's policy as AWS does.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>

use crate::accounts::{Accounts, Bucket, Role};
use crate::caller::Caller;
use crate::policy::{Ask, Naming, Verdict};

/// Why an action is denied; decides how AWS's message ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DenialReason {
    /// A statement of any of the policies denies it.
    ExplicitDeny,
    /// The session policy does not allow it.
    SessionPolicy,
    /// The policy of the user or role does not allow it.
    IdentityPolicy,
    /// A trust policy, or a bucket's policy for a caller of another account, does not allow it.
    ResourcePolicy,
}

impl DenialReason {
    /// AWS's message for the denial.
    pub(crate) fn message(self, caller: &Caller, ask: Ask<'_>) -> String {
        let Ask { action, resource, .. } = ask;
        let arn = caller.names().arn;
        let because = match self {
            DenialReason::ExplicitDeny => "with an explicit deny in a policy".to_owned(),
            DenialReason::SessionPolicy => format!("because no session policy allows the {action} action"),
            DenialReason::IdentityPolicy => format!("because no identity-based policy allows the {action} action"),
            DenialReason::ResourcePolicy => format!("because no resource-based policy allows the {action} action"),
        };
        format!("User: {arn} is not authorized to perform: {action} on resource: \"{resource}\" {because}")
    }
}

/// Whether the caller's own policies allow it: the user's or role's, and the session policy if there is one.
pub(crate) fn by_identity(accounts: &Accounts, caller: &Caller, ask: Ask<'_>) -> Result<(), DenialReason> {
    within_session(caller, ask)?;
    let own = caller.policy(accounts);
    match own.map_or(Verdict::Silent, |policy| policy.evaluate(ask, caller.names())) {
        Verdict::Denied => Err(DenialReason::ExplicitDeny),
        Verdict::Silent => Err(DenialReason::IdentityPolicy),
        Verdict::Allowed(_) => Ok(()),
    }
}

fn within_session(caller: &Caller, ask: Ask<'_>) -> Result<(), DenialReason> {
    let verdict = caller.session_policy().map(|p| p.evaluate(ask, caller.names()));
    match verdict {
        Some(Verdict::Denied) => Err(DenialReason::ExplicitDeny),
        Some(Verdict::Silent) => Err(DenialReason::SessionPolicy),
        Some(Verdict::Allowed(_)) | None => Ok(()),
    }
}

/// Whether the caller may act on a bucket or an object in it. Within an account, either the caller's
/// own policy or the bucket's must allow it; across accounts, both. A session policy limits the caller
/// in any case.
pub(crate) fn on_bucket(
    accounts: &Accounts,
    caller: &Caller,
    bucket: &Bucket,
    ask: Ask<'_>,
) -> Result<(), DenialReason> {
    let policy = bucket.policy.as_ref();
    let verdict = policy.map_or(Verdict::Silent, |p| p.evaluate(ask, caller.names()));
    let by_identity = by_identity(accounts, caller, ask);
    if verdict == Verdict::Denied || by_identity == Err(DenialReason::ExplicitDeny) {
        return Err(DenialReason::ExplicitDeny);
    }
    if caller.names().account != bucket.owner {
        by_identity?;
        return match verdict {
            Verdict::Allowed(_) => Ok(()),
            Verdict::Silent | Verdict::Denied => Err(DenialReason::ResourcePolicy),
        };
    }
    match verdict {
        // A policy that names the account delegates the decision to the account's own policies.
        Verdict::Allowed(Naming::Direct) => within_session(caller, ask),
        _ => by_identity,
    }
}

/// Whether the caller may assume a role. The trust policy must allow it, and the caller's own policy
/// too, unless the trust policy names a caller of the same account directly.
pub(crate) fn on_role(accounts: &Accounts, caller: &Caller, role: &Role, ask: Ask<'_>) -> Result<(), DenialReason> {
    let by_identity = by_identity(accounts, caller, ask);
    let same_account = caller.names().account == role.account;
    match role.trust.evaluate(ask, caller.names()) {
        Verdict::Denied => Err(DenialReason::ExplicitDeny),
        Verdict::Silent => Err(DenialReason::ResourcePolicy),
        Verdict::Allowed(Naming::Direct) if same_account && by_identity == Err(DenialReason::IdentityPolicy) => Ok(()),
        Verdict::Allowed(_) => by_identity,
    }
}
