//! Tests what load balancers need: health checks on the port for events, and connections that stay open for as long as
//! they keep them, but not forever.

use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::json;
use tributary_crds::sidecar_config::SecretUse;
use tributary_tests::aws::{latency, puts};
use tributary_tests::event::message_id;
use tributary_tests::raw::{RawConnection, post};
use tributary_tests::stored::assert_exactly;
use tributary_tests::wait::{DEFAULT_TIMEOUT, until};
use tributary_tests::{Aws, ClosedPort, Function, Ports, Setup, World, start_ready};

const PATHS: [&str; 3] = ["/", "/healthz", "/readyz"];

/// The time limit for the rest of a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

async fn assert_health(ports: &Ports, status: u16) {
    for path in PATHS {
        for method in [Method::GET, Method::HEAD] {
            let answer = ports.request(method.clone(), path, &[], "").await.expect("an answer");
            assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
            assert_eq!(answer.body.is_empty(), method == Method::HEAD, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn health_checks_are_answered_503_until_the_sidecar_is_ready_and_while_it_drains() {
    let aws = Aws::start(&World::new()).await;
    let closed_port = ClosedPort::bind();
    let mut setup = Setup::new(&aws);
    setup.sts = closed_port.endpoint();
    setup.flags = vec!["--drain-delay", "5"];
    let mut sidecar = setup.start().await;
    assert_health(&sidecar, 503).await;
    closed_port.open(&aws);
    sidecar.wait_ready().await;
    assert_health(&sidecar, 200).await;
    sidecar.terminate();
    until("health checks are answered 503", DEFAULT_TIMEOUT, async || {
        (sidecar.request(Method::GET, "/", &[], "").await.ok()?.status == 503).then_some(())
    })
    .await;
    assert_health(&sidecar, 503).await;
    assert!(sidecar.wait_exit(DEFAULT_TIMEOUT).await.success());
}

#[tokio::test]
async fn health_checks_need_no_write_key_and_are_not_counted_as_requests() {
    let aws = Aws::start(&World::new()).await;
    let ingest = json!({"writeKeySecretRef": {"name": "keys", "key": "writeKey"}});
    let setup = Setup::new(&aws).function(Function::new().with("ingest", ingest));
    let sidecar = setup.secret(SecretUse::WriteKey, "writeKey", "wk-1").start().await;
    sidecar.wait_ready().await;
    assert_health(&sidecar, 200).await;
    assert_eq!(sidecar.metric("auth_failures_total").await, 0.0);
    assert_eq!(sidecar.metric("requests_total{path=\"/\",status=\"200\"}").await, 0.0);
    assert_eq!(sidecar.metric("request_duration_seconds_count").await, 0.0);
}

#[tokio::test]
async fn an_idle_connection_outlives_the_limits_of_load_balancers_and_an_incomplete_head_does_not() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    let mut idle = RawConnection::connect(sidecar.events).await;
    idle.write(post(0)).await;
    assert_eq!(idle.answer().await.status, 200);
    let mut unused = RawConnection::connect(sidecar.events).await;
    let mut incomplete = RawConnection::connect(sidecar.events).await;
    incomplete.write("POST /v1/track HTTP/1.1\r\nHo").await;
    let start = Instant::now();
    let (answers, closed) = incomplete.answers(HEAD_TIMEOUT + Duration::from_secs(5)).await;
    assert!(answers.is_empty() && closed, "an incomplete head holds its connection");
    assert!(start.elapsed() > HEAD_TIMEOUT - Duration::from_secs(1), "{:?}", start.elapsed());
    tokio::time::sleep(Duration::from_secs(62).saturating_sub(start.elapsed())).await;
    for (i, connection) in [(1, &mut idle), (2, &mut unused)] {
        connection.write(post(i)).await;
        assert_eq!(connection.answer().await.status, 200, "connection {i}");
    }
    assert_exactly(&aws.objects(), &[message_id(0), message_id(1), message_id(2)]);
}

#[tokio::test]
async fn idle_timeout_limits_how_long_a_connection_waits_for_a_request() {
    let (aws, sidecar) = start_ready(Function::new().with("ingest", json!({"idleTimeout": "10s"}))).await;
    let mut busy = RawConnection::connect(sidecar.events).await;
    let mut idle = RawConnection::connect(sidecar.events).await;
    let start = Instant::now();
    for i in 0..3 {
        busy.write(post(i)).await;
        assert_eq!(busy.answer().await.status, 200);
        tokio::time::sleep(Duration::from_secs(4)).await;
    }
    let (answers, closed) = idle.answers(Duration::from_secs(2)).await;
    assert!(answers.is_empty() && closed, "the idle connection is open after {:?}", start.elapsed());
    busy.write(post(3)).await;
    assert_eq!(busy.answer().await.status, 200, "each request begins the time anew");

    // The connection is busy when an idle one would be closed.
    let mut late = RawConnection::connect(sidecar.events).await;
    aws.faults([puts(latency(Duration::from_secs(4)))]);
    tokio::time::sleep(Duration::from_secs(8)).await;
    late.write(post(4)).await;
    assert_eq!(late.answer().await.status, 200);
    let answered = Instant::now();
    let (answers, closed) = late.answers(Duration::from_secs(13)).await;
    assert!(answers.is_empty() && closed, "it is open {:?} after its answer", answered.elapsed());
    assert!(answered.elapsed() > Duration::from_secs(9), "it was closed after {:?}", answered.elapsed());
}

#[tokio::test]
async fn after_max_connection_age_the_next_answer_closes_the_connection() {
    let (aws, sidecar) = start_ready(Function::new().with("ingest", json!({"maxConnectionAge": "10s"}))).await;
    let (start, mut count) = (Instant::now(), 0);
    let mut raw = RawConnection::connect(sidecar.events).await;
    loop {
        raw.write(post(count)).await;
        let answer = raw.answer().await;
        assert_eq!(answer.status, 200);
        count += 1;
        if answer.headers.contains_key("connection") {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(12), "it never closes");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(start.elapsed() > Duration::from_millis(8_900), "it closed after {:?}", start.elapsed());
    let (_, closed) = raw.answers(DEFAULT_TIMEOUT).await;
    assert!(closed);
    assert_exactly(&aws.objects(), &(0..count).map(message_id).collect::<Vec<_>>());
}
