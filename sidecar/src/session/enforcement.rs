//! Probes whether the role enforces its external ID, and holds traffic until it does if the function requires that.

use tributary_crds::conditions::{ConditionStatus, ConditionType, Reason};
use tributary_crds::function::ExternalIdEnforcement;

use super::failure::{self, kind};
use super::manager::SessionManager;
use super::schedule::ProbeOutcome;
use super::state::{Enforcement, State};
use crate::blocker::Blocker;
use crate::status::metrics::StsOutcome;

impl SessionManager {
    /// Requests the role without an external ID and with a random one, and records the result.
    pub(super) async fn probe(&self, state: &mut State) {
        let found = self.probe_twice().await;
        let required = self.policy == ExternalIdEnforcement::Require;
        let outcome = match &found {
            Ok(Enforcement::NotEnforced) if required => ProbeOutcome::Held,
            Ok(_) => ProbeOutcome::Settled,
            Err(blocker) => {
                let settled = match state.enforcement {
                    Enforcement::Unknown => false,
                    Enforcement::NotEnforced => !required,
                    Enforcement::Enforced => true,
                };
                ProbeOutcome::Failed { kind: kind(blocker), settled }
            }
        };
        state.schedule.probed(self.sts.clock.monotonic(), outcome, fastrand::f64());
        if let Ok(enforcement) = found {
            state.enforcement = enforcement;
        }
        // Before any report: a condition must not say that no event is stored while one still is.
        let usable = !required || state.enforcement == Enforcement::Enforced;
        state.status.send_if_modified(|status| std::mem::replace(&mut status.usable, usable) != usable);
        match found {
            Ok(enforcement) => self.report_enforcement(state, enforcement),
            // After a first conclusive probe, a failed one keeps its result.
            Err(Blocker { reason, message }) if state.enforcement == Enforcement::Unknown => {
                let message = format!("whether the role enforces its external ID is not known yet: {message}");
                self.hold(state, Blocker { reason, message: message.clone() });
                self.conditions.set(ConditionType::ExternalIdEnforced, ConditionStatus::Unknown, reason, message);
            }
            Err(_) => {}
        }
    }

    async fn probe_twice(&self) -> Result<Enforcement, Blocker> {
        let base = self.identity.credentials(&self.sts.endpoint, &self.sts.clock).await?;
        let random = uuid::Uuid::new_v4().simple().to_string();
        for external_id in [None, Some(random)] {
            match self.sts.probe(base.clone(), external_id).await {
                Ok(()) => {
                    self.metrics.sts_request(StsOutcome::ProbeAssumed);
                    return Ok(Enforcement::NotEnforced);
                }
                Err(answer) if failure::refused(&answer) => self.metrics.sts_request(StsOutcome::ProbeRefused),
                Err(answer) => {
                    self.metrics.sts_request(StsOutcome::Failed);
                    return Err(self.blocker(&answer));
                }
            }
        }
        Ok(Enforcement::Enforced)
    }

    /// Publishes the blocker that holds traffic, if the function requires enforcement.
    fn hold(&self, state: &State, blocker: Blocker) {
        if self.policy == ExternalIdEnforcement::Require {
            state.block(|blockers| blockers.enforcement = Some(blocker));
        }
    }

    fn report_enforcement(&self, state: &State, enforcement: Enforcement) {
        let role = self.sts.role();
        if enforcement == Enforcement::Enforced {
            state.block(|blockers| blockers.enforcement = None);
            let message = format!("STS refuses {role} without its external ID");
            return self.conditions.holds(ConditionType::ExternalIdEnforced, message);
        }
        let url = self.sts.endpoint.is_store.then(|| self.sts.endpoint.shown_url());
        let message = not_enforced(role, self.policy, url.as_deref());
        let reason = Reason::NotEnforced;
        self.hold(state, Blocker { reason, message: message.clone() });
        self.conditions.set(ConditionType::ExternalIdEnforced, ConditionStatus::False, reason, message);
    }
}

/// The cause and the fix if STS grants the role without its external ID. `store` is the URL of another STS than AWS's:
/// the trust policy can't help there, since a store that ignores the ID sees no ID that a condition could hold for.
fn not_enforced(role: &str, policy: ExternalIdEnforcement, store: Option<&str>) -> String {
    match (store, policy) {
        (None, ExternalIdEnforcement::Require) => format!(
            "STS grants {role} without its external ID; no event is stored until STS refuses that; add a Condition \
             StringEquals sts:ExternalId to the role's trust policy (tributary policy prints it)"
        ),
        (None, ExternalIdEnforcement::Warn) => format!(
            "STS grants {role} without its external ID; add a Condition StringEquals sts:ExternalId to the role's trust \
             policy (tributary policy prints it)"
        ),
        (Some(url), ExternalIdEnforcement::Require) => format!(
            "the STS at {url} ignores external IDs: it grants {role} without the right one, so no event is stored; if it is \
             acceptable that everyone with credentials of this store can use the role, set spec.externalIdEnforcement: \
             Warn"
        ),
        (Some(url), ExternalIdEnforcement::Warn) => format!(
            "the STS at {url} ignores external IDs: it grants {role} without the right one, as the function accepts \
             (spec.externalIdEnforcement: Warn)"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advice_fits_the_sts_that_does_not_enforce_the_external_id() {
        let url = "https://weed.storage.svc:8333";
        for (policy, store, parts) in [
            (ExternalIdEnforcement::Require, None, ["no event is stored until STS refuses", "sts:ExternalId"]),
            (ExternalIdEnforcement::Warn, None, ["without its external ID; add", "sts:ExternalId"]),
            (
                ExternalIdEnforcement::Require,
                Some(url),
                ["so no event is stored", "set spec.externalIdEnforcement: Warn"],
            ),
            (ExternalIdEnforcement::Warn, Some(url), ["ignores external IDs", "as the function accepts"]),
        ] {
            let message = not_enforced("arn:r", policy, store);
            for part in parts {
                assert!(message.contains(part), "{message}");
            }
            assert_eq!(message.contains(url), store.is_some());
            // Such a condition makes a store that ignores external IDs refuse the role for good.
            assert_eq!(message.contains("sts:ExternalId"), store.is_none(), "{message}");
            assert_eq!(message.contains("no event"), policy == ExternalIdEnforcement::Require, "{message}");
        }
    }
}
