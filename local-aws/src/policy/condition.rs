//! Conditions of policy statements: parses their operators, and evaluates them for a request.

use super::wildcard;

/// The condition keys of a request, with one value each.
pub(crate) type Context<'a> = &'a [(&'a str, &'a str)];

/// One operator and key of a `Condition` block, with the values to compare with.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub(super) operator: Operator,
    pub(super) key: String,
    pub(super) values: Vec<String>,
}

/// A supported operator; any other is an error when the document is parsed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operator {
    wildcards: bool,
    negated: bool,
    ignore_case: bool,
}

impl Operator {
    pub(super) fn parse(name: &str) -> Option<Operator> {
        let (wildcards, negated, ignore_case) = match name {
            "StringEquals" => (false, false, false),
            "StringNotEquals" => (false, true, false),
            "StringEqualsIgnoreCase" | "Bool" => (false, false, true),
            "StringLike" | "ArnLike" | "ArnEquals" => (true, false, false),
            "StringNotLike" | "ArnNotLike" | "ArnNotEquals" => (true, true, false),
            _ => return None,
        };
        Some(Operator { wildcards, negated, ignore_case })
    }

    fn compare(self, expected: &str, actual: &str) -> bool {
        if self.wildcards {
            wildcard::matches(expected, actual)
        } else if self.ignore_case {
            expected.eq_ignore_ascii_case(actual)
        } else {
            expected == actual
        }
    }
}

impl Condition {
    /// The condition that the request has this external ID.
    pub(super) fn external_id(id: &str) -> Condition {
        Condition {
            operator: Operator { wildcards: false, negated: false, ignore_case: false },
            key: "sts:ExternalId".to_owned(),
            values: vec![id.to_owned()],
        }
    }

    /// Whether the request meets the condition. A key that the request lacks fails plain operators and
    /// meets negated ones, as in IAM.
    pub(super) fn is_met(&self, context: Context<'_>) -> bool {
        let actual = context.iter().find(|(key, _)| key.eq_ignore_ascii_case(&self.key));
        let Some((_, actual)) = actual else {
            return self.operator.negated;
        };
        let any = self.values.iter().any(|v| self.operator.compare(v, actual));
        any != self.operator.negated
    }
}
