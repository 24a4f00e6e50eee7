//! Decides which events have a partition by their own time. Pure.
//!
//! A client may send events of any time, and a partition costs memory and an object per `maxAge`. So only events within
//! bounds have one: the others share the partition without a time.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use tributary_crds::values::TimeField;

use crate::status::metrics::Unpartitioned;

/// How far in the future an event's time may be. It is corrected for the client's clock, so it is hardly ever there.
const MAX_LEAD: Duration = Duration::from_secs(3600);

/// How far from now a current period is at most. Events of current periods always have a partition, so clients that send
/// old events do not displace those of clients that send theirs immediately.
const CURRENT: Duration = Duration::from_secs(600);

/// The event times of one function's keys.
#[derive(Debug)]
pub(super) struct EventTimes {
    fields: Vec<TimeField>,
    max_age: Duration,
    /// Maximum partitions by event time, without those of current periods.
    pub(super) max_partitions: usize,
}

/// The place of an event among the partitions by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Period {
    /// A period that some event could have that occurs now or did minutes ago.
    Current(DateTime),
    /// An earlier or later period.
    Other(DateTime),
    /// No period, since the event's time is out of bounds.
    None(Unpartitioned),
}

impl EventTimes {
    /// `fields` are the fields of the event time in the keys; `None` if there are none.
    pub(super) fn new(fields: Vec<TimeField>, max_age: Duration, max_partitions: usize) -> Option<Self> {
        (!fields.is_empty()).then_some(Self { fields, max_age, max_partitions })
    }

    /// The place of an event that occurred at `time` and arrives at `now`.
    pub(super) fn period(&self, time: Timestamp, now: Timestamp) -> Period {
        let age = now.as_millisecond() - time.as_millisecond();
        if age > millis(self.max_age) {
            Period::None(Unpartitioned::Late)
        } else if -age > millis(MAX_LEAD) {
            Period::None(Unpartitioned::Early)
        } else {
            let period = self.cut(time);
            // The second condition is slower, and for old events only.
            if age.abs() <= millis(CURRENT) || self.is_current(period, now) {
                Period::Current(period)
            } else {
                Period::Other(period)
            }
        }
    }

    /// Whether the period is within [`CURRENT`] of now. No field is shorter than an hour, so there are two at most.
    fn is_current(&self, period: DateTime, now: Timestamp) -> bool {
        let away = |millis: i64| Timestamp::from_millisecond(now.as_millisecond() + millis).unwrap_or(now);
        [-millis(CURRENT), millis(CURRENT)].into_iter().any(|millis| self.cut(away(millis)) == period)
    }

    /// The time without the fields that keys don't show, so events with the same values in the key have the same period.
    fn cut(&self, time: Timestamp) -> DateTime {
        let time = Offset::UTC.to_datetime(time);
        let year = if self.has(TimeField::Year) { time.year() } else { 0 };
        let month = if self.has(TimeField::Month) { time.month() } else { 1 };
        let day = if self.has(TimeField::Day) { time.day() } else { 1 };
        let hour = if self.has(TimeField::Hour) { time.hour() } else { 0 };
        DateTime::new(year, month, day, hour, 0, 0, 0).expect("year 0 and January have every day")
    }

    fn has(&self, field: TimeField) -> bool {
        self.fields.contains(&field)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tributary_crds::values::KeyTemplate;

    use super::*;

    fn times(template: &str) -> EventTimes {
        let template: KeyTemplate = template.parse().unwrap();
        EventTimes::new(template.event_time_fields(), Duration::from_secs(7 * 24 * 3600), 64).unwrap()
    }

    #[test]
    fn an_event_within_bounds_has_the_period_of_its_time() {
        let of_hours = times("dt={timestamp:yyyy-MM-dd}/hour={timestamp:HH}/{batchId}");
        let now = "2026-11-23T10:05:00.500Z";
        let of_days = times("{timestamp:dd}/{batchId}").period(now.parse().unwrap(), now.parse().unwrap());
        assert_eq!(of_days, Period::Current("0000-01-23T00:00".parse().unwrap()));
        let hour = |text: &str| text.parse::<DateTime>().unwrap();
        for (time, expected) in [
            (now, Period::Current(hour("2026-11-23T10:00"))),
            ("2026-11-23T10:59:59.999Z", Period::Current(hour("2026-11-23T10:00"))),
            ("2026-11-23T09:55:00.500Z", Period::Current(hour("2026-11-23T09:00"))),
            ("2026-11-23T09:00:00Z", Period::Current(hour("2026-11-23T09:00"))),
            ("2026-11-23T08:59:59.999Z", Period::Other(hour("2026-11-23T08:00"))),
            ("2026-11-23T11:05:00.500Z", Period::Other(hour("2026-11-23T11:00"))),
            ("2026-11-23T11:05:00.501Z", Period::None(Unpartitioned::Early)),
            ("2026-11-16T10:05:00.500Z", Period::Other(hour("2026-11-16T10:00"))),
            ("2026-11-16T10:05:00.499Z", Period::None(Unpartitioned::Late)),
            ("0000-01-01T00:00:00Z", Period::None(Unpartitioned::Late)),
            ("9999-12-30T22:00:00Z", Period::None(Unpartitioned::Early)),
        ] {
            assert_eq!(of_hours.period(time.parse().unwrap(), now.parse().unwrap()), expected, "{time}");
        }
    }

    #[test]
    fn without_event_times_in_the_keys_there_are_no_periods() {
        let template: KeyTemplate = "{yyyy}/{batchId}".parse().unwrap();
        assert!(EventTimes::new(template.event_time_fields(), Duration::ZERO, 64).is_none());
    }

    proptest! {
        #[test]
        fn events_have_the_same_period_exactly_if_keys_show_the_same_values(
            fields in prop::sample::subsequence(vec![TimeField::Year, TimeField::Month, TimeField::Day, TimeField::Hour], 1..=4),
            seconds in (-62_167_219_200_i64..253_000_000_000, -100_000_000_i64..100_000_000),
        ) {
            let times = EventTimes::new(fields.clone(), Duration::ZERO, 64).unwrap();
            let time = |seconds| Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
            let (one, two) = (time(seconds.0), time(seconds.0 + seconds.1));
            let shown = |time: Timestamp| {
                let time = Offset::UTC.to_datetime(time);
                fields.iter().map(|field| match field {
                    TimeField::Year => i32::from(time.year()),
                    TimeField::Month => i32::from(time.month()),
                    TimeField::Day => i32::from(time.day()),
                    _ => i32::from(time.hour()),
                }).collect::<Vec<_>>()
            };
            prop_assert_eq!(times.cut(one) == times.cut(two), shown(one) == shown(two));
        }
    }
}
