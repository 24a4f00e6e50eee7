//! The one task that talks to STS: it gets the session, renews it, and probes that the role is
//! given to nobody without the external ID.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{debug, info};
use tributary_crds::conditions::{ConditionType, Reason, Truth};
use tributary_crds::function::ExternalIdEnforcement;
use tributary_crds::values::{ExternalId, ExternalIdPrefix};

use super::failure::{self, Call, StsAnswer};
use super::identity::BaseIdentity;
use super::schedule::{self, PROBE, PROBE_AGAIN, PROBE_RETRY, SPACING};
use super::sts::Sts;
use super::{Demand, Session, Sessions, Shown};
use crate::clock::rfc3339;
use crate::conditions::{Blocker, Conditions};
use crate::metrics::{Metrics, StsOutcome};
use crate::secret::Missing;
use crate::secret::external_id::{ExternalIdState, NoExternalId};

/// What STS was found to do with the role, without the right external ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Enforcement {
    Unknown,
    Enforced,
    NotEnforced,
}

/// Keeps the session.
pub(crate) struct SessionManager {
    pub(crate) sts: Sts,
    pub(crate) identity: BaseIdentity,
    pub(crate) external_id: watch::Receiver<ExternalIdState>,
    /// How the Secret and its key are called, for messages.
    pub(crate) secret: (String, String),
    /// What the external ID must begin with, if the platform says so.
    pub(crate) prefix: Option<ExternalIdPrefix>,
    pub(crate) policy: ExternalIdEnforcement,
    pub(crate) conditions: Arc<Conditions>,
    pub(crate) metrics: Arc<Metrics>,
}

/// What the manager remembers between two rounds. Times are the clock's `monotonic`.
struct State {
    shown: watch::Sender<Shown>,
    demand: Arc<Demand>,
    last_id: super::SessionId,
    failures: u32,
    /// What the last renewal failed of, and since when renewals have been failing.
    failing: Option<(Blocker, String)>,
    /// When traffic may next have its way.
    demand_from: Duration,
    refresh_at: Duration,
    probe_at: Duration,
    enforcement: Enforcement,
}

impl SessionManager {
    /// Starts keeping; ends with the runtime.
    pub(crate) fn start(self) -> Sessions {
        let shown = watch::Sender::new(Shown::default());
        let demand = Arc::new(Demand::default());
        let clock = Arc::clone(&self.sts.clock);
        let sessions = Sessions { shown: shown.subscribe(), demand: Arc::clone(&demand), clock };
        let state = State {
            shown,
            demand,
            last_id: 0,
            failures: 0,
            failing: None,
            demand_from: Duration::ZERO,
            refresh_at: Duration::ZERO,
            probe_at: Duration::ZERO,
            enforcement: Enforcement::Unknown,
        };
        tokio::spawn(self.keep(state));
        sessions
    }

    async fn keep(mut self, mut state: State) {
        loop {
            let external_id = self.external_id.borrow_and_update().clone();
            match &external_id {
                Ok(external_id) => {
                    self.conditions.holds(ConditionType::ExternalIdAvailable, "the external ID is read");
                    self.round(&mut state, external_id).await;
                }
                Err(why) => self.say_no_external_id(*why),
            }
            self.notice_the_end(&state);
            if !self.wait(&mut state, external_id.is_ok()).await {
                return;
            }
        }
    }

    /// Does what is due: a new session, a probe, or neither.
    async fn round(&self, state: &mut State, external_id: &ExternalId) {
        let now = self.sts.clock.monotonic();
        if now >= state.refresh_at {
            state.demand_from = now + SPACING;
            match self.refresh(state.last_id + 1, external_id).await {
                Ok(session) => self.took(state, session),
                Err(blocker) => self.failed(state, blocker),
            }
        }
        let now = self.sts.clock.monotonic();
        if self.live_session(state) && now >= state.probe_at {
            state.demand_from = now + SPACING;
            self.probe(state).await;
        }
    }

    async fn refresh(&self, id: super::SessionId, external_id: &ExternalId) -> Result<Session, Blocker> {
        let base = self.identity.credentials(&self.sts.endpoint, &self.sts.clock).await?;
        let result = self.sts.session(base, external_id, id).await;
        self.metrics.sts_request(if result.is_ok() { StsOutcome::Assumed } else { StsOutcome::Failed });
        result.map_err(|answer| self.blocker(&answer))
    }

    fn blocker(&self, answer: &StsAnswer) -> Blocker {
        failure::blocker(answer, Call { role: self.sts.role(), endpoint: &self.sts.endpoint_url() })
    }

    fn took(&self, state: &mut State, session: Session) {
        let now = self.sts.clock.monotonic();
        let renewal = schedule::renewal(session.ends.saturating_sub(now), fastrand::f64());
        state.last_id = session.id;
        state.failures = 0;
        state.failing = None;
        state.refresh_at = now + renewal;
        self.metrics.session_expiry(session.expiry);
        let message = format!("{} is assumed", self.sts.role());
        self.conditions.holds(ConditionType::RoleAssumed, message);
        info!(role = self.sts.role(), expiry = rfc3339(session.expiry), "role assumed");
        state.shown.send_modify(|shown| {
            shown.session = Some(Arc::new(session));
            shown.next_refresh = Some(self.sts.clock.now() + renewal);
        });
    }

    fn failed(&self, state: &mut State, blocker: Blocker) {
        let lives = self.live_session(state);
        state.failures += 1;
        state.refresh_at = self.sts.clock.monotonic() + schedule::backoff(state.failures, lives, fastrand::f64());
        let since = match state.failing.take() {
            Some((_, since)) => since,
            None => rfc3339(self.sts.clock.now()),
        };
        state.failing = Some((blocker.clone(), since.clone()));
        let Blocker { reason, message } = blocker;
        debug!(%reason, failures = state.failures, "no session from STS");
        if lives {
            let message = format!("the session still lives, but renewing it has failed since {since}: {message}");
            self.conditions.holds(ConditionType::RoleAssumed, message);
        } else {
            self.conditions.set(ConditionType::RoleAssumed, Truth::False, reason, message);
        }
    }

    /// Asks STS for the role without an external ID and with a random one.
    async fn probe(&self, state: &mut State) {
        let found = self.probe_twice().await;
        let now = self.sts.clock.monotonic();
        let held = self.policy == ExternalIdEnforcement::Require;
        state.probe_at = now
            + match found {
                Ok(Enforcement::NotEnforced) if held => PROBE_AGAIN,
                Ok(_) => PROBE,
                Err(_) if state.enforcement == Enforcement::Unknown => PROBE_AGAIN,
                Err(_) => PROBE_RETRY,
            };
        match found {
            Ok(enforcement) => {
                state.enforcement = enforcement;
                self.say_enforcement(enforcement);
            }
            // A probe that told nothing leaves the last verdict.
            Err(Blocker { reason, message }) if state.enforcement == Enforcement::Unknown => {
                let message = format!("whether the role demands its external ID is not known yet: {message}");
                self.conditions.set(ConditionType::ExternalIdEnforced, Truth::Unknown, reason, message);
            }
            Err(_) => {}
        }
        let open = !held || state.enforcement == Enforcement::Enforced;
        state.shown.send_if_modified(|shown| std::mem::replace(&mut shown.open, open) != open);
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

    fn say_enforcement(&self, enforcement: Enforcement) {
        let role = self.sts.role();
        if enforcement == Enforcement::Enforced {
            let message = format!("STS refuses {role} without its external ID");
            return self.conditions.holds(ConditionType::ExternalIdEnforced, message);
        }
        let held = match self.policy {
            ExternalIdEnforcement::Require => "; no event is sent through it until it does",
            ExternalIdEnforcement::Warn => "",
        };
        let message = format!(
            "STS gives {role} away without its external ID{held}; add a Condition StringEquals sts:ExternalId to the \
             role's trust policy (tributary policy prints it)"
        );
        self.conditions.set(ConditionType::ExternalIdEnforced, Truth::False, Reason::NotEnforced, message);
    }

    fn say_no_external_id(&self, why: NoExternalId) {
        let (name, key) = &self.secret;
        let (reason, message) = match why {
            NoExternalId::Missing(missing) => (
                match missing {
                    Missing::Secret => Reason::SecretNotFound,
                    Missing::Key => Reason::SecretKeyNotFound,
                },
                missing.says(name, key, "external ID", "externalIdSecretRef"),
            ),
            NoExternalId::Invalid(why) => (
                Reason::InvalidExternalId,
                format!("the value of {key} in the Secret {name} is not an external ID: {why}"),
            ),
            NoExternalId::WrongPrefix => (
                Reason::ExternalIdNotAllowed,
                format!(
                    "the external ID under {key} in the Secret {name} does not begin with {}, as the platform demands \
                     in this namespace; agree on another ID with the role's owner",
                    self.prefix.as_ref().map_or("", ExternalIdPrefix::as_str)
                ),
            ),
        };
        self.conditions.set(ConditionType::ExternalIdAvailable, Truth::False, reason, message);
    }

    /// A session that ended while no new one came forbids traffic: the condition must say so.
    fn notice_the_end(&self, state: &State) {
        if state.shown.borrow().session.is_none() || self.live_session(state) {
            return;
        }
        let (reason, message) = match &state.failing {
            Some((Blocker { reason, message }, since)) => (*reason, format!("{message} (failing since {since})")),
            None => {
                (Reason::Pending, "the session has ended, and there is no external ID to get a new one with".to_owned())
            }
        };
        self.conditions.set(ConditionType::RoleAssumed, Truth::False, reason, message);
    }

    fn live_session(&self, state: &State) -> bool {
        state.shown.borrow().session.as_ref().is_some_and(|session| session.lives(&*self.sts.clock))
    }

    /// Waits until something is due or asked for. False when the process is ending.
    async fn wait(&mut self, state: &mut State, has_external_id: bool) -> bool {
        let clock = Arc::clone(&self.sts.clock);
        let now = clock.monotonic();
        let end = state.shown.borrow().session.as_ref().map(|session| session.ends).filter(|ends| *ends > now);
        let due = [Some(state.refresh_at), end.map(|_| state.probe_at)].into_iter().flatten().min();
        let due = due.filter(|_| has_external_id);
        let wake = [due, end].into_iter().flatten().min().unwrap_or(Duration::MAX);
        tokio::select! {
            changed = self.external_id.changed() => {
                state.refresh_at = Duration::ZERO;
                state.probe_at = Duration::ZERO;
                changed.is_ok()
            }
            () = state.demand.asked() => {
                let now = clock.monotonic();
                clock.sleep(state.demand_from.saturating_sub(now)).await;
                let lives = self.live_session(state);
                if !lives || state.demand.wants() > state.last_id {
                    state.refresh_at = Duration::ZERO;
                } else if !state.shown.borrow().open {
                    state.probe_at = Duration::ZERO;
                }
                true
            }
            () = clock.sleep(wake.saturating_sub(now)) => true,
            () = state.shown.closed() => false,
        }
    }
}
