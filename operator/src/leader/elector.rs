//! Acquires the Lease, renews it, releases it.

use std::time::Instant;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Api, PostParams};
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use super::decision::{ObservedLease, Step};
use super::{LEASE_DURATION, Leadership, RENEW_DEADLINE, REQUEST_TIMEOUT, RETRY_PERIOD};
use crate::api_error::error_text;

/// A candidate for the Lease, or its holder.
#[derive(Debug)]
pub struct Elector {
    leases: Api<Lease>,
    name: String,
    identity: String,
    leadership: Leadership,
    start: Instant,
    observed: ObservedLease,
    /// The Lease as this process last wrote or read it.
    held: Option<Lease>,
}

/// Why the Lease could not be read or written.
#[derive(Debug, thiserror::Error)]
enum LeaseError {
    #[error("no answer in {REQUEST_TIMEOUT:?}")]
    Timeout,
    #[error("{}", error_text(.0))]
    Api(#[from] kube::Error),
}

impl LeaseError {
    /// Whether another process has written it in the meantime.
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Api(kube::Error::Api(status)) if status.code == 409)
    }
}

impl Elector {
    /// A candidate for the Lease of this name. Two processes that run at the same time must not share an
    /// `identity`.
    pub fn new(leases: Api<Lease>, name: String, identity: String, leadership: Leadership) -> Self {
        Self {
            leases,
            name,
            identity,
            leadership,
            start: Instant::now(),
            observed: ObservedLease::default(),
            held: None,
        }
    }

    /// Waits until this process leads; errors are logged and retried.
    pub async fn acquire(&mut self) {
        info!(lease = self.name, identity = self.identity, "waiting to lead");
        loop {
            match self.try_to_acquire().await {
                Ok(true) => return info!(lease = self.name, "leading"),
                Ok(false) => {}
                Err(error) if error.is_conflict() => debug!(%error, "another replica was faster"),
                Err(error) => warn!(%error, lease = self.name, "the Lease can't be acquired"),
            }
            // Jitter: candidates that see the same expiry must not all write at the same time.
            sleep(RETRY_PERIOD.mul_f64(1.0 + 0.2 * fastrand::f64())).await;
        }
    }

    async fn try_to_acquire(&mut self) -> Result<bool, LeaseError> {
        let found = bounded(self.leases.get_opt(&self.name)).await?;
        self.observed.observe(found, self.start.elapsed());
        match self.observed.step(&self.identity, self.start.elapsed()) {
            Step::Wait => Ok(false),
            Step::Create => {
                let lease = Lease {
                    metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
                    spec: Some(self.claim(None)),
                };
                let requested_at = Instant::now();
                let lease = bounded(self.leases.create(&PostParams::default(), &lease)).await?;
                self.lead(lease, requested_at);
                Ok(true)
            }
            Step::Acquire(old) => {
                self.write(*old).await?;
                Ok(true)
            }
        }
    }

    /// Renews the Lease; returns when this process no longer leads.
    pub async fn renew_while_holding(&mut self) {
        loop {
            sleep(RETRY_PERIOD.min(self.leadership.left())).await;
            // If the process was frozen, the sleep took too long.
            if !self.leadership.holds() {
                return self.lose("the Lease could not be renewed in time");
            }
            let Some(held) = self.held.clone() else { return self.lose("the Lease was released") };
            match self.write(held).await {
                Ok(()) => {}
                Err(error) if error.is_conflict() => match self.is_still_held().await {
                    Ok(true) => {}
                    Ok(false) => return self.lose("another process holds the Lease"),
                    Err(error) => warn!(%error, lease = self.name, "the Lease could not be read"),
                },
                Err(error) => warn!(%error, lease = self.name, "the Lease could not be renewed"),
            }
        }
    }

    /// Reads the Lease after a conflict: an earlier renewal may have succeeded although its answer was lost.
    async fn is_still_held(&mut self) -> Result<bool, LeaseError> {
        let found = bounded(self.leases.get_opt(&self.name)).await?;
        let holder = |lease: &Lease| lease.spec.as_ref()?.holder_identity.clone();
        let is_own = found.as_ref().and_then(holder).as_ref() == Some(&self.identity);
        self.held = found;
        Ok(is_own)
    }

    /// Releases the Lease if this process holds it, so that another can lead immediately.
    pub async fn release(&mut self) {
        let Some(mut lease) = self.held.take() else { return };
        let was_leading = self.leadership.holds();
        self.leadership.end();
        if let Some(spec) = lease.spec.as_mut().filter(|_| was_leading) {
            spec.holder_identity = Some(String::new());
            match bounded(self.leases.replace(&self.name, &PostParams::default(), &lease)).await {
                Ok(_) => info!(lease = self.name, "released"),
                Err(error) => warn!(%error, lease = self.name, "the Lease could not be released"),
            }
        }
    }

    /// Overwrites the Lease if it is still `old`: the request carries its resourceVersion.
    async fn write(&mut self, old: Lease) -> Result<(), LeaseError> {
        let spec = self.claim(old.spec.as_ref());
        let lease = Lease { spec: Some(spec), ..old };
        let requested_at = Instant::now();
        let lease = bounded(self.leases.replace(&self.name, &PostParams::default(), &lease)).await?;
        self.lead(lease, requested_at);
        Ok(())
    }

    fn claim(&self, old: Option<&LeaseSpec>) -> LeaseSpec {
        let now = Some(MicroTime(Timestamp::now()));
        let is_own = |old: &&LeaseSpec| old.holder_identity.as_deref() == Some(&self.identity);
        let kept = old.filter(is_own);
        let transitions = old.and_then(|old| old.lease_transitions).unwrap_or_default();
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(LEASE_DURATION.as_secs()).ok(),
            acquire_time: kept.and_then(|kept| kept.acquire_time.clone()).or_else(|| now.clone()),
            renew_time: now,
            lease_transitions: Some(if kept.is_some() { transitions } else { transitions.saturating_add(1) }),
            ..LeaseSpec::default()
        }
    }

    fn lead(&mut self, lease: Lease, requested_at: Instant) {
        self.held = Some(lease);
        self.leadership.extend(requested_at + RENEW_DEADLINE);
    }

    fn lose(&mut self, why: &str) {
        self.leadership.end();
        self.held = None;
        warn!(lease = self.name, "no longer leading: {why}");
    }
}

async fn bounded<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, LeaseError> {
    Ok(timeout(REQUEST_TIMEOUT, request).await.map_err(|_| LeaseError::Timeout)??)
}
