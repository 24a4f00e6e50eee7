//! Divides the key space into parts, each with its own circuit breaker: one per event type, and that of dead letters.

use crate::event::EventType;
use crate::status::metrics::{DEAD_LETTER_SCOPE, TYPES, type_index};

/// The part of the key space that holds the events of one type, as an index into [`TYPES`]: all types beyond the six
/// of Segment's spec share a part. The index after these is that of dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::delivery) struct KeyPart(pub(super) usize);

impl KeyPart {
    /// The number of parts.
    pub(super) const COUNT: usize = TYPES.len() + 1;

    /// The part that holds dead letters.
    pub(in crate::delivery) const DEAD_LETTERS: Self = Self(TYPES.len());

    pub(in crate::delivery) fn of(event_type: &EventType) -> Self {
        Self(type_index(event_type))
    }

    pub(super) fn label(self) -> &'static str {
        TYPES.get(self.0).copied().unwrap_or(DEAD_LETTER_SCOPE)
    }

    /// What its objects hold, for messages.
    pub(super) fn description(self) -> String {
        TYPES.get(self.0).map_or_else(|| "dead letters".to_owned(), |r#type| format!("events of type {type}"))
    }

    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(Self)
    }
}

/// A set of parts, as a bit mask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::delivery) struct KeyParts(u8);

impl FromIterator<KeyPart> for KeyParts {
    fn from_iter<I: IntoIterator<Item = KeyPart>>(parts: I) -> Self {
        Self(parts.into_iter().fold(0, |set, part| set | 1 << part.0))
    }
}

impl KeyParts {
    pub(super) fn contains(self, part: KeyPart) -> bool {
        self.0 & 1 << part.0 != 0
    }
}
