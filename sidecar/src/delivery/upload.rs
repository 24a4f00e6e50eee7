//! One object's way into S3: tried until it is there, or until it is known why not.
//!
//! An upload retries a failure that may pass by itself until the object's deadline. A failure that a
//! person has to fix ends the upload, and the circuit breaker tells the others
//! ([`circuit_breaker`](super::circuit_breaker)). A 412 ends it only where it proves that the object
//! is stored ([`precondition`](super::precondition)). Every attempt is counted once, whatever becomes
//! of it.

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
use super::failure::{self, ErrorClass, S3Answer, Target};
use super::health::{BucketHealth, Extent, Parts};
use super::precondition::Meaning;
use super::s3::{Bucket, Object};
use crate::blocker::Blocker;
use crate::memory;
use crate::session::{RefusedForGood, Session, SessionState, Sessions};
use crate::status::conditions::Conditions;
use crate::status::metrics::{Metrics, PRECONDITION_FAILED, TIMEOUT};

/// Between two attempts at one object: doubled each time, half of it by chance.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long an object is tried in vain, with no other stored meanwhile, before the condition says so:
/// sooner than a request gives up, since people wait for it.
const REPORT_AFTER: Duration = Duration::from_secs(3);

/// How long an attempt may take: a slow one is worth giving up, a new connection often helps.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance-design-patterns.html>
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// Time below which what is left is not divided into two attempts: S3 takes about 76 ms for a small
/// object, and several times that now and then.
const SHORTEST_ATTEMPT: Duration = Duration::from_millis(500);

/// Uploads to one function's bucket.
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

    /// Whether uploads into `parts` are worth trying now, and there is a session for them; by
    /// `deadline` at the latest.
    pub(super) async fn admit(&self, parts: Parts, deadline: Instant) -> Result<(), NotStored> {
        self.health.admit(parts, Instant::now())?;
        self.session(deadline).await?;
        Ok(())
    }

    /// Puts an object that was admitted, or says by `deadline` why it could not.
    pub(super) async fn upload(&self, object: &Object, deadline: Instant) -> Result<Stored, NotStored> {
        let start = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut session = self.session(deadline).await?;
        let mut last = None;
        let mut if_absent = self.bucket.writes_conditionally();
        // Whether the key can have an object: an earlier request's, or an earlier attempt's.
        let mut may_exist = !object.is_new;
        loop {
            let Ok(Ok(permit)) = timeout_at(deadline.into(), self.slots.acquire()).await else {
                // Slots that S3 keeps busy without storing anything are S3's fault.
                let stuck = last.is_some() || !self.health.stored_since(start);
                return Err(if stuck { self.give_up(last, start) } else { NotStored::Full });
            };
            let time = attempt_timeout(deadline.saturating_duration_since(Instant::now()));
            // On the heap, and only now that there is a slot: the SDK's future takes 20 KiB.
            let attempt = Box::pin(self.put(object, if_absent, may_exist, &session, time)).await;
            drop(permit);
            let class = match attempt {
                Ok(stored) => return Ok(stored),
                Err(Failure::Unproven) => {
                    if_absent = false;
                    continue;
                }
                Err(Failure::Error { class, in_doubt }) => {
                    may_exist |= in_doubt;
                    class
                }
            };
            match class {
                // Handled as `Unproven` where there was a condition.
                ErrorClass::PreconditionFailed => {
                    let blocker = failure::condition_not_set();
                    return Err(self.failed(Extent::Keys(object.part), Evidence::OneKey, blocker).into());
                }
                ErrorClass::Refused(blocker) => {
                    return Err(self.failed(Extent::Keys(object.part), Evidence::OneKey, blocker).into());
                }
                ErrorClass::Configuration(blocker) => {
                    return Err(self.failed(Extent::Bucket, Evidence::Conclusive, blocker).into());
                }
                ErrorClass::Refresh(blocker) => {
                    let mut sessions = self.sessions.clone();
                    match timeout_at(deadline.into(), sessions.newer_than(&session)).await {
                        Ok(Ok(newer)) => session = newer,
                        Ok(Err(RefusedForGood)) => {
                            let blocker = failure::sessions_refused(blocker);
                            return Err(self.failed(Extent::Bucket, Evidence::Conclusive, blocker).into());
                        }
                        Err(_) => return Err(self.give_up(Some(blocker), start)),
                    }
                    last = Some(blocker);
                }
                ErrorClass::Retry(blocker) => {
                    if start.elapsed() >= REPORT_AFTER && !self.health.stored_since(start) {
                        self.failed(Extent::Bucket, Evidence::Passing, blocker.clone());
                    }
                    last = Some(blocker);
                    let wait = pause.mul_f64(0.5 + 0.5 * fastrand::f64());
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    if Instant::now() + wait >= deadline {
                        return Err(self.give_up(last, start));
                    }
                    trace!(?wait, "retrying a failed upload after a pause");
                    sleep(wait).await;
                    // A session may have ended, or been renewed, while we slept.
                    session = self.session(deadline).await?;
                }
            }
            self.health.admit(object.part.into_iter().collect(), Instant::now())?;
        }
    }

    /// One attempt, counted. `may_exist` says whether the key can have an object already.
    async fn put(
        &self,
        object: &Object,
        if_absent: bool,
        may_exist: bool,
        session: &Session,
        time: Duration,
    ) -> Result<Stored, Failure> {
        let attempt = self.metrics.attempt();
        let result = self.bucket.put(object, if_absent, session, time).await;
        // Without the key, which has the event's messageId in it and may have its userId.
        let took = attempt.elapsed();
        let log = |outcome: &str| {
            let (content_type, bytes) = (object.content_type, object.body.len());
            debug!(content_type, bytes, ?took, outcome, "upload");
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
            ErrorClass::PreconditionFailed if if_absent => match self.health.precondition_failed(may_exist) {
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
                    return Err(Failure::Unproven);
                }
            },
            ErrorClass::PreconditionFailed => PRECONDITION_FAILED.to_owned(),
            ErrorClass::Retry(blocker)
            | ErrorClass::Refresh(blocker)
            | ErrorClass::Configuration(blocker)
            | ErrorClass::Refused(blocker) => blocker.reason.to_string(),
        };
        let code = if answer == S3Answer::Timeout { TIMEOUT.to_owned() } else { reason };
        log(&code);
        attempt.failed(code);
        Err(Failure::Error { class, in_doubt: answer.leaves_in_doubt() })
    }

    /// An upload failed: the others are told. Returns what to tell its client.
    pub(super) fn failed(&self, extent: Extent, evidence: Evidence, blocker: Blocker) -> Blocker {
        self.health.failed(extent, evidence, blocker, Instant::now())
    }

    /// The request's time is over. If nothing was stored in all that time, it concerns everybody.
    fn give_up(&self, last: Option<Blocker>, start: Instant) -> NotStored {
        let blocker = last.unwrap_or_else(|| failure::no_answer(self.target()));
        if self.health.stored_since(start) {
            return blocker.into();
        }
        self.failed(Extent::Bucket, Evidence::Conclusive, blocker).into()
    }

    /// A session, at once if there is one; else as soon as the manager has one, unless it is known
    /// that it will not.
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

/// How long the next attempt may take, of the time that is left: a connection that hangs must leave
/// time for another.
fn attempt_timeout(left: Duration) -> Duration {
    (left / 2).max(SHORTEST_ATTEMPT).min(left).min(ATTEMPT_TIMEOUT)
}

/// What became of an attempt that is not known to have stored the object.
enum Failure {
    /// S3 answered 412 to a condition, which does not prove that the object is there.
    Unproven,
    /// It failed; `in_doubt` if the object may be stored all the same.
    Error { class: ErrorClass, in_doubt: bool },
}

/// How S3 came to have an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    /// It was put.
    Now,
    /// It was there.
    Already,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_leaves_time_for_another() {
        for (left, time) in [(30_000, 5_000), (8_500, 4_250), (3_500, 1_750), (800, 500), (300, 300), (0, 0)] {
            assert_eq!(attempt_timeout(Duration::from_millis(left)), Duration::from_millis(time), "{left}");
        }
    }
}
