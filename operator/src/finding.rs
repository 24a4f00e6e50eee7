//! Findings about a function: conditions that have no transition time yet, and problems that keep it from running.

use tributary_crds::conditions::{ConditionStatus, ConditionType, Reason};

/// A condition without `lastTransitionTime`, which the status adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The condition's type.
    pub r#type: ConditionType,
    /// Whether the condition holds.
    pub status: ConditionStatus,
    /// The condition's reason, for machines.
    pub reason: Reason,
    /// The condition's message, for people: the cause and what to do.
    pub message: String,
}

impl Finding {
    /// A finding from its four parts.
    pub fn new(r#type: ConditionType, status: ConditionStatus, reason: Reason, message: impl Into<String>) -> Self {
        Self { r#type, status, reason, message: message.into() }
    }
}

/// A problem that keeps a function from running, or soon will, and that the sidecar doesn't report itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The reason of the conditions that report it.
    pub reason: Reason,
    /// Their message, for people, with what to do.
    pub message: String,
}
