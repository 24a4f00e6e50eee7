//! Tests how the sidecar interprets the answers of S3 to a PutObject request: which acknowledge an event, and which do
//! not.

use serde_json::json;
use tributary_crds::conditions::ConditionType::BucketWritable;
use tributary_crds::conditions::{ConditionStatus, Reason};
use tributary_local_aws::Fault;
use tributary_tests::aws::{error, puts, respond};
use tributary_tests::event::{batch, message_id, track, track_key};
use tributary_tests::stored::assert_exactly;
use tributary_tests::{Aws, Function, Setup, World, endless, start_ready};

/// A store that answers 412 to every `If-None-Match`.
fn refused_conditions() -> Fault {
    Fault { conditional: Some(true), ..puts(error("PreconditionFailed")) }
}

#[tokio::test]
async fn a_store_that_refuses_every_condition_stores_each_event_once_and_the_setting_is_reported() {
    for (function, path, body, objects) in [
        (Function::new(), "/v1/batch", batch(0..4), 4),
        // A key that the sidecar has generated can't have existed: so the first 412 proves the fault.
        (Function::new(), "/v1/track", json!({"userId": "u", "event": "e"}), 1),
        (Function::new().with("delivery.mode", json!("Batch")), "/v1/batch", batch(0..4), 1),
    ] {
        let (aws, sidecar) = start_ready(function).await;
        aws.faults([refused_conditions()]);
        let fresh = objects == 1;
        assert_eq!(sidecar.send(path, &body).await.status, 200);
        assert_eq!(aws.objects().len(), objects);
        if !fresh {
            assert_eq!(
                sidecar.condition(BucketWritable).await.reason,
                Reason::Ok,
                "a client may have sent them before"
            );
            assert_eq!(sidecar.send("/v1/batch", &batch(4..104)).await.status, 200);
        }
        let reported = sidecar.condition(BucketWritable).await;
        assert_eq!((reported.status, reported.reason), (ConditionStatus::True, Reason::ConditionalWritesUnsupported));
        assert!(reported.message.contains("set spec.s3.conditionalWrites: false"), "{}", reported.message);
        assert_eq!(sidecar.metric("events_deduplicated_total").await, 0.0);
        aws.faults([]);
        assert_eq!(sidecar.send("/v1/track", &track(1_000)).await.status, 200);
        assert_eq!(sidecar.condition(BucketWritable).await.reason, Reason::Ok);
    }
}

#[tokio::test]
async fn an_event_resent_to_a_new_sidecar_is_one_object() {
    let (aws, first) = start_ready(Function::new()).await;
    assert_eq!(first.send("/v1/track", &track(1)).await.status, 200);
    let second = Setup::new(&aws).start().await;
    second.wait_ready().await;
    assert_eq!(second.send("/v1/track", &track(1)).await.status, 200);
    assert_eq!(aws.objects().len(), 1);
    // From the first new event on, the store is known to honor conditions.
    assert_eq!(second.send("/v1/track", &track(2)).await.status, 200);
    for _ in 0..2 {
        assert_eq!(second.send("/v1/track", &track(2)).await.status, 200);
    }
    assert_eq!(aws.object(&track_key(2)).puts, 1);
    assert_eq!(second.metric("events_deduplicated_total").await, 2.0);
}

#[tokio::test]
async fn an_inconclusive_412_acknowledges_no_event() {
    let xml = "<Error><Code>SomethingElse</Code><Message>no</Message></Error>";
    let s3 = [("x-amz-request-id", "1")];
    for (conditional, action) in [
        (false, error("PreconditionFailed")),
        (true, error("PreconditionFailed")),
        (true, respond(412, &s3, xml)),
        (false, respond(412, &s3, xml)),
        (true, respond(412, &s3, "")),
        (true, respond(412, &[], "<html>")),
    ] {
        let function = Function::new().with("s3.conditionalWrites", json!(conditional));
        let (aws, sidecar) = start_ready(function).await;
        aws.faults([puts(action.clone())]);
        let answer = sidecar.send("/v1/track", &track(1)).await;
        assert_eq!((answer.status, answer.code().as_str()), (503, "S3Error"), "{action:?}: {}", answer.text());
        assert_eq!((aws.objects(), sidecar.metric("events_stored_total{type=\"track\"}").await), (vec![], 0.0));
    }
}

#[tokio::test]
async fn an_answer_that_is_not_s3s_success_acknowledges_no_event() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    let id = ("x-amz-request-id", "1");
    let error_in_200 = "<Error><Code>AccessDenied</Code><Message>no</Message></Error>";
    let answers = [
        (200, vec![], ""),
        (200, vec![("content-type", "text/html")], "<html>Welcome</html>"),
        (200, vec![("etag", "W/\"1\""), ("content-type", "text/html")], "<html>Welcome</html>"),
        (200, vec![id], error_in_200),
        (201, vec![id], ""),
        (202, vec![id], ""),
        (204, vec![], ""),
        (302, vec![("location", "https://example.com/login")], ""),
        (404, vec![], "<html>no such page</html>"),
        // Other services of AWS: CloudFront, API Gateway, a load balancer.
        (200, vec![("x-amz-cf-id", "1"), ("content-type", "text/html")], "<html>Welcome</html>"),
        (200, vec![("x-amzn-requestid", "1"), ("x-amz-apigw-id", "1")], "{}"),
        (200, vec![("x-amzn-trace-id", "1")], "ok"),
        (200, vec![id], "<ListBucketResult/>"),
        // The answer to another object's PUT, as if the connection had got out of step.
        (200, vec![id, ("etag", "\"0\""), ("x-amz-checksum-crc32", "AAAAAA==")], ""),
    ];
    let count = answers.len();
    for (i, (status, headers, body)) in answers.into_iter().enumerate() {
        // A stored object keeps the circuit breaker closed.
        assert_eq!(sidecar.send("/v1/track", &track(2 * i)).await.status, 200);
        aws.faults([puts(respond(status, &headers, body))]);
        let answer = sidecar.send("/v1/track", &track(2 * i + 1)).await;
        assert_eq!(answer.status, 503, "{status} {headers:?}: {}", answer.text());
        let reported = sidecar.condition(BucketWritable).await;
        assert!(reported.message.contains(&status.to_string()) || body == error_in_200, "{}", reported.message);
        aws.faults([]);
    }
    let even: Vec<_> = (0..count).map(|i| message_id(2 * i)).collect();
    assert_exactly(&aws.objects(), &even);
}

#[tokio::test]
async fn an_error_in_a_200_answer_is_retried_according_to_its_code() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    let body = "<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>";
    aws.faults([Fault { count: Some(1), ..puts(respond(200, &[("x-amz-request-id", "1")], body)) }]);
    assert_eq!(sidecar.send("/v1/track", &track(1)).await.status, 200);
    assert_exactly(&aws.objects(), &[message_id(1)]);
    assert_eq!(sidecar.metric("upload_errors_total{code=\"S3Error\"}").await, 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_s3_answer_is_read_only_up_to_a_limit() {
    let aws = Aws::start(&World::new()).await;
    let mut setup = Setup::new(&aws);
    setup.s3 = endless::server().await;
    let sidecar = setup.start().await;
    sidecar.wait_ready().await;
    let before = sidecar.peak_memory();
    let answer = sidecar.send("/v1/track", &track(1)).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "S3Error"), "{}", answer.text());
    let grown = (sidecar.peak_memory() - before) >> 20;
    assert!(grown < 8, "{grown} MiB more for one answer");
}
