//! Decides when a batch that is not full is sealed. Pure.
//!
//! A batch waits for more events, since an object costs the same with one event as with thousands. But if no object
//! was made for as long as a batch may wait, making one immediately does not increase the number of objects: a lone
//! event need not wait.

use std::time::{Duration, Instant};

/// How long a batch that could be sealed immediately still waits for events that are sent at the same time.
const MIN_WAIT: Duration = Duration::from_millis(20);

/// When to seal a batch that was opened at `opened`, unless it is full before: one `age` after the `last` batch was
/// sealed, so that there is at most one object per `age`, but at most `age` after it was opened.
pub(super) fn due(opened: Instant, last: Option<Instant>, age: Duration) -> Instant {
    let latest = opened + age;
    let earliest = opened + MIN_WAIT;
    last.map_or(earliest, |last| earliest.max(last + age)).min(latest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AGE: Duration = Duration::from_secs(1);

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_lone_event_is_sealed_soon_and_frequent_events_once_per_age() {
        let now = Instant::now() + AGE * 10;
        assert_eq!(due(now, None, AGE), now + MIN_WAIT);
        assert_eq!(due(now, Some(now - AGE * 5), AGE), now + MIN_WAIT);
        assert_eq!(due(now, Some(now - millis(600)), AGE), now + millis(400));
        assert_eq!(due(now, Some(now), AGE), now + AGE);
        assert_eq!(due(now, Some(now - AGE + millis(5)), AGE), now + MIN_WAIT);
    }

    proptest! {
        #[test]
        fn at_most_one_object_per_age(gaps in prop::collection::vec(0_u64..3_000, 1..200)) {
            let start = Instant::now();
            let (mut now, mut last, mut seals) = (start, None, 0_u32);
            for gap in gaps {
                now += millis(gap);
                // Events that arrive before the batch is sealed go into it.
                if last.is_none_or(|last| now > last) {
                    let at = due(now, last, AGE);
                    prop_assert!(at <= now + AGE && at >= now + MIN_WAIT.min(AGE));
                    if let Some(last) = last {
                        prop_assert!(at >= last + AGE);
                    }
                    last = Some(at);
                    seals += 1;
                }
            }
            prop_assert!(last.is_none_or(|last| seals <= 1 + u32::try_from((last - start).as_secs()).unwrap()));
        }
    }
}
