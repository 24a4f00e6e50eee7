//! Clients that leave pages before the requests of these pages are answered.

use std::time::Duration;

use tributary_tests::aws::{latency, puts};
use tributary_tests::wait::poll_every;
use tributary_tests::{Aws, SidecarProcess};

use crate::client::{Client, RunningClient};

/// How long S3 takes to store an event. Without a delay, most requests would be answered before their page is left.
const S3_LATENCY: Duration = Duration::from_millis(150);
/// How many events a library must have sent again: those of one page.
const SENT_AGAIN: f64 = 20.0;

const TIMEOUT: Duration = Duration::from_secs(120);
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Waits until `events` events are stored in all, and the library has sent some of them again from other pages.
pub async fn finish(client: Client, running: &RunningClient, aws: &Aws, sidecar: &SidecarProcess, events: usize) {
    aws.faults([puts(latency(S3_LATENCY))]);
    poll_every(POLL_INTERVAL, "the events of pages that were left are stored", TIMEOUT, async || {
        (running.is_finished() || aws.objects().len() >= events).then_some(())
    })
    .await;
    aws.faults([]);
    if client.sends_again() {
        poll_every(POLL_INTERVAL, "the library has sent events again", TIMEOUT, async || {
            let sent_again = sidecar.metric("events_deduplicated_total").await;
            (running.is_finished() || sent_again >= SENT_AGAIN).then_some(())
        })
        .await;
    }
}
