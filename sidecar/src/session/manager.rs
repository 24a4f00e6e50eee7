//! The background task that makes all calls to STS: it gets and renews the session, replaces it when S3 refuses it or the
//! external ID in the Secret changes, and probes that STS refuses the role without the external ID.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{debug, info};
use tributary_crds::conditions::{ConditionStatus, ConditionType, Reason, SECRET_DELAY_HINT};
use tributary_crds::function::ExternalIdEnforcement;
use tributary_crds::values::{ExternalId, ExternalIdPrefix};

use super::failure::{self, Call, StsAnswer, kind};
use super::identity::BaseIdentity;
use super::schedule::Schedule;
use super::state::{Enforcement, SessionStatus, State};
use super::sts::Sts;
use super::{Demand, Session, SessionId, Sessions};
use crate::blocker::Blocker;
use crate::clock::rfc3339;
use crate::secret::Missing;
use crate::secret::external_id::{ExternalIdState, NoExternalId};
use crate::status::conditions::Conditions;
use crate::status::metrics::{Metrics, StsOutcome};

/// Minimum time between two demands that are handled: every request without a usable session makes one.
const DEMAND_INTERVAL: Duration = Duration::from_millis(100);

/// The dependencies of the session manager; [`start`](Self::start) runs it.
pub(crate) struct SessionManager {
    pub(crate) sts: Sts,
    pub(crate) identity: BaseIdentity,
    pub(crate) external_id: watch::Receiver<ExternalIdState>,
    /// Notified when the role is known to have changed.
    pub(crate) aws_changes: watch::Receiver<()>,
    /// The names of the external ID's Secret and of its key, for messages.
    pub(crate) secret: (String, String),
    /// The prefix that the platform requires of the external ID.
    pub(crate) prefix: Option<ExternalIdPrefix>,
    /// Whether an external ID without the prefix is only reported, and used nevertheless.
    pub(crate) prefix_is_audited: bool,
    /// Whether traffic waits until the role is known to enforce its external ID.
    pub(crate) policy: ExternalIdEnforcement,
    pub(crate) conditions: Arc<Conditions>,
    pub(crate) metrics: Arc<Metrics>,
}

impl SessionManager {
    /// Starts the task, which ends when all [`Sessions`] are dropped or the runtime ends.
    pub(crate) fn start(self) -> Sessions {
        let status = watch::Sender::new(SessionStatus::default());
        let demand = Arc::new(Demand::default());
        let clock = Arc::clone(&self.sts.clock);
        let sessions = Sessions { status: status.subscribe(), demand: Arc::clone(&demand), clock };
        let state = State {
            status,
            demand,
            last_id: 0,
            schedule: Schedule::default(),
            failing: None,
            enforcement: Enforcement::Unknown,
        };
        tokio::spawn(self.run(state));
        sessions
    }

    /// What requests see changes before the condition that reports it: a report is true when it appears.
    async fn run(mut self, mut state: State) {
        loop {
            let external_id = self.external_id.borrow_and_update().clone();
            match &external_id {
                Ok(external_id) => {
                    state.block(|blockers| blockers.external_id = None);
                    self.report_external_id(external_id);
                    self.make_due_calls(&mut state, external_id).await;
                }
                Err(why) => {
                    let blocker = self.no_external_id(*why);
                    if *why == NoExternalId::WrongPrefix {
                        self.give_up_session(&state, &blocker);
                    }
                    let Blocker { reason, message } = blocker.clone();
                    state.block(|blockers| blockers.external_id = Some(blocker));
                    self.conditions.set(ConditionType::ExternalIdAvailable, ConditionStatus::False, reason, message);
                }
            }
            self.report_expiry(&state);
            let due = state.schedule.refresh_due();
            state.status.send_if_modified(|status| std::mem::replace(&mut status.refresh_due, due) != due);
            if !self.wait(&mut state, external_id.is_ok()).await {
                return;
            }
        }
    }

    /// Makes the calls that are due: a request for a session, a probe, both or neither.
    async fn make_due_calls(&self, state: &mut State, external_id: &ExternalId) {
        if self.sts.clock.monotonic() >= state.schedule.refresh_due() {
            match self.refresh(state.last_id + 1, external_id).await {
                Ok(session) => self.use_session(state, session),
                Err(blocker) => self.report_failure(state, blocker),
            }
        }
        if self.has_live_session(state) && self.sts.clock.monotonic() >= state.schedule.probe_due() {
            self.probe(state).await;
        }
    }

    async fn refresh(&self, id: SessionId, external_id: &ExternalId) -> Result<Session, Blocker> {
        let base = self.identity.credentials(&self.sts.endpoint, &self.sts.clock).await?;
        let result = self.sts.session(base, external_id, id).await;
        self.metrics.sts_request(if result.is_ok() { StsOutcome::Assumed } else { StsOutcome::Failed });
        result.map_err(|answer| self.blocker(&answer))
    }

    pub(super) fn blocker(&self, answer: &StsAnswer) -> Blocker {
        let endpoint = self.sts.endpoint.shown_url();
        failure::blocker(
            answer,
            Call { role: self.sts.role(), endpoint: &endpoint, is_store: self.sts.endpoint.is_store },
        )
    }

    fn use_session(&self, state: &mut State, session: Session) {
        let now = self.sts.clock.monotonic();
        let replaced = state.demand.min_id() > state.last_id;
        let had_stored = state.status.borrow().session.as_ref().is_some_and(|session| session.has_stored());
        let lifetime = session.ends.saturating_sub(now);
        state.schedule.refreshed(now, lifetime, replaced, had_stored, fastrand::f64());
        state.last_id = session.id;
        state.failing = None;
        self.metrics.session_renewed(session.expiry);
        let expiry = rfc3339(session.expiry);
        state.status.send_modify(|status| {
            status.blockers.role = None;
            status.session = Some(Arc::new(session));
        });
        let message = format!("{} is assumed", self.sts.role());
        self.conditions.holds(ConditionType::RoleAssumed, message);
        info!(role = self.sts.role(), expiry, "role assumed");
    }

    fn report_failure(&self, state: &mut State, blocker: Blocker) {
        let is_live = self.has_live_session(state);
        state.schedule.refresh_failed(self.sts.clock.monotonic(), kind(&blocker), is_live, fastrand::f64());
        let since = match state.failing.take() {
            Some((_, since)) => since,
            None => rfc3339(self.sts.clock.now()),
        };
        state.failing = Some((blocker.clone(), since.clone()));
        debug!(reason = %blocker.reason, "no session from STS");
        let expiry = state.status.borrow().session.as_ref().filter(|_| is_live).map(|session| session.expiry);
        let Some(expiry) = expiry else { return self.report_no_session(state, blocker) };
        let Blocker { message, .. } = blocker;
        self.metrics.session_renewal_failed();
        let message = format!(
            "the session is still valid, but traffic stops at {} unless it is renewed before; its renewal has failed since \
             {since}: {message}",
            rfc3339(expiry)
        );
        self.conditions.set(ConditionType::RoleAssumed, ConditionStatus::True, Reason::RenewalFailing, message);
    }

    fn report_external_id(&self, external_id: &ExternalId) {
        let begins_otherwise = |prefix: &&ExternalIdPrefix| !external_id.reveal().starts_with(prefix.as_str());
        if self.prefix_is_audited && self.prefix.as_ref().is_some_and(|prefix| begins_otherwise(&prefix)) {
            let message = format!("{}; it is used until the platform enforces its grants", self.wrong_prefix());
            let reason = Reason::ExternalIdNotAllowed;
            self.conditions.set(ConditionType::ExternalIdAvailable, ConditionStatus::True, reason, message);
        } else {
            self.conditions.holds(ConditionType::ExternalIdAvailable, "the external ID is read");
        }
    }

    fn wrong_prefix(&self) -> String {
        let (name, key) = &self.secret;
        format!(
            "the external ID under {key} in the Secret {name} does not begin with {}, as the platform requires in this \
             namespace; agree on another ID with the role's owner",
            self.prefix.as_ref().map_or("", ExternalIdPrefix::as_str)
        )
    }

    /// Drops the session immediately, instead of at its expiry: the platform does not allow the external ID.
    fn give_up_session(&self, state: &State, blocker: &Blocker) {
        if state.status.send_if_modified(|status| status.session.take().is_some()) {
            self.report_no_session(state, blocker.clone());
        }
    }

    /// Reports that there is no session, or that it has expired.
    fn report_no_session(&self, state: &State, blocker: Blocker) {
        let Blocker { reason, message } = blocker.clone();
        state.block(|blockers| blockers.role = Some(blocker));
        self.conditions.set(ConditionType::RoleAssumed, ConditionStatus::False, reason, message);
    }

    fn no_external_id(&self, why: NoExternalId) -> Blocker {
        let (name, key) = &self.secret;
        let (reason, message) = match why {
            NoExternalId::Missing(missing) => (
                match missing {
                    Missing::Secret => Reason::SecretNotFound,
                    Missing::Key => Reason::SecretKeyNotFound,
                },
                missing.message(name, key, "external ID", "externalIdSecretRef"),
            ),
            NoExternalId::Invalid(why) => (
                Reason::InvalidExternalId,
                format!(
                    "the value of {key} in the Secret {name} is not an external ID: {why}; tributary external-id {name} \
                     prints one; {SECRET_DELAY_HINT}"
                ),
            ),
            NoExternalId::WrongPrefix => (Reason::ExternalIdNotAllowed, self.wrong_prefix()),
        };
        Blocker { reason, message }
    }

    /// Reports a session that has expired without a new one: no traffic can be stored, so the condition must change.
    fn report_expiry(&self, state: &State) {
        if state.status.borrow().session.is_none() || self.has_live_session(state) {
            return;
        }
        let (reason, message) = match &state.failing {
            Some((Blocker { reason, message }, since)) => (*reason, format!("{message} (failing since {since})")),
            None => {
                (Reason::Pending, "the session has ended, and there is no external ID to get a new one with".to_owned())
            }
        };
        self.report_no_session(state, Blocker { reason, message });
    }

    fn has_live_session(&self, state: &State) -> bool {
        state.status.borrow().session.as_ref().is_some_and(|session| session.lives(&*self.sts.clock))
    }

    /// Waits until a call is due, the session expires, or something changes or is demanded. Returns false when the task
    /// must end.
    async fn wait(&mut self, state: &mut State, has_external_id: bool) -> bool {
        let clock = Arc::clone(&self.sts.clock);
        let now = clock.monotonic();
        let end = state.status.borrow().session.as_ref().map(|session| session.ends).filter(|ends| *ends > now);
        let due = [Some(state.schedule.refresh_due()), end.map(|_| state.schedule.probe_due())];
        let due = due.into_iter().flatten().min().filter(|_| has_external_id);
        let wake = [due, end].into_iter().flatten().min().unwrap_or(Duration::MAX);
        let demanded = async {
            clock.sleep(DEMAND_INTERVAL).await;
            state.demand.requested().await;
        };
        tokio::select! {
            changed = self.external_id.changed() => {
                state.schedule.role_or_external_id_changed();
                changed.is_ok()
            }
            Ok(()) = self.aws_changes.changed() => {
                state.schedule.role_or_external_id_changed();
                true
            }
            () = demanded => {
                self.handle_demand(state);
                true
            }
            () = clock.sleep(wake.saturating_sub(now)) => true,
            () = state.status.closed() => false,
        }
    }

    /// Brings forward the call that requests wait for, as far as the backoff allows.
    fn handle_demand(&self, state: &mut State) {
        if !self.has_live_session(state) {
            return state.schedule.demand_session();
        }
        if state.demand.min_id() > state.last_id {
            let has_stored = state.status.borrow().session.as_ref().is_some_and(|session| session.has_stored());
            let is_soon = state.schedule.demand_replacement(has_stored, self.sts.clock.monotonic());
            let refused = (!is_soon).then_some(state.last_id);
            state.status.send_if_modified(|status| std::mem::replace(&mut status.refused, refused) != refused);
        }
        if !state.status.borrow().usable {
            state.schedule.demand_probe();
        }
    }
}
