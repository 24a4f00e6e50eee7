//! The base identity, and STS itself.

use super::*;

#[tokio::test]
async fn a_sidecar_without_an_identity_of_its_own_says_so() {
    let aws = Aws::start(&World::new()).await;
    let mut setup = Setup::new(&aws);
    setup.keys = None;
    let says = &["no AWS identity of its own", "IRSA", "Pod Identity", "credentials Secret"];
    fault(RoleAssumed, Reason::NoBaseIdentity, says)
        .is_told_until(&aws, setup.start().await, async |sidecar| {
            sidecar.write_credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY);
        })
        .await;
}

#[tokio::test]
async fn keys_that_sts_does_not_know_are_told() {
    let aws = Aws::start(&World::new().without_base_identity()).await;
    fault(RoleAssumed, Reason::NoBaseIdentity, &["base identity's credentials", "InvalidClientTokenId"])
        .is_told_until(&aws, Setup::new(&aws).start().await, async |_| aws.set(&World::new()))
        .await;
}

#[tokio::test]
async fn a_wrong_secret_of_the_base_identity_is_told_and_a_right_one_taken_up() {
    let aws = Aws::start(&World::new()).await;
    let mut setup = Setup::new(&aws);
    setup.keys = None;
    let sidecar = setup.start().await;
    sidecar.write_credentials(ACCESS_KEY_ID, "not-the-secret");
    until("the credentials are read", SOON, async || {
        sidecar.condition(RoleAssumed).await.message.contains("does not accept").then_some(())
    })
    .await;
    fault(RoleAssumed, Reason::NoBaseIdentity, &["base identity's credentials", "SignatureDoesNotMatch"])
        .is_told_until(&aws, sidecar, async |sidecar| sidecar.write_credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY))
        .await;
}

#[tokio::test]
async fn a_base_identity_that_may_not_assume_roles_is_told() {
    let refused = |world: World| world.role("principals", json!([format!("arn:aws:iam::{BASE_ACCOUNT}:user/other")]));
    let aws = Aws::start(&refused(World::new())).await;
    fault(RoleAssumed, Reason::AccessDenied, &["the base identity may call sts:AssumeRole", PRINCIPAL])
        .is_told_until(&aws, Setup::new(&aws).start().await, async |_| aws.set(&World::new()))
        .await;
}

#[tokio::test]
async fn an_sts_that_refuses_connections_is_told_by_its_address() {
    let aws = Aws::start(&World::new()).await;
    let door = Door::closed();
    let mut setup = Setup::new(&aws);
    setup.sts = door.endpoint();
    fault(RoleAssumed, Reason::StsUnreachable, &["STS at http://127.0.0.1:", "can't be reached", "tried again"])
        .is_told_until(&aws, setup.start().await, async |_| door.open(&aws))
        .await;
}

#[tokio::test]
async fn an_sts_that_throttles_is_told() {
    let aws = Aws::start(&World::new()).await;
    aws.faults([sts(error("Throttling"))]);
    fault(RoleAssumed, Reason::Throttled, &["STS asks for fewer requests", "tried again"])
        .is_told_until(&aws, Setup::new(&aws).start().await, async |_| aws.faults([]))
        .await;
}

#[tokio::test]
async fn a_packed_policy_that_is_too_large_is_told() {
    let aws = Aws::start(&World::new()).await;
    aws.faults([sts(error("PackedPolicyTooLarge"))]);
    fault(RoleAssumed, Reason::PackedPolicyTooLarge, &[ROLE, "shorten spec.s3.prefix"])
        .is_told_until(&aws, Setup::new(&aws).start().await, async |_| aws.faults([]))
        .await;
}

#[tokio::test]
async fn an_sts_that_fails_is_told_in_its_own_words() {
    let aws = Aws::start(&World::new()).await;
    aws.faults([sts(error("InternalFailure"))]);
    fault(RoleAssumed, Reason::StsError, &[ROLE, "InternalFailure"])
        .is_told_until(&aws, Setup::new(&aws).start().await, async |_| aws.faults([]))
        .await;
}
