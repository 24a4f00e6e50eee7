//! Compares the events that were answered 200 with the events in S3, by `messageId`.

use std::cmp::Ordering;

/// The differences between two sets of events; all 0 if every answered event is stored exactly once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Differences {
    /// Events answered 200 that are not stored.
    pub missing: u64,
    /// Copies of an event beyond its first.
    pub repeated: u64,
    /// Stored events that were not answered 200.
    pub unanswered: u64,
}

impl Differences {
    /// Compares the messageIds that were answered 200, which are distinct, with those that are stored. Sorts both.
    pub fn between(answered: &mut [u128], stored: &mut [u128]) -> Differences {
        answered.sort_unstable();
        stored.sort_unstable();
        let mut differences = Differences::default();
        let mut answered = answered.iter().peekable();
        for copies in stored.chunk_by(PartialEq::eq) {
            differences.repeated += copies.len() as u64 - 1;
            differences.unanswered += 1;
            while let Some(id) = answered.next_if(|id| **id <= copies[0]) {
                match id.cmp(&copies[0]) {
                    Ordering::Less => differences.missing += 1,
                    _ => differences.unanswered -= 1,
                }
            }
        }
        differences.missing += answered.count() as u64;
        differences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_events_in_any_order_have_no_differences() {
        assert_eq!(Differences::between(&mut [], &mut []), Differences::default());
        assert_eq!(Differences::between(&mut [2, 9, 5], &mut [9, 5, 2]), Differences::default());
    }

    #[test]
    fn an_event_stored_in_place_of_another_is_found_although_the_counts_agree() {
        let differences = Differences::between(&mut [1, 2, 3], &mut [1, 2, 4]);
        assert_eq!(differences, Differences { missing: 1, repeated: 0, unanswered: 1 });
        let differences = Differences::between(&mut [1, 2, 3], &mut [1, 1, 3]);
        assert_eq!(differences, Differences { missing: 1, repeated: 1, unanswered: 0 });
    }

    #[test]
    fn every_difference_is_counted() {
        let differences = Differences::between(&mut [1, 5, 7, 8], &mut [0, 0, 5, 5, 5, 6]);
        assert_eq!(differences, Differences { missing: 3, repeated: 3, unanswered: 2 });
    }
}
