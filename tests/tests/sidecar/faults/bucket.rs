//! Tests faults of the bucket, its policies and keys, and of S3 itself.

use super::*;

#[tokio::test]
async fn a_missing_bucket_is_reported_by_name() {
    let aws = Aws::start(&World::new().without_bucket()).await;
    fault(BucketWritable, Reason::NoSuchBucket, &["no bucket orders-lake", "create it in us-west-2", "spec.s3.bucket"])
        .assert_reported_until(&aws, Setup::new(&aws).start().await, async |_| aws.set(&World::new()))
        .await;
}

#[tokio::test]
async fn a_bucket_fault_and_its_fix_are_reported_without_any_event() {
    let elsewhere = World::new().bucket("region", json!("eu-west-1"));
    for (world, reason) in [(World::new().without_bucket(), Reason::NoSuchBucket), (elsewhere, Reason::WrongRegion)] {
        let aws = Aws::start(&world).await;
        let sidecar = Setup::new(&aws).start().await;
        sidecar.wait_condition(BucketWritable, ConditionStatus::False, reason, REPORT_TIMEOUT).await;
        let readiness = sidecar.get_admin("/readyz").await;
        assert_eq!(readiness.status, 503, "it would replace a sidecar that works");
        assert!(readiness.text().contains(&reason.to_string()), "{}", readiness.text());
        aws.set(&World::new());
        sidecar.wait_condition(BucketWritable, ConditionStatus::Unknown, Reason::NotYetWritten, RECOVERY_TIMEOUT).await;
        sidecar.wait_ready().await;
        assert_eq!(sidecar.send("/v1/track", &track(1)).await.status, 200);
    }
}

#[tokio::test]
async fn a_bucket_in_another_region_is_reported_with_that_region() {
    let aws = Aws::start(&World::new().bucket("region", json!("eu-west-1"))).await;
    let message_parts = &["orders-lake", "is in eu-west-1", "not in us-west-2", "set spec.s3.region to eu-west-1"];
    fault(BucketWritable, Reason::WrongRegion, message_parts)
        .assert_reported_until(&aws, Setup::new(&aws).start().await, async |_| aws.set(&World::new()))
        .await;
}

#[tokio::test]
async fn a_bucket_in_another_region_is_reported_by_the_global_endpoint_too() {
    let aws = Aws::start(&World::new().bucket("region", json!("eu-west-1"))).await;
    let setup = Setup::new(&aws).function(Function::new().with("s3.region", json!("us-east-1")));
    let message_parts = &["orders-lake", "is in eu-west-1", "not in us-east-1", "set spec.s3.region to eu-west-1"];
    fault(BucketWritable, Reason::WrongRegion, message_parts)
        .assert_reported_until(&aws, setup.start().await, async |_| {
            aws.set(&World::new().bucket("region", json!("us-east-1")));
        })
        .await;
}

#[tokio::test]
async fn a_bucket_of_another_account_is_reported_with_the_expected_owner() {
    let aws = Aws::start(&World::new().bucket_of_another_account()).await;
    let function = Function::new().with("s3.expectedBucketOwner", json!("123456789012"));
    let sidecar = Setup::new(&aws).function(function).start().await;
    fault(BucketWritable, Reason::AccessDenied, &["account 123456789012 owns the bucket", "orders-lake", ROLE])
        .assert_reported_until(&aws, sidecar, async |_| aws.set(&World::new()))
        .await;
}

#[tokio::test]
async fn a_bucket_policy_that_denies_is_reported() {
    let deny = json!({
        "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::orders-lake/*",
    });
    let aws = Aws::start(&World::new().bucket("policy", policy(&deny))).await;
    fault(BucketWritable, Reason::AccessDenied, &[ROLE, "s3:PutObject on orders-lake/*", "bucket's policy"])
        .assert_reported_until(&aws, Setup::new(&aws).start().await, async |_| aws.set(&World::new()))
        .await;
}

#[tokio::test]
async fn a_role_that_may_not_put_objects_is_reported_with_the_prefix() {
    let elsewhere = json!({"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::orders-lake/old/*"});
    let aws = Aws::start(&World::new().role("policy", policy(&elsewhere))).await;
    let setup = Setup::new(&aws).function(Function::new().with("s3.prefix", json!("new/")));
    fault(BucketWritable, Reason::AccessDenied, &["the role's policy allows s3:PutObject on orders-lake/new/*"])
        .assert_reported_until(&aws, setup.start().await, async |_| aws.set(&World::new()))
        .await;
}

#[tokio::test]
async fn a_kms_key_that_the_role_may_not_use_is_reported() {
    let objects_only = json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*"});
    let aws = Aws::start(&World::new().role("policy", policy(&objects_only))).await;
    let key = "arn:aws:kms:us-west-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let function = Function::new().with("s3.encryption", json!({"type": "KMS", "keyId": key}));
    let sidecar = Setup::new(&aws).function(function).start().await;
    fault(BucketWritable, Reason::KmsDenied, &[ROLE, "allow kms:GenerateDataKey", "key/1234abcd"])
        .assert_reported_until(&aws, sidecar, async |_| aws.set(&World::new()))
        .await;
}

#[tokio::test]
async fn an_s3_that_refuses_connections_is_reported() {
    let aws = Aws::start(&World::new()).await;
    let closed_port = ClosedPort::bind();
    let mut setup = Setup::new(&aws);
    setup.s3 = closed_port.endpoint();
    fault(BucketWritable, Reason::S3Unreachable, &["S3 at http://127.0.0.1:", "can't be reached", "retried"])
        .assert_reported_until(&aws, setup.start().await, async |_| closed_port.open(&aws))
        .await;
}

#[tokio::test]
async fn an_s3_that_throttles_every_upload_is_reported() {
    let aws = Aws::start(&World::new()).await;
    aws.faults([puts(error("SlowDown"))]);
    fault(BucketWritable, Reason::Throttled, &["S3 asks for fewer requests to orders-lake", "SlowDown"])
        .assert_reported_until(&aws, Setup::new(&aws).start().await, async |_| aws.faults([]))
        .await;
}

#[tokio::test]
async fn uploads_that_s3_asks_to_repeat_are_retried_and_no_event_is_refused() {
    let aws = Aws::start(&World::new()).await;
    let sidecar = Setup::new(&aws).start().await;
    sidecar.wait_ready().await;
    let codes = ["TemporaryRedirect", "BadDigest", "IncompleteBody", "XAmzContentSHA256Mismatch", "OperationAborted"];
    for (i, code) in codes.into_iter().enumerate() {
        let once = Fault { count: Some(1), ..puts(error(code)) };
        aws.faults([once]);
        for event in [2 * i, 2 * i + 1] {
            let answer = sidecar.send("/v1/track", &track(event)).await;
            assert_eq!(answer.status, 200, "{code}: {}", answer.text());
        }
        assert_eq!(aws.puts_answered(code), 1, "{code}");
        assert_eq!(sidecar.condition(BucketWritable).await.reason, Reason::Ok, "{code}");
    }
    let ids: Vec<_> = (0..2 * codes.len()).map(message_id).collect();
    assert_stored_once(&aws.objects(), &ids);
}

#[tokio::test]
async fn a_lasting_temporary_redirect_is_not_reported_as_a_wrong_region() {
    let aws = Aws::start(&World::new()).await;
    aws.faults([puts(error("TemporaryRedirect"))]);
    fault(BucketWritable, Reason::S3Error, &["S3 redirects requests to orders-lake for now", "retried"])
        .assert_reported_until(&aws, Setup::new(&aws).start().await, async |_| aws.faults([]))
        .await;
}

#[tokio::test]
async fn an_answer_of_another_server_acknowledges_no_event_and_is_quoted() {
    let aws = Aws::start(&World::new()).await;
    let html = [("content-type", "text/html")];
    aws.faults([puts(respond(200, &html, "<html>\n<title>Welcome to the proxy</title>"))]);
    let message_parts = &["answered 200", "<html> <title>Welcome to the proxy</title>", "spec.s3.endpoint"];
    fault(BucketWritable, Reason::S3Error, message_parts)
        .assert_reported_until(&aws, Setup::new(&aws).start().await, async |_| {
            assert_eq!(aws.objects(), []);
            aws.faults([]);
        })
        .await;
}

/// With a busy S3, a 503 helps clients more than a refused connection.
#[tokio::test]
async fn a_bucket_check_without_a_result_delays_readiness_only_for_a_while() {
    let aws = Aws::start(&World::new()).await;
    let head = |action| Fault { operation: Some("HeadBucket".to_owned()), ..Fault::new(action) };
    aws.faults([head(error("InternalError"))]);
    let sidecar = Setup::new(&aws).start().await;
    sidecar.wait_condition(RoleAssumed, ConditionStatus::True, Reason::Ok, DEFAULT_TIMEOUT).await;
    assert_eq!(sidecar.get_admin("/readyz").await.status, 503);
    sidecar.wait_ready().await;

    // The first answer shows nothing, and the next one that the bucket is missing.
    let aws = Aws::start(&World::new().without_bucket()).await;
    aws.faults([Fault { count: Some(1), ..head(error("InternalError")) }]);
    let sidecar = Setup::new(&aws).start().await;
    sidecar.wait_condition(BucketWritable, ConditionStatus::False, Reason::NoSuchBucket, REPORT_TIMEOUT).await;
    assert_eq!(sidecar.get_admin("/readyz").await.status, 503);
}

/// A wrong endpoint must not replace sidecars that work.
#[tokio::test]
async fn a_sidecar_that_cannot_reach_s3_reports_it_and_is_not_ready() {
    let aws = Aws::start(&World::new()).await;
    let closed_port = ClosedPort::bind();
    for (endpoint, part) in [(closed_port.endpoint(), "Connection refused"), ("not a url".to_owned(), "not a url")] {
        let mut setup = Setup::new(&aws);
        setup.s3.clone_from(&endpoint);
        let sidecar = setup.start().await;
        let reported =
            sidecar.wait_condition(BucketWritable, ConditionStatus::False, Reason::S3Unreachable, REPORT_TIMEOUT).await;
        assert!(reported.message.contains(part), "{}", reported.message);
        let readiness = sidecar.get_admin("/readyz").await;
        assert_eq!(readiness.status, 503);
        assert!(readiness.text().starts_with("BucketWritable S3Unreachable: "), "{}", readiness.text());
    }
    let mut setup = Setup::new(&aws);
    setup.s3 = closed_port.endpoint();
    let sidecar = setup.start().await;
    sidecar.wait_condition(BucketWritable, ConditionStatus::False, Reason::S3Unreachable, REPORT_TIMEOUT).await;
    closed_port.open(&aws);
    sidecar.wait_ready().await;
    sidecar.wait_condition(BucketWritable, ConditionStatus::Unknown, Reason::NotYetWritten, RECOVERY_TIMEOUT).await;
}
