//! Tests that refused uploads of some keys do not affect other events.

use tributary_local_aws::{Action, Fault};

use super::*;

/// A bucket policy that denies PutObject for keys with this prefix.
fn world_denying(prefix: &str) -> World {
    World::new().bucket(
        "policy",
        policy(&json!({
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": format!("arn:aws:s3:::orders-lake/{prefix}*"),
        })),
    )
}

/// An event of this type with this messageId.
fn event_of_type(kind: &str, id: &str) -> serde_json::Value {
    json!({"type": kind, "messageId": id, "userId": "u", "event": "E", "timestamp": EVENT_TIME})
}

/// Sends `bad` events 25 times per second and allowed track events 50 times per second for `time`. Returns how many
/// allowed events were sent, and how many of them were not answered 200.
async fn send_allowed_beside_denied(
    sidecar: &SidecarProcess,
    path: &'static str,
    bad: impl Fn(usize) -> serde_json::Value,
    time: Duration,
) -> (usize, usize) {
    let traffic = Traffic::start(sidecar, Duration::from_millis(20));
    let start = tokio::time::Instant::now();
    let mut requests = tokio::task::JoinSet::new();
    for i in 0.. {
        let at = start + Duration::from_millis(40) * u32::try_from(i).expect("few");
        if at >= start + time {
            break;
        }
        tokio::time::sleep_until(at).await;
        let (ports, body) = (tributary_tests::Ports::clone(sidecar), bad(i));
        requests.spawn(async move { ports.send(path, &body).await });
    }
    for answer in requests.join_all().await {
        assert_eq!((answer.status, answer.code().as_str()), (503, "AccessDenied"), "{}", answer.text());
    }
    let outcomes = traffic.finish().await;
    (outcomes.len(), outcomes.iter().filter(|outcome| outcome.status != Some(200)).count())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn denied_keys_of_one_type_do_not_affect_other_types() {
    let aws = Aws::start(&world_denying("identify/")).await;
    let sidecar = Setup::new(&aws).start().await;
    sidecar.wait_ready().await;
    let bad = |i: usize| event_of_type("identify", &format!("denied-{i}"));
    let (sent, refused) = send_allowed_beside_denied(&sidecar, "/v1/identify", bad, Duration::from_secs(15)).await;
    assert!(sent > 300, "only {sent} events were sent");
    assert_eq!(refused, 0, "of {sent} events of another type");
    // Enough refused events to open the circuit breaker of the type.
    assert_eq!(sidecar.metric("circuit_breaker_open{scope=\"identify\"}").await, 1.0);
    assert_eq!(sidecar.metric("circuit_breaker_open{scope=\"track\"}").await, 0.0);
    assert_eq!(sidecar.metric("circuit_breaker_open{scope=\"bucket\"}").await, 0.0);
    let reported = sidecar.condition(BucketWritable).await;
    assert_eq!((reported.status, reported.reason), (ConditionStatus::False, Reason::AccessDenied));
    assert!(reported.message.starts_with("events of type identify only: S3 refused"), "{}", reported.message);
    // One probe per two seconds notices that events are allowed again.
    aws.set(&World::new());
    until("the type is stored again", DEFAULT_TIMEOUT, async || {
        (sidecar.send("/v1/identify", &event_of_type("identify", "again")).await.status == 200).then_some(())
    })
    .await;
    sidecar.wait_condition(BucketWritable, ConditionStatus::True, Reason::Ok, Duration::from_secs(2)).await;
    assert_eq!(sidecar.metric("circuit_breaker_open{scope=\"identify\"}").await, 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn denied_keys_within_a_type_do_not_affect_its_other_keys() {
    let aws = Aws::start(&world_denying("track/*-denied-")).await;
    let sidecar = Setup::new(&aws).start().await;
    sidecar.wait_ready().await;
    let bad = |i: usize| event_of_type("track", &format!("denied-{i}"));
    let (sent, refused) = send_allowed_beside_denied(&sidecar, "/v1/track", bad, Duration::from_secs(15)).await;
    assert!(sent > 300, "only {sent} events were sent");
    assert_eq!(refused, 0, "of {sent} events of the same type");
    let reported = sidecar.condition(BucketWritable).await;
    assert_eq!((reported.status, reported.reason), (ConditionStatus::False, Reason::AccessDenied));
    // Once there has been no failure for a while, the condition is True again.
    let traffic = Traffic::start(&sidecar, EVENT_INTERVAL);
    sidecar.wait_condition(BucketWritable, ConditionStatus::True, Reason::Ok, DEFAULT_TIMEOUT).await;
    traffic.finish().await;
}

/// What can happen to the uploads of one type alone, and the reason that is reported for it.
fn faults_of_one_type() -> [(Action, Reason); 4] {
    [
        (error("SlowDown"), Reason::Throttled),
        (Action::Hang, Reason::S3Unreachable),
        (Action::Refuse, Reason::S3Unreachable),
        (respond(403, &[], "<html>no</html>"), Reason::S3Error),
    ]
}

/// The other type is sent so rarely that nothing was stored shortly before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_type_whose_uploads_fail_does_not_affect_a_rarely_sent_one() {
    let sent = faults_of_one_type().map(|(action, _)| async move {
        let aws = Aws::start(&World::new()).await;
        let sidecar = Setup::new(&aws).start().await;
        sidecar.wait_ready().await;
        aws.faults([Fault { key_prefix: Some("track/".to_owned()), ..puts(action.clone()) }]);
        let ports = tributary_tests::Ports::clone(&sidecar);
        let traffic = tokio::spawn(async move {
            for i in 0.. {
                let _ = ports.try_send("/v1/track", &track(i)).await;
            }
        });
        tokio::time::sleep(Duration::from_secs(15)).await;
        let answer = sidecar.send("/v1/identify", &event_of_type("identify", "rare")).await;
        assert_eq!(answer.status, 200, "{action:?}: {}", answer.text());
        traffic.abort();
    });
    futures_util::future::join_all(sent).await;
}

/// The other type is stored all the time, and the condition must not say that all is well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_type_whose_uploads_fail_is_reported_although_others_are_stored() {
    let sent = faults_of_one_type().map(|(action, reason)| async move {
        let aws = Aws::start(&World::new()).await;
        let sidecar = Setup::new(&aws).start().await;
        sidecar.wait_ready().await;
        assert_eq!(sidecar.send("/v1/track", &track(500_000)).await.status, 200);
        aws.faults([Fault { key_prefix: Some("identify/".to_owned()), ..puts(action) }]);
        let traffic = Traffic::start(&sidecar, EVENT_INTERVAL);
        let ports = tributary_tests::Ports::clone(&sidecar);
        let failing = tokio::spawn(async move {
            for i in 0.. {
                let _ = ports.try_send("/v1/identify", &event_of_type("identify", &i.to_string())).await;
            }
        });
        sidecar.wait_condition(BucketWritable, ConditionStatus::False, reason, DEFAULT_TIMEOUT).await;
        let reported = sidecar.condition(BucketWritable).await;
        assert!(reported.message.starts_with("events of type identify only: "), "{}", reported.message);
        failing.abort();
        assert!(traffic.finish().await.iter().all(|outcome| outcome.status == Some(200)));
    });
    futures_util::future::join_all(sent).await;
}
