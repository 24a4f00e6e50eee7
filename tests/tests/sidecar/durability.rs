//! Tests that an event that was answered 200 is stored, and that an event that is sent again creates no second object,
//! with faults of S3, kills and shutdowns.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::task::JoinSet;
use tributary_local_aws::{Action, Fault};
use tributary_tests::aws::{error, latency, puts};
use tributary_tests::event::{batch, message_id, track};
use tributary_tests::raw::RawConnection;
use tributary_tests::stored::{assert_exactly, assert_one_object_each, rewritten};
use tributary_tests::traffic::acknowledged;
use tributary_tests::wait::{DEFAULT_TIMEOUT, until};
use tributary_tests::{Aws, Function, Ports, Setup, SidecarProcess, Traffic, World, start_ready};

/// Clients, each with one request in flight.
const CLIENTS: usize = 8;
/// The delay before a client retries; shorter than `Retry-After`, to keep the tests short.
const RETRY_DELAY: Duration = Duration::from_millis(50);

fn message_ids(count: usize) -> Vec<String> {
    (0..count).map(message_id).collect()
}

/// Sends an event until it is answered 200, to the ports that `place` returns. Returns how often it was sent.
async fn send_until_stored(i: usize, place: impl Fn() -> Ports, within: Duration) -> usize {
    let start = Instant::now();
    for tries in 1.. {
        if place().try_send("/v1/track", &track(i)).await.is_ok_and(|answer| answer.status == 200) {
            return tries;
        }
        assert!(start.elapsed() < within, "event {i} was not stored in {within:?}");
        tokio::time::sleep(RETRY_DELAY).await;
    }
    unreachable!()
}

/// Sends `count` events in total from `CLIENTS` clients. Returns how many requests were needed.
async fn send_all(sidecar: &SidecarProcess, count: usize) -> usize {
    let ports: &Ports = sidecar;
    let clients = (0..CLIENTS).map(async |client| {
        let mut tries = 0;
        for i in (client..count).step_by(CLIENTS) {
            tries += send_until_stored(i, || ports.clone(), Duration::from_secs(60)).await;
        }
        tries
    });
    join_all(clients).await.into_iter().sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_s3_answers_create_no_second_object() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    // This event shows that the store honours conditions: from then on, a 412 proves that the object exists.
    send_until_stored(0, || Ports::clone(&sidecar), DEFAULT_TIMEOUT).await;
    aws.faults([Fault { probability: Some(0.1), ..puts(Action::StoreThenDrop) }]);
    send_all(&sidecar, 500).await;
    assert!(aws.puts_answered("cut") > 20, "{} answers were lost", aws.puts_answered("cut"));
    assert_exactly(&aws.objects(), &message_ids(500));
    let deduplicated = sidecar.metric("events_deduplicated_total").await;
    assert_eq!(deduplicated, aws.puts_answered("PreconditionFailed") as f64);
    assert!(deduplicated > 20.0, "{deduplicated}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_s3_that_throttles_half_of_the_uploads_stores_every_event_once() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    aws.faults([Fault { probability: Some(0.5), ..puts(error("SlowDown")) }]);
    let tries = send_all(&sidecar, 500).await;
    let throttled = aws.puts_answered("SlowDown");
    assert!(throttled > 200, "{throttled} uploads were throttled");
    assert_exactly(&aws.objects(), &message_ids(500));
    // The sidecar retries while the client waits, so clients rarely have to.
    assert!(tries < 520, "clients sent {tries} requests");
    assert!(sidecar.metric("upload_errors_total{code=\"Throttled\"}").await >= throttled as f64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_s3_answers_of_every_kind_store_every_event_once() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    send_until_stored(0, || Ports::clone(&sidecar), DEFAULT_TIMEOUT).await;
    let each = |action| Fault { probability: Some(0.05), ..puts(action) };
    let broken = [Action::Refuse, Action::StoreThenDrop, Action::CutBody, Action::TruncateBody, Action::InvalidBody];
    let errors = ["InternalError", "ServiceUnavailable", "RequestTimeout", "ConditionalRequestConflict"].map(error);
    aws.faults(broken.into_iter().chain(errors).map(each));
    send_all(&sidecar, 500).await;
    assert_exactly(&aws.objects(), &message_ids(500));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminated_sidecar_answers_the_requests_in_flight() {
    let (aws, mut sidecar) = start_ready(Function::new()).await;
    aws.faults([puts(latency(Duration::from_millis(1500)))]);
    let mut requests = JoinSet::new();
    for i in 0..100 {
        let ports = Ports::clone(&sidecar);
        requests.spawn(async move { ports.try_send("/v1/track", &track(i)).await });
    }
    until("a hundred events are in flight", Duration::from_secs(20), async || {
        (sidecar.status().await.in_flight == 100).then_some(())
    })
    .await;
    sidecar.terminate();
    let answers = requests.join_all().await;
    for answer in answers {
        let answer = answer.expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let end = sidecar.wait_exit(Duration::from_secs(30)).await;
    assert_eq!(end.code(), Some(0));
    assert_exactly(&aws.objects(), &message_ids(100));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sidecar_killed_twenty_times_under_load_loses_and_duplicates_no_event() {
    const KILLS: usize = 20;
    let aws = Aws::start(&World::new()).await;
    // Slow enough that kills hit uploads, and with some objects stored without an answer.
    aws.faults([
        puts(latency(Duration::from_millis(15))),
        Fault { probability: Some(0.05), ..puts(Action::StoreThenDrop) },
    ]);
    let setup = Setup::new(&aws);
    let mut sidecar = setup.start().await;
    let place = Arc::new(Mutex::new(Ports::clone(&sidecar)));
    let (next, stop, lost) =
        (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (place, next, stop, lost) = (Arc::clone(&place), Arc::clone(&next), Arc::clone(&stop), Arc::clone(&lost));
        clients.spawn(async move {
            let place = || place.lock().expect("no panic").clone();
            while !stop.load(Ordering::Relaxed) {
                let i = next.fetch_add(1, Ordering::Relaxed);
                let tries = send_until_stored(i, place, Duration::from_secs(120)).await;
                lost.fetch_add(tries - 1, Ordering::Relaxed);
            }
        });
    }
    let mut pids = BTreeSet::new();
    for _ in 0..KILLS {
        sidecar.wait_ready().await;
        tokio::time::sleep(Duration::from_millis(fastrand::u64(50..500))).await;
        pids.insert(sidecar.pid());
        sidecar.kill();
        sidecar = setup.start().await;
        *place.lock().expect("no panic") = Ports::clone(&sidecar);
    }
    stop.store(true, Ordering::Relaxed);
    clients.join_all().await;
    assert_eq!(pids.len(), KILLS);
    let (sent, lost) = (next.load(Ordering::Relaxed), lost.load(Ordering::Relaxed));
    assert!(sent > KILLS * 5, "hardly any load: {sent} events");
    assert!(lost > KILLS, "hardly any request was hit: {lost}");
    let objects = aws.objects();
    assert_one_object_each(&objects, &message_ids(sent));
    assert_eq!(objects.len(), sent, "there are objects of events that were not sent");
    // Until a new process has seen that the store honours conditions, it may overwrite the objects of resent events.
    let rewritten = rewritten(&objects).len();
    assert!(rewritten <= KILLS * CLIENTS, "{rewritten} objects were written more than once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_with_only_batch_requests_recovers_from_an_outage() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    aws.faults([puts(Action::Refuse)]);
    until("batches are refused", Duration::from_secs(60), async || {
        (sidecar.send("/v1/batch", &batch(0..50)).await.status == 503).then_some(())
    })
    .await;
    aws.faults([]);
    until("batches are stored again", Duration::from_secs(60), async || {
        (sidecar.send("/v1/batch", &batch(0..50)).await.status == 200).then_some(())
    })
    .await;
    assert_exactly(&aws.objects(), &message_ids(50));
}

/// Sends ten events per second while one PUT hangs. Returns the AWS, the number of events, and the statuses of the
/// failed ones.
async fn send_beside_one_hung_put(function: Function) -> (Aws, usize, Vec<Option<u16>>) {
    let (aws, sidecar) = start_ready(function).await;
    assert_eq!(sidecar.send("/v1/track", &track(0)).await.status, 200);
    aws.faults([Fault { count: Some(1), ..puts(Action::Hang) }]);
    let traffic = Traffic::start(&sidecar, Duration::from_millis(100));
    tokio::time::sleep(Duration::from_secs(12)).await;
    let outcomes = traffic.finish().await;
    let failed = outcomes.iter().map(|outcome| outcome.status).filter(|status| *status != Some(200)).collect();
    assert_eq!(sidecar.metric("upload_errors_total{code=\"timeout\"}").await, 1.0, "no PUT hung");
    assert_eq!(sidecar.metric("circuit_breaker_open{scope=\"bucket\"}").await, 0.0);
    assert_eq!(acknowledged(&outcomes).len(), outcomes.len() - Vec::len(&failed));
    (aws, outcomes.len(), failed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_hung_put_fails_no_event() {
    let (aws, sent, failed) = send_beside_one_hung_put(Function::new()).await;
    assert!(failed.is_empty(), "{} of {sent}: {failed:?}", failed.len());
    assert_exactly(&aws.objects(), &message_ids(sent));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_hung_put_of_a_batch_that_waited_five_seconds_fails_no_event() {
    let function = Function::new().with("delivery", serde_json::json!({"mode": "Batch", "batch": {"maxAge": "5s"}}));
    let (_aws, sent, failed) = send_beside_one_hung_put(function).await;
    assert!(failed.is_empty(), "{} of {sent}: {failed:?}", failed.len());
}

/// How many PUTs are in the duration histogram, and how many in the counters of results.
async fn upload_counts(sidecar: &SidecarProcess) -> (f64, f64) {
    let text = sidecar.metrics().await;
    let ends =
        ["tributary_objects_stored_total ", "tributary_events_deduplicated_total ", "tributary_upload_errors_total{"];
    let ended = text.lines().filter(|line| ends.iter().any(|end| line.starts_with(end)));
    let ended = ended.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
    (sidecar.metric("upload_duration_seconds_count").await, ended)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn puts_that_get_no_answer_are_counted() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    aws.faults([puts(Action::Hang)]);
    let events: Vec<_> = (0..6).map(track).collect();
    let answers = join_all(events.iter().map(|event| sidecar.send("/v1/track", event))).await;
    assert!(answers.iter().all(|answer| answer.status == 503));
    let timeouts = sidecar.metric("upload_errors_total{code=\"timeout\"}").await;
    assert!(timeouts >= 6.0, "{timeouts} timeouts");
    let (timed, ended) = upload_counts(&sidecar).await;
    assert!((timed - ended).abs() < 0.5, "{timed} PUTs were timed, {ended} ends counted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_stored_for_disconnected_clients_are_counted() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    aws.faults([puts(latency(Duration::from_secs(3)))]);
    let mut clients = Vec::new();
    for i in 0..300 {
        let body = track(i).to_string();
        let mut raw = RawConnection::connect(sidecar.events).await;
        raw.write(format!("POST /v1/track HTTP/1.1\r\nHost: s\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await;
        clients.push(raw);
    }
    until("all are in flight", DEFAULT_TIMEOUT, async || {
        (sidecar.status().await.in_flight >= 256 && aws.objects().is_empty()).then_some(())
    })
    .await;
    drop(clients);
    until("all uploads have ended", DEFAULT_TIMEOUT, async || (sidecar.status().await.in_flight == 0).then_some(()))
        .await;
    let (stored, counted) = (aws.objects().len(), sidecar.metric("events_stored_total{type=\"track\"}").await);
    assert!(stored >= 256, "{stored} objects");
    assert!((counted - stored as f64).abs() < 0.5, "S3 has {stored}, the metrics {counted}");
    let (timed, ended) = upload_counts(&sidecar).await;
    assert!((timed - ended).abs() < 0.5, "{timed} PUTs were timed, {ended} ends counted");
}
