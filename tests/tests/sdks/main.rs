//! Tests released client libraries against the built sidecar: every event is stored, in Object mode exactly once, and
//! with the content that the library sent.
//!
//! `tests/run clients` installs the libraries in the target folder and runs this.

mod client;
mod left_pages;
mod members;
mod mode;
mod sent;

use std::collections::HashMap;

use jiff::Timestamp;
use tributary_local_aws::StoredObject;
use tributary_tests::tap::Tap;
use tributary_tests::{Aws, SidecarProcess, World};

use crate::client::Client;
use crate::members::Members;
use crate::mode::Mode;
use crate::sent::Sent;

/// Events per run of a client.
const EVENTS: usize = 20_000;
/// Events where fewer suffice: for repeated runs, or when each request waits for a batch.
const FEWER_EVENTS: usize = EVENTS / 10;
/// Events of clients that need much time per event.
const FEW_EVENTS: usize = EVENTS / 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_node_library_delivers_every_event_once() {
    deliver(Client::AnalyticsNode, Mode::Object, &[EVENTS, EVENTS]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_node_library_delivers_every_event_in_batches() {
    deliver(Client::AnalyticsNode, Mode::Batch, &[EVENTS, FEWER_EVENTS]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_python_library_delivers_every_event_once() {
    deliver(Client::AnalyticsPython { gzip: false }, Mode::Object, &[EVENTS, FEWER_EVENTS]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_python_library_with_gzip_delivers_every_event_once() {
    deliver(Client::AnalyticsPython { gzip: true }, Mode::Object, &[EVENTS, FEWER_EVENTS]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_python_library_delivers_every_event_in_batches() {
    deliver(Client::AnalyticsPython { gzip: true }, Mode::Batch, &[EVENTS, FEWER_EVENTS]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_go_library_delivers_every_event_once() {
    deliver(Client::AnalyticsGo, Mode::Object, &[FEWER_EVENTS, FEWER_EVENTS]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_browser_library_delivers_every_event_once() {
    let client = Client::AnalyticsNext { write_key: None, leaves: false };
    deliver(client, Mode::Object, &[EVENTS, FEWER_EVENTS]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_browser_library_with_a_write_key_delivers_every_event_in_batches() {
    let client = Client::AnalyticsNext { write_key: Some("browser-key"), leaves: false };
    deliver(client, Mode::Batch, &[EVENTS, FEWER_EVENTS]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_browser_library_delivers_every_event_once_from_pages_that_are_left() {
    let client = Client::AnalyticsNext { write_key: Some("browser-key"), leaves: true };
    deliver(client, Mode::Object, &[FEW_EVENTS, FEW_EVENTS / 2]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rudderstacks_node_library_delivers_every_event_once() {
    deliver(Client::RudderNode, Mode::Object, &[EVENTS, FEWER_EVENTS]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rudderstacks_node_library_delivers_every_event_in_batches() {
    deliver(Client::RudderNode, Mode::Batch, &[EVENTS, FEWER_EVENTS]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rudderstacks_python_library_delivers_every_event_once() {
    deliver(Client::RudderPython, Mode::Object, &[FEWER_EVENTS, FEWER_EVENTS]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rudderstacks_rust_library_delivers_every_event_once() {
    deliver(Client::RudderRust, Mode::Object, &[FEWER_EVENTS]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rudderstacks_browser_library_delivers_every_event_once() {
    deliver(Client::AnalyticsJs { beacon: false }, Mode::Object, &[FEW_EVENTS]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rudderstacks_browser_library_delivers_every_event_once_in_beacons_from_pages_that_are_left() {
    deliver(Client::AnalyticsJs { beacon: true }, Mode::Object, &[FEW_EVENTS]).await;
}

/// Runs the client once per number in `runs`, each time with so many of the first events.
async fn deliver(client: Client, mode: Mode, runs: &[usize]) {
    let started = Timestamp::now();
    let aws = Aws::start(&World::new()).await;
    let sidecar = client.setup(&aws, mode.function()).start().await;
    sidecar.wait_ready().await;
    let tap = Tap::start(sidecar.events).await;
    let mut expected = 0;
    for (run, events) in runs.iter().enumerate() {
        expected += if run == 0 { *events } else { client.without_message_id(*events) };
        let running = client.start(&tap.endpoint(), *events);
        if client.leaves_pages() {
            left_pages::finish(client, &running, &aws, &sidecar, expected).await;
        }
        running.finish().await;
        let bodies = sent::bodies(&tap.requests().await);
        let sent = Sent::read(&bodies);
        assert_eq!(
            sent.0.len(),
            expected,
            "the library did not send every event, or gave a repeated one a new messageId"
        );
        check(&aws.objects(), mode, &sent, started);
    }
    assert_all_accepted(&sidecar).await;
}

/// Asserts that the sidecar has answered no request with an error.
async fn assert_all_accepted(sidecar: &SidecarProcess) {
    let metrics = sidecar.metrics().await;
    let answers = metrics.lines().filter(|line| line.starts_with("tributary_requests_total{"));
    let is_error = |line: &&str| !line.contains("status=\"200\"") && !line.contains("status=\"204\"");
    let errors: Vec<_> = answers.filter(is_error).filter(|line| !line.ends_with(" 0")).collect();
    assert!(errors.is_empty(), "{errors:?}\n{}", sidecar.output());
}

/// Asserts that all events that were sent are stored, with the sidecar's fields, and no others.
fn check(objects: &[StoredObject], mode: Mode, sent: &Sent<'_>, started: Timestamp) {
    let mut copies: HashMap<&str, usize> = HashMap::new();
    for (text, object) in mode.read(objects) {
        let key = &object.key;
        let stored = Members::parse(&text);
        let (id, event) = sent.find(&stored).unwrap_or_else(|| panic!("{key} was not sent: {text}"));
        event.check(&stored, started).unwrap_or_else(|error| panic!("{key}: {error}: {text}"));
        mode.check(object, &stored, event.timestamp());
        *copies.entry(id).or_default() += 1;
    }
    let missing: Vec<_> = sent.0.keys().filter(|id| !copies.contains_key(id.as_str())).collect();
    assert!(missing.is_empty(), "{} events are not stored, among them {:?}", missing.len(), missing[0]);
    for (id, copies) in copies {
        let most = mode.copies(sent.0[id].sent_at.len());
        assert!(copies <= most, "{id} is stored {copies} times, and should be {most} times at most");
    }
}
