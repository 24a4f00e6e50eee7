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
        let held = match self.policy {
            ExternalIdEnforcement::Require => "; no event is stored until STS refuses that",
            ExternalIdEnforcement::Warn => "",
        };
        let message = format!(
            "STS grants {role} without its external ID{held}; add a Condition StringEquals sts:ExternalId to the \
             role's trust policy (tributary policy prints it)"
        );
        let reason = Reason::NotEnforced;
        self.hold(state, Blocker { reason, message: message.clone() });
        self.conditions.set(ConditionType::ExternalIdEnforced, ConditionStatus::False, reason, message);
    }
}
