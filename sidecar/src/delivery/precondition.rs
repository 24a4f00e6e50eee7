//! What a 412 on `If-None-Match: *` is worth. Pure.
//!
//! From a store that honours the condition it means that the key has an object. There are stores
//! that answer it to every condition: what they refuse is stored nowhere. So 412 counts as stored
//! only from a store that was seen to accept a condition, and only for a key that can have existed
//! before. Otherwise the same key is put again without the condition, and the answer to that counts:
//! the event is certainly stored, and it is still one object.

/// Refusals, with none accepted, that are taken for a store that refuses every condition: a client
/// that sends many stored events again to a fresh sidecar comes close.
const REFUSALS: u32 = 10;

/// How the store has treated conditions so far.
#[derive(Debug, Default)]
pub(super) struct Preconditions {
    /// Whether a conditional PUT was ever answered 200.
    accepted: bool,
    /// How many were answered 412 before the first was accepted.
    refused: u32,
    /// Whether one of those was the first attempt at a key that cannot have existed.
    impossible: bool,
}

/// What to do about a 412.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The key has the object.
    Stored,
    /// Nobody knows: put it without the condition.
    Unknown,
}

impl Preconditions {
    /// A conditional PUT was answered 200.
    pub(super) fn accepted(&mut self) {
        self.accepted = true;
    }

    /// A conditional PUT was answered 412, on a key that `may_exist`.
    pub(super) fn refused(&mut self, may_exist: bool) -> Meaning {
        if self.accepted {
            return if may_exist { Meaning::Stored } else { Meaning::Unknown };
        }
        self.refused = self.refused.saturating_add(1);
        self.impossible |= !may_exist;
        Meaning::Unknown
    }

    /// Whether the store seems to refuse every condition.
    pub(super) fn are_unsupported(&self) -> bool {
        !self.accepted && (self.impossible || self.refused >= REFUSALS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_412_counts_only_from_a_store_that_accepts_conditions_and_for_a_key_that_may_exist() {
        for (accepted, may_exist, meaning, unsupported) in [
            (false, false, Meaning::Unknown, true),
            (false, true, Meaning::Unknown, false),
            (true, false, Meaning::Unknown, false),
            (true, true, Meaning::Stored, false),
        ] {
            let mut preconditions = Preconditions::default();
            if accepted {
                preconditions.accepted();
            }
            assert_eq!(preconditions.refused(may_exist), meaning, "{accepted} {may_exist}");
            assert_eq!(preconditions.are_unsupported(), unsupported, "{accepted} {may_exist}");
        }
    }

    #[test]
    fn ten_refusals_speak_for_the_store_until_one_is_accepted() {
        let mut preconditions = Preconditions::default();
        for _ in 0..9 {
            preconditions.refused(true);
        }
        assert!(!preconditions.are_unsupported());
        preconditions.refused(true);
        assert!(preconditions.are_unsupported());
        preconditions.accepted();
        assert!(!preconditions.are_unsupported());
    }
}
