//! Tests the connection limit: idle connections are closed for new ones, and no request in flight is cut.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use tokio::task::JoinSet;
use tributary_tests::aws::{latency, puts};
use tributary_tests::event::track;
use tributary_tests::raw::{RawConnection, post};
use tributary_tests::wait::{DEFAULT_TIMEOUT, until};
use tributary_tests::{Function, Ports, SidecarProcess, start_ready};

/// `maxConnections` of a function that does not set it.
const DEFAULT_MAX_CONNECTIONS: usize = 1024;

/// Far less than the 650 s for which an idle connection may stay open.
const PROMPT_ANSWER_TIMEOUT: Duration = Duration::from_secs(4);

/// How many connections [`connect_many`] opens concurrently.
const CONCURRENT_CONNECTS: usize = 64;

/// Opens `count` connections, writes `bytes` on each, and waits until the sidecar has accepted them. It opens them in
/// groups, each once the previous one is accepted.
async fn connect_many(ports: &Ports, count: usize, bytes: &str) -> Vec<RawConnection> {
    let before = ports.metric("connections").await;
    let mut all = Vec::new();
    while all.len() < count {
        let wave = (0..CONCURRENT_CONNECTS.min(count - all.len())).map(async |_| {
            let mut raw = RawConnection::connect(ports.events).await;
            raw.try_write(bytes).await;
            raw
        });
        all.extend(join_all(wave).await);
        let accepted = before + all.len() as f64;
        until("they are accepted", DEFAULT_TIMEOUT, async || {
            (ports.metric("connections").await >= accepted).then_some(())
        })
        .await;
    }
    all
}

/// Asserts that a request on a new connection is soon answered 200.
async fn assert_answered_promptly(sidecar: &SidecarProcess, i: usize) {
    let start = Instant::now();
    let mut raw = RawConnection::connect(sidecar.events).await;
    raw.write(post(i)).await;
    assert_eq!(raw.answer().await.status, 200);
    assert!(start.elapsed() < PROMPT_ANSWER_TIMEOUT, "it took {:?}", start.elapsed());
}

/// As many clients as the limit allows connect at the same time, while the sidecar gets no CPU time.
#[tokio::test]
async fn a_burst_of_new_connections_waits_in_the_listen_backlog() {
    let (_aws, sidecar) = start_ready(Function::new()).await;
    sidecar.pause();
    let connecting = (0..DEFAULT_MAX_CONNECTIONS - 1).map(async |_| RawConnection::connect(sidecar.events).await);
    // A client whose connection does not fit in the backlog retries after one second.
    let all = tokio::time::timeout(Duration::from_secs(1), join_all(connecting)).await;
    let mut all = all.expect("every connection fits in the backlog");
    for raw in &mut all {
        raw.write("GET /v1/track HTTP/1.1\r\nHost: s\r\n\r\n").await;
    }
    sidecar.resume();
    for raw in &mut all {
        assert_eq!(raw.answer().await.status, 405);
    }
}

#[tokio::test]
async fn idle_connections_are_closed_for_new_ones_and_no_request_in_flight_is_cut() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    assert!(sidecar.metrics().await.contains("\ntributary_connections_shed_total 0\n"));
    // The oldest connections are those with requests in flight.
    aws.faults([puts(latency(Duration::from_secs(5)))]);
    let mut busy = connect_many(&sidecar, 20, "").await;
    for (i, raw) in busy.iter_mut().enumerate() {
        raw.write(post(i)).await;
    }
    until("they are being answered", DEFAULT_TIMEOUT, async || {
        (sidecar.metric("in_flight_events").await >= 20.0).then_some(())
    })
    .await;
    aws.faults([]);
    let idle = connect_many(&sidecar, DEFAULT_MAX_CONNECTIONS - busy.len(), "").await;
    for i in 100..150 {
        assert_answered_promptly(&sidecar, i).await;
    }
    for raw in &mut busy {
        assert_eq!(raw.answer().await.status, 200, "a request was cut");
    }
    assert!(sidecar.metric("connections").await <= DEFAULT_MAX_CONNECTIONS as f64);
    assert!(sidecar.metric("connections_shed_total").await >= 1.0);
    assert_eq!(aws.objects().len(), 70);
    drop(idle);
    until("those that are gone are not counted", DEFAULT_TIMEOUT, async || {
        (sidecar.metric("connections").await <= busy.len() as f64).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_longest_idle_connection_is_closed_first() {
    let (_aws, sidecar) = start_ready(Function::new().with("ingest", json!({"maxConnections": 16}))).await;
    let mut kept = connect_many(&sidecar, 16, "").await;
    // The first one sends a request, so it has been idle for less time than the others.
    kept[0].write(post(0)).await;
    assert_eq!(kept[0].answer().await.status, 200);
    assert_answered_promptly(&sidecar, 1).await;
    let (answers, closed) = kept[1].answers(PROMPT_ANSWER_TIMEOUT).await;
    assert!(answers.is_empty() && closed, "the second is not closed");
    for i in [0, 2, 15] {
        kept[i].write(post(i)).await;
        assert_eq!(kept[i].answer().await.status, 200, "connection {i}");
    }
}

#[tokio::test]
async fn incomplete_heads_hold_no_slot() {
    let (_aws, sidecar) = start_ready(Function::new().with("ingest", json!({"maxConnections": 16}))).await;
    let _halves = connect_many(&sidecar, 16, "POST /v1/track HTTP/1.1\r\nHo").await;
    for i in 0..20 {
        assert_answered_promptly(&sidecar, i).await;
    }
}

/// Closing such a connection takes time, so they must be closed concurrently.
#[tokio::test]
async fn a_flood_of_incomplete_heads_delays_no_other_client() {
    const INCOMPLETE_HEAD: &str = "POST /v1/track HTTP/1.1\r\nHo";
    let (_aws, sidecar) = start_ready(Function::new().with("ingest", json!({"maxConnections": 64}))).await;
    let _halves = connect_many(&sidecar, 64, INCOMPLETE_HEAD).await;
    let events = sidecar.events;
    let flood = tokio::spawn(async move {
        let mut all = Vec::new();
        loop {
            let mut raw = RawConnection::connect(events).await;
            raw.try_write(INCOMPLETE_HEAD).await;
            all.push(raw);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let until = Instant::now() + Duration::from_secs(6);
    let mut i = 0;
    while Instant::now() < until {
        assert_answered_promptly(&sidecar, i).await;
        i += 1;
    }
    println!("{i} answers");
    flood.abort();
}

/// Each reconnects as soon as its connection is closed, and there are many more of them than the limit of connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_reconnect_with_incomplete_heads_do_not_shut_out_others() {
    let (_aws, sidecar) = start_ready(Function::new().with("ingest", json!({"maxConnections": 128}))).await;
    let events = sidecar.events;
    let mut flood = JoinSet::new();
    for _ in 0..600 {
        flood.spawn(async move {
            loop {
                let mut raw = RawConnection::connect(events).await;
                raw.try_write("POST /v1/track HTTP/1.1\r\nHo").await;
                raw.answers(Duration::from_secs(60)).await;
            }
        });
    }
    until("it is at its limit", DEFAULT_TIMEOUT, async || (sidecar.metric("connections").await >= 128.0).then_some(()))
        .await;
    for i in 0..10 {
        assert_answered_promptly(&sidecar, i).await;
    }
}

/// Each of them sends requests at shorter intervals than the idle time after which a connection may be closed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_clients_that_keep_sending_do_not_shut_out_others() {
    let ingest = json!({"maxConnections": 32, "writeKeySecretRef": {"name": "keys", "key": "writeKey"}});
    let aws = tributary_tests::Aws::start(&tributary_tests::World::new()).await;
    let setup = tributary_tests::Setup::new(&aws).function(Function::new().with("ingest", ingest));
    let write_key = tributary_crds::sidecar_config::SecretUse::WriteKey;
    let sidecar = setup.secret(write_key, "writeKey", "wk-1").start().await;
    sidecar.wait_ready().await;
    let events = sidecar.events;
    let mut flood = JoinSet::new();
    for _ in 0..96 {
        flood.spawn(async move {
            loop {
                let mut raw = RawConnection::connect(events).await;
                loop {
                    raw.try_write(post(0)).await;
                    let (_, closed) = raw.answers(Duration::from_millis(150)).await;
                    if closed {
                        break;
                    }
                }
            }
        });
    }
    until("they are refused", DEFAULT_TIMEOUT, async || {
        (sidecar.metric("auth_failures_total").await >= 200.0).then_some(())
    })
    .await;
    for i in 0..10 {
        let start = Instant::now();
        let answer = sidecar.post("/v1/track", &[("authorization", "Bearer wk-1")], track(i).to_string()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(start.elapsed() < PROMPT_ANSWER_TIMEOUT, "it took {:?}", start.elapsed());
    }
}

/// A request without a valid event, whose answer is much larger than the request.
fn request_with_large_refusal() -> String {
    let body = format!("[{}]", vec!["\"x\""; 120].join(","));
    format!("POST / HTTP/1.1\r\nHost: s\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn clients_that_do_not_read_their_answers_hold_no_slot() {
    let (_aws, sidecar) = start_ready(Function::new().with("ingest", json!({"maxConnections": 16}))).await;
    let pipelined = request_with_large_refusal().repeat(600);
    let mut writers = JoinSet::new();
    for _ in 0..16 {
        let mut raw = RawConnection::with_small_receive_buffer(sidecar.events).await;
        let pipelined = pipelined.clone();
        writers.spawn(async move {
            raw.try_write(pipelined).await;
            raw
        });
    }
    let counted = "requests_total{path=\"/\",status=\"400\"}";
    until("their answers are not taken any more", DEFAULT_TIMEOUT, async || {
        let before = sidecar.metric(counted).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        (before > 0.0 && sidecar.metric(counted).await <= before).then_some(())
    })
    .await;
    for i in 0..5 {
        assert_answered_promptly(&sidecar, i).await;
    }
    assert!(sidecar.metric("connections_shed_total").await >= 1.0);
}

#[tokio::test]
async fn stalled_bodies_without_a_write_key_do_not_hold_every_slot() {
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
    let _stalled =
        connect_many(&sidecar, 16, "POST /v1/track HTTP/1.1\r\nHost: s\r\nContent-Length: 1000\r\n\r\n{").await;
    let start = Instant::now();
    for i in 0..20 {
        let event = track(i).to_string();
        let answer = sidecar.post("/v1/track", &[("authorization", "Bearer wk-1")], event).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert!(start.elapsed() < PROMPT_ANSWER_TIMEOUT, "it took {:?}", start.elapsed());
}

#[tokio::test]
async fn while_every_connection_is_busy_new_ones_wait() {
    let (aws, sidecar) = start_ready(Function::new().with("ingest", json!({"maxConnections": 16}))).await;
    aws.faults([puts(latency(Duration::from_secs(2)))]);
    let mut all = join_all((0..40).map(async |i| {
        let mut raw = RawConnection::connect(sidecar.events).await;
        raw.write(post(i)).await;
        raw
    }))
    .await;
    for raw in &mut all {
        assert_eq!(raw.answer().await.status, 200, "a request was refused or cut");
        assert!(sidecar.metric("connections").await <= 16.0);
    }
    assert_eq!(aws.objects().len(), 40);
}
