//! Stores the sidecar's conditions: every module sets its own, and `/status` shows them all.

use std::sync::Arc;

use tokio::sync::watch;
use tracing::{info, warn};
use tributary_crds::conditions::{ConditionStatus, ConditionType, Reason, SidecarCondition};

use crate::clock::{Clock, rfc3339};

/// The message of EventsValid while there is nothing to report.
pub(crate) const NONE_REJECTED: &str = "no dead letter was stored in the last 10 minutes";

/// The sidecar's conditions.
#[derive(Debug)]
pub struct Conditions {
    clock: Arc<dyn Clock>,
    entries: watch::Sender<Vec<SidecarCondition>>,
}

impl Conditions {
    /// The initial conditions: `Unknown`, except that no event was rejected yet if the function stores dead letters.
    pub fn new(clock: Arc<dyn Clock>, stores_dead_letters: bool) -> Self {
        let since = rfc3339(clock.now());
        let unknown = |r#type, reason, message: &str| SidecarCondition {
            r#type,
            status: ConditionStatus::Unknown,
            reason,
            message: message.to_owned(),
            since: since.clone(),
        };
        let mut entries = vec![
            unknown(ConditionType::ExternalIdAvailable, Reason::Pending, "not read yet"),
            unknown(ConditionType::IngestConfigured, Reason::Pending, "not read yet"),
            unknown(ConditionType::RoleAssumed, Reason::Pending, "not requested yet"),
            unknown(ConditionType::ExternalIdEnforced, Reason::Pending, "not probed yet"),
            unknown(
                ConditionType::BucketWritable,
                Reason::NotYetWritten,
                "this sidecar has uploaded nothing yet; the next event shows whether uploads are stored",
            ),
        ];
        if stores_dead_letters {
            entries.push(SidecarCondition {
                r#type: ConditionType::EventsValid,
                status: ConditionStatus::True,
                reason: Reason::Ok,
                message: NONE_REJECTED.to_owned(),
                since,
            });
        }
        Self { clock, entries: watch::Sender::new(entries) }
    }

    /// Sets a condition. `since` changes only with the status; a change of status or reason is logged.
    pub fn set(&self, r#type: ConditionType, status: ConditionStatus, reason: Reason, message: impl Into<String>) {
        let message = message.into();
        self.entries.send_if_modified(|entries| {
            let Some(old) = entries.iter_mut().find(|condition| condition.r#type == r#type) else { return false };
            if old.status == status && old.reason == reason && old.message == message {
                return false;
            }
            if old.status != status || old.reason != reason {
                log_change(r#type, status, reason, &message);
            }
            let since = if old.status == status { old.since.clone() } else { rfc3339(self.clock.now()) };
            *old = SidecarCondition { r#type, status, reason, message, since };
            true
        });
    }

    /// Sets a condition to `True` with the reason `Ok`.
    pub(crate) fn holds(&self, r#type: ConditionType, message: impl Into<String>) {
        self.set(r#type, ConditionStatus::True, Reason::Ok, message);
    }

    /// A copy of the current conditions, in their fixed order.
    pub fn snapshot(&self) -> Vec<SidecarCondition> {
        self.entries.borrow().clone()
    }

    /// A receiver that is notified of every change.
    pub fn subscribe(&self) -> watch::Receiver<Vec<SidecarCondition>> {
        self.entries.subscribe()
    }

    /// The current value of one condition, for tests.
    #[cfg(test)]
    pub(crate) fn get(&self, r#type: ConditionType) -> Option<SidecarCondition> {
        self.entries.borrow().iter().find(|condition| condition.r#type == r#type).cloned()
    }
}

/// Logs a change: at WARN if it needs a person, otherwise at INFO.
fn log_change(r#type: ConditionType, status: ConditionStatus, reason: Reason, message: &str) {
    if status == ConditionStatus::False || reason.warns(status) {
        warn!(condition = %r#type, %reason, "{message}");
    } else {
        info!(condition = %r#type, %reason, "{message}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::MachineClock;

    #[test]
    fn since_changes_only_with_the_status() {
        let conditions = Conditions::new(Arc::new(MachineClock::new()), false);
        conditions.set(ConditionType::RoleAssumed, ConditionStatus::False, Reason::AccessDenied, "first");
        let first = conditions.get(ConditionType::RoleAssumed).unwrap();
        conditions.set(ConditionType::RoleAssumed, ConditionStatus::False, Reason::Throttled, "second");
        let second = conditions.get(ConditionType::RoleAssumed).unwrap();
        assert_eq!((second.reason, second.message.as_str()), (Reason::Throttled, "second"));
        assert_eq!(second.since, first.since);
    }

    #[test]
    fn subscribers_are_notified_only_of_changes() {
        let conditions = Conditions::new(Arc::new(MachineClock::new()), false);
        let mut follower = conditions.subscribe();
        conditions.holds(ConditionType::RoleAssumed, "session");
        assert!(follower.has_changed().unwrap());
        follower.mark_unchanged();
        conditions.holds(ConditionType::RoleAssumed, "session");
        assert!(!follower.has_changed().unwrap());
    }
}
