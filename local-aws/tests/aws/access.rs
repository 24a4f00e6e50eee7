//! Tests of permissions to write: session, role and bucket policies combined.

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::types::ServerSideEncryption;

use crate::support::{ACCOUNTS, Aws, KEY, allow, outcome};

fn put(s3: &aws_sdk_s3::Client, key: &str) -> PutObjectFluentBuilder {
    s3.put_object().bucket("lake").key(key).body(b"{}".to_vec().into())
}

#[tokio::test]
async fn a_session_policy_restricts_the_role() {
    let aws = Aws::start(ACCOUNTS).await;
    let policy = allow(&["s3:PutObject"], "arn:aws:s3:::lake/orders/*");
    let s3 = aws.s3("us-west-2", aws.writer(Some(&policy)).await);
    assert_eq!(outcome(put(&s3, "orders/a").send().await), "ok");
    let error = put(&s3, "other/a").send().await.unwrap_err();
    assert_eq!(error.code(), Some("AccessDenied"));
    let message = error.message().unwrap();
    assert!(message.contains("no session policy allows the s3:PutObject action"), "{message}");
    assert_eq!(outcome(put(&s3, "orders/a").bucket("east").send().await), "301 PermanentRedirect");
}

#[tokio::test]
async fn tagging_requires_its_own_permission() {
    let aws = Aws::start(ACCOUNTS).await;
    let lake = "arn:aws:s3:::lake/*";
    let without = aws.writer(Some(&allow(&["s3:PutObject"], lake))).await;
    let with = aws.writer(Some(&allow(&["s3:PutObject", "s3:PutObjectTagging"], lake))).await;
    let error = put(&aws.s3("us-west-2", without), "a").tagging("a=b").send().await.unwrap_err();
    assert!(error.message().unwrap().contains("s3:PutObjectTagging"), "{error:?}");
    let tagged = put(&aws.s3("us-west-2", with), "a").tagging("a=b");
    assert_eq!(outcome(tagged.send().await), "ok");
}

#[tokio::test]
async fn encryption_requires_permission_for_the_key() {
    let aws = Aws::start(ACCOUNTS).await;
    let policy = |service: &str| {
        serde_json::json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::lake/*"},
            {"Effect": "Allow", "Action": "kms:GenerateDataKey", "Resource": KEY,
             "Condition": {"StringEquals": {"kms:ViaService": service}}},
        ]})
        .to_string()
    };
    let here = aws.writer(Some(&policy("s3.us-west-2.amazonaws.com"))).await;
    let elsewhere = aws.writer(Some(&policy("s3.eu-central-1.amazonaws.com"))).await;
    let encrypted = |s3: &aws_sdk_s3::Client, key: &str| {
        let put = put(s3, "a").server_side_encryption(ServerSideEncryption::AwsKms);
        put.ssekms_key_id(key).send()
    };
    let s3 = aws.s3("us-west-2", here);
    assert_eq!(outcome(encrypted(&s3, KEY).await), "ok");
    let other = KEY.replace("1234abcd", "4321abcd");
    for (s3, key) in [(&s3, other.as_str()), (&aws.s3("us-west-2", elsewhere), KEY)] {
        let error = encrypted(s3, key).await.unwrap_err();
        assert_eq!(error.code(), Some("AccessDenied"));
        assert!(error.message().unwrap().contains("kms:GenerateDataKey"), "{error:?}");
    }
    // Keys that S3 manages need no KMS permission.
    let own = put(&s3, "b").server_side_encryption(ServerSideEncryption::Aes256);
    assert_eq!(outcome(own.send().await), "ok");
}

#[tokio::test]
async fn a_buckets_default_key_requires_the_permission_too() {
    let accounts =
        ACCOUNTS.replace("lake: {region: us-west-2}", &format!("lake: {{region: us-west-2, kmsKeyId: \"{KEY}\"}}"));
    let aws = Aws::start(&accounts).await;
    let without = aws.writer(Some(&allow(&["s3:PutObject"], "arn:aws:s3:::lake/*"))).await;
    let error = put(&aws.s3("us-west-2", without), "a").send().await.unwrap_err();
    assert!(error.message().unwrap().contains("kms:GenerateDataKey"), "{error:?}");
    let s3 = aws.s3("us-west-2", aws.writer(None).await);
    let answer = put(&s3, "a").send().await.unwrap();
    assert_eq!(answer.ssekms_key_id(), Some(KEY));
}

#[tokio::test]
async fn across_accounts_both_policies_must_allow() {
    let aws = Aws::start(ACCOUNTS).await;
    let s3 = aws.s3("us-west-2", aws.writer(None).await);
    let theirs = || put(&s3, "a").bucket("theirs").send();
    assert_eq!(outcome(theirs().await), "403 AccessDenied");

    let policy = "theirs: {region: us-west-2, policy: {Version: \"2012-10-17\", Statement: [\
        {Effect: Allow, Principal: {AWS: \"arn:aws:iam::111122223333:role/writer\"}, \
         Action: \"s3:PutObject\", Resource: \"arn:aws:s3:::theirs/*\"}]}}";
    let shared = ACCOUNTS.replace("theirs: {region: us-west-2}", policy);
    aws.local.set_accounts(tributary_local_aws::Accounts::parse(&shared).unwrap());
    assert_eq!(outcome(theirs().await), "ok");
}

#[tokio::test]
async fn a_bucket_policy_allows_and_denies() {
    let statement = |effect: &str| {
        let statement = format!(
            "{{Version: \"2012-10-17\", Statement: [{{Effect: {effect}, Principal: \"*\", \
              Action: \"s3:PutObject\", Resource: \"arn:aws:s3:::lake/*\"}}]}}"
        );
        format!("lake: {{region: us-west-2, policy: {statement}}}")
    };
    let with = |effect: &str, policy: &str| {
        let text = ACCOUNTS.replace("lake: {region: us-west-2}", &statement(effect));
        text.replace("maxSessionDuration: 7200", policy)
    };
    let no_s3 = "policy: {Statement: {Effect: Allow, Action: \"sts:*\", Resource: \"*\"}}";
    for (effect, role_policy, expected) in
        [("Allow", no_s3, "ok"), ("Deny", "maxSessionDuration: 7200", "403 AccessDenied")]
    {
        let aws = Aws::start(&with(effect, role_policy)).await;
        let s3 = aws.s3("us-west-2", aws.writer(None).await);
        assert_eq!(outcome(put(&s3, "a").send().await), expected, "{effect}");
    }
}
