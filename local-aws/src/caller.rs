//! The caller of a request (a user or a session), with its names and its own policies.

use std::sync::Arc;

use crate::accounts::{Accounts, User};
use crate::policy::{CallerNames, Policy};
use crate::sessions::Session;

/// The user or session whose credentials signed a request.
#[derive(Clone)]
pub(crate) enum Caller {
    User(Arc<User>),
    Session(Arc<Session>),
}

impl Caller {
    /// The account and the ARNs by which policies can name the caller.
    pub(crate) fn names(&self) -> CallerNames<'_> {
        match self {
            Caller::User(user) => CallerNames { account: &user.account, arn: &user.arn, role_arn: None },
            Caller::Session(session) => CallerNames {
                account: &session.account,
                arn: &session.assumed_role_arn,
                role_arn: Some(&session.role_arn),
            },
        }
    }

    /// The policy of the user, or the current policy of the session's role; `None` if the role is gone.
    pub(crate) fn policy<'a>(&'a self, accounts: &'a Accounts) -> Option<&'a Policy> {
        match self {
            Caller::User(user) => Some(&user.policy),
            Caller::Session(session) => accounts.roles.get(&session.role_arn).map(|r| &r.policy),
        }
    }

    /// The session policy, which restricts what the role's policy allows.
    pub(crate) fn session_policy(&self) -> Option<&Policy> {
        match self {
            Caller::User(_) => None,
            Caller::Session(session) => session.policy.as_ref(),
        }
    }

    /// The session, if the caller is one.
    pub(crate) fn session(&self) -> Option<&Session> {
        match self {
            Caller::User(_) => None,
            Caller::Session(session) => Some(session),
        }
    }
}
