//! Stores the last result of polling each sidecar, and reports whether a new result changes anything.
//!
//! A sidecar whose fault is fixed becomes ready before its next poll. A fault in an answer from before that no longer
//! counts: the function would be reported as not ready, with a cause that is gone, until the next poll.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tributary_crds::conditions::{ConditionStatus, Reason, SidecarStatus};

use super::observed::SidecarAnswer;

/// Consecutive failed polls after which a sidecar's last status no longer counts: a fault must be in the function's
/// status within 15 s.
const MAX_MISSED_POLLS: u32 = 2;

/// The last result of polling each sidecar, by its pod's uid. Clones share the results.
#[derive(Clone, Debug, Default)]
pub struct Reports(Arc<Mutex<HashMap<String, Report>>>);

#[derive(Debug)]
struct Report {
    answer: SidecarAnswer,
    /// Whether the pod was ready when the sidecar gave the answer.
    was_ready: bool,
    misses: u32,
}

impl Reports {
    /// A pod's last result, or `None` before its first poll. `is_ready`: whether the pod is ready now; a result from before
    /// it was so counts only if it reports no fault.
    pub fn of(&self, pod_uid: &str, is_ready: bool) -> Option<SidecarAnswer> {
        let reports = self.lock();
        let report = reports.get(pod_uid)?;
        let is_outdated = is_ready && !report.was_ready && !is_fine(&report.answer);
        Some(if is_outdated { SidecarAnswer::Awaited } else { report.answer.clone() })
    }

    /// Records a status, or why there was none, of a pod that was ready or not when it was polled. Returns whether this
    /// may change the function's conditions.
    pub fn record(&self, pod_uid: &str, was_ready: bool, answer: Result<SidecarStatus, String>) -> bool {
        let mut reports = self.lock();
        let unpolled = Report { answer: SidecarAnswer::Awaited, was_ready, misses: 0 };
        let report = reports.entry(pod_uid.to_owned()).or_insert(unpolled);
        let became_ready = was_ready && !report.was_ready;
        match answer {
            Ok(status) => {
                let is_equal =
                    matches!(&report.answer, SidecarAnswer::Status(old) if old.conditions == status.conditions);
                *report = Report { answer: SidecarAnswer::Status(Box::new(status)), was_ready, misses: 0 };
                became_ready || !is_equal
            }
            Err(why) => {
                report.misses += 1;
                let knows = matches!(report.answer, SidecarAnswer::Status(_));
                if knows && report.misses < MAX_MISSED_POLLS {
                    return false;
                }
                let had_failed = matches!(report.answer, SidecarAnswer::Failed(_));
                (report.answer, report.was_ready) = (SidecarAnswer::Failed(why), was_ready);
                became_ready || !had_failed
            }
        }
    }

    /// Drops the results of all pods but those that `pod_uids` selects.
    pub fn keep(&self, pod_uids: impl Fn(&str) -> bool) {
        self.lock().retain(|uid, _| pod_uids(uid));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Report>> {
        self.0.lock()
    }
}

/// Whether the answer reports nothing that can keep a sidecar from being ready.
fn is_fine(answer: &SidecarAnswer) -> bool {
    let SidecarAnswer::Status(status) = answer else { return false };
    let mut conditions = status.conditions.iter();
    conditions.all(|condition| condition.status == ConditionStatus::True || condition.reason == Reason::NotYetWritten)
}

#[cfg(test)]
mod tests {
    use tributary_crds::conditions::{ConditionType, SidecarCondition};

    use super::*;

    fn status(in_flight: u64) -> SidecarStatus {
        SidecarStatus {
            generation: 1,
            config_hash: "h".to_owned(),
            conditions: Vec::new(),
            session: None,
            in_flight,
            last_error: None,
        }
    }

    #[test]
    fn a_status_counts_until_polls_fail_repeatedly() {
        let reports = Reports::default();
        assert!(reports.of("p", true).is_none());
        assert!(reports.record("p", true, Ok(status(1))));
        assert!(!reports.record("p", true, Ok(status(2))), "a change of the numbers alone does not count");
        for _ in 1..MAX_MISSED_POLLS {
            assert!(!reports.record("p", true, Err("gone".to_owned())));
            assert!(matches!(reports.of("p", true), Some(SidecarAnswer::Status(_))));
        }
        assert!(reports.record("p", true, Err("gone".to_owned())));
        assert!(matches!(reports.of("p", true), Some(SidecarAnswer::Failed(_))));
        assert!(!reports.record("p", true, Err("still gone".to_owned())));
        assert!(reports.record("p", true, Ok(status(1))));
        reports.keep(|uid| uid != "p");
        assert!(reports.of("p", true).is_none());
    }

    #[test]
    fn a_sidecar_that_never_answered_fails_with_its_first_poll() {
        let reports = Reports::default();
        assert!(reports.record("p", true, Err("refused".to_owned())));
        assert!(matches!(reports.of("p", true), Some(SidecarAnswer::Failed(_))));
    }

    #[test]
    fn a_fault_from_before_the_pod_was_ready_does_not_count() {
        let of_role = |status, reason| SidecarStatus {
            conditions: vec![SidecarCondition {
                r#type: ConditionType::RoleAssumed,
                status,
                reason,
                message: String::new(),
                since: String::new(),
            }],
            ..self::status(0)
        };
        let (denied, granted) =
            (of_role(ConditionStatus::False, Reason::AccessDenied), of_role(ConditionStatus::True, Reason::Ok));
        let reports = Reports::default();
        reports.record("p", false, Ok(denied.clone()));
        assert!(matches!(reports.of("p", false), Some(SidecarAnswer::Status(_))));
        assert!(matches!(reports.of("p", true), Some(SidecarAnswer::Awaited)));
        assert!(reports.record("p", true, Ok(denied)), "now it counts again");
        assert!(matches!(reports.of("p", true), Some(SidecarAnswer::Status(_))));

        reports.record("q", false, Ok(granted));
        assert!(matches!(reports.of("q", true), Some(SidecarAnswer::Status(_))), "it reports no fault");
        reports.record("r", false, Err("refused".to_owned()));
        assert!(matches!(reports.of("r", true), Some(SidecarAnswer::Awaited)));
        assert!(reports.record("r", true, Err("refused".to_owned())));
        assert!(matches!(reports.of("r", true), Some(SidecarAnswer::Failed(_))));
    }
}
