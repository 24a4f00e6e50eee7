//! Divides the key space into parts by event type, each with its own circuit breaker.

use crate::event::EventType;
use crate::status::metrics::{TYPES, type_index};

/// The part of the key space that holds the events of one type, as an index into [`TYPES`]: all types beyond the six
/// of Segment's spec share the last part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::delivery) struct KeyPart(pub(super) usize);

impl KeyPart {
    pub(in crate::delivery) fn of(event_type: &EventType) -> Self {
        Self(type_index(event_type))
    }

    pub(super) fn label(self) -> &'static str {
        TYPES[self.0]
    }

    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..TYPES.len()).map(Self)
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
