//! Tests of temporary credentials: expiry, wrong tokens, and changes of the accounts.

use std::time::Duration;

use tributary_local_aws::Accounts;

use crate::support::{ACCOUNTS, Aws, keys, outcome};

fn put(s3: &aws_sdk_s3::Client, key: &str) -> aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder {
    s3.put_object().bucket("lake").key(key).body(b"{}".to_vec().into())
}

#[tokio::test]
async fn an_expired_session_is_refused_as_expired() {
    let aws = Aws::start(ACCOUNTS).await;
    let writer = aws.writer(None).await;
    let s3 = aws.s3("us-west-2", writer.clone());
    aws.advance(Duration::from_secs(3590));
    assert_eq!(outcome(put(&s3, "a").send().await), "ok");
    aws.advance(Duration::from_secs(20));
    assert_eq!(outcome(put(&s3, "b").send().await), "400 ExpiredToken");
    let whoami = aws.sts(writer).get_caller_identity().send().await;
    assert_eq!(outcome(whoami), "403 ExpiredToken");
}

#[tokio::test]
async fn a_key_is_valid_only_with_its_own_token() {
    let aws = Aws::start(ACCOUNTS).await;
    let one = aws.writer(None).await;
    let two = aws.writer(None).await;
    let with = |token| keys(one.access_key_id(), one.secret_access_key(), token);
    for token in [None, two.session_token(), Some("made-up")] {
        let s3 = aws.s3("us-west-2", with(token));
        assert_eq!(outcome(put(&s3, "a").send().await), "400 InvalidToken");
        let whoami = aws.sts(with(token)).get_caller_identity().send().await;
        assert_eq!(outcome(whoami), "403 InvalidClientTokenId");
    }
    assert!(aws.local.objects().is_empty());
}

#[tokio::test]
async fn replaced_accounts_take_effect_immediately() {
    let aws = Aws::start(ACCOUNTS).await;
    let s3 = aws.s3("us-west-2", aws.writer(None).await);
    assert_eq!(outcome(put(&s3, "a").send().await), "ok");

    let nothing = ACCOUNTS.replace(
        "maxSessionDuration: 7200",
        "policy: {Version: \"2012-10-17\", Statement: {Effect: Deny, Action: \"s3:*\", Resource: \"*\"}}",
    );
    aws.local.set_accounts(Accounts::parse(&nothing).unwrap());
    assert_eq!(outcome(put(&s3, "b").send().await), "403 AccessDenied");

    aws.local.set_accounts(Accounts::parse(ACCOUNTS).unwrap());
    assert_eq!(outcome(put(&s3, "b").send().await), "ok", "the session is still valid");

    let gone = ACCOUNTS.replace("      writer:\n", "      other:\n");
    aws.local.set_accounts(Accounts::parse(&gone).unwrap());
    assert_eq!(outcome(put(&s3, "c").send().await), "403 InvalidAccessKeyId");
}
