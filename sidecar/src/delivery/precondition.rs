//! Decides whether a 412 to `If-None-Match: *` proves that the object is stored. Pure.
//!
//! A store that honours the condition answers 412 if the key has an object. Some stores answer 412 to every
//! condition, and store nothing. So a 412 counts as stored only from a store that has accepted a condition, and only
//! for a key under which an object may have existed before. Otherwise the same key is put again without the
//! condition, and the answer to that counts: the event is certainly stored, and still as one object.

/// Number of 412 answers, without an accepted condition, after which the store is assumed to reject every condition. A
/// client that resends many stored events to a new sidecar comes close to it.
const UNSUPPORTED_AFTER_REFUSALS: u32 = 10;

/// How the store has answered conditional PUTs so far.
#[derive(Debug, Default)]
pub(super) struct Preconditions {
    /// Whether it has answered 200 to one.
    accepted: bool,
    /// Number of 412 answers before the first 200.
    refused: u32,
    /// Whether one of those was for a key that should have had no object.
    impossible: bool,
}

/// The meaning of a 412 to a conditional PUT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The object exists under the key.
    Stored,
    /// Nothing: put the object again without the condition.
    Unknown,
}

impl Preconditions {
    /// Records a 200 to a conditional PUT.
    pub(super) fn accepted(&mut self) {
        self.accepted = true;
    }

    /// Records a 412 to a conditional PUT; `may_exist` is true if an object may have existed under the key.
    pub(super) fn refused(&mut self, may_exist: bool) -> Meaning {
        if self.accepted {
            return if may_exist { Meaning::Stored } else { Meaning::Unknown };
        }
        self.refused = self.refused.saturating_add(1);
        self.impossible |= !may_exist;
        Meaning::Unknown
    }

    /// Whether the store seems to reject every condition.
    pub(super) fn are_unsupported(&self) -> bool {
        !self.accepted && (self.impossible || self.refused >= UNSUPPORTED_AFTER_REFUSALS)
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
    fn ten_refusals_mean_unsupported_until_a_condition_is_accepted() {
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
