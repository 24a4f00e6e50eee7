//! The session: the function's role, assumed, and kept assumed.
//!
//! A [`manager`] renews the session in the background at half its life, one call at a time, and
//! keeps serving the old one for as long as it lives: STS being away for less than half an hour is
//! nobody's concern. The SDK's own cache would renew in the path of a request, and throw the old
//! credentials away first.

mod failure;
mod identity;
mod manager;
mod schedule;
mod sts;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use tokio::sync::{Notify, watch};
use tributary_crds::conditions::SessionTimes;

use crate::clock::{Clock, rfc3339};

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
}

impl Session {
    /// Whether it has not ended yet.
    fn lives(&self, clock: &dyn Clock) -> bool {
        self.ends > clock.monotonic()
    }
}

/// What the manager shows.
#[derive(Clone, Debug, Default)]
struct Shown {
    session: Option<Arc<Session>>,
    /// Whether traffic may use it, by what the probes found.
    open: bool,
    next_refresh: Option<SystemTime>,
}

/// What traffic asks of the manager: a session, or one newer than S3 would not take.
#[derive(Debug, Default)]
struct Demand {
    bell: Notify,
    at_least: AtomicU64,
}

impl Demand {
    fn ask(&self, at_least: SessionId) {
        self.at_least.fetch_max(at_least, Ordering::Relaxed);
        self.bell.notify_one();
    }

    async fn asked(&self) {
        self.bell.notified().await;
    }

    /// The lowest session that would do.
    fn wants(&self) -> SessionId {
        self.at_least.load(Ordering::Relaxed)
    }
}

/// The session, for those who use it.
#[derive(Clone, Debug)]
pub(crate) struct Sessions {
    shown: watch::Receiver<Shown>,
    demand: Arc<Demand>,
    clock: Arc<dyn Clock>,
}

impl Sessions {
    /// The session, if one lives and traffic may use it.
    pub(crate) fn current(&self) -> Option<Arc<Session>> {
        let shown = self.shown.borrow();
        let session = shown.session.as_ref().filter(|_| shown.open)?;
        session.lives(&*self.clock).then(|| Arc::clone(session))
    }

    /// Asks the manager for a session sooner than it had planned. It keeps its own spacing.
    pub(crate) fn demand(&self) {
        self.demand.ask(0);
    }

    /// Waits for a session newer than `id`, which S3 would not take any more.
    pub(crate) async fn newer_than(&mut self, id: SessionId) -> Arc<Session> {
        loop {
            self.shown.mark_unchanged();
            match self.current() {
                Some(session) if session.id > id => return session,
                _ => self.demand.ask(id + 1),
            }
            self.changed().await;
        }
    }

    /// Waits for a session that traffic may use.
    pub(crate) async fn ready(&mut self) -> Arc<Session> {
        loop {
            self.shown.mark_unchanged();
            if let Some(session) = self.current() {
                return session;
            }
            self.changed().await;
        }
    }

    /// When the session ends and is renewed, for `/status`.
    pub(crate) fn times(&self) -> Option<SessionTimes> {
        let shown = self.shown.borrow();
        let session = shown.session.as_ref().filter(|session| session.lives(&*self.clock))?;
        Some(SessionTimes {
            expiry: rfc3339(session.expiry),
            next_refresh: rfc3339(shown.next_refresh.unwrap_or(session.expiry)),
        })
    }

    async fn changed(&mut self) {
        if self.shown.changed().await.is_err() {
            // The manager ends with the process: there is nothing more to come.
            std::future::pending::<()>().await;
        }
    }
}
