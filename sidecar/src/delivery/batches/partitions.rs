//! Assigns events to partitions, whose events share a batch. Pure.
//!
//! If keys contain the type, a batch holds events of one type. Webhooks may send any number of types, so partitions
//! are bounded: each of the six types of Segment's spec always has its own, up to [`MAX_OTHER_TYPES`] others have one
//! each, and all further types share one partition of mixed batches. A partition is reassigned to another type only
//! once its history no longer matters, so at most one object per partition and `maxAge` is made, regardless of the
//! number of types.

use std::time::{Duration, Instant};

use crate::event::EventType;

/// Maximum types, beyond the six of Segment's spec, that have a partition at one time.
const MAX_OTHER_TYPES: usize = 64;

/// The type in the keys of batches of mixed types.
const MIXED_TYPE: &str = "other";

/// The events that share a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Partition {
    /// Events of any type: keys don't contain it.
    All,
    /// Events of this type.
    Type(EventType),
}

impl Partition {
    /// The type in the batch's key; `None` if keys don't contain it.
    pub(super) fn event_type(&self) -> Option<&EventType> {
        match self {
            Self::All => None,
            Self::Type(event_type) => Some(event_type),
        }
    }
}

/// A partition with its open batch, of type `B`.
#[derive(Debug)]
pub(super) struct PartitionState<B> {
    pub(super) partition: Partition,
    pub(super) open: Option<B>,
    /// When its last batch was sealed; `None` if there was none.
    pub(super) last_sealed: Option<Instant>,
}

/// All partitions of a function, bounded in number.
#[derive(Debug)]
pub(super) struct Partitions<B> {
    by_type: bool,
    /// The function's `maxAge`.
    age: Duration,
    states: Vec<PartitionState<B>>,
}

impl<B> Partitions<B> {
    /// No partitions yet. `by_type` is true if keys contain the type.
    pub(super) fn new(by_type: bool, age: Duration) -> Self {
        Self { by_type, age, states: Vec::new() }
    }

    /// The partition of an event that arrives at `now`; it is added if there is none yet.
    pub(super) fn of(&mut self, event_type: &EventType, now: Instant) -> &mut PartitionState<B> {
        let partition = if self.by_type { Partition::Type(event_type.clone()) } else { Partition::All };
        let at = self.find(&partition).unwrap_or_else(|| self.add(partition, now));
        &mut self.states[at]
    }

    /// The partition whose open batch matches.
    pub(super) fn with_open(&mut self, is_it: impl Fn(&B) -> bool) -> Option<&mut PartitionState<B>> {
        self.states.iter_mut().find(|state| state.open.as_ref().is_some_and(&is_it))
    }

    fn find(&self, partition: &Partition) -> Option<usize> {
        self.states.iter().position(|state| state.partition == *partition)
    }

    fn add(&mut self, partition: Partition, now: Instant) -> usize {
        let state = |partition| PartitionState { partition, open: None, last_sealed: None };
        if is_other(&partition)
            && self.states.iter().filter(|state| is_other(&state.partition)).count() >= MAX_OTHER_TYPES
        {
            // An idle partition's next batch would be due as soon as that of a new one.
            let idle = |state: &PartitionState<B>| {
                is_other(&state.partition)
                    && state.open.is_none()
                    && state.last_sealed.is_none_or(|sealed| now >= sealed + self.age)
            };
            let Some(at) = self.states.iter().position(idle) else { return self.mixed() };
            self.states[at] = state(partition);
            return at;
        }
        self.states.push(state(partition));
        self.states.len() - 1
    }

    fn mixed(&mut self) -> usize {
        let partition = Partition::Type(mixed());
        self.find(&partition).unwrap_or_else(|| {
            self.states.push(PartitionState { partition, open: None, last_sealed: None });
            self.states.len() - 1
        })
    }
}

fn mixed() -> EventType {
    EventType::Other(MIXED_TYPE.into())
}

/// Whether the partition counts towards [`MAX_OTHER_TYPES`]. An event whose own type is [`MIXED_TYPE`] goes into the mixed
/// batches.
fn is_other(partition: &Partition) -> bool {
    matches!(partition, Partition::Type(EventType::Other(name)) if &**name != MIXED_TYPE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tributary_crds::function::SegmentType;

    use super::super::seal_time;
    use super::*;

    const AGE: Duration = Duration::from_secs(5);

    fn other(number: usize) -> EventType {
        EventType::parse(&format!("t{}{}", letter(number / 26), letter(number % 26))).unwrap()
    }

    fn letter(number: usize) -> char {
        char::from(b'a' + u8::try_from(number % 26).unwrap())
    }

    /// When each partition's batches are sealed, given the times and types of events. An open batch is represented by
    /// the time at which it is due.
    fn seals(events: &[(Instant, EventType)]) -> Vec<(Partition, Instant)> {
        let mut partitions: Partitions<Instant> = Partitions::new(true, AGE);
        let mut seals = Vec::new();
        let seal_due = |partitions: &mut Partitions<Instant>, now: Instant, seals: &mut Vec<_>| {
            while let Some(state) = partitions.with_open(|due| *due <= now) {
                let due = state.open.take().unwrap();
                state.last_sealed = Some(due);
                seals.push((state.partition.clone(), due));
            }
        };
        for (now, event_type) in events {
            seal_due(&mut partitions, *now, &mut seals);
            let state = partitions.of(event_type, *now);
            if state.open.is_none() {
                state.open = Some(seal_time::due(*now, state.last_sealed, AGE));
            }
            assert!(partitions.states.len() <= 6 + MAX_OTHER_TYPES + 1);
        }
        seal_due(&mut partitions, Instant::now() + AGE * 1_000, &mut seals);
        seals
    }

    #[test]
    fn without_a_type_in_the_key_all_events_share_a_partition() {
        let mut partitions: Partitions<()> = Partitions::new(false, AGE);
        for event_type in [EventType::Segment(SegmentType::Track), other(1)] {
            assert_eq!(partitions.of(&event_type, Instant::now()).partition, Partition::All);
        }
        assert_eq!(partitions.states.len(), 1);
    }

    #[test]
    fn segments_types_keep_their_partitions_among_many_other_types() {
        let start = Instant::now();
        let mut partitions: Partitions<()> = Partitions::new(true, AGE);
        for number in 0..200 {
            let state = partitions.of(&other(number), start);
            state.open = Some(());
            let expected = if number < MAX_OTHER_TYPES { other(number) } else { mixed() };
            assert_eq!(state.partition, Partition::Type(expected));
        }
        assert_eq!(
            partitions.of(&EventType::Segment(SegmentType::Track), start).partition,
            Partition::Type(EventType::Segment(SegmentType::Track))
        );
        assert_eq!(partitions.of(&mixed(), start).partition, Partition::Type(mixed()));
    }

    #[test]
    fn a_partition_is_reassigned_only_once_its_history_does_not_matter() {
        let start = Instant::now();
        let mut partitions: Partitions<()> = Partitions::new(true, AGE);
        for number in 0..MAX_OTHER_TYPES {
            partitions.of(&other(number), start).last_sealed = Some(start);
        }
        let newcomer = other(300);
        assert_eq!(partitions.of(&newcomer, start + AGE / 2).partition, Partition::Type(mixed()));
        assert_eq!(partitions.of(&newcomer, start + AGE).partition, Partition::Type(newcomer.clone()));
    }

    proptest! {
        #[test]
        fn at_most_one_object_per_partition_and_age(
            events in prop::collection::vec((0_u64..400, 0_usize..90), 1..600),
            types in 1_usize..90,
        ) {
            let mut now = Instant::now();
            let events: Vec<_> = events
                .into_iter()
                .map(|(gap, number)| {
                    now += Duration::from_millis(gap);
                    (now, if number % 10 == 0 { EventType::Segment(SegmentType::Track) } else { other(number % types) })
                })
                .collect();
            let mut last: Vec<(Partition, Instant)> = Vec::new();
            for (partition, at) in seals(&events) {
                if let Some((_, before)) = last.iter_mut().find(|(other, _)| *other == partition) {
                    prop_assert!(at >= *before + AGE, "{partition:?} twice in {:?}", at - *before);
                    *before = at;
                } else {
                    last.push((partition, at));
                }
            }
        }
    }
}
