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
pub(crate) use principal::{Names, Naming, check as check_principal};

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
pub(crate) enum Kind {
    /// A user, role or session: Resource, no Principal.
    Identity,
    /// A bucket: Principal and Resource.
    Bucket,
    /// A role, as its trust policy: Principal, no Resource.
    Trust,
}

/// An action on a resource, for which policies are evaluated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    /// The action, such as `s3:PutObject`.
    pub(crate) action: &'a str,
    /// ARN of the resource.
    pub(crate) resource: &'a str,
    /// The request's condition keys with their values.
    pub(crate) context: Context<'a>,
}

/// The result of evaluating one policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A statement denies it, which overrides any policy that allows it.
    Denied,
    /// No statement applies to it.
    Silent,
    /// A statement allows it, and names the caller in this way.
    Allowed(Naming),
}

impl Policy {
    /// The policy of a role or user for which the accounts file has none: everything that a
    /// function's role or base identity could need.
    pub(crate) fn everything() -> Policy {
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
    pub(crate) fn check(&self, kind: Kind) -> Result<(), String> {
        for statement in &self.statements {
            let (principal, resource) = (&statement.principals, &statement.resources);
            match kind {
                Kind::Identity if principal.is_some() => {
                    return Err("this policy must not have Principal".to_owned());
                }
                Kind::Bucket | Kind::Trust if principal.is_none() => {
                    return Err("every statement of this policy needs Principal".to_owned());
                }
                Kind::Trust if resource.is_some() => {
                    return Err("a trust policy must not have Resource".to_owned());
                }
                Kind::Identity | Kind::Bucket if resource.is_none() => {
                    return Err("every statement of this policy needs Resource".to_owned());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Evaluates the policy for `ask` by `caller`. Statements without Principal, as in the caller's own
    /// policies, apply to every caller.
    pub(crate) fn evaluate(&self, ask: Ask<'_>, caller: Names<'_>) -> Verdict {
        let mut verdict = Verdict::Silent;
        for statement in &self.statements {
            let Some(naming) = statement.applies(ask, caller) else {
                continue;
            };
            verdict = match (statement.effect, verdict) {
                (Effect::Deny, _) => return Verdict::Denied,
                (Effect::Allow, Verdict::Allowed(before)) => Verdict::Allowed(before.max(naming)),
                (Effect::Allow, _) => Verdict::Allowed(naming),
            };
        }
        verdict
    }
}

impl Statement {
    fn applies(&self, ask: Ask<'_>, caller: Names<'_>) -> Option<Naming> {
        let naming = match &self.principals {
            Some(principals) => principals.naming(caller)?,
            None => Naming::Direct,
        };
        let action = self.actions.cover(|p| wildcard::matches_action(p, ask.action));
        let resource = self.resources.as_ref().is_none_or(|all| all.cover(|p| wildcard::matches(p, ask.resource)));
        let conditions = || self.conditions.iter().all(|c| c.met(ask.context));
        (action && resource && conditions()).then_some(naming)
    }
}

#[cfg(test)]
mod tests;
