//! Stores the last result of polling each sidecar, and reports whether a new result changes anything.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tributary_crds::conditions::SidecarStatus;

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
    misses: u32,
}

impl Reports {
    /// A pod's last result, or `None` before its first poll.
    pub fn of(&self, pod_uid: &str) -> Option<SidecarAnswer> {
        self.lock().get(pod_uid).map(|report| report.answer.clone())
    }

    /// Records a status, or why there was none. Returns whether this may change the function's conditions.
    pub fn record(&self, pod_uid: &str, answer: Result<SidecarStatus, String>) -> bool {
        let mut reports = self.lock();
        let report = reports.entry(pod_uid.to_owned()).or_insert(Report { answer: SidecarAnswer::Awaited, misses: 0 });
        match answer {
            Ok(status) => {
                report.misses = 0;
                let is_changed =
                    !matches!(&report.answer, SidecarAnswer::Status(old) if old.conditions == status.conditions);
                report.answer = SidecarAnswer::Status(Box::new(status));
                is_changed
            }
            Err(why) => {
                report.misses += 1;
                let knows = matches!(report.answer, SidecarAnswer::Status(_));
                if knows && report.misses < MAX_MISSED_POLLS {
                    return false;
                }
                let is_changed = !matches!(report.answer, SidecarAnswer::Failed(_));
                report.answer = SidecarAnswer::Failed(why);
                is_changed
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

#[cfg(test)]
mod tests {
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
        assert!(reports.of("p").is_none());
        assert!(reports.record("p", Ok(status(1))));
        assert!(!reports.record("p", Ok(status(2))), "a change of the numbers alone does not count");
        for _ in 1..MAX_MISSED_POLLS {
            assert!(!reports.record("p", Err("gone".to_owned())));
            assert!(matches!(reports.of("p"), Some(SidecarAnswer::Status(_))));
        }
        assert!(reports.record("p", Err("gone".to_owned())));
        assert!(matches!(reports.of("p"), Some(SidecarAnswer::Failed(_))));
        assert!(!reports.record("p", Err("still gone".to_owned())));
        assert!(reports.record("p", Ok(status(1))));
        reports.keep(|uid| uid != "p");
        assert!(reports.of("p").is_none());
    }

    #[test]
    fn a_sidecar_that_never_answered_fails_with_its_first_poll() {
        let reports = Reports::default();
        assert!(reports.record("p", Err("refused".to_owned())));
        assert!(matches!(reports.of("p"), Some(SidecarAnswer::Failed(_))));
    }
}
