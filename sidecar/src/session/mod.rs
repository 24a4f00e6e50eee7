//! The session: the function's role, assumed, and kept assumed.
//!
//! A [`manager`] renews the session in the background at half its life, one call at a time, and
//! keeps serving the old one for as long as it lives: an STS that is away for less than half an hour
//! keeps no event from being stored. The SDK's own cache would renew in the path of a request, and throw the old
//! credentials away first.

mod enforcement;
mod failure;
mod identity;
mod manager;
mod schedule;
mod state;
mod sts;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use tokio::sync::{Notify, watch};
use tributary_crds::conditions::SessionTimes;

use crate::blocker::Blocker;
use crate::clock::{Clock, rfc3339};
use state::SessionStatus;

pub use identity::BaseIdentity;
pub(crate) use identity::StsEndpoint;
pub(crate) use manager::SessionManager;
pub(crate) use sts::Sts;

/// Numbers sessions in the order they were given.
pub(crate) type SessionId = u64;

/// An assumed role.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) credentials: Credentials,
    /// When it ends, by [`Clock::monotonic`].
    pub(crate) ends: Duration,
    /// When it ends, by STS's clock.
    pub(crate) expiry: SystemTime,
    /// Whether S3 has stored something with it: what it then refuses, it has accepted before.
    has_stored: AtomicBool,
}

impl Session {
    /// Whether it has not ended yet.
    fn lives(&self, clock: &dyn Clock) -> bool {
        self.ends > clock.monotonic()
    }

    /// Something was stored with it. Called for every object: a write is shared between cores, a read is not.
    pub(crate) fn stored(&self) {
        if !self.has_stored.load(Ordering::Relaxed) {
            self.has_stored.store(true, Ordering::Relaxed);
        }
    }

    fn has_stored(&self) -> bool {
        self.has_stored.load(Ordering::Relaxed)
    }
}

/// S3 refuses one session after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RefusedForGood;

/// What traffic asks of the manager: a session, or one newer than S3 would not take.
#[derive(Debug, Default)]
struct Demand {
    notify: Notify,
    at_least: AtomicU64,
}

impl Demand {
    fn ask(&self, at_least: SessionId) {
        self.at_least.fetch_max(at_least, Ordering::Relaxed);
        self.notify.notify_one();
    }

    async fn asked(&self) {
        self.notify.notified().await;
    }

    /// The lowest session that would do.
    fn wants(&self) -> SessionId {
        self.at_least.load(Ordering::Relaxed)
    }
}

/// What there is of a session, for those who want to use it now.
#[derive(Debug)]
pub(crate) enum SessionState {
    /// One that lives and that traffic may use.
    Ready(Arc<Session>),
    /// None, and this is why.
    Blocked(Blocker),
    /// None yet, and nothing is known to be wrong.
    Starting,
}

/// The session, for those who use it.
#[derive(Clone, Debug)]
pub(crate) struct Sessions {
    status: watch::Receiver<SessionStatus>,
    demand: Arc<Demand>,
    clock: Arc<dyn Clock>,
}

impl Sessions {
    /// The session, if one lives and traffic may use it.
    pub(crate) fn current(&self) -> Option<Arc<Session>> {
        let status = self.status.borrow();
        let session = status.session.as_ref().filter(|_| status.usable)?;
        session.lives(&*self.clock).then(|| Arc::clone(session))
    }

    /// What there is now.
    pub(crate) fn state(&self) -> SessionState {
        match self.current() {
            Some(session) => SessionState::Ready(session),
            None => match self.status.borrow().blockers.first() {
                Some(blocker) => SessionState::Blocked(blocker.clone()),
                None => SessionState::Starting,
            },
        }
    }

    /// Asks the manager for a session sooner than it had planned. It keeps its own spacing.
    pub(crate) fn demand(&self) {
        self.demand.ask(0);
    }

    /// Waits for a session newer than this one, which S3 refuses. An error if the manager has found
    /// that newer ones would be refused, too.
    pub(crate) async fn newer_than(&mut self, session: &Session) -> Result<Arc<Session>, RefusedForGood> {
        loop {
            self.status.mark_unchanged();
            if let Some(newer) = self.current().filter(|current| current.id > session.id) {
                return Ok(newer);
            }
            self.demand.ask(session.id + 1);
            if self.status.borrow().refused == Some(session.id) && !session.has_stored() {
                return Err(RefusedForGood);
            }
            self.changed().await;
        }
    }

    /// Waits for a session that traffic may use.
    pub(crate) async fn ready(&mut self) -> Arc<Session> {
        loop {
            self.status.mark_unchanged();
            if let Some(session) = self.current() {
                return session;
            }
            self.changed().await;
        }
    }

    /// When the session ends and is renewed, for `/status`.
    pub(crate) fn times(&self) -> Option<SessionTimes> {
        let status = self.status.borrow();
        let session = status.session.as_ref().filter(|session| session.lives(&*self.clock))?;
        let left = status.refresh_due.saturating_sub(self.clock.monotonic());
        Some(SessionTimes { expiry: rfc3339(session.expiry), next_refresh: rfc3339(self.clock.now() + left) })
    }

    async fn changed(&mut self) {
        if self.status.changed().await.is_err() {
            // The manager ends with the process: there is nothing more to come.
            std::future::pending::<()>().await;
        }
    }
}
