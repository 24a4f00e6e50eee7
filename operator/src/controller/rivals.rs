//! Notices that another release's operator looks after the same functions. Each would change back what the other has
//! just changed, for ever, and the sidecars would roll with every change.
//!
//! A Deployment is marked with the operator that wrote it ([`annotation::OPERATOR`]). The mark of one that is gone is
//! written over; one that comes in the place of this operator's own is a rival's. Then this one writes once more, so
//! that the rival notices too, and lets the function be for a while.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;
use parking_lot::{Mutex, MutexGuard};

use crate::function::FunctionRef;
use crate::names::annotation;

/// How long a function is let be. Then it is tried whether the rival is gone.
const PAUSE: Duration = Duration::from_secs(10 * 60);

/// What is known of other operators.
#[derive(Debug)]
pub struct Rivals {
    own: String,
    seen: Mutex<HashMap<FunctionRef, Seen>>,
}

#[derive(Clone, Debug)]
enum Seen {
    /// The Deployment was this operator's.
    Ours,
    /// It was another's just after.
    Contested { rival: String, until: Instant, is_told: bool },
}

/// Somebody else's operator, to which a function is left for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rival {
    /// For people.
    pub message: String,
    /// Whether that was not said before.
    pub is_news: bool,
    /// When to look again.
    pub pause: Duration,
}

impl Rivals {
    /// Those of this operator, by the name that it marks Deployments with.
    pub fn of(own: &str) -> Self {
        Self { own: own.to_owned(), seen: Mutex::default() }
    }

    /// The operator that the function is left to now, if there is one. `wrote` says whether the Deployment is younger
    /// than what this operator has written of it.
    pub fn detect(
        &self,
        function: &FunctionRef,
        live: Option<&Deployment>,
        wrote: bool,
        now: Instant,
    ) -> Option<Rival> {
        let mut all = self.lock();
        if let Some(Seen::Contested { rival, until, is_told }) = all.get_mut(function).filter(|seen| seen.lasts(now)) {
            let is_news = !std::mem::replace(is_told, true);
            return Some(Rival { message: self.message(rival), is_news, pause: *until - now });
        }
        let mark = live.and_then(|live| live.annotations().get(annotation::OPERATOR));
        let was_ours = wrote || matches!(all.get(function), Some(Seen::Ours));
        match mark {
            Some(mark) if *mark == self.own => {
                all.insert(function.clone(), Seen::Ours);
            }
            Some(mark) if was_ours => {
                let contested = Seen::Contested { rival: mark.clone(), until: now + PAUSE, is_told: false };
                all.insert(function.clone(), contested);
            }
            _ => _ = all.remove(function),
        }
        None
    }

    /// Forgets a function that is gone.
    pub fn forget(&self, function: &FunctionRef) {
        self.lock().remove(function);
    }

    /// The same from both of them: they write it in turn.
    fn message(&self, rival: &str) -> String {
        let mut both = [self.own.as_str(), rival];
        both.sort_unstable();
        format!(
            "two operators look after this function, {} and {} (NAMESPACE/LEASE): uninstall one of the releases, or give \
             them different namespaces (watch.namespaces). Until then both leave it as it is",
            both[0], both[1]
        )
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<FunctionRef, Seen>> {
        self.seen.lock()
    }
}

impl Seen {
    fn lasts(&self, now: Instant) -> bool {
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
    fn who_comes_in_ones_own_place_is_a_rival_and_answered_once() {
        let (rivals, start) = (Rivals::of("a/tributary"), Instant::now());
        let detect = |by: &str, seconds| {
            rivals.detect(&orders(), Some(&marked(by)), false, start + Duration::from_secs(seconds))
        };
        assert_eq!(detect("a/tributary", 0), None);
        assert_eq!(detect("b/tributary", 1), None, "it is written once more");
        let told = detect("b/tributary", 2).unwrap();
        assert!(told.is_news && told.message.contains("a/tributary and b/tributary"), "{told:?}");
        // Whosever it is now.
        let again = detect("a/tributary", 3).unwrap();
        assert_eq!((again.is_news, again.message), (false, told.message));
        // The other is gone: it is taken over, and stays so.
        assert_eq!(detect("b/tributary", 700), None);
        assert_eq!(detect("a/tributary", 701), None);
    }

    #[test]
    fn what_was_never_ones_own_is_taken_over() {
        let (rivals, now) = (Rivals::of("a/tributary"), Instant::now());
        for _ in 0..3 {
            // It may wait for its turn.
            assert_eq!(rivals.detect(&orders(), Some(&marked("gone/tributary")), false, now), None);
        }
        assert_eq!(rivals.detect(&orders(), Some(&Deployment::default()), true, now), None);
        assert_eq!(rivals.detect(&orders(), None, true, now), None);
    }

    #[test]
    fn what_was_written_and_not_seen_counts_as_ones_own() {
        let (rivals, now) = (Rivals::of("b/tributary"), Instant::now());
        assert_eq!(rivals.detect(&orders(), Some(&marked("a/tributary")), true, now), None);
        assert!(rivals.detect(&orders(), Some(&marked("a/tributary")), true, now).is_some());
    }
}
