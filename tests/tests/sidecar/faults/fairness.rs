//! A fault of some keys leaves other traffic alone.

use super::*;

/// Refuses objects below a prefix of the bucket.
fn denied(prefix: &str) -> World {
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

/// An event of any type.
fn of_type(kind: &str, id: &str) -> serde_json::Value {
    json!({"type": kind, "messageId": id, "userId": "u", "event": "E", "timestamp": HAPPENED})
}

/// Sends `bad` events 25 times a second and good track events 50 times a second for `time`. Returns
/// how many good ones were sent and how many were refused.
async fn healthy_beside_denied(
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
async fn keys_of_one_type_that_are_denied_leave_other_types_alone() {
    let aws = Aws::start(&denied("identify/")).await;
    let sidecar = Setup::new(&aws).start().await;
    sidecar.wait_ready().await;
    let bad = |i: usize| of_type("identify", &format!("denied-{i}"));
    let (sent, refused) = healthy_beside_denied(&sidecar, "/v1/identify", bad, Duration::from_secs(15)).await;
    assert!(sent > 300, "{sent} events are no traffic");
    assert_eq!(refused, 0, "of {sent} events of another type");
    // Long enough for the type's own circuit breaker.
    assert_eq!(sidecar.metric("circuit_breaker_open{scope=\"identify\"}").await, 1.0);
    assert_eq!(sidecar.metric("circuit_breaker_open{scope=\"track\"}").await, 0.0);
    assert_eq!(sidecar.metric("circuit_breaker_open{scope=\"bucket\"}").await, 0.0);
    let said = sidecar.condition(BucketWritable).await;
    assert_eq!((said.status, said.reason), (Truth::False, Reason::AccessDenied));
    assert!(said.message.starts_with("events of type identify only: S3 refused"), "{}", said.message);
    // One probe every two seconds finds out that it is over.
    aws.set(&World::new());
    until("the type is stored again", SOON, async || {
        (sidecar.send("/v1/identify", &of_type("identify", "again")).await.status == 200).then_some(())
    })
    .await;
    sidecar.wait_condition(BucketWritable, Truth::True, Reason::Ok, Duration::from_secs(2)).await;
    assert_eq!(sidecar.metric("circuit_breaker_open{scope=\"identify\"}").await, 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_within_a_type_that_are_denied_leave_its_others_alone() {
    let aws = Aws::start(&denied("track/*-denied-")).await;
    let sidecar = Setup::new(&aws).start().await;
    sidecar.wait_ready().await;
    let bad = |i: usize| of_type("track", &format!("denied-{i}"));
    let (sent, refused) = healthy_beside_denied(&sidecar, "/v1/track", bad, Duration::from_secs(15)).await;
    assert!(sent > 300, "{sent} events are no traffic");
    assert_eq!(refused, 0, "of {sent} events of the same type");
    let said = sidecar.condition(BucketWritable).await;
    assert_eq!((said.status, said.reason), (Truth::False, Reason::AccessDenied));
    // Without another failure for a while, it is over.
    let traffic = Traffic::start(&sidecar, EVERY);
    sidecar.wait_condition(BucketWritable, Truth::True, Reason::Ok, SOON).await;
    traffic.finish().await;
}
