//! Tests faults of the base identity and of STS itself.

use super::*;

#[tokio::test]
async fn a_missing_base_identity_is_reported() {
    let aws = Aws::start(&World::new()).await;
    let mut setup = Setup::new(&aws);
    setup.keys = None;
    let message_parts = &["no AWS identity of its own", "IRSA", "Pod Identity", "credentials Secret"];
    fault(RoleAssumed, Reason::NoBaseIdentity, message_parts)
        .assert_reported_until(&aws, setup.start().await, async |sidecar| {
            sidecar.write_credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY);
        })
        .await;
}

#[tokio::test]
async fn an_access_key_unknown_to_sts_is_reported() {
    let aws = Aws::start(&World::new().without_base_identity()).await;
    fault(RoleAssumed, Reason::NoBaseIdentity, &["base identity's credentials", "InvalidClientTokenId"])
        .assert_reported_until(&aws, Setup::new(&aws).start().await, async |_| aws.set(&World::new()))
        .await;
}

#[tokio::test]
async fn a_wrong_secret_access_key_is_reported_until_it_is_corrected() {
    let aws = Aws::start(&World::new()).await;
    let mut setup = Setup::new(&aws);
    setup.keys = None;
    let sidecar = setup.start().await;
    sidecar.write_credentials(ACCESS_KEY_ID, "not-the-secret");
    until("the credentials are read", DEFAULT_TIMEOUT, async || {
        sidecar.condition(RoleAssumed).await.message.contains("does not accept").then_some(())
    })
    .await;
    fault(RoleAssumed, Reason::NoBaseIdentity, &["base identity's credentials", "SignatureDoesNotMatch"])
        .assert_reported_until(&aws, sidecar, async |sidecar| {
            sidecar.write_credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY);
        })
        .await;
}

#[tokio::test]
async fn a_base_identity_that_may_not_assume_the_role_is_reported() {
    let refused = |world: World| world.role("principals", json!([format!("arn:aws:iam::{BASE_ACCOUNT}:user/other")]));
    let aws = Aws::start(&refused(World::new())).await;
    fault(RoleAssumed, Reason::AccessDenied, &["the base identity may call sts:AssumeRole", PRINCIPAL])
        .assert_reported_until(&aws, Setup::new(&aws).start().await, async |_| aws.set(&World::new()))
        .await;
}

#[tokio::test]
async fn an_sts_that_refuses_connections_is_reported_by_its_address() {
    let aws = Aws::start(&World::new()).await;
    let closed_port = ClosedPort::bind();
    let mut setup = Setup::new(&aws);
    setup.sts = closed_port.endpoint();
    fault(RoleAssumed, Reason::StsUnreachable, &["STS at http://127.0.0.1:", "can't be reached", "retried"])
        .assert_reported_until(&aws, setup.start().await, async |_| closed_port.open(&aws))
        .await;
}

#[tokio::test]
async fn an_sts_that_throttles_is_reported() {
    let aws = Aws::start(&World::new()).await;
    aws.faults([sts(error("Throttling"))]);
    fault(RoleAssumed, Reason::Throttled, &["STS asks for fewer requests", "retried"])
        .assert_reported_until(&aws, Setup::new(&aws).start().await, async |_| aws.faults([]))
        .await;
}

#[tokio::test]
async fn a_packed_policy_that_is_too_large_is_reported() {
    let aws = Aws::start(&World::new()).await;
    aws.faults([sts(error("PackedPolicyTooLarge"))]);
    fault(RoleAssumed, Reason::PackedPolicyTooLarge, &[ROLE, "shorten spec.s3.prefix"])
        .assert_reported_until(&aws, Setup::new(&aws).start().await, async |_| aws.faults([]))
        .await;
}

#[tokio::test]
async fn an_sts_error_is_reported_with_its_code() {
    let aws = Aws::start(&World::new()).await;
    aws.faults([sts(error("InternalFailure"))]);
    fault(RoleAssumed, Reason::StsError, &[ROLE, "InternalFailure"])
        .assert_reported_until(&aws, Setup::new(&aws).start().await, async |_| aws.faults([]))
        .await;
}

/// A time that is no session's expiry.
const EXPIRATION_OF_2099: &str = "<Expiration>2099-01-01T00:00:00Z</Expiration>";

/// The body of an answer to AssumeRole.
fn assumed(id: &str, secret: &str, token: &str, expiration: &str) -> String {
    format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
         <AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>\
         <SessionToken>{token}</SessionToken>{expiration}</Credentials></AssumeRoleResult></AssumeRoleResponse>"
    )
}

/// The SDK would panic at such an access key ID, and put such a token into the head of each PUT.
#[tokio::test]
async fn a_session_that_is_not_an_sts_session_is_reported() {
    let expiration = EXPIRATION_OF_2099;
    let long = "x".repeat(10_000);
    for (body, part) in [
        (assumed("ASIA&#10;X", "secret", "token", expiration), "the access key ID is empty, too long or"),
        (assumed("", "secret", "token", expiration), "the access key ID is empty"),
        (assumed("ASIAX", "", "token", expiration), "the secret access key is empty"),
        (assumed("ASIAX", "secret", "a&#10;b", expiration), "the session token is empty, too long or"),
        (assumed("ASIAX", "secret", &long, expiration), "the session token is empty, too long or"),
        (assumed("ASIAX", "secret", "token", ""), "it was cut short"),
        ("<AssumeRoleResponse><AssumeRoleResult/></AssumeRoleResponse>".to_owned(), "it contains no credentials"),
        ("<html>Welcome</html>".to_owned(), "it is not in STS's format"),
    ] {
        let aws = Aws::start(&World::new()).await;
        aws.faults([sts(respond(200, &[("content-type", "text/xml")], &body))]);
        fault(RoleAssumed, Reason::StsError, &["the answer of STS at http://127.0.0.1:", part, "spec.sts.endpoint"])
            .assert_reported_until(&aws, Setup::new(&aws).start().await, async |_| aws.faults([]))
            .await;
    }
}

#[tokio::test]
async fn base_credentials_that_no_request_can_carry_are_reported() {
    let aws = Aws::start(&World::new()).await;
    let mut setup = Setup::new(&aws);
    setup.keys = Some(("AKIA\u{1}", SECRET_ACCESS_KEY));
    let sidecar = setup.start().await;
    let reported =
        sidecar.wait_condition(RoleAssumed, ConditionStatus::False, Reason::NoBaseIdentity, REPORT_TIMEOUT).await;
    assert!(reported.message.contains("the access key ID is empty, too long or"), "{}", reported.message);
}

#[tokio::test]
async fn a_session_that_outlives_its_request_is_used_as_long_as_requested() {
    let aws = Aws::start(&World::new()).await;
    let body = assumed("ASIAX", "secret", "token", EXPIRATION_OF_2099);
    aws.faults([sts(respond(200, &[("content-type", "text/xml")], &body))]);
    let sidecar = Setup::new(&aws).start().await;
    sidecar.wait_condition(RoleAssumed, ConditionStatus::True, Reason::Ok, REPORT_TIMEOUT).await;
    let expiry = sidecar.status().await.session.unwrap().expiry.parse::<jiff::Timestamp>().unwrap();
    let minutes = expiry.duration_since(jiff::Timestamp::now()).as_secs() / 60;
    assert!((58..=60).contains(&minutes), "{expiry}");
}
