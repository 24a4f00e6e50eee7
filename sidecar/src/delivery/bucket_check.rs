//! Checks the bucket with HeadBucket: until the sidecar is ready, then while uploads fail, and whenever the role or the
//! bucket is known to have changed.
//!
//! The session may only put objects, so S3 refuses its HeadBucket. But S3 answers 404 if the bucket does not exist, and
//! 301 if it is in another region. So these two faults are reported before the first event, and their end is detected
//! without one. A sidecar that starts with one of them, or cannot reach S3 at all, does not become ready: a wrong edit of
//! a function or of the platform's endpoints replaces no sidecar that works.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html>

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};
use tributary_crds::conditions::Reason;

use super::circuit_breaker::{Evidence, RECENT_STORE_WINDOW};
use super::failure::{self, ErrorClass};
use super::health::Extent;
use super::s3_answer::S3Answer;
use super::upload::Uploads;
use crate::blocker::Blocker;
use crate::session::Session;

/// Interval of the checks while the bucket can't be written to.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// Interval of the checks until the sidecar is ready. At this interval, also faults that end by time alone are cleared,
/// and idle connections closed.
const SHORT_INTERVAL: Duration = Duration::from_secs(2);

/// How long answers that show nothing delay readiness: to a client, a 503 is better than a refused connection.
const MAX_UNCLEAR: Duration = Duration::from_secs(10);

/// What HeadBucket shows.
enum Finding {
    /// The bucket exists, in this region.
    Exists,
    /// It does not exist, or is in another region.
    Wrong(Blocker),
    /// S3 did not answer.
    NoAnswer(Blocker),
    /// The answer shows neither that the bucket exists nor that it doesn't.
    Unclear,
}

/// Runs the checks until this task is the last to hold the uploads. Sends `usable` when the sidecar may become ready.
pub(crate) async fn watch(uploads: Arc<Uploads>, usable: oneshot::Sender<()>, mut aws_changes: watch::Receiver<()>) {
    let mut usable = Some(usable);
    let weak = Arc::downgrade(&uploads);
    drop(uploads);
    let (mut first_check, mut last_check): (Option<Instant>, Option<Instant>) = (None, None);
    while let Some(uploads) = weak.upgrade() {
        uploads.health.settle(Instant::now());
        uploads.bucket.close_idle_connections(Instant::now());
        let (is_starting, blocker) = (usable.is_some(), uploads.health.bucket_blocker());
        let interval = if is_starting { SHORT_INTERVAL } else { CHECK_INTERVAL };
        let is_needed = is_starting || blocker.is_some() || last_check.is_none();
        if is_needed && last_check.is_none_or(|last| last.elapsed() >= interval) {
            let mut sessions = uploads.sessions.clone();
            let session = tokio::select! {
                session = sessions.ready() => session,
                // Bounded, since this task keeps the uploads alive while it waits.
                () = tokio::time::sleep(CHECK_INTERVAL) => continue,
            };
            last_check = Some(Instant::now());
            let first_check = *first_check.get_or_insert_with(Instant::now);
            let finding = check(&uploads, &session).await;
            report(&uploads, &finding, is_starting);
            let may_begin = match finding {
                Finding::Exists => true,
                Finding::Unclear => first_check.elapsed() >= MAX_UNCLEAR,
                Finding::Wrong(_) | Finding::NoAnswer(_) => stores(&uploads),
            };
            if may_begin {
                // Fails if nobody waits for it.
                usable.take().map(|usable| usable.send(()));
            }
        }
        drop(uploads);
        tokio::select! {
            () = tokio::time::sleep(SHORT_INTERVAL) => {}
            Ok(()) = aws_changes.changed() => {
                if let Some(uploads) = weak.upgrade() {
                    uploads.health.aws_changed(is_conclusive);
                }
                last_check = None;
            }
        }
    }
}

/// Whether HeadBucket shows this fault.
fn is_conclusive(reason: Reason) -> bool {
    matches!(reason, Reason::NoSuchBucket | Reason::WrongRegion)
}

/// Whether uploads were stored recently. Then the bucket exists, even if the store answers HeadBucket with an error.
fn stores(uploads: &Uploads) -> bool {
    Instant::now().checked_sub(RECENT_STORE_WINDOW).is_some_and(|since| uploads.health.stored_since(None, since))
}

async fn check(uploads: &Uploads, session: &Session) -> Finding {
    let Err(mut answer) = uploads.bucket.head(session).await else { return Finding::Exists };
    // Other stores answer 404 for other reasons too (versitygw: an unknown user), which a HEAD's answer can't say.
    let is_404 = matches!(answer, S3Answer::Error { status: 404, .. } | S3Answer::Foreign { status: 404, .. });
    if uploads.bucket.endpoint().is_store && is_404 {
        match uploads.bucket.list(session).await {
            Ok(()) => return Finding::Exists,
            Err(with_code) => answer = with_code,
        }
    }
    let is_silent = matches!(answer, S3Answer::NoResponse(_) | S3Answer::Timeout);
    match failure::classify(&answer, uploads.target()) {
        ErrorClass::Configuration(blocker) if is_conclusive(blocker.reason) => Finding::Wrong(blocker),
        // Access denied: the bucket exists, in this region.
        ErrorClass::Refused(blocker) if blocker.reason == Reason::AccessDenied => Finding::Exists,
        ErrorClass::Retry(blocker) if is_silent => Finding::NoAnswer(blocker),
        _ => Finding::Unclear,
    }
}

/// Reports what a check has shown. Once the sidecar is ready, only uploads show whether S3 can be reached.
fn report(uploads: &Uploads, finding: &Finding, is_starting: bool) {
    let health = &uploads.health;
    let reported = health.bucket_blocker().map(|blocker| blocker.reason);
    match finding {
        Finding::Wrong(blocker) if !stores(uploads) => {
            uploads.failed(Extent::Bucket, Evidence::Conclusive, blocker.clone());
        }
        Finding::NoAnswer(blocker) if is_starting && !stores(uploads) => {
            uploads.failed(Extent::Bucket, Evidence::Transient, blocker.clone());
        }
        Finding::Exists if reported.is_some_and(is_conclusive) => health.found(),
        Finding::Exists if is_starting && reported == Some(Reason::S3Unreachable) => health.found(),
        _ => {}
    }
}
