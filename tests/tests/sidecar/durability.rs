//! An event answered 200 is stored, and an event sent again is no second object: whatever breaks.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::task::JoinSet;
use tributary_local_aws::{Action, Fault};
use tributary_tests::aws::{error, latency, puts};
use tributary_tests::event::{batch, message_id, track};
use tributary_tests::raw::Raw;
use tributary_tests::stored::{assert_exactly, assert_one_object_each, rewritten};
use tributary_tests::traffic::acknowledged;
use tributary_tests::wait::{SOON, until};
use tributary_tests::{Aws, Function, Ports, Setup, SidecarProcess, Traffic, World, started};

/// Requests under way at once.
const CLIENTS: usize = 8;
/// What a client waits before it sends again; shorter than it is told, so that tests are.
const PAUSE: Duration = Duration::from_millis(50);

fn ids(count: usize) -> Vec<String> {
    (0..count).map(message_id).collect()
}

/// Sends an event until it is answered 200, wherever the sidecar is by then; says how often it was sent.
async fn send_until_stored(i: usize, place: impl Fn() -> Ports, within: Duration) -> usize {
    let start = Instant::now();
    for tries in 1.. {
        if place().try_send("/v1/track", &track(i)).await.is_ok_and(|answer| answer.status == 200) {
            return tries;
        }
        assert!(start.elapsed() < within, "event {i} was not stored in {within:?}");
        tokio::time::sleep(PAUSE).await;
    }
    unreachable!()
}

/// Has `CLIENTS` clients send `count` events between them; says how many requests that took.
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
async fn answers_that_s3_loses_make_no_second_object() {
    let (aws, sidecar) = started(Function::new()).await;
    // The store is seen to honour conditions: from then on 412 says that an object is there.
    send_until_stored(0, || Ports::clone(&sidecar), SOON).await;
    aws.faults([Fault { probability: Some(0.1), ..puts(Action::StoreThenDrop) }]);
    send_all(&sidecar, 500).await;
    assert!(aws.puts_answered("cut") > 20, "{} answers were lost", aws.puts_answered("cut"));
    assert_exactly(&aws.objects(), &ids(500));
    let deduplicated = sidecar.metric("events_deduplicated_total").await;
    assert_eq!(deduplicated, aws.puts_answered("PreconditionFailed") as f64);
    assert!(deduplicated > 20.0, "{deduplicated}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_s3_that_turns_half_away_gets_every_event_once() {
    let (aws, sidecar) = started(Function::new()).await;
    aws.faults([Fault { probability: Some(0.5), ..puts(error("SlowDown")) }]);
    let tries = send_all(&sidecar, 500).await;
    let turned_away = aws.puts_answered("SlowDown");
    assert!(turned_away > 200, "{turned_away} uploads were turned away");
    assert_exactly(&aws.objects(), &ids(500));
    // The sidecar tries again while somebody waits: clients hardly notice.
    assert!(tries < 520, "clients sent {tries} requests");
    assert!(sidecar.metric("upload_errors_total{code=\"Throttled\"}").await >= turned_away as f64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_broken_answer_leaves_each_event_once() {
    let (aws, sidecar) = started(Function::new()).await;
    send_until_stored(0, || Ports::clone(&sidecar), SOON).await;
    let each = |action| Fault { probability: Some(0.05), ..puts(action) };
    let broken = [Action::Refuse, Action::StoreThenDrop, Action::CutBody, Action::TruncateBody, Action::InvalidBody];
    let errors = ["InternalError", "ServiceUnavailable", "RequestTimeout", "ConditionalRequestConflict"].map(error);
    aws.faults(broken.into_iter().chain(errors).map(each));
    send_all(&sidecar, 500).await;
    assert_exactly(&aws.objects(), &ids(500));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sidecar_told_to_end_answers_what_it_has_begun() {
    let (aws, mut sidecar) = started(Function::new()).await;
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
    let end = sidecar.wait_end(Duration::from_secs(30)).await;
    assert_eq!(end.code(), Some(0));
    assert_exactly(&aws.objects(), &ids(100));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sidecar_killed_twenty_times_under_load_loses_and_doubles_nothing() {
    const KILLS: usize = 20;
    let aws = Aws::start(&World::new()).await;
    // Slow enough to be killed in between, and now and then stored without an answer.
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
    let mut addresses = BTreeSet::new();
    for _ in 0..KILLS {
        sidecar.wait_ready().await;
        tokio::time::sleep(Duration::from_millis(fastrand::u64(50..500))).await;
        addresses.insert(sidecar.pid());
        sidecar.kill();
        sidecar = setup.start().await;
        *place.lock().expect("no panic") = Ports::clone(&sidecar);
    }
    stop.store(true, Ordering::Relaxed);
    clients.join_all().await;
    assert_eq!(addresses.len(), KILLS);
    let (sent, lost) = (next.load(Ordering::Relaxed), lost.load(Ordering::Relaxed));
    assert!(sent > KILLS * 5, "hardly any load: {sent} events");
    assert!(lost > KILLS, "hardly any request was hit: {lost}");
    let objects = aws.objects();
    assert_one_object_each(&objects, &ids(sent));
    assert_eq!(objects.len(), sent, "there are objects that nobody sent");
    // Before a new process has seen that the store honours conditions, it writes what was sent again over.
    let rewritten = rewritten(&objects).len();
    assert!(rewritten <= KILLS * CLIENTS, "{rewritten} objects were written more than once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_that_gets_nothing_but_batches_recovers_from_an_outage() {
    let (aws, sidecar) = started(Function::new()).await;
    aws.faults([puts(Action::Refuse)]);
    until("batches are turned away", Duration::from_secs(60), async || {
        (sidecar.send("/v1/batch", &batch(0..50)).await.status == 503).then_some(())
    })
    .await;
    aws.faults([]);
    until("batches are stored again", Duration::from_secs(60), async || {
        (sidecar.send("/v1/batch", &batch(0..50)).await.status == 200).then_some(())
    })
    .await;
    assert_exactly(&aws.objects(), &ids(50));
}

/// Sends events ten times a second while one PUT hangs; says how many there were and which failed.
async fn beside_one_hung_put(function: Function) -> (Aws, usize, Vec<Option<u16>>) {
    let (aws, sidecar) = started(function).await;
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
async fn one_hung_put_refuses_nobody() {
    let (aws, sent, failed) = beside_one_hung_put(Function::new()).await;
    assert!(failed.is_empty(), "{} of {sent}: {failed:?}", failed.len());
    assert_exactly(&aws.objects(), &ids(sent));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_hung_put_of_a_batch_that_waited_five_seconds_refuses_nobody() {
    let function = Function::new().with("delivery", serde_json::json!({"mode": "Batch", "batch": {"maxAge": "5s"}}));
    let (_aws, sent, failed) = beside_one_hung_put(function).await;
    assert!(failed.is_empty(), "{} of {sent}: {failed:?}", failed.len());
}

/// The PUTs that were timed, and those whose end was counted.
async fn attempts(sidecar: &SidecarProcess) -> (f64, f64) {
    let text = sidecar.metrics().await;
    let ends =
        ["tributary_objects_stored_total ", "tributary_events_deduplicated_total ", "tributary_upload_errors_total{"];
    let ended = text.lines().filter(|line| ends.iter().any(|end| line.starts_with(end)));
    let ended = ended.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
    (sidecar.metric("upload_duration_seconds_count").await, ended)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn puts_that_get_no_answer_are_counted() {
    let (aws, sidecar) = started(Function::new()).await;
    aws.faults([puts(Action::Hang)]);
    let events: Vec<_> = (0..6).map(track).collect();
    let answers = join_all(events.iter().map(|event| sidecar.send("/v1/track", event))).await;
    assert!(answers.iter().all(|answer| answer.status == 503));
    let timeouts = sidecar.metric("upload_errors_total{code=\"timeout\"}").await;
    assert!(timeouts >= 6.0, "{timeouts} timeouts");
    let (timed, ended) = attempts(&sidecar).await;
    assert!((timed - ended).abs() < 0.5, "{timed} PUTs were timed, {ended} ends counted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stored_for_clients_that_hung_up_is_counted() {
    let (aws, sidecar) = started(Function::new()).await;
    aws.faults([puts(latency(Duration::from_secs(3)))]);
    let mut clients = Vec::new();
    for i in 0..300 {
        let body = track(i).to_string();
        let mut raw = Raw::connect(sidecar.events).await;
        raw.write(format!("POST /v1/track HTTP/1.1\r\nHost: s\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await;
        clients.push(raw);
    }
    until("all are in flight", SOON, async || {
        (sidecar.status().await.in_flight >= 256 && aws.objects().is_empty()).then_some(())
    })
    .await;
    drop(clients);
    until("all uploads have ended", SOON, async || (sidecar.status().await.in_flight == 0).then_some(())).await;
    let (stored, counted) = (aws.objects().len(), sidecar.metric("events_stored_total{type=\"track\"}").await);
    assert!(stored >= 256, "{stored} objects");
    assert!((counted - stored as f64).abs() < 0.5, "S3 has {stored}, the metrics {counted}");
    let (timed, ended) = attempts(&sidecar).await;
    assert!((timed - ended).abs() < 0.5, "{timed} PUTs were timed, {ended} ends counted");
}
