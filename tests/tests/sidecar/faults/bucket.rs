//! The bucket, its policies, and S3 itself.

use super::*;

#[tokio::test]
async fn a_missing_bucket_is_told_by_name() {
    let aws = Aws::start(&World::new().without_bucket()).await;
    fault(BucketWritable, Reason::NoSuchBucket, &["no bucket orders-lake", "create it in us-west-2", "spec.s3.bucket"])
        .is_told_until(&aws, Setup::new(&aws).start().await, async |_| aws.set(&World::new()))
        .await;
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_seen_before_the_first_event_and_seen_mended_without_one() {
    let elsewhere = World::new().bucket("region", json!("eu-west-1"));
    for (world, reason) in [(World::new().without_bucket(), Reason::NoSuchBucket), (elsewhere, Reason::WrongRegion)] {
        let aws = Aws::start(&world).await;
        let sidecar = Setup::new(&aws).start().await;
        sidecar.wait_condition(BucketWritable, Truth::False, reason, SHOWN).await;
        aws.set(&World::new());
        sidecar.wait_condition(BucketWritable, Truth::Unknown, Reason::NotYetWritten, OVER).await;
        assert_eq!(sidecar.send("/v1/track", &track(1)).await.status, 200);
    }
}

#[tokio::test]
async fn a_bucket_elsewhere_is_told_with_its_region() {
    let aws = Aws::start(&World::new().bucket("region", json!("eu-west-1"))).await;
    let says = &["orders-lake", "is in eu-west-1", "not in us-west-2", "set spec.s3.region to eu-west-1"];
    fault(BucketWritable, Reason::WrongRegion, says)
        .is_told_until(&aws, Setup::new(&aws).start().await, async |_| aws.set(&World::new()))
        .await;
}

#[tokio::test]
async fn a_bucket_elsewhere_is_told_with_its_region_by_the_global_endpoint_too() {
    let aws = Aws::start(&World::new().bucket("region", json!("eu-west-1"))).await;
    let setup = Setup::new(&aws).function(Function::new().with("s3.region", json!("us-east-1")));
    let says = &["orders-lake", "is in eu-west-1", "not in us-east-1", "set spec.s3.region to eu-west-1"];
    fault(BucketWritable, Reason::WrongRegion, says)
        .is_told_until(&aws, setup.start().await, async |_| {
            aws.set(&World::new().bucket("region", json!("us-east-1")));
        })
        .await;
}

#[tokio::test]
async fn a_bucket_of_another_account_is_told_with_the_owner_expected() {
    let aws = Aws::start(&World::new().bucket_of_another_account()).await;
    let function = Function::new().with("s3.expectedBucketOwner", json!("123456789012"));
    let sidecar = Setup::new(&aws).function(function).start().await;
    fault(BucketWritable, Reason::AccessDenied, &["account 123456789012 owns the bucket", "orders-lake", ROLE])
        .is_told_until(&aws, sidecar, async |_| aws.set(&World::new()))
        .await;
}

#[tokio::test]
async fn a_bucket_policy_that_denies_is_told() {
    let deny = json!({
        "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::orders-lake/*",
    });
    let aws = Aws::start(&World::new().bucket("policy", policy(&deny))).await;
    fault(BucketWritable, Reason::AccessDenied, &[ROLE, "s3:PutObject on orders-lake/*", "bucket's policy"])
        .is_told_until(&aws, Setup::new(&aws).start().await, async |_| aws.set(&World::new()))
        .await;
}

#[tokio::test]
async fn a_role_that_may_not_put_objects_is_told_with_the_prefix() {
    let elsewhere = json!({"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::orders-lake/old/*"});
    let aws = Aws::start(&World::new().role("policy", policy(&elsewhere))).await;
    let setup = Setup::new(&aws).function(Function::new().with("s3.prefix", json!("new/")));
    fault(BucketWritable, Reason::AccessDenied, &["the role's policy allows s3:PutObject on orders-lake/new/*"])
        .is_told_until(&aws, setup.start().await, async |_| aws.set(&World::new()))
        .await;
}

#[tokio::test]
async fn a_kms_key_that_the_role_may_not_use_is_told() {
    let objects_only = json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*"});
    let aws = Aws::start(&World::new().role("policy", policy(&objects_only))).await;
    let key = "arn:aws:kms:us-west-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let function = Function::new().with("s3.encryption", json!({"type": "KMS", "keyId": key}));
    let sidecar = Setup::new(&aws).function(function).start().await;
    fault(BucketWritable, Reason::KmsDenied, &[ROLE, "allow kms:GenerateDataKey", "key/1234abcd"])
        .is_told_until(&aws, sidecar, async |_| aws.set(&World::new()))
        .await;
}

#[tokio::test]
async fn an_s3_that_refuses_connections_is_told() {
    let aws = Aws::start(&World::new()).await;
    let door = Door::closed();
    let mut setup = Setup::new(&aws);
    setup.s3 = door.endpoint();
    fault(BucketWritable, Reason::S3Unreachable, &["S3 in us-west-2 can't be reached", "tried again"])
        .is_told_until(&aws, setup.start().await, async |_| door.open(&aws))
        .await;
}

#[tokio::test]
async fn an_s3_that_throttles_everything_is_told() {
    let aws = Aws::start(&World::new()).await;
    aws.faults([puts(error("SlowDown"))]);
    fault(BucketWritable, Reason::Throttled, &["S3 asks for fewer requests to orders-lake", "SlowDown"])
        .is_told_until(&aws, Setup::new(&aws).start().await, async |_| aws.faults([]))
        .await;
}

#[tokio::test]
async fn what_s3_asks_to_be_sent_again_refuses_nobody() {
    let aws = Aws::start(&World::new()).await;
    let sidecar = Setup::new(&aws).start().await;
    sidecar.wait_ready().await;
    let codes = ["TemporaryRedirect", "BadDigest", "IncompleteBody", "XAmzContentSHA256Mismatch", "OperationAborted"];
    for (i, code) in codes.into_iter().enumerate() {
        let once = tributary_local_aws::Fault { count: Some(1), ..puts(error(code)) };
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
async fn a_redirect_for_now_that_lasts_is_not_told_as_another_region() {
    let aws = Aws::start(&World::new()).await;
    aws.faults([puts(error("TemporaryRedirect"))]);
    fault(BucketWritable, Reason::S3Error, &["S3 redirects requests to orders-lake for now", "tried again"])
        .is_told_until(&aws, Setup::new(&aws).start().await, async |_| aws.faults([]))
        .await;
}

#[tokio::test]
async fn a_page_of_another_server_acknowledges_nothing_and_is_quoted() {
    let aws = Aws::start(&World::new()).await;
    let html = [("content-type", "text/html")];
    aws.faults([puts(respond(200, &html, "<html>\n<title>Welcome to the proxy</title>"))]);
    let says = &["answered 200", "<html> <title>Welcome to the proxy</title>", "spec.s3.endpoint"];
    fault(BucketWritable, Reason::S3Error, says)
        .is_told_until(&aws, Setup::new(&aws).start().await, async |_| {
            assert_eq!(aws.objects(), []);
            aws.faults([]);
        })
        .await;
}
