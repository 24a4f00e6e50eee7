//! Tests of AssumeRole: which callers may assume a role, and how other requests are refused.

use aws_sdk_sts::error::ProvideErrorMetadata;
use aws_sdk_sts::types::Tag;

use crate::support::{ACCOUNTS, Aws, EXTERNAL_ID, WRITER, allow, outcome, platform, session, stranger};

#[tokio::test]
async fn the_role_is_assumed_with_its_external_id() {
    let aws = Aws::start(ACCOUNTS).await;
    let answer = aws.assume(WRITER).external_id(EXTERNAL_ID).send().await.unwrap();
    let user = answer.assumed_role_user().unwrap();
    assert_eq!(user.arn(), "arn:aws:sts::111122223333:assumed-role/writer/orders");

    let whoami = aws.sts(session(answer.credentials())).get_caller_identity();
    let whoami = whoami.send().await.unwrap();
    assert_eq!(whoami.arn(), Some(user.arn()));
    assert_eq!(whoami.account(), Some("111122223333"));

    let call = &aws.local.calls()[0];
    assert_eq!((call.operation, call.status), ("AssumeRole", Some(200)));
    assert_eq!(call.role.as_deref(), Some(WRITER));
    assert!(call.external_id);
    assert!(!format!("{call:?}").contains(EXTERNAL_ID));
}

#[tokio::test]
async fn every_refusal_has_the_same_message() {
    let aws = Aws::start(ACCOUNTS).await;
    let unknown = "arn:aws:iam::111122223333:role/nobody";
    let sts = aws.sts(stranger());
    let untrusted = sts.assume_role().role_session_name("orders");
    let refused = [
        (WRITER, "platform", aws.assume(WRITER).send().await),
        (WRITER, "platform", aws.assume(WRITER).external_id("wX9/orders").send().await),
        (unknown, "platform", aws.assume(unknown).external_id(EXTERNAL_ID).send().await),
        (WRITER, "stranger", untrusted.role_arn(WRITER).external_id(EXTERNAL_ID).send().await),
    ];
    for (role, user, result) in refused {
        let error = result.unwrap_err();
        assert_eq!(error.raw_response().unwrap().status().as_u16(), 403);
        assert_eq!(error.code(), Some("AccessDenied"));
        let caller = format!("arn:aws:iam::999999999999:user/{user}");
        let expected = format!("User: {caller} is not authorized to perform: sts:AssumeRole on resource: {role}");
        assert_eq!(error.message(), Some(expected.as_str()));
    }
}

#[tokio::test]
async fn a_role_without_an_external_id_accepts_any() {
    let aws = Aws::start(ACCOUNTS).await;
    let open = "arn:aws:iam::111122223333:role/open";
    assert_eq!(outcome(aws.assume(open).send().await), "ok");
    assert_eq!(outcome(aws.assume(open).external_id("random").send().await), "ok");
}

#[tokio::test]
async fn invalid_fields_are_refused() {
    let aws = Aws::start(ACCOUNTS).await;
    let assume = || aws.assume(WRITER).external_id(EXTERNAL_ID);
    let invalid = "400 ValidationError";
    assert_eq!(outcome(assume().role_session_name("or ders").send().await), invalid);
    assert_eq!(outcome(assume().duration_seconds(899).send().await), invalid);
    assert_eq!(outcome(assume().duration_seconds(7200).send().await), "ok");
    assert_eq!(outcome(assume().duration_seconds(7201).send().await), invalid);
    assert_eq!(outcome(assume().external_id("a b").send().await), invalid);
    let malformed = "400 MalformedPolicyDocument";
    assert_eq!(outcome(assume().policy("{").send().await), malformed);
    let long = allow(&["s3:PutObject"], &format!("arn:aws:s3:::lake/{}", "x".repeat(2048)));
    assert_eq!(outcome(assume().policy(long).send().await), invalid);

    let nearly = allow(&["s3:PutObject"], &format!("arn:aws:s3:::lake/{}", "x".repeat(1900)));
    assert_eq!(outcome(assume().policy(&nearly).send().await), "ok");
    let tag = |key: &str| Tag::builder().key(key).value("v".repeat(100)).build().unwrap();
    let tagged = assume().policy(&nearly).tags(tag("one")).tags(tag("two"));
    assert_eq!(outcome(tagged.send().await), "400 PackedPolicyTooLarge");
}

#[tokio::test]
async fn a_chained_session_lasts_at_most_an_hour() {
    let accounts = r#"
accounts:
  "111122223333":
    roles:
      first: {principals: ["arn:aws:iam::111122223333:user/u"], maxSessionDuration: 43200}
      second: {principals: ["arn:aws:iam::111122223333:role/first"], maxSessionDuration: 43200}
    users:
      u: {accessKeyId: AKIAPLATFORM0000001, secretAccessKey: platform-secret}
"#;
    let aws = Aws::start(accounts).await;
    let first = aws.assume("arn:aws:iam::111122223333:role/first").duration_seconds(43_200);
    let first = aws.sts(session(first.send().await.unwrap().credentials()));
    let second = || {
        let call = first.assume_role().role_session_name("chained");
        call.role_arn("arn:aws:iam::111122223333:role/second")
    };
    assert_eq!(outcome(second().duration_seconds(3600).send().await), "ok");
    let error = second().duration_seconds(3601).send().await.unwrap_err();
    assert_eq!(error.code(), Some("ValidationError"));
    assert!(error.message().unwrap().contains("role chaining"));
}

#[tokio::test]
async fn a_trust_policy_in_iams_format_is_evaluated() {
    let accounts = r#"
accounts:
  "999999999999":
    users:
      allowed: {accessKeyId: AKIAPLATFORM0000001, secretAccessKey: platform-secret}
      narrow:
        accessKeyId: AKIASTRANGER0000001
        secretAccessKey: stranger-secret
        policy: {Version: "2012-10-17", Statement: {Effect: Allow, Action: "s3:*", Resource: "*"}}
  "111122223333":
    roles:
      team/writer:
        trustPolicy:
          Version: "2012-10-17"
          Statement:
            - Sid: TheirAccount
              Effect: Allow
              Principal: {AWS: "arn:aws:iam::999999999999:root"}
              Action: "sts:AssumeRole"
              Condition: {StringEquals: {"sts:ExternalId": [one, two]}}
"#;
    let aws = Aws::start(accounts).await;
    let role = "arn:aws:iam::111122223333:role/team/writer";
    assert_eq!(outcome(aws.assume(role).external_id("two").send().await), "ok");
    assert_eq!(outcome(aws.assume(role).external_id("three").send().await), "403 AccessDenied");
    let tag = Tag::builder().key("team").value("data").build().unwrap();
    let tagged = aws.assume(role).external_id("two").tags(tag);
    assert_eq!(outcome(tagged.send().await), "403 AccessDenied", "sts:TagSession is not allowed");
    // A trust policy that names an account leaves the decision to the account's own policies.
    let narrow = aws.sts(stranger()).assume_role().role_session_name("orders");
    let narrow = narrow.role_arn(role).external_id("two").send().await;
    assert_eq!(outcome(narrow), "403 AccessDenied");
    assert_eq!(outcome(aws.sts(platform()).get_caller_identity().send().await), "ok");
}
