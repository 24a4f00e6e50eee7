//! Assumes the function's role through STS, and keeps a session that uploads can use.
//!
//! The [`manager`] renews the session in the background at about half of its life ([`schedule`]), one call at a time,
//! and serves the old session until it expires: an STS outage of less than about half an hour stops no events. The
//! SDK's own credentials cache would renew in the path of a request, and discard the old credentials first.
//!
//! Uploads see a typed state ([`SessionState`]): while a renewal fails they get the old session, and RoleAssumed is
//! True with the reason RenewalFailing; once the session has expired, they get the blocker, which requests see as a
//! 503.

mod credential_check;
mod endpoint;
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

pub(crate) use endpoint::StsEndpoint;
pub use identity::BaseIdentity;
pub(crate) use manager::SessionManager;
pub(crate) use sts::Sts;

/// The number of a session: each new session has a higher one. The first is 1.
pub(crate) type SessionId = u64;

/// A session of the assumed role.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) credentials: Credentials,
    /// When the session expires, by [`Clock::monotonic`]. Decides whether it can be used.
    pub(crate) ends: Duration,
    /// When the session expires, by STS's clock. For conditions, metrics and logs.
    pub(crate) expiry: SystemTime,
    /// Whether S3 has stored an object with this session. If so, a refusal does not mean that S3 rejects every session.
    has_stored: AtomicBool,
}

impl Session {
    /// Whether the session has not expired.
    fn lives(&self, clock: &dyn Clock) -> bool {
        self.ends > clock.monotonic()
    }

    /// Records that S3 stored an object with this session. Called for every object, so it writes only once: a write
    /// would invalidate the cache line on all cores.
    pub(crate) fn stored(&self) {
        if !self.has_stored.load(Ordering::Relaxed) {
            self.has_stored.store(true, Ordering::Relaxed);
        }
    }

    fn has_stored(&self) -> bool {
        self.has_stored.load(Ordering::Relaxed)
    }
}

/// S3 has refused this session and the one before it, so a new one would not help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RefusedForGood;

/// The demands of requests on the manager: any session, or one newer than the session that S3 refused.
#[derive(Debug, Default)]
struct Demand {
    notify: Notify,
    at_least: AtomicU64,
}

impl Demand {
    fn request(&self, at_least: SessionId) {
        self.at_least.fetch_max(at_least, Ordering::Relaxed);
        self.notify.notify_one();
    }

    async fn requested(&self) {
        self.notify.notified().await;
    }

    /// The lowest session number that satisfies all demands; 0 if any session does.
    fn min_id(&self) -> SessionId {
        self.at_least.load(Ordering::Relaxed)
    }
}

/// Whether there is a session that can be used now.
#[derive(Debug)]
pub(crate) enum SessionState {
    /// A session that has not expired and that traffic may use.
    Ready(Arc<Session>),
    /// No usable session, with the cause.
    Blocked(Blocker),
    /// No usable session yet, and no known problem.
    Starting,
}

/// The handle through which uploads get the current session and demand one. Clones share the state.
#[derive(Clone, Debug)]
pub(crate) struct Sessions {
    status: watch::Receiver<SessionStatus>,
    demand: Arc<Demand>,
    clock: Arc<dyn Clock>,
}

impl Sessions {
    /// The session, if it has not expired and traffic may use it.
    pub(crate) fn current(&self) -> Option<Arc<Session>> {
        let status = self.status.borrow();
        let session = status.session.as_ref().filter(|_| status.usable)?;
        session.lives(&*self.clock).then(|| Arc::clone(session))
    }

    /// The usable session, or why there is none.
    pub(crate) fn state(&self) -> SessionState {
        match self.current() {
            Some(session) => SessionState::Ready(session),
            None => match self.status.borrow().blockers.first() {
                Some(blocker) => SessionState::Blocked(blocker.clone()),
                None => SessionState::Starting,
            },
        }
    }

    /// Asks the manager for a session earlier than planned. The manager's backoff still applies.
    pub(crate) fn demand(&self) {
        self.demand.request(0);
    }

    /// Waits for a session newer than `session`, which S3 refused.
    ///
    /// # Errors
    /// S3 refused the session before it as well, and this one has never stored anything.
    pub(crate) async fn newer_than(&mut self, session: &Session) -> Result<Arc<Session>, RefusedForGood> {
        loop {
            self.status.mark_unchanged();
            if let Some(newer) = self.current().filter(|current| current.id > session.id) {
                return Ok(newer);
            }
            self.demand.request(session.id + 1);
            if self.status.borrow().refused == Some(session.id) && !session.has_stored() {
                return Err(RefusedForGood);
            }
            self.changed().await;
        }
    }

    /// Waits, without a time limit, for a session that traffic may use.
    pub(crate) async fn ready(&mut self) -> Arc<Session> {
        loop {
            self.status.mark_unchanged();
            if let Some(session) = self.current() {
                return session;
            }
            self.changed().await;
        }
    }

    /// When the session expires and is to be renewed, for `/status`; `None` without one.
    pub(crate) fn times(&self) -> Option<SessionTimes> {
        let status = self.status.borrow();
        let session = status.session.as_ref().filter(|session| session.lives(&*self.clock))?;
        let left = status.refresh_due.saturating_sub(self.clock.monotonic());
        Some(SessionTimes { expiry: rfc3339(session.expiry), next_refresh: rfc3339(self.clock.now() + left) })
    }

    async fn changed(&mut self) {
        if self.status.changed().await.is_err() {
            // The manager ends only with the process, so no further session will come.
            std::future::pending::<()>().await;
        }
    }
}
