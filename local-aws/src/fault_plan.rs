//! Decides which faults apply to a call: evaluates the current rules in order and counts their uses.

use std::time::Duration;

use parking_lot::Mutex;

use crate::fault::{Action, Fault};
use crate::target::CallTarget;

/// What will happen to one call.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct FaultPlan {
    /// The delay before the call, by the server's clock.
    pub(crate) latency: Duration,
    /// The action of the fault, if any; never a latency.
    pub(crate) action: Option<Action>,
}

/// The current rules, with their counts.
pub(crate) struct Faults(Mutex<Rules>);

struct Rules {
    /// Each rule with the number of times that it may still be used.
    rules: Vec<(Fault, u64)>,
    rng: fastrand::Rng,
}

impl Faults {
    pub(crate) fn new(faults: Vec<Fault>) -> Faults {
        Faults(Mutex::new(Rules::new(faults)))
    }

    pub(crate) fn set(&self, faults: Vec<Fault>) {
        *self.0.lock() = Rules::new(faults);
    }

    /// Plans one call: latencies add up, and the first rule with another action ends the search.
    pub(crate) fn plan(&self, target: &CallTarget) -> FaultPlan {
        let mut rules = self.0.lock();
        let Rules { rules, rng } = &mut *rules;
        let mut plan = FaultPlan::default();
        for (fault, remaining) in rules.iter_mut() {
            if *remaining == 0 || !fault.matches(target) {
                continue;
            }
            if fault.probability.is_some_and(|share| rng.f64() >= share) {
                continue;
            }
            *remaining -= 1;
            match &fault.action {
                Action::LatencyMs(ms) => plan.latency += Duration::from_millis(*ms),
                other => {
                    plan.action = Some(other.clone());
                    return plan;
                }
            }
        }
        plan
    }
}

impl Rules {
    fn new(faults: Vec<Fault>) -> Rules {
        let max_uses = |fault: &Fault| fault.count.unwrap_or(u64::MAX);
        Rules {
            rules: faults.into_iter().map(|f| (f.clone(), max_uses(&f))).collect(),
            // A fixed seed, so that the same calls in the same order get the same faults in every run.
            rng: fastrand::Rng::with_seed(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::Service;

    fn put(bucket: &str) -> CallTarget {
        CallTarget { bucket: Some(bucket.to_owned()), ..CallTarget::new(Service::S3, "PutObject") }
    }

    #[test]
    fn rules_apply_in_order_and_up_to_their_counts() {
        let slow = Fault { count: Some(1), ..Fault::new(Action::LatencyMs(5)) };
        let drop = Fault { bucket: Some("a".to_owned()), count: Some(2), ..Fault::new(Action::StoreThenDrop) };
        let faults = Faults::new(vec![slow, drop]);
        assert_eq!(faults.plan(&put("b")).latency, Duration::from_millis(5));
        let action = Some(Action::StoreThenDrop);
        for expected in [action.clone(), action, None] {
            assert_eq!(faults.plan(&put("a")), FaultPlan { latency: Duration::ZERO, action: expected });
        }
    }

    #[test]
    fn a_rule_can_match_a_key_prefix_or_conditional_calls() {
        let some = Fault { key_prefix: Some("identify/".to_owned()), ..Fault::new(Action::Hang) };
        let conditional = Fault { conditional: Some(true), ..Fault::new(Action::Refuse) };
        let faults = Faults::new(vec![some, conditional]);
        let call = |key: &str, conditional| CallTarget { key: key.to_owned(), conditional, ..put("a") };
        assert_eq!(faults.plan(&call("identify/1", false)).action, Some(Action::Hang));
        assert_eq!(faults.plan(&call("track/1", true)).action, Some(Action::Refuse));
        assert_eq!(faults.plan(&call("track/1", false)).action, None);
    }

    #[test]
    fn probability_is_the_share_of_matching_calls() {
        let half = Fault { probability: Some(0.5), ..Fault::new(Action::Refuse) };
        let faults = Faults::new(vec![half]);
        let hit = (0..1000).filter(|_| faults.plan(&put("a")).action.is_some()).count();
        assert!((400..600).contains(&hit), "{hit}");
    }
}
