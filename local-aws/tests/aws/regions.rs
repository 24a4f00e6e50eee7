//! Tests of buckets in other regions, and of what HeadBucket reports.

use crate::support::{ACCOUNTS, Aws, admin, allow, outcome};

#[tokio::test]
async fn a_put_to_a_bucket_in_another_region_is_refused() {
    let aws = Aws::start(ACCOUNTS).await;
    let put = |region: &'static str, bucket: &'static str| {
        let s3 = aws.s3(region, admin());
        s3.put_object().bucket(bucket).key("a").body(b"{}".to_vec().into()).send()
    };
    assert_eq!(outcome(put("us-west-2", "lake").await), "ok");
    assert_eq!(outcome(put("us-east-1", "east").await), "ok");

    let error = put("us-east-1", "foreign").await.unwrap_err();
    let raw = error.raw_response().unwrap();
    assert_eq!(raw.status().as_u16(), 400);
    let body = String::from_utf8_lossy(raw.body().bytes().unwrap()).into_owned();
    assert!(body.contains("<Code>AuthorizationHeaderMalformed</Code>"), "{body}");
    assert!(body.contains("<Region>eu-central-1</Region>"), "{body}");

    let error = put("us-west-2", "foreign").await.unwrap_err();
    let raw = error.raw_response().unwrap();
    assert_eq!(raw.status().as_u16(), 301);
    assert_eq!(raw.headers().get("x-amz-bucket-region"), Some("eu-central-1"));
    let body = String::from_utf8_lossy(raw.body().bytes().unwrap()).into_owned();
    assert!(body.contains("<Code>PermanentRedirect</Code>"), "{body}");
    assert!(body.contains("<Endpoint>foreign.s3.eu-central-1.amazonaws.com</Endpoint>"), "{body}");
    assert!(body.contains("<Bucket>foreign</Bucket>"), "{body}");
    assert_eq!(aws.local.objects().len(), 2);
}

#[tokio::test]
async fn head_bucket_reports_the_region() {
    let aws = Aws::start(ACCOUNTS).await;
    let narrow = aws.writer(Some(&allow(&["s3:PutObject"], "arn:aws:s3:::lake/*"))).await;
    for (credentials, region, bucket, status, expected_region) in [
        (admin(), "us-west-2", "lake", 200, Some("us-west-2")),
        (admin(), "us-west-2", "nowhere", 404, None),
        (admin(), "us-west-2", "foreign", 301, Some("eu-central-1")),
        (narrow.clone(), "us-west-2", "lake", 403, Some("us-west-2")),
        (narrow, "us-west-2", "foreign", 301, Some("eu-central-1")),
    ] {
        let s3 = aws.s3(region, credentials);
        let (actual_status, header) = match s3.head_bucket().bucket(bucket).send().await {
            Ok(answer) => (200, answer.bucket_region().map(str::to_owned)),
            Err(error) => {
                let raw = error.raw_response().unwrap();
                let header = raw.headers().get("x-amz-bucket-region");
                (raw.status().as_u16(), header.map(str::to_owned))
            }
        };
        assert_eq!((actual_status, header.as_deref()), (status, expected_region), "{bucket}");
    }
    let call = &aws.local.calls()[1];
    assert_eq!((call.operation, call.bucket.as_deref()), ("HeadBucket", Some("lake")));
}
