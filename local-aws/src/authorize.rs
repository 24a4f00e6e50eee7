//! Decides whether a caller may perform an action: combines the caller's own policy, its session policy and the
//! resource's policy as AWS does. The resource's policy is a bucket's policy or, for AssumeRole, the role's trust policy.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>

use crate::accounts::{Accounts, Bucket, Role};
use crate::caller::Caller;
use crate::policy::{AccessRequest, Decision, PrincipalMatch};

/// Why an action is denied, which determines the end of AWS's message.
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
    pub(crate) fn message(self, caller: &Caller, request: AccessRequest<'_>) -> String {
        let AccessRequest { action, resource, .. } = request;
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

/// Whether the caller's own policies allow the request: the user's or role's, and the session policy if there is one.
pub(crate) fn by_identity_policies(
    accounts: &Accounts,
    caller: &Caller,
    request: AccessRequest<'_>,
) -> Result<(), DenialReason> {
    by_session_policy(caller, request)?;
    let own = caller.policy(accounts);
    match own.map_or(Decision::ImplicitDeny, |policy| policy.evaluate(request, caller.names())) {
        Decision::ExplicitDeny => Err(DenialReason::ExplicitDeny),
        Decision::ImplicitDeny => Err(DenialReason::IdentityPolicy),
        Decision::Allow(_) => Ok(()),
    }
}

fn by_session_policy(caller: &Caller, request: AccessRequest<'_>) -> Result<(), DenialReason> {
    let decision = caller.session_policy().map(|p| p.evaluate(request, caller.names()));
    match decision {
        Some(Decision::ExplicitDeny) => Err(DenialReason::ExplicitDeny),
        Some(Decision::ImplicitDeny) => Err(DenialReason::SessionPolicy),
        Some(Decision::Allow(_)) | None => Ok(()),
    }
}

/// Whether the caller may act on a bucket or an object in it. Within an account, either the caller's
/// own policy or the bucket's must allow it; across accounts, both. A session policy limits the caller
/// in any case.
pub(crate) fn bucket_access(
    accounts: &Accounts,
    caller: &Caller,
    bucket: &Bucket,
    request: AccessRequest<'_>,
) -> Result<(), DenialReason> {
    let policy = bucket.policy.as_ref();
    let decision = policy.map_or(Decision::ImplicitDeny, |p| p.evaluate(request, caller.names()));
    let identity_result = by_identity_policies(accounts, caller, request);
    if decision == Decision::ExplicitDeny || identity_result == Err(DenialReason::ExplicitDeny) {
        return Err(DenialReason::ExplicitDeny);
    }
    if caller.names().account != bucket.owner {
        identity_result?;
        return match decision {
            Decision::Allow(_) => Ok(()),
            Decision::ImplicitDeny | Decision::ExplicitDeny => Err(DenialReason::ResourcePolicy),
        };
    }
    match decision {
        // A policy that names the account delegates the decision to the account's own policies.
        Decision::Allow(PrincipalMatch::Direct) => by_session_policy(caller, request),
        _ => identity_result,
    }
}

/// Whether the caller may assume a role. The trust policy must allow it, and the caller's own policy
/// too, unless the trust policy names a caller of the same account directly.
pub(crate) fn role_assumption(
    accounts: &Accounts,
    caller: &Caller,
    role: &Role,
    request: AccessRequest<'_>,
) -> Result<(), DenialReason> {
    let identity_result = by_identity_policies(accounts, caller, request);
    let same_account = caller.names().account == role.account;
    match role.trust.evaluate(request, caller.names()) {
        Decision::ExplicitDeny => Err(DenialReason::ExplicitDeny),
        Decision::ImplicitDeny => Err(DenialReason::ResourcePolicy),
        Decision::Allow(PrincipalMatch::Direct)
            if same_account && identity_result == Err(DenialReason::IdentityPolicy) =>
        {
            Ok(())
        }
        Decision::Allow(_) => identity_result,
    }
}
