//! Reports in the condition EventsValid whether events are being rejected, and where they are.
//!
//! Its message changes only with the set of codes, not with every event: each change is a write of the function's status.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tributary_crds::conditions::{ConditionStatus, ConditionType, Reason};

use crate::status::conditions::{Conditions, NONE_REJECTED};

/// How long a rejection is reported.
const REPORTED_FOR: Duration = Duration::from_secs(600);

/// The rejections of the last ten minutes.
#[derive(Debug)]
pub(super) struct Report {
    /// The URL below which dead letters are stored.
    location: String,
    conditions: Arc<Conditions>,
    /// When an event was last rejected with a code.
    last: Mutex<BTreeMap<&'static str, Instant>>,
}

impl Report {
    pub(super) fn new(location: String, conditions: Arc<Conditions>) -> Self {
        Self { location, conditions, last: Mutex::default() }
    }

    /// Records that events were rejected with these codes, and stored.
    pub(super) fn rejected(&self, codes: &BTreeSet<&'static str>, now: Instant) {
        let mut last = self.last.lock();
        let known = last.len();
        last.extend(codes.iter().map(|code| (*code, now)));
        if last.len() > known {
            self.update(&last);
        }
    }

    /// Forgets old rejections.
    pub(super) fn settle(&self, now: Instant) {
        let mut last = self.last.lock();
        let known = last.len();
        last.retain(|_, at| now.saturating_duration_since(*at) < REPORTED_FOR);
        if last.len() < known {
            self.update(&last);
        }
    }

    fn update(&self, last: &BTreeMap<&'static str, Instant>) {
        if last.is_empty() {
            return self.conditions.holds(ConditionType::EventsValid, NONE_REJECTED);
        }
        let codes: Vec<_> = last.keys().copied().collect();
        let message = format!(
            "events were rejected in the last 10 minutes ({}); find them and the reasons below {}, and correct the client that \
             sends them",
            codes.join(", "),
            self.location
        );
        self.conditions.set(ConditionType::EventsValid, ConditionStatus::False, Reason::EventsRejected, message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::MachineClock;

    #[test]
    fn a_rejection_is_reported_for_ten_minutes() {
        let conditions = Arc::new(Conditions::new(Arc::new(MachineClock::new()), true));
        let report = Report::new("s3://lake/dead-letters/".to_owned(), Arc::clone(&conditions));
        let shown = || {
            let condition = conditions.get(ConditionType::EventsValid).unwrap();
            (condition.status, condition.message)
        };
        let rejected = |codes: &[&'static str], now| report.rejected(&codes.iter().copied().collect(), now);
        let none = (ConditionStatus::True, NONE_REJECTED.to_owned());
        assert_eq!(shown(), none);

        let start = Instant::now();
        rejected(&["invalid_type"], start);
        rejected(&["empty", "invalid_type"], start + REPORTED_FOR / 2);
        let (status, message) = shown();
        assert_eq!(status, ConditionStatus::False);
        let expected = "events were rejected in the last 10 minutes (empty, invalid_type); find them and the reasons below \
                        s3://lake/dead-letters/, and correct the client that sends them";
        assert_eq!(message, expected);

        rejected(&["empty"], start + REPORTED_FOR);
        report.settle(start + REPORTED_FOR * 3 / 2 - Duration::from_secs(1));
        assert!(shown().1.contains("(empty, invalid_type)"));
        report.settle(start + REPORTED_FOR * 3 / 2);
        assert!(shown().1.contains("(empty)"), "{:?}", shown());
        report.settle(start + REPORTED_FOR * 2);
        assert_eq!(shown(), none);
    }
}
