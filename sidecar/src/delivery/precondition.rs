//! Decides whether a 412 to `If-None-Match: *` proves that the object is stored. Pure.
//!
//! A store that honours the condition answers 412 if the key has an object. Some stores answer 412 to every
//! condition, and store nothing. So a 412 counts as stored only from a store that has accepted a condition, and only
//! for a key under which an object may have existed before. Otherwise the same key is put again without the
//! condition, and the answer to that counts: the event is certainly stored, and still as one object.

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

/// Number of different keys with a 412 answer, without an accepted condition, after which the store may reject every
/// condition. A client that resends as many stored events to a new sidecar, and no new one, has the same answers.
const SUSPECT_AFTER_KEYS: usize = 100;

/// How the store has answered conditional PUTs so far.
#[derive(Debug, Default)]
pub(super) struct Preconditions {
    /// Whether it has answered 200 to one.
    accepted: bool,
    /// Hashes of the keys with a 412 answer before the first 200, up to [`SUSPECT_AFTER_KEYS`].
    refused: HashSet<u64>,
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

/// Whether the store supports conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Support {
    /// Nothing contradicts it.
    Assumed,
    /// It has rejected many conditions and accepted none. Perhaps every one was for an event that is stored already.
    Doubtful,
    /// It has rejected a condition that must have held.
    None,
}

impl Preconditions {
    /// Records a 200 to a conditional PUT.
    pub(super) fn accepted(&mut self) {
        self.accepted = true;
    }

    /// Records a 412 to a conditional PUT; `may_exist` is true if an object may have existed under the key.
    pub(super) fn refused(&mut self, key: &str, may_exist: bool) -> Meaning {
        if self.accepted {
            return if may_exist { Meaning::Stored } else { Meaning::Unknown };
        }
        if self.refused.len() < SUSPECT_AFTER_KEYS {
            self.refused.insert(BuildHasherDefault::<DefaultHasher>::default().hash_one(key));
        }
        self.impossible |= !may_exist;
        Meaning::Unknown
    }

    /// Whether the store rejects every condition, as far as its answers show.
    pub(super) fn support(&self) -> Support {
        match (self.accepted, self.impossible) {
            (false, true) => Support::None,
            (false, false) if self.refused.len() >= SUSPECT_AFTER_KEYS => Support::Doubtful,
            _ => Support::Assumed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_412_counts_only_from_a_store_that_accepts_conditions_and_for_a_key_that_may_exist() {
        for (accepted, may_exist, meaning, support) in [
            (false, false, Meaning::Unknown, Support::None),
            (false, true, Meaning::Unknown, Support::Assumed),
            (true, false, Meaning::Unknown, Support::Assumed),
            (true, true, Meaning::Stored, Support::Assumed),
        ] {
            let mut preconditions = Preconditions::default();
            if accepted {
                preconditions.accepted();
            }
            assert_eq!(preconditions.refused("k", may_exist), meaning, "{accepted} {may_exist}");
            assert_eq!(preconditions.support(), support, "{accepted} {may_exist}");
        }
    }

    #[test]
    fn refusals_of_many_keys_raise_doubts_until_a_condition_is_accepted() {
        let mut preconditions = Preconditions::default();
        for key in 0..99 {
            for _ in 0..3 {
                preconditions.refused(&key.to_string(), true);
            }
        }
        assert_eq!(preconditions.support(), Support::Assumed);
        preconditions.refused("another", true);
        assert_eq!(preconditions.support(), Support::Doubtful);
        preconditions.accepted();
        assert_eq!(preconditions.support(), Support::Assumed);
    }
}
