//! Records of the writes of children, for the log and for Events. They contain names of objects and fields, no values.

use std::fmt;

/// A write of a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The child's kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What was done.
    pub change: Change,
}

/// What a write has done to a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was created.
    Created,
    /// It was changed, because the desired child has changed.
    Applied,
    /// Changes by others of these fields were reverted.
    Reverted(Vec<String>),
    /// It was deleted.
    Deleted,
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, change } = self;
        match change {
            Change::Created => write!(f, "created {kind} {name}"),
            Change::Applied => write!(f, "applied {kind} {name}"),
            Change::Reverted(fields) => write!(f, "reverted {kind} {name} ({})", fields.join(", ")),
            Change::Deleted => write!(f, "deleted {kind} {name}"),
        }
    }
}
