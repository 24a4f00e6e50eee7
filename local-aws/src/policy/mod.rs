//! IAM policies: parses policy documents and evaluates them as IAM does, for the supported elements
//! (Effect, Principal, Action, NotAction, Resource, NotResource, and string, ARN and boolean
//! conditions). Any other element is an error when the document is parsed.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html>

mod condition;
mod document;
mod flexible;
mod principal;
pub(crate) mod wildcard;

use serde::Deserialize;

use condition::Condition;
pub(crate) use condition::Context;
use document::{Document, Patterns};
use principal::Principals;
pub(crate) use principal::{CallerNames, PrincipalMatch, check as check_principal};

/// A parsed policy document.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Document")]
pub(crate) struct Policy {
    statements: Vec<Statement>,
}

#[derive(Clone, Debug)]
struct Statement {
    effect: Effect,
    principals: Option<Principals>,
    actions: Patterns,
    resources: Option<Patterns>,
    conditions: Vec<Condition>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum Effect {
    Allow,
    Deny,
}

/// What a policy is attached to, which decides the elements that its statements must and must not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PolicyKind {
    /// A user, role or session: Resource, no Principal.
    Identity,
    /// A bucket: Principal and Resource.
    Bucket,
    /// A role, as its trust policy: Principal, no Resource.
    Trust,
}

/// An action on a resource, for which policies are evaluated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AccessRequest<'a> {
    /// The action, such as `s3:PutObject`.
    pub(crate) action: &'a str,
    /// ARN of the resource.
    pub(crate) resource: &'a str,
    /// The request's condition keys with their values.
    pub(crate) context: Context<'a>,
}

/// The result of evaluating one policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// A statement denies it, which overrides any policy that allows it.
    ExplicitDeny,
    /// No statement applies to it, so it is denied unless another policy allows it.
    ImplicitDeny,
    /// A statement allows it, and its principals match the caller in this way.
    Allow(PrincipalMatch),
}

impl Policy {
    /// The policy of a role or user for which the accounts file has none: it allows everything that a function's role
    /// or base identity could need.
    pub(crate) fn allow_all() -> Policy {
        let actions = ["s3:*", "kms:*", "sts:*"].map(str::to_owned);
        let list = |patterns| Patterns { patterns, negated: false };
        Policy {
            statements: vec![Statement {
                effect: Effect::Allow,
                principals: None,
                actions: list(actions.into()),
                resources: Some(list(vec!["*".to_owned()])),
                conditions: Vec::new(),
            }],
        }
    }

    /// A trust policy that lets `principals` assume a role, only with `external_id` if there is one.
    pub(crate) fn trust(principals: Vec<String>, external_id: Option<&str>) -> Policy {
        let actions = ["sts:AssumeRole", "sts:TagSession"].map(str::to_owned);
        let condition = external_id.map(Condition::external_id);
        Policy {
            statements: vec![Statement {
                effect: Effect::Allow,
                principals: Some(Principals::Aws(principals)),
                actions: Patterns { patterns: actions.into(), negated: false },
                resources: None,
                conditions: condition.into_iter().collect(),
            }],
        }
    }

    /// Checks that every statement has the elements that `kind` requires, and none that it forbids.
    pub(crate) fn check(&self, kind: PolicyKind) -> Result<(), String> {
        for statement in &self.statements {
            let (principal, resource) = (&statement.principals, &statement.resources);
            match kind {
                PolicyKind::Identity if principal.is_some() => {
                    return Err("this policy must not have Principal".to_owned());
                }
                PolicyKind::Bucket | PolicyKind::Trust if principal.is_none() => {
                    return Err("every statement of this policy requires Principal".to_owned());
                }
                PolicyKind::Trust if resource.is_some() => {
                    return Err("a trust policy must not have Resource".to_owned());
                }
                PolicyKind::Identity | PolicyKind::Bucket if resource.is_none() => {
                    return Err("every statement of this policy requires Resource".to_owned());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Evaluates the policy for a request of `caller`. Statements without Principal, as in the caller's own
    /// policies, apply to every caller.
    pub(crate) fn evaluate(&self, request: AccessRequest<'_>, caller: CallerNames<'_>) -> Decision {
        let mut decision = Decision::ImplicitDeny;
        for statement in &self.statements {
            let Some(principal_match) = statement.match_request(request, caller) else {
                continue;
            };
            decision = match (statement.effect, decision) {
                (Effect::Deny, _) => return Decision::ExplicitDeny,
                (Effect::Allow, Decision::Allow(before)) => Decision::Allow(before.max(principal_match)),
                (Effect::Allow, _) => Decision::Allow(principal_match),
            };
        }
        decision
    }
}

impl Statement {
    fn match_request(&self, request: AccessRequest<'_>, caller: CallerNames<'_>) -> Option<PrincipalMatch> {
        let principal_match = match &self.principals {
            Some(principals) => principals.match_caller(caller)?,
            None => PrincipalMatch::Direct,
        };
        let action = self.actions.matches(|p| wildcard::matches_action(p, request.action));
        let resource =
            self.resources.as_ref().is_none_or(|patterns| patterns.matches(|p| wildcard::matches(p, request.resource)));
        let conditions = || self.conditions.iter().all(|c| c.is_met(request.context));
        (action && resource && conditions()).then_some(principal_match)
    }
}

#[cfg(test)]
mod tests;
