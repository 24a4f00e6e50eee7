//! Checks the bucket with HeadBucket: once at the start, then while uploads fail, and whenever the role or the bucket is
//! known to have changed.
//!
//! The session may only put objects, so S3 refuses its HeadBucket. But S3 answers 404 if the bucket does not exist, and
//! 301 if it is in another region. So these two faults are reported before the first event, and their end is detected
//! without one. A sidecar that starts with one of them does not become ready, so an edit that misspells the bucket
//! replaces no sidecar that works.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html>

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};
use tributary_crds::conditions::Reason;

use super::circuit_breaker::{Evidence, RECENT_STORE_WINDOW};
use super::failure::{self, ErrorClass};
use super::health::Extent;
use super::upload::Uploads;

/// Interval of the checks while the bucket can't be written to.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// Interval at which faults that end by time alone are cleared, and idle connections closed.
const SETTLE_INTERVAL: Duration = Duration::from_secs(2);

/// Runs the checks until this task is the last to hold the uploads. Sends `usable` after the first check that shows no
/// fault of the bucket.
pub(crate) async fn watch(uploads: Arc<Uploads>, usable: oneshot::Sender<()>, mut aws_changes: watch::Receiver<()>) {
    let mut usable = Some(usable);
    let weak = Arc::downgrade(&uploads);
    drop(uploads);
    let mut last_check: Option<Instant> = None;
    while let Some(uploads) = weak.upgrade() {
        uploads.health.settle(Instant::now());
        uploads.bucket.close_idle_connections(Instant::now());
        let is_due = last_check.is_none_or(|last| last.elapsed() >= CHECK_INTERVAL);
        if is_due && (last_check.is_none() || uploads.health.bucket_blocker().is_some()) {
            let mut sessions = uploads.sessions.clone();
            let session = tokio::select! {
                session = sessions.ready() => session,
                // Bounded, since this task keeps the uploads alive while it waits.
                () = tokio::time::sleep(CHECK_INTERVAL) => continue,
            };
            last_check = Some(Instant::now());
            check(&uploads, &session).await;
        }
        let is_missing = uploads.health.bucket_blocker().is_some_and(|blocker| is_conclusive(blocker.reason));
        if last_check.is_some() && !is_missing {
            // Fails if nobody waits for it.
            usable.take().map(|usable| usable.send(()));
        }
        drop(uploads);
        tokio::select! {
            () = tokio::time::sleep(SETTLE_INTERVAL) => {}
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

async fn check(uploads: &Uploads, session: &crate::session::Session) {
    let found = match uploads.bucket.head(session).await {
        Ok(()) => None,
        Err(answer) => match failure::classify(&answer, uploads.target()) {
            ErrorClass::Configuration(blocker) if is_conclusive(blocker.reason) => Some(blocker),
            // Access denied: the bucket exists, in this region.
            ErrorClass::Refused(blocker) if blocker.reason == Reason::AccessDenied => None,
            // Any other answer shows neither that the bucket exists nor that it doesn't.
            _ => return,
        },
    };
    // A bucket that stores objects exists, even if the store answers HEAD with an error.
    let stores =
        Instant::now().checked_sub(RECENT_STORE_WINDOW).is_some_and(|since| uploads.health.stored_since(None, since));
    match (found, uploads.health.bucket_blocker()) {
        (Some(blocker), _) if !stores => {
            uploads.failed(Extent::Bucket, Evidence::Conclusive, blocker);
        }
        (None, Some(old)) if is_conclusive(old.reason) => uploads.health.found(),
        _ => {}
    }
}
