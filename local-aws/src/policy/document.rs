//! Converts policy documents, as IAM shows them, to the form that is evaluated.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::condition::{Condition, Operator};
use super::flexible::{OneOrMany, Scalar};
use super::principal::Principals;
use super::{Effect, Policy, Statement};

/// The JSON of a policy document; an unknown element is an error that names it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Document {
    version: Option<String>,
    #[serde(rename = "Id")]
    _id: Option<String>,
    statement: OneOrMany<DocumentStatement>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct DocumentStatement {
    #[serde(rename = "Sid")]
    _sid: Option<String>,
    effect: Effect,
    principal: Option<Principals>,
    action: Option<OneOrMany<String>>,
    not_action: Option<OneOrMany<String>>,
    resource: Option<OneOrMany<String>>,
    not_resource: Option<OneOrMany<String>>,
    #[serde(default)]
    condition: BTreeMap<String, BTreeMap<String, OneOrMany<Scalar>>>,
}

impl TryFrom<Document> for Policy {
    type Error = String;

    fn try_from(document: Document) -> Result<Policy, String> {
        match document.version.as_deref() {
            None | Some("2012-10-17" | "2008-10-17") => {}
            Some(other) => return Err(format!("policy version {other:?} is not 2012-10-17")),
        }
        let statements = document.statement.0.into_iter();
        Ok(Policy { statements: statements.map(parse_statement).collect::<Result<_, _>>()? })
    }
}

fn parse_statement(raw: DocumentStatement) -> Result<Statement, String> {
    let actions = element("Action", raw.action, raw.not_action)?.ok_or("a statement requires Action or NotAction")?;
    for action in &actions.patterns {
        if action != "*" && !action.contains(':') {
            return Err(format!("action {action:?} has no service prefix, as in s3:PutObject"));
        }
    }
    let resources = element("Resource", raw.resource, raw.not_resource)?;
    for resource in resources.iter().flat_map(|r| &r.patterns) {
        if resource != "*" && !resource.starts_with("arn:") {
            return Err(format!("resource {resource:?} is neither an ARN nor \"*\""));
        }
        if resource.contains("${") {
            return Err(format!("resource {resource:?} has a policy variable, which is not supported"));
        }
    }
    let mut conditions = Vec::new();
    for (name, keys) in raw.condition {
        let operator = Operator::parse(&name).ok_or_else(|| format!("condition operator {name:?} is not supported"))?;
        conditions.extend(keys.into_iter().map(|(key, values)| Condition {
            operator,
            key,
            values: values.0.into_iter().map(|scalar| scalar.0).collect(),
        }));
    }
    Ok(Statement { effect: raw.effect, principals: raw.principal, actions, resources, conditions })
}

/// The patterns of an element, and whether they are negated (`NotAction`, `NotResource`).
#[derive(Clone, Debug)]
pub(super) struct Patterns {
    pub(super) patterns: Vec<String>,
    pub(super) negated: bool,
}

impl Patterns {
    /// Whether any pattern matches or, if they are negated, none does.
    pub(super) fn matches(&self, matches_pattern: impl Fn(&str) -> bool) -> bool {
        self.patterns.iter().any(|p| matches_pattern(p)) != self.negated
    }
}

fn element(
    name: &str,
    plain: Option<OneOrMany<String>>,
    negated: Option<OneOrMany<String>>,
) -> Result<Option<Patterns>, String> {
    match (plain, negated) {
        (Some(_), Some(_)) => Err(format!("a statement can't have both {name} and Not{name}")),
        (Some(OneOrMany(patterns)), None) => Ok(Some(Patterns { patterns, negated: false })),
        (None, Some(OneOrMany(patterns))) => Ok(Some(Patterns { patterns, negated: true })),
        (None, None) => Ok(None),
    }
}
