//! Uploads one object to S3, with retries until it is stored, fails permanently or reaches its deadline.
//!
//! [`failure`] decides whether an attempt is retried, and [`retry_delay`](super::retry_delay) after which delay. A failure
//! that a person has to fix ends the upload, and the circuit breaker may then refuse others
//! ([`circuit_breaker`](super::circuit_breaker)).
//! A 412 counts as stored only if it proves that the object exists ([`precondition`](super::precondition)). Every
//! attempt is counted once, whether it succeeds or fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout_at};
use tracing::{debug, trace};
use tributary_crds::conditions::Reason;
use tributary_crds::function::DestinationFunctionSpec;
use tributary_crds::memory::MAX_UPLOADS;

use super::NotStored;
use super::circuit_breaker::Evidence;
use super::failure::{self, ErrorClass, Target};
use super::health::{BucketHealth, Extent, KeyPart, KeyParts};
use super::precondition::Meaning;
use super::retry_delay::{Backoff, attempt_timeout};
use super::s3::{Bucket, Object};
use super::s3_answer::S3Answer;
use crate::blocker::Blocker;
use crate::memory;
use crate::session::{RefusedForGood, Session, SessionState, Sessions};
use crate::status::conditions::Conditions;
use crate::status::metrics::{Metrics, PRECONDITION_FAILED, TIMEOUT};

/// How long an object is retried without success, and without another stored object, before BucketWritable reports it:
/// sooner than a request gives up, since people watch the condition.
const REPORT_AFTER: Duration = Duration::from_secs(3);

/// All uploads to one function's bucket. They share the session, the bucket's health and [`MAX_UPLOADS`] slots.
#[derive(Debug)]
pub(crate) struct Uploads {
    pub(super) bucket: Bucket,
    spec: DestinationFunctionSpec,
    pub(super) sessions: Sessions,
    pub(super) health: BucketHealth,
    slots: Semaphore,
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
            health: BucketHealth::new(spec.s3.bucket.as_str(), conditions, Arc::clone(&metrics)),
            slots: Semaphore::new(memory::size(MAX_UPLOADS)),
            metrics,
        }
    }

    /// Checks the circuit breakers of `parts`, and waits for a session until `deadline`.
    pub(super) async fn admit(&self, parts: KeyParts, deadline: Instant) -> Result<(), NotStored> {
        self.health.admit(parts, Instant::now())?;
        self.session(deadline).await?;
        Ok(())
    }

    /// Uploads an admitted object, or returns by `deadline` why it could not.
    pub(super) async fn upload(&self, object: &Object, deadline: Instant) -> Result<Stored, NotStored> {
        let start = Instant::now();
        let mut backoff = Backoff::default();
        let mut session = self.session(deadline).await?;
        let mut last = None;
        let mut if_absent = self.bucket.writes_conditionally();
        // Whether an object may exist under the key, from an earlier request or an earlier attempt.
        let mut may_exist = !object.is_new;
        loop {
            let Ok(Ok(permit)) = timeout_at(deadline.into(), self.slots.acquire()).await else {
                // If nothing was stored while all slots were busy, the cause is S3 and not the sidecar's capacity.
                let stuck = last.is_some() || !self.health.stored_since(None, start);
                return Err(if stuck { self.give_up(object.part, last, start) } else { NotStored::Full });
            };
            let time = attempt_timeout(deadline.saturating_duration_since(Instant::now()));
            // Boxed, and only once there is a slot: an upload that waits is smaller without it.
            let attempt = Box::pin(self.put(object, if_absent, may_exist, &session, time)).await;
            drop(permit);
            let class = match attempt {
                Ok(stored) => return Ok(stored),
                Err(AttemptError::Unproven) => {
                    if_absent = false;
                    continue;
                }
                Err(AttemptError::Error { class, in_doubt }) => {
                    may_exist |= in_doubt;
                    class
                }
            };
            match class {
                // This PUT had no condition: `put` handles the 412 of one that had.
                ErrorClass::PreconditionFailed => {
                    let blocker = failure::condition_not_set();
                    return Err(self.failed(Extent::Keys(object.part), Evidence::OneKey, blocker).into());
                }
                ErrorClass::Refused(blocker) => {
                    return Err(self.failed(Extent::Keys(object.part), Evidence::OneKey, blocker).into());
                }
                ErrorClass::Configuration(blocker) => {
                    let is_the_buckets = matches!(blocker.reason, Reason::NoSuchBucket | Reason::WrongRegion);
                    let extent = if is_the_buckets { Extent::Bucket } else { Extent::Attempts(object.part) };
                    return Err(self.failed(extent, Evidence::Conclusive, blocker).into());
                }
                ErrorClass::Refresh(blocker) => {
                    let mut sessions = self.sessions.clone();
                    match timeout_at(deadline.into(), sessions.newer_than(&session)).await {
                        Ok(Ok(newer)) => session = newer,
                        Ok(Err(RefusedForGood)) => {
                            let blocker = failure::sessions_refused(blocker);
                            return Err(self.failed(Extent::Bucket, Evidence::Conclusive, blocker).into());
                        }
                        Err(_) => return Err(self.give_up(object.part, Some(blocker), start)),
                    }
                    last = Some(blocker);
                }
                ErrorClass::Retry(blocker) => {
                    if start.elapsed() >= REPORT_AFTER && !self.health.stored_since(object.part, start) {
                        self.failed(Extent::Attempts(object.part), Evidence::Transient, blocker.clone());
                    }
                    last = Some(blocker);
                    let wait = backoff.next_delay(fastrand::f64());
                    if Instant::now() + wait >= deadline {
                        return Err(self.give_up(object.part, last, start));
                    }
                    trace!(?wait, "retrying a failed upload after a delay");
                    sleep(wait).await;
                    // The session may have expired or been renewed during the delay.
                    session = self.session(deadline).await?;
                }
            }
            self.health.admit(object.part.into_iter().collect(), Instant::now())?;
        }
    }

    /// Sends one PUT and counts it. `may_exist` is true if an object may exist under the key already.
    async fn put(
        &self,
        object: &Object,
        if_absent: bool,
        may_exist: bool,
        session: &Session,
        time: Duration,
    ) -> Result<Stored, AttemptError> {
        let attempt = self.metrics.attempt();
        let result = self.bucket.put(object, if_absent, session, time).await;
        // The log omits the key: it may contain the event's messageId and userId.
        let log = |outcome: &str| {
            let (content_type, bytes) = (object.content_type, object.body.len());
            debug!(content_type, bytes, took = ?attempt.elapsed(), outcome, "upload");
        };
        let Err(answer) = result else {
            log("stored");
            session.stored();
            attempt.stored(object.body.len());
            self.health.stored(object.part, if_absent, Instant::now());
            return Ok(Stored::Now);
        };
        let class = failure::classify(&answer, self.target());
        let reason = match &class {
            ErrorClass::PreconditionFailed if if_absent => {
                match self.health.precondition_failed(&object.key, may_exist) {
                    Meaning::Stored => {
                        log("exists");
                        session.stored();
                        attempt.existed();
                        self.health.stored(object.part, false, Instant::now());
                        return Ok(Stored::Already);
                    }
                    Meaning::Unknown => {
                        log(PRECONDITION_FAILED);
                        attempt.failed(PRECONDITION_FAILED);
                        return Err(AttemptError::Unproven);
                    }
                }
            }
            ErrorClass::PreconditionFailed => PRECONDITION_FAILED.to_owned(),
            ErrorClass::Retry(blocker)
            | ErrorClass::Refresh(blocker)
            | ErrorClass::Configuration(blocker)
            | ErrorClass::Refused(blocker) => blocker.reason.to_string(),
        };
        let code = if answer == S3Answer::Timeout { TIMEOUT.to_owned() } else { reason };
        log(&code);
        attempt.failed(code);
        Err(AttemptError::Error { class, in_doubt: answer.leaves_in_doubt() })
    }

    /// Records a failed upload in the bucket's health. Returns the blocker to answer its client with.
    pub(super) fn failed(&self, extent: Extent, evidence: Evidence, blocker: Blocker) -> Blocker {
        self.health.failed(extent, evidence, blocker, Instant::now())
    }

    /// The blocker of an upload that reached its deadline. If nothing of its part was stored since `start`, it counts
    /// for the whole part.
    fn give_up(&self, part: Option<KeyPart>, last: Option<Blocker>, start: Instant) -> NotStored {
        let blocker = last.unwrap_or_else(|| failure::no_answer(self.target()));
        if self.health.stored_since(part, start) {
            return blocker.into();
        }
        self.failed(Extent::Attempts(part), Evidence::Conclusive, blocker).into()
    }

    /// The current session. If there is none, asks the session manager for one and waits until `deadline`, or returns
    /// immediately with the known blocker.
    async fn session(&self, deadline: Instant) -> Result<Arc<Session>, Blocker> {
        match self.sessions.state() {
            SessionState::Ready(session) => return Ok(session),
            state => {
                self.sessions.demand();
                if let SessionState::Blocked(blocker) = state {
                    return Err(blocker);
                }
            }
        }
        let mut sessions = self.sessions.clone();
        timeout_at(deadline.into(), sessions.ready()).await.map_err(|_| match self.sessions.state() {
            SessionState::Blocked(blocker) => blocker,
            SessionState::Ready(_) | SessionState::Starting => Blocker {
                reason: Reason::Pending,
                message: "the sidecar is still starting: the role is not assumed yet".to_owned(),
            },
        })
    }

    pub(super) fn target(&self) -> Target<'_> {
        Target { spec: &self.spec, endpoint: self.bucket.endpoint() }
    }
}

/// The outcome of an attempt that is not known to have stored the object.
enum AttemptError {
    /// S3 answered 412 to `If-None-Match: *`, which does not prove that the object exists.
    Unproven,
    /// The attempt failed; `in_doubt` if S3 may have stored the object nevertheless.
    Error { class: ErrorClass, in_doubt: bool },
}

/// Whether this upload stored the object, or found it stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    /// S3 answered 200 to this upload.
    Now,
    /// The object existed: S3 answered a 412 that proves it.
    Already,
}
