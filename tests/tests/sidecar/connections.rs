//! The connection limit: idle connections make room for new ones, and no request is cut for it.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use tributary_tests::aws::{latency, puts};
use tributary_tests::event::track;
use tributary_tests::raw::Raw;
use tributary_tests::wait::{SOON, until};
use tributary_tests::{Function, Ports, SidecarProcess, started};

/// The limit of a function that names none.
const DEFAULT_LIMIT: usize = 1024;

/// Far less than the 30 s that an idle connection may stay.
const AT_ONCE: Duration = Duration::from_secs(4);

/// Connections that are made at once.
const WAVE: usize = 64;

/// A post of the `i`th event, as bytes.
fn post(i: usize) -> String {
    let event = track(i).to_string();
    format!("POST /v1/track HTTP/1.1\r\nHost: s\r\nContent-Length: {}\r\n\r\n{event}", event.len())
}

/// Connections on which `said` was written, and that the sidecar has accepted. They come in waves, each once the one
/// before is accepted.
async fn connected(ports: &Ports, count: usize, said: &str) -> Vec<Raw> {
    let before = ports.metric("connections").await;
    let mut all = Vec::new();
    while all.len() < count {
        let wave = (0..WAVE.min(count - all.len())).map(async |_| {
            let mut raw = Raw::connect(ports.events).await;
            raw.try_write(said).await;
            raw
        });
        all.extend(join_all(wave).await);
        let accepted = before + all.len() as f64;
        until("they are accepted", SOON, async || (ports.metric("connections").await >= accepted).then_some(())).await;
    }
    all
}

/// A client on a connection of its own gets 200 at once.
async fn assert_answered_at_once(sidecar: &SidecarProcess, i: usize) {
    let start = Instant::now();
    let mut raw = Raw::connect(sidecar.events).await;
    raw.write(post(i)).await;
    assert_eq!(raw.answer().await.status, 200);
    assert!(start.elapsed() < AT_ONCE, "it took {:?}", start.elapsed());
}

/// As many clients as there may be come at once, while the sidecar gets no processor time.
#[tokio::test]
async fn a_burst_of_new_connections_waits_in_the_kernel() {
    let (_aws, sidecar) = started(Function::new()).await;
    sidecar.pause();
    let connecting = (0..DEFAULT_LIMIT - 1).map(async |_| Raw::connect(sidecar.events).await);
    // A client whose connection finds no place there tries again after a second.
    let all = tokio::time::timeout(Duration::from_secs(1), join_all(connecting)).await;
    let mut all = all.expect("a place for each");
    for raw in &mut all {
        raw.write("GET /v1/track HTTP/1.1\r\nHost: s\r\n\r\n").await;
    }
    sidecar.resume();
    for raw in &mut all {
        assert_eq!(raw.answer().await.status, 405);
    }
}

#[tokio::test]
async fn idle_connections_make_room_and_no_request_in_flight_is_cut() {
    let (aws, sidecar) = started(Function::new()).await;
    assert!(sidecar.metrics().await.contains("\ntributary_connections_shed_total 0\n"));
    // The oldest connections are those whose requests are being answered.
    aws.faults([puts(latency(Duration::from_secs(5)))]);
    let mut busy = connected(&sidecar, 20, "").await;
    for (i, raw) in busy.iter_mut().enumerate() {
        raw.write(post(i)).await;
    }
    until("they are being answered", SOON, async || (sidecar.metric("in_flight_events").await >= 20.0).then_some(()))
        .await;
    aws.faults([]);
    let idle = connected(&sidecar, DEFAULT_LIMIT - busy.len(), "").await;
    for i in 100..150 {
        assert_answered_at_once(&sidecar, i).await;
    }
    for raw in &mut busy {
        assert_eq!(raw.answer().await.status, 200, "a request was cut");
    }
    assert!(sidecar.metric("connections").await <= DEFAULT_LIMIT as f64);
    assert!(sidecar.metric("connections_shed_total").await >= 1.0);
    assert_eq!(aws.objects().len(), 70);
    drop(idle);
    until("those that are gone are not counted", SOON, async || {
        (sidecar.metric("connections").await <= busy.len() as f64).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_connection_that_is_idle_longest_goes_first() {
    let (_aws, sidecar) = started(Function::new().with("ingest", json!({"maxConnections": 16}))).await;
    let mut kept = connected(&sidecar, 16, "").await;
    // The first one sends something, and is then idle for a shorter time than the others.
    kept[0].write(post(0)).await;
    assert_eq!(kept[0].answer().await.status, 200);
    assert_answered_at_once(&sidecar, 1).await;
    let (answers, closed) = kept[1].answers(AT_ONCE).await;
    assert!(answers.is_empty() && closed, "the second is not closed");
    for i in [0, 2, 15] {
        kept[i].write(post(i)).await;
        assert_eq!(kept[i].answer().await.status, 200, "connection {i}");
    }
}

#[tokio::test]
async fn a_head_that_never_ends_holds_no_slot() {
    let (_aws, sidecar) = started(Function::new().with("ingest", json!({"maxConnections": 16}))).await;
    let _halves = connected(&sidecar, 16, "POST /v1/track HTTP/1.1\r\nHo").await;
    for i in 0..20 {
        assert_answered_at_once(&sidecar, i).await;
    }
}

/// Each takes its time to close, and they must do so side by side.
#[tokio::test]
async fn heads_that_never_end_and_go_on_coming_keep_nobody_waiting() {
    const HALF: &str = "POST /v1/track HTTP/1.1\r\nHo";
    let (_aws, sidecar) = started(Function::new().with("ingest", json!({"maxConnections": 64}))).await;
    let _halves = connected(&sidecar, 64, HALF).await;
    let events = sidecar.events;
    let flood = tokio::spawn(async move {
        let mut all = Vec::new();
        loop {
            let mut raw = Raw::connect(events).await;
            raw.try_write(HALF).await;
            all.push(raw);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let until = Instant::now() + Duration::from_secs(6);
    let mut i = 0;
    while Instant::now() < until {
        assert_answered_at_once(&sidecar, i).await;
        i += 1;
    }
    println!("{i} answers");
    flood.abort();
}

/// A request without a good event, whose answer is much larger.
fn refused() -> String {
    let body = format!("[{}]", vec!["\"x\""; 120].join(","));
    format!("POST / HTTP/1.1\r\nHost: s\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn clients_that_do_not_read_their_answers_hold_no_slot() {
    let (_aws, sidecar) = started(Function::new().with("ingest", json!({"maxConnections": 16}))).await;
    let pipelined = refused().repeat(600);
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let mut raw = Raw::without_room(sidecar.events).await;
        let pipelined = pipelined.clone();
        writers.spawn(async move {
            raw.try_write(pipelined).await;
            raw
        });
    }
    let counted = "requests_total{path=\"/\",status=\"400\"}";
    until("their answers are not taken any more", SOON, async || {
        let before = sidecar.metric(counted).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        (before > 0.0 && sidecar.metric(counted).await <= before).then_some(())
    })
    .await;
    for i in 0..5 {
        assert_answered_at_once(&sidecar, i).await;
    }
    assert!(sidecar.metric("connections_shed_total").await >= 1.0);
}

#[tokio::test]
async fn clients_without_a_key_do_not_hold_every_slot_with_bodies_that_trickle() {
    let function = Function::new().with(
        "ingest",
        json!({
            "maxConnections": 16, "writeKeySecretRef": {"name": "keys", "key": "writeKey"},
        }),
    );
    let aws = tributary_tests::Aws::start(&tributary_tests::World::new()).await;
    let setup = tributary_tests::Setup::new(&aws).function(function);
    let write_key = tributary_crds::sidecar_config::SecretUse::WriteKey;
    let sidecar = setup.secret(write_key, "writeKey", "wk-1").start().await;
    sidecar.wait_ready().await;
    let _stalled = connected(&sidecar, 16, "POST /v1/track HTTP/1.1\r\nHost: s\r\nContent-Length: 1000\r\n\r\n{").await;
    let start = Instant::now();
    for i in 0..20 {
        let event = track(i).to_string();
        let answer = sidecar.post("/v1/track", &[("authorization", "Bearer wk-1")], event).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert!(start.elapsed() < AT_ONCE, "it took {:?}", start.elapsed());
}

#[tokio::test]
async fn while_every_connection_is_busy_the_next_waits_for_one() {
    let (aws, sidecar) = started(Function::new().with("ingest", json!({"maxConnections": 16}))).await;
    aws.faults([puts(latency(Duration::from_secs(2)))]);
    let mut all = join_all((0..40).map(async |i| {
        let mut raw = Raw::connect(sidecar.events).await;
        raw.write(post(i)).await;
        raw
    }))
    .await;
    for raw in &mut all {
        assert_eq!(raw.answer().await.status, 200, "nobody is refused or cut");
        assert!(sidecar.metric("connections").await <= 16.0);
    }
    assert_eq!(aws.objects().len(), 40);
}
