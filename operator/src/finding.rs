//! What is found out about a function: conditions that have no time yet, and what keeps it from running.

use tributary_crds::conditions::{ConditionType, Reason, Truth};

/// A condition, before it is known since when it has been so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The condition's type.
    pub r#type: ConditionType,
    /// Whether it holds.
    pub status: Truth,
    /// Why, for machines.
    pub reason: Reason,
    /// Why, for people, and what to do.
    pub message: String,
}

impl Finding {
    /// A condition of this type.
    pub fn new(r#type: ConditionType, status: Truth, reason: Reason, message: impl Into<String>) -> Self {
        Self { r#type, status, reason, message: message.into() }
    }
}

/// Something that keeps a function from running, and is nothing of the sidecar's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// For machines.
    pub reason: Reason,
    /// For people, with what to do.
    pub message: String,
}
