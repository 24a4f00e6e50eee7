//! What the session manager publishes, and what it remembers from one call to the next.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::schedule::Schedule;
use super::{Demand, Session, SessionId};
use crate::blocker::Blocker;

/// What the manager publishes.
#[derive(Clone, Debug, Default)]
pub(super) struct SessionStatus {
    pub(super) session: Option<Arc<Session>>,
    /// Whether traffic may use it, by what the probes found.
    pub(super) usable: bool,
    /// When the next session is asked for, by [`Clock::monotonic`].
    pub(super) refresh_due: Duration,
    /// The session that S3 refuses as it refused the one before: another one would not help.
    pub(super) refused: Option<SessionId>,
    /// What keeps traffic from a session, as far as it is known.
    pub(super) blockers: Blockers,
}

/// What is wrong on the way to a session that traffic may use, in the order in which a person should look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Blockers {
    /// The external ID can't be read, or is not allowed.
    pub(super) external_id: Option<Blocker>,
    /// STS does not give the role, and no session lives.
    pub(super) role: Option<Blocker>,
    /// The role is not known to demand its external ID, and has to.
    pub(super) enforcement: Option<Blocker>,
}

impl Blockers {
    pub(super) fn first(&self) -> Option<&Blocker> {
        self.external_id.as_ref().or(self.role.as_ref()).or(self.enforcement.as_ref())
    }
}

/// What the manager remembers from one call to the next.
pub(super) struct State {
    pub(super) status: watch::Sender<SessionStatus>,
    pub(super) demand: Arc<Demand>,
    pub(super) last_id: SessionId,
    pub(super) schedule: Schedule,
    /// What the last renewal failed of, and since when renewals have been failing.
    pub(super) failing: Option<(Blocker, String)>,
    pub(super) enforcement: Enforcement,
}

impl State {
    /// Publishes a change of what keeps traffic from a session.
    pub(super) fn block(&self, change: impl FnOnce(&mut Blockers)) {
        self.status.send_if_modified(|status| {
            let before = status.blockers.clone();
            change(&mut status.blockers);
            status.blockers != before
        });
    }
}

/// What STS was found to do with the role, without the right external ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Enforcement {
    Unknown,
    Enforced,
    NotEnforced,
}
