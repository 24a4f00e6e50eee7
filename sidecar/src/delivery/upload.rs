//! One object's way into S3: tried until it is there, or until it is known why not.
//!
//! A failure that time may mend is tried again for as long as the object has; one that a person
//! must mend closes the [`gate`](super::gate).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout_at};
use tracing::debug;
use tributary_crds::conditions::{ConditionType, Reason, Truth};
use tributary_crds::function::{DestinationFunctionSpec, ExternalIdEnforcement};

use super::NotStored;
use super::failure::{self, ErrorClass, Target};
use super::gate::Gate;
use super::s3::{Bucket, Object};
use crate::conditions::{Blocker, Conditions};
use crate::metrics::Metrics;
use crate::session::{Session, Sessions};

/// PUTs under way at once. By Little's law, S3's 76 ms for a small object make that some 3,300 a
/// second, what a partition takes.
const UPLOADS: usize = 256;

/// Between two tries of one object: doubled each time, half of it by chance.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long an object is tried in vain, with no other stored meanwhile, before the condition says so:
/// sooner than a request gives up, since people wait for it.
const DOUBT: Duration = Duration::from_secs(3);

/// Uploads to one function's bucket.
#[derive(Debug)]
pub(crate) struct Uploads {
    pub(super) bucket: Bucket,
    spec: DestinationFunctionSpec,
    pub(super) sessions: Sessions,
    pub(super) gate: Gate,
    /// Whether BucketWritable says that the last upload was stored: it is written at turns only.
    pub(super) writable: AtomicBool,
    /// When the last object was stored, in milliseconds since `begun`.
    last_stored: AtomicU64,
    begun: Instant,
    slots: Semaphore,
    pub(super) conditions: Arc<Conditions>,
    metrics: Arc<Metrics>,
}

impl Uploads {
    pub(crate) fn new(
        spec: &DestinationFunctionSpec,
        bucket: Bucket,
        sessions: Sessions,
        conditions: Arc<Conditions>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            bucket,
            spec: spec.clone(),
            sessions,
            gate: Gate::default(),
            writable: AtomicBool::new(false),
            last_stored: AtomicU64::new(0),
            begun: Instant::now(),
            slots: Semaphore::new(UPLOADS),
            conditions,
            metrics,
        }
    }

    /// Whether uploads are worth trying now, and there is a session for them; by `deadline` at the
    /// latest.
    pub(super) async fn admit(&self, deadline: Instant) -> Result<(), NotStored> {
        self.gate.pass(Instant::now())?;
        self.session(deadline).await?;
        Ok(())
    }

    /// Puts an object that was admitted, or says by `deadline` why it could not.
    pub(super) async fn upload(&self, object: &Object, deadline: Instant) -> Result<Stored, NotStored> {
        let start = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut session = self.session(deadline).await?;
        let mut last = None;
        loop {
            let Ok(Ok(permit)) = timeout_at(deadline.into(), self.slots.acquire()).await else {
                // Slots that S3 keeps busy without storing anything are S3's fault.
                let stuck = last.is_some() || self.nothing_stored_since(start);
                return Err(if stuck { self.give_up(last, start) } else { NotStored::Full });
            };
            let class = match timeout_at(deadline.into(), Box::pin(self.put(object, &session))).await {
                Ok(Ok(())) => return Ok(self.stored(Stored::Now)),
                Ok(Err(class)) => class,
                Err(_) => return Err(self.give_up(last, start)),
            };
            drop(permit);
            match class {
                // Of a key that was never tried before, somebody else's object.
                ErrorClass::Exists if object.is_new && last.is_none() => {
                    let fault = failure::taken_key(&object.key);
                    self.fault(fault.clone());
                    return Err(fault.into());
                }
                ErrorClass::Exists => return Ok(self.stored(Stored::Already)),
                ErrorClass::Configuration(fault) => {
                    self.fault(fault.clone());
                    return Err(fault.into());
                }
                ErrorClass::Refresh(fault) => {
                    last = Some(fault);
                    let mut sessions = self.sessions.clone();
                    match timeout_at(deadline.into(), sessions.newer_than(session.id)).await {
                        Ok(newer) => session = newer,
                        Err(_) => return Err(self.give_up(last, start)),
                    }
                }
                ErrorClass::Retry(fault) => {
                    if start.elapsed() >= DOUBT && self.nothing_stored_since(start) {
                        self.say(&fault);
                    }
                    last = Some(fault);
                    let wait = pause.mul_f64(0.5 + 0.5 * fastrand::f64());
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    if Instant::now() + wait >= deadline {
                        return Err(self.give_up(last, start));
                    }
                    sleep(wait).await;
                    // A session may have ended, or been renewed, while we slept.
                    session = self.session(deadline).await?;
                }
            }
            self.gate.pass(Instant::now())?;
        }
    }

    /// One PUT, timed and counted.
    async fn put(&self, object: &Object, session: &Session) -> Result<(), ErrorClass> {
        let start = Instant::now();
        let result = self.bucket.put(object, session).await;
        self.metrics.upload(start.elapsed());
        let answer = match result {
            Ok(()) => {
                self.metrics.object(object.body.len());
                return Ok(());
            }
            Err(answer) => answer,
        };
        let class = failure::classify(&answer, self.target());
        if let ErrorClass::Retry(fault) | ErrorClass::Refresh(fault) | ErrorClass::Configuration(fault) = &class {
            self.metrics.upload_error(fault.reason);
            debug!(key = object.key, reason = %fault.reason, "an upload failed");
        }
        Err(class)
    }

    fn stored(&self, stored: Stored) -> Stored {
        self.gate.open();
        self.last_stored.store(self.millis(Instant::now()), Ordering::Relaxed);
        if !self.writable.swap(true, Ordering::AcqRel) {
            let message = format!("the last upload to {} was stored", self.spec.s3.bucket);
            self.conditions.holds(ConditionType::BucketWritable, message);
        }
        stored
    }

    /// What a person must mend: everybody is told, and only one at a time tries again.
    pub(super) fn fault(&self, fault: Blocker) {
        self.say(&fault);
        self.gate.close(fault, Instant::now());
    }

    /// The last upload was not stored.
    fn say(&self, fault: &Blocker) {
        self.conditions.set(ConditionType::BucketWritable, Truth::False, fault.reason, fault.message.clone());
        // Last: an upload that is stored meanwhile may leave the condition wrong until the next one,
        // but never for good.
        self.writable.store(false, Ordering::Release);
    }

    /// The request's time is over. If nothing was stored in all that time, it concerns everybody.
    fn give_up(&self, last: Option<Blocker>, start: Instant) -> NotStored {
        let fault = last.unwrap_or_else(|| Blocker {
            reason: Reason::S3Unreachable,
            message: format!("S3 in {} did not answer in time; it is tried again until it does", self.spec.s3.region),
        });
        if self.nothing_stored_since(start) {
            self.fault(fault.clone());
        }
        fault.into()
    }

    fn nothing_stored_since(&self, start: Instant) -> bool {
        self.last_stored.load(Ordering::Relaxed) < self.millis(start)
    }

    fn millis(&self, at: Instant) -> u64 {
        u64::try_from(at.duration_since(self.begun).as_millis()).unwrap_or(u64::MAX)
    }

    /// A session, at once if there is one; else as soon as the manager has one, unless it is known
    /// that it will not.
    async fn session(&self, deadline: Instant) -> Result<Arc<Session>, Blocker> {
        if let Some(session) = self.sessions.current() {
            return Ok(session);
        }
        self.sessions.demand();
        if let Some(blocker) = self.no_session() {
            return Err(blocker);
        }
        let mut sessions = self.sessions.clone();
        timeout_at(deadline.into(), sessions.ready()).await.map_err(|_| {
            self.no_session().unwrap_or_else(|| Blocker {
                reason: Reason::Pending,
                message: "the sidecar is still starting: the role is not assumed yet".to_owned(),
            })
        })
    }

    /// What keeps the session away, in the order in which a person should look.
    fn no_session(&self) -> Option<Blocker> {
        let forbids = |condition: ConditionType| {
            let condition = self.conditions.get(condition)?;
            let held = condition.r#type == ConditionType::ExternalIdEnforced
                && condition.status == Truth::Unknown
                && condition.reason != Reason::Pending;
            (condition.status == Truth::False || held)
                .then_some(Blocker { reason: condition.reason, message: condition.message })
        };
        let require = self.spec.external_id_enforcement == ExternalIdEnforcement::Require;
        forbids(ConditionType::ExternalIdAvailable)
            .or_else(|| forbids(ConditionType::RoleAssumed))
            .or_else(|| forbids(ConditionType::ExternalIdEnforced).filter(|_| require))
    }

    pub(super) fn target(&self) -> Target<'_> {
        let s3 = &self.spec.s3;
        Target {
            bucket: s3.bucket.as_str(),
            region: s3.region.as_str(),
            role: self.spec.role_arn.as_str(),
            prefix: s3.prefix.as_ref().map_or("", |prefix| prefix.as_str()),
            owner: s3.expected_bucket_owner.as_ref().map(tributary_crds::values::AccountId::as_str),
            in_host_name: s3.endpoint.is_some() && !s3.force_path_style.unwrap_or_default(),
        }
    }
}

/// How S3 came to have an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    /// It was put.
    Now,
    /// It was there.
    Already,
}
