//! Assigns events to partitions, whose events share a batch. Pure.
//!
//! If keys contain the type, a batch holds events of one type; if they contain the event time, it holds events of one
//! period, such as an hour. Clients may send any number of types and times, so partitions are bounded:
//!
//! - Each of the six types of Segment's spec has partitions of its own. So do up to [`MAX_OTHER_TYPES`] others at a time;
//!   all further types share the type [`MIXED_TYPE`].
//! - Each type has partitions for the current periods, and one without a period. There are at most `max_partitions`
//!   further ones, of all types together. An event beyond them has no period ([`event_time`]).
//!
//! A partition is removed only once its history no longer matters, so at most one object per partition and `maxAge` is
//! made, regardless of the numbers of types and times.
//!
//! [`event_time`]: super::event_time

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::civil::DateTime;

use super::event_time::{EventTimes, Period};
use crate::event::EventType;
use crate::status::metrics::Unpartitioned;

/// Maximum types, beyond the six of Segment's spec, that have partitions at one time.
const MAX_OTHER_TYPES: usize = 64;

/// The type in the keys of batches of mixed types.
const MIXED_TYPE: &str = "other";

/// The events that share a batch.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Partition {
    /// The type in the batch's key; `None` if keys don't contain it.
    pub(super) event_type: Option<EventType>,
    /// The event time in the batch's key, with the fields that it shows; `None` if keys have no event time, and for
    /// events without a period.
    pub(super) period: Option<DateTime>,
}

impl Partition {
    /// The type that counts towards [`MAX_OTHER_TYPES`], if any. An event whose own type is [`MIXED_TYPE`] goes into the
    /// mixed batches.
    fn other_type(&self) -> Option<&EventType> {
        self.event_type.as_ref().filter(|it| matches!(it, EventType::Other(name) if &**name != MIXED_TYPE))
    }
}

/// The time at which an event arrives, by both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) instant: Instant,
    pub(super) wall: Timestamp,
}

/// A partition with its open batch, of type `B`.
#[derive(Debug)]
pub(super) struct PartitionState<B> {
    pub(super) partition: Partition,
    pub(super) open: Option<B>,
    /// When its last batch was sealed; `None` if there was none.
    pub(super) last_sealed: Option<Instant>,
    /// Whether it counts towards `max_partitions`.
    is_counted: bool,
}

impl<B> PartitionState<B> {
    /// When the partition's history no longer matters: its next batch is then due as soon as that of a new partition.
    /// `None` while a batch is open.
    fn idle_at(&self, age: Duration, now: Instant) -> Option<Instant> {
        match (&self.open, self.last_sealed) {
            (Some(_), _) => None,
            (None, Some(sealed)) => Some(sealed + age),
            (None, None) => Some(now),
        }
    }
}

/// All partitions of a function, bounded in number.
#[derive(Debug)]
pub(super) struct Partitions<B> {
    by_type: bool,
    event_times: Option<EventTimes>,
    /// The function's `maxAge`.
    age: Duration,
    states: HashMap<Partition, PartitionState<B>>,
    /// The types of `states` that count towards [`MAX_OTHER_TYPES`].
    other_types: HashSet<EventType>,
    /// How many of `states` count towards `max_partitions`.
    counted: usize,
    /// No partition becomes idle before.
    next_idle: Option<Instant>,
}

impl<B> Partitions<B> {
    /// No partitions yet. `by_type` is true if keys contain the type.
    pub(super) fn new(by_type: bool, event_times: Option<EventTimes>, age: Duration) -> Self {
        let (states, other_types) = (HashMap::new(), HashSet::new());
        Self { by_type, event_times, age, states, other_types, counted: 0, next_idle: None }
    }

    /// Calls `act` with the partition of an event that arrives now; the partition is added if there is none yet. Also
    /// returns why the event is not in a partition of its own time, if that is so.
    pub(super) fn with<R>(
        &mut self,
        event_type: &EventType,
        occurred_at: Timestamp,
        now: Now,
        act: impl FnOnce(&mut PartitionState<B>) -> R,
    ) -> (R, Option<Unpartitioned>) {
        let event_type = self.by_type.then(|| event_type.clone());
        let period = self.event_times.as_ref().map(|times| times.period(occurred_at, now.wall));
        let (period, counts, reason) = match period {
            Some(Period::Current(period)) => (Some(period), false, None),
            Some(Period::Other(period)) => (Some(period), true, None),
            Some(Period::None(reason)) => (None, false, Some(reason)),
            None => (None, false, None),
        };
        let wanted = Partition { event_type, period };
        if let Some(state) = self.states.get_mut(&wanted)
            && state.is_counted == counts
        {
            return (act(state), reason);
        }
        self.remove_idle(now.instant);
        let (partition, is_beyond) = self.within_limits(wanted, counts);
        let reason = reason.or(is_beyond.then_some(Unpartitioned::Limit));
        (act(self.get_or_add(partition, counts && !is_beyond)), reason)
    }

    /// The partition, unless it was removed.
    pub(super) fn get(&mut self, partition: &Partition) -> Option<&mut PartitionState<B>> {
        self.states.get_mut(partition)
    }

    /// The partition for an event that should be in `wanted`, which may not exist yet, and whether it has no period
    /// because of `max_partitions`. `counts` is true if `wanted` counts towards it.
    fn within_limits(&self, wanted: Partition, counts: bool) -> (Partition, bool) {
        let mut partition = wanted;
        if let Some(other) = partition.other_type()
            && self.other_types.len() >= MAX_OTHER_TYPES
            && !self.other_types.contains(other)
        {
            partition.event_type = Some(mixed());
        }
        let max = self.event_times.as_ref().map_or(0, |times| times.max_partitions);
        let is_beyond =
            counts && self.counted >= max && self.states.get(&partition).is_none_or(|state| !state.is_counted);
        if is_beyond {
            partition.period = None;
        }
        (partition, is_beyond)
    }

    fn get_or_add(&mut self, partition: Partition, is_counted: bool) -> &mut PartitionState<B> {
        let state = self.states.entry(partition).or_insert_with_key(|partition| {
            self.other_types.extend(partition.other_type().cloned());
            PartitionState { partition: partition.clone(), open: None, last_sealed: None, is_counted: false }
        });
        self.counted = self.counted + usize::from(is_counted) - usize::from(state.is_counted);
        state.is_counted = is_counted;
        state
    }

    /// Removes all idle partitions. This visits every partition, but only once one of them can be idle, so at most about
    /// once per sealed batch.
    fn remove_idle(&mut self, now: Instant) {
        if self.next_idle.is_some_and(|next| now < next) {
            return;
        }
        self.other_types.clear();
        self.counted = 0;
        // An open batch, and any later one, is sealed now at the earliest.
        let mut next_idle = now + self.age;
        self.states.retain(|partition, state| {
            let idle_at = state.idle_at(self.age, now);
            if idle_at.is_some_and(|at| at <= now) {
                return false;
            }
            next_idle = idle_at.map_or(next_idle, |at| at.min(next_idle));
            self.other_types.extend(partition.other_type().cloned());
            self.counted += usize::from(state.is_counted);
            true
        });
        self.next_idle = Some(next_idle);
    }
}

fn mixed() -> EventType {
    EventType::Other(MIXED_TYPE.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tributary_crds::function::SegmentType;
    use tributary_crds::values::TimeField;

    use super::super::seal_time;
    use super::*;

    const AGE: Duration = Duration::from_secs(5);
    const MAX_PARTITIONS: usize = 4;
    /// Shortly before the next hour becomes a current period.
    const WALL: &str = "2026-11-23T10:49:00Z";

    fn track() -> EventType {
        EventType::Segment(SegmentType::Track)
    }

    fn other(number: usize) -> EventType {
        EventType::parse(&format!("t{}{}", letter(number / 26), letter(number % 26))).unwrap()
    }

    fn letter(number: usize) -> char {
        char::from(b'a' + u8::try_from(number % 26).unwrap())
    }

    fn wall() -> Timestamp {
        WALL.parse().unwrap()
    }

    fn hours_ago(hours: i64) -> Timestamp {
        Timestamp::from_second(wall().as_second() - 3600 * hours).unwrap()
    }

    fn by_hour() -> Option<EventTimes> {
        let fields = vec![TimeField::Year, TimeField::Month, TimeField::Day, TimeField::Hour];
        EventTimes::new(fields, Duration::from_secs(100 * 3600), MAX_PARTITIONS)
    }

    /// Opens a batch in the partition of an event, and returns the partition.
    fn open(partitions: &mut Partitions<()>, event_type: &EventType, now: Instant) -> Partition {
        open_at(partitions, event_type, wall(), now).0
    }

    fn open_at(
        partitions: &mut Partitions<()>,
        event_type: &EventType,
        time: Timestamp,
        now: Instant,
    ) -> (Partition, Option<Unpartitioned>) {
        partitions.with(event_type, time, Now { instant: now, wall: wall() }, |state| {
            state.open = Some(());
            state.partition.clone()
        })
    }

    fn of_type(event_type: EventType) -> Partition {
        Partition { event_type: Some(event_type), period: None }
    }

    #[test]
    fn without_type_and_time_in_the_key_all_events_share_a_partition() {
        let mut partitions = Partitions::new(false, None, AGE);
        for event_type in [track(), other(1)] {
            let expected = Partition { event_type: None, period: None };
            assert_eq!(open(&mut partitions, &event_type, Instant::now()), expected);
        }
        assert_eq!(partitions.states.len(), 1);
    }

    #[test]
    fn segments_types_keep_their_partitions_among_many_other_types() {
        let start = Instant::now();
        let mut partitions = Partitions::new(true, None, AGE);
        for number in 0..200 {
            let expected = if number < MAX_OTHER_TYPES { other(number) } else { mixed() };
            assert_eq!(open(&mut partitions, &other(number), start), of_type(expected));
        }
        assert_eq!(open(&mut partitions, &track(), start), of_type(track()));
        assert_eq!(open(&mut partitions, &mixed(), start), of_type(mixed()));
    }

    #[test]
    fn a_partition_is_removed_only_once_its_history_does_not_matter() {
        let start = Instant::now();
        let mut partitions = Partitions::new(true, None, AGE);
        for number in 0..MAX_OTHER_TYPES {
            let partition = open(&mut partitions, &other(number), start);
            let state = partitions.get(&partition).unwrap();
            (state.open, state.last_sealed) = (None, Some(start));
        }
        let newcomer = other(300);
        assert_eq!(open(&mut partitions, &newcomer, start + AGE / 2), of_type(mixed()));
        assert_eq!(open(&mut partitions, &newcomer, start + AGE), of_type(newcomer.clone()));
    }

    #[test]
    fn events_beyond_the_limit_of_partitions_have_no_period_unless_it_is_current() {
        let start = Instant::now();
        let mut partitions = Partitions::new(true, by_hour(), AGE);
        for hours in 1..10 {
            let (partition, reason) = open_at(&mut partitions, &track(), hours_ago(hours), start);
            let beyond = hours > 4;
            assert_eq!(partition.period.is_none(), beyond, "{hours}");
            assert_eq!(reason, beyond.then_some(Unpartitioned::Limit), "{hours}");
        }
        for event_type in [track(), other(1), EventType::Segment(SegmentType::Page)] {
            let (partition, reason) = open_at(&mut partitions, &event_type, wall(), start);
            assert_eq!((partition.event_type, reason), (Some(event_type), None));
            assert_eq!(partition.period, Some("2026-11-23T10:00".parse().unwrap()));
        }
        let (partition, reason) = open_at(&mut partitions, &track(), hours_ago(101), start);
        assert_eq!((partition, reason), (of_type(track()), Some(Unpartitioned::Late)));
        assert_eq!(partitions.counted, MAX_PARTITIONS);
    }

    #[test]
    fn a_partition_counts_while_its_period_is_not_current() {
        let start = Instant::now();
        let mut partitions = Partitions::new(true, by_hour(), AGE);
        let mut open = |time: Timestamp, wall: Timestamp| {
            partitions.with(&track(), time, Now { instant: start, wall }, |state| state.open = Some(()));
            partitions.counted
        };
        assert_eq!(open(wall(), wall()), 0);
        assert_eq!(open(hours_ago(-1), wall()), 1);
        // An hour later, the one is late, and the other current.
        assert_eq!(open(hours_ago(-1), hours_ago(-1)), 0);
        assert_eq!(open(wall(), hours_ago(-1)), 1);
        assert_eq!(open(wall(), hours_ago(-1)), 1);
    }

    /// An event of a property test: the time since the one before in milliseconds, its type, and its own time, in hours
    /// before its arrival.
    type Sent = (u64, usize, i64);

    /// Puts events into batches, and returns the partitions of the sealed batches with the times of sealing. An open
    /// batch is represented by the time at which it is due.
    fn seals(events: &[Sent], types: usize, event_times: Option<EventTimes>) -> Vec<(Partition, Instant)> {
        let mut partitions: Partitions<Instant> = Partitions::new(true, event_times, AGE);
        let mut seals = Vec::new();
        let seal_due = |partitions: &mut Partitions<Instant>, now: Instant, seals: &mut Vec<_>| {
            for state in partitions.states.values_mut() {
                if let Some(due) = state.open.take_if(|due| *due <= now) {
                    state.last_sealed = Some(due);
                    seals.push((state.partition.clone(), due));
                }
            }
        };
        let (start, mut elapsed) = (Instant::now(), Duration::ZERO);
        for (gap, number, hours) in events {
            elapsed += Duration::from_millis(*gap);
            let now = Now { instant: start + elapsed, wall: wall() + elapsed };
            seal_due(&mut partitions, now.instant, &mut seals);
            let event_type = if number % 10 == 0 { track() } else { other(number % types) };
            let occurred_at = now.wall - jiff::SignedDuration::from_hours(*hours);
            let wants_time = partitions.event_times.is_some();
            let (partition, reason) = partitions.with(&event_type, occurred_at, now, |state| {
                state.open.get_or_insert(seal_time::due(now.instant, state.last_sealed, AGE));
                state.partition.clone()
            });
            let out_of_bounds = *hours > 100 || *hours < -1;
            match reason {
                Some(Unpartitioned::Limit) => {
                    assert!(!out_of_bounds && *hours != 0, "an event of a current period");
                    assert!(partitions.counted == MAX_PARTITIONS, "{} partitions", partitions.counted);
                }
                Some(_) => assert!(out_of_bounds),
                None => assert!(!wants_time || !out_of_bounds),
            }
            // The period is the event's own hour, or there is none and a reason for it.
            assert_eq!(partition.period.is_some(), wants_time && reason.is_none());
            if let Some(period) = partition.period {
                let occurred = jiff::tz::Offset::UTC.to_datetime(occurred_at);
                assert_eq!((period.date(), period.hour()), (occurred.date(), occurred.hour()));
            }
            let own_types = 6 + MAX_OTHER_TYPES + 1;
            let per_type = if wants_time { 4 } else { 1 };
            assert!(partitions.states.len() <= own_types * per_type + MAX_PARTITIONS);
            assert!(partitions.counted <= MAX_PARTITIONS && partitions.other_types.len() <= MAX_OTHER_TYPES);
        }
        seal_due(&mut partitions, start + elapsed + AGE * 10, &mut seals);
        seals
    }

    proptest! {
        #[test]
        fn at_most_one_object_per_partition_and_age(
            events in prop::collection::vec((0_u64..400, 0_usize..90, prop_oneof![Just(0), -3_i64..110, 0_i64..6]), 1..600),
            types in 1_usize..90,
            by_time: bool,
        ) {
            let mut last: HashMap<Partition, Instant> = HashMap::new();
            for (partition, at) in seals(&events, types, by_time.then(by_hour).flatten()) {
                if let Some(before) = last.insert(partition.clone(), at) {
                    prop_assert!(at >= before + AGE, "{partition:?} twice in {:?}", at - before);
                }
            }
        }
    }
}
