//! The state of the session manager: the part that it publishes to requests, and the part that it keeps between calls.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::schedule::Schedule;
use super::{Demand, Session, SessionId};
use crate::blocker::Blocker;

/// The state that the manager publishes and [`Sessions`](super::Sessions) read.
#[derive(Clone, Debug, Default)]
pub(super) struct SessionStatus {
    pub(super) session: Option<Arc<Session>>,
    /// Whether the probes' results allow traffic to use the session.
    pub(super) usable: bool,
    /// When the next session is requested, by [`Clock::monotonic`](crate::clock::Clock::monotonic).
    pub(super) refresh_due: Duration,
    /// The session that S3 refused like the one before it: a new one would not help.
    pub(super) refused: Option<SessionId>,
    /// The known problems that keep traffic from using a session.
    pub(super) blockers: Blockers,
}

/// The problems on the way to a usable session, in the order in which a person should fix them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Blockers {
    /// The external ID is missing, invalid, or not allowed.
    pub(super) external_id: Option<Blocker>,
    /// STS gives no session, and none is left that has not expired.
    pub(super) role: Option<Blocker>,
    /// The policy requires that the role enforces its external ID, and no probe has confirmed it.
    pub(super) enforcement: Option<Blocker>,
}

impl Blockers {
    pub(super) fn first(&self) -> Option<&Blocker> {
        self.external_id.as_ref().or(self.role.as_ref()).or(self.enforcement.as_ref())
    }
}

/// The manager's own state, owned by its task.
pub(super) struct State {
    pub(super) status: watch::Sender<SessionStatus>,
    pub(super) demand: Arc<Demand>,
    pub(super) last_id: SessionId,
    pub(super) schedule: Schedule,
    /// Why the last request for a session failed, and since when (RFC 3339) all have failed; `None` after a success.
    pub(super) failing: Option<(Blocker, String)>,
    pub(super) enforcement: Enforcement,
}

impl State {
    /// Changes the published blockers; subscribers are notified only if they differ.
    pub(super) fn block(&self, change: impl FnOnce(&mut Blockers)) {
        self.status.send_if_modified(|status| {
            let before = status.blockers.clone();
            change(&mut status.blockers);
            status.blockers != before
        });
    }
}

/// Whether STS refuses the role without the right external ID, by the last conclusive probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Enforcement {
    Unknown,
    Enforced,
    NotEnforced,
}
