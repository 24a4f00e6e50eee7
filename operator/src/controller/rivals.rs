//! Detects that another release's operator manages the same functions. Each would revert the other's changes forever,
//! and the sidecars would roll with every change.
//!
//! Every Deployment is annotated with the operator that wrote it ([`annotation::OPERATOR`]). The mark of an operator
//! that no longer runs is overwritten. A mark that replaces this operator's own is a rival's: this operator then writes once
//! more, so that the rival notices too, and leaves the function alone for a while.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;
use parking_lot::{Mutex, MutexGuard};

use crate::function::FunctionRef;
use crate::names::annotation;

/// How long a contested function is left alone, before a write tests whether the rival still runs.
const CONTEST_PAUSE: Duration = Duration::from_secs(10 * 60);

/// Tracks, per function, whose mark its Deployment carried last.
#[derive(Debug)]
pub struct Rivals {
    own: String,
    seen: Mutex<HashMap<FunctionRef, LastMark>>,
}

#[derive(Clone, Debug)]
enum LastMark {
    /// The Deployment carried this operator's mark.
    Ours,
    /// Another operator's mark replaced it. `is_reported`: whether the rival was reported.
    Contested { rival: String, until: Instant, is_reported: bool },
}

/// Another operator that manages the same function, so that this one leaves it alone for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rival {
    /// The message for the function's conditions: both operators, and the fix.
    pub message: String,
    /// Whether this is the first report of the rival in this pause.
    pub is_first_report: bool,
    /// When to reconcile again: the remainder of the pause.
    pub pause: Duration,
}

impl Rivals {
    /// The rivals of the operator that marks Deployments with `own` (NAMESPACE/LEASE).
    pub fn of(own: &str) -> Self {
        Self { own: own.to_owned(), seen: Mutex::default() }
    }

    /// The rival because of which the function must be left alone now, if any. `changed_since_write`: whether the
    /// Deployment is newer than this operator's last write.
    pub fn detect(
        &self,
        function: &FunctionRef,
        live: Option<&Deployment>,
        changed_since_write: bool,
        now: Instant,
    ) -> Option<Rival> {
        let mut all = self.lock();
        if let Some(LastMark::Contested { rival, until, is_reported }) =
            all.get_mut(function).filter(|seen| seen.is_contested(now))
        {
            let is_first_report = !std::mem::replace(is_reported, true);
            return Some(Rival { message: self.message(rival), is_first_report, pause: *until - now });
        }
        let mark = live.and_then(|live| live.annotations().get(annotation::OPERATOR));
        let was_ours = changed_since_write || matches!(all.get(function), Some(LastMark::Ours));
        match mark {
            Some(mark) if *mark == self.own => {
                all.insert(function.clone(), LastMark::Ours);
            }
            Some(mark) if was_ours => {
                let contested =
                    LastMark::Contested { rival: mark.clone(), until: now + CONTEST_PAUSE, is_reported: false };
                all.insert(function.clone(), contested);
            }
            _ => _ = all.remove(function),
        }
        None
    }

    /// Drops the state of a deleted function.
    pub fn forget(&self, function: &FunctionRef) {
        self.lock().remove(function);
    }

    /// Names both in sorted order: both operators write this message, and must not change each other's.
    fn message(&self, rival: &str) -> String {
        let mut both = [self.own.as_str(), rival];
        both.sort_unstable();
        format!(
            "two operators manage this function, {} and {} (NAMESPACE/LEASE): uninstall one of the releases, or give \
             them different namespaces (watch.namespaces). Until then both leave it as it is; the one that remains \
             takes it over within 10 minutes",
            both[0], both[1]
        )
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<FunctionRef, LastMark>> {
        self.seen.lock()
    }
}

impl LastMark {
    fn is_contested(&self, now: Instant) -> bool {
        matches!(self, Self::Contested { until, .. } if *until > now)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn marked(by: &str) -> Deployment {
        serde_json::from_value(json!({"metadata": {"annotations": {annotation::OPERATOR: by}}})).unwrap()
    }

    fn orders() -> FunctionRef {
        FunctionRef::new("shop", "orders")
    }

    #[test]
    fn a_replaced_mark_reveals_a_rival_and_is_written_once_more() {
        let (rivals, start) = (Rivals::of("a/tributary"), Instant::now());
        let detect = |by: &str, seconds| {
            rivals.detect(&orders(), Some(&marked(by)), false, start + Duration::from_secs(seconds))
        };
        assert_eq!(detect("a/tributary", 0), None);
        assert_eq!(detect("b/tributary", 1), None, "it is written once more");
        let first = detect("b/tributary", 2).unwrap();
        assert!(first.is_first_report && first.message.contains("a/tributary and b/tributary"), "{first:?}");
        // The pause lasts regardless of the Deployment's current mark.
        let again = detect("a/tributary", 3).unwrap();
        assert_eq!((again.is_first_report, again.message), (false, first.message));
        // The pause is over and the rival gone: this operator takes over the Deployment, and keeps it.
        assert_eq!(detect("b/tributary", 700), None);
        assert_eq!(detect("a/tributary", 701), None);
    }

    #[test]
    fn a_deployment_with_an_old_mark_is_taken_over() {
        let (rivals, now) = (Rivals::of("a/tributary"), Instant::now());
        for _ in 0..3 {
            // The old mark stays while the function waits for a rollout slot.
            assert_eq!(rivals.detect(&orders(), Some(&marked("gone/tributary")), false, now), None);
        }
        assert_eq!(rivals.detect(&orders(), Some(&Deployment::default()), true, now), None);
        assert_eq!(rivals.detect(&orders(), None, true, now), None);
    }

    #[test]
    fn a_written_deployment_counts_as_ours_before_the_cache_shows_it() {
        let (rivals, now) = (Rivals::of("b/tributary"), Instant::now());
        assert_eq!(rivals.detect(&orders(), Some(&marked("a/tributary")), true, now), None);
        assert!(rivals.detect(&orders(), Some(&marked("a/tributary")), true, now).is_some());
    }
}
