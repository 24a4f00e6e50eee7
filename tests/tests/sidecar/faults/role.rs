//! Tests faults of the external ID, its Secret, and the role's trust policy.

use super::*;

#[tokio::test]
async fn a_wrong_external_id_is_reported_until_the_secret_is_fixed() {
    let aws = Aws::start(&World::new()).await;
    let mut setup = Setup::new(&aws);
    setup = setup.external_id(&[("externalId", "another-one")]);
    fault(RoleAssumed, Reason::AccessDenied, &[ROLE, "sts:ExternalId", "trust policy", "STS said"])
        .assert_reported_until(&aws, setup.start().await, async |sidecar| sidecar.write_external_id(EXTERNAL_ID))
        .await;
}

#[tokio::test]
async fn a_wrong_external_id_is_reported_until_the_trust_policy_is_fixed() {
    let aws = Aws::start(&World::new().external_id("another-one")).await;
    fault(RoleAssumed, Reason::AccessDenied, &[ROLE, "sts:ExternalId"])
        .assert_reported_until(&aws, Setup::new(&aws).start().await, async |_| aws.set(&World::new()))
        .await;
}

#[tokio::test]
async fn a_missing_secret_is_reported_by_name() {
    let aws = Aws::start(&World::new()).await;
    let mut setup = Setup::new(&aws);
    setup = setup.external_id(&[]);
    fault(ExternalIdAvailable, Reason::SecretNotFound, &["Secret orders-lake", "create it", "externalId"])
        .assert_reported_until(&aws, setup.start().await, async |sidecar| sidecar.write_external_id(EXTERNAL_ID))
        .await;
}

#[tokio::test]
async fn a_secret_without_the_key_is_reported_by_key() {
    let aws = Aws::start(&World::new()).await;
    let mut setup = Setup::new(&aws);
    setup = setup.external_id(&[("external-id", EXTERNAL_ID)]);
    fault(
        ExternalIdAvailable,
        Reason::SecretKeyNotFound,
        &["orders-lake", "no key externalId", "externalIdSecretRef.key"],
    )
    .assert_reported_until(&aws, setup.start().await, async |sidecar| sidecar.write_external_id(EXTERNAL_ID))
    .await;
}

#[tokio::test]
async fn an_invalid_external_id_is_reported() {
    let aws = Aws::start(&World::new()).await;
    let mut setup = Setup::new(&aws);
    setup = setup.external_id(&[("externalId", "with spaces in it")]);
    fault(
        ExternalIdAvailable,
        Reason::InvalidExternalId,
        &["externalId", "orders-lake", "not an external ID", "tributary external-id orders-lake prints one"],
    )
    .assert_reported_until(&aws, setup.start().await, async |sidecar| sidecar.write_external_id(EXTERNAL_ID))
    .await;
}

#[tokio::test]
async fn an_unknown_role_is_reported_by_its_arn() {
    let aws = Aws::start(&World::new().role_named("team/other")).await;
    fault(RoleAssumed, Reason::AccessDenied, &[ROLE, "that the ARN is right"])
        .assert_reported_until(&aws, Setup::new(&aws).start().await, async |_| aws.set(&World::new()))
        .await;
}

#[tokio::test]
async fn a_role_that_trusts_another_principal_is_reported_with_the_sidecars_own() {
    let aws = Aws::start(&World::new().role("principals", json!([format!("arn:aws:iam::{OTHER_ACCOUNT}:root")]))).await;
    fault(RoleAssumed, Reason::AccessDenied, &["trust policy names this sidecar's principal", PRINCIPAL])
        .assert_reported_until(&aws, Setup::new(&aws).start().await, async |_| aws.set(&World::new()))
        .await;
}

#[tokio::test]
async fn a_role_that_requires_no_external_id_gets_no_event() {
    let aws = Aws::start(&World::new().role("externalId", json!(null))).await;
    let sidecar = Setup::new(&aws).start().await;
    fault(ExternalIdEnforced, Reason::NotEnforced, &[ROLE, "no event is stored until STS refuses", "sts:ExternalId"])
        .assert_reported_until(&aws, sidecar, async |sidecar| {
            assert_eq!(aws.objects(), [], "an event was stored through a role that does not require the external ID");
            assert_eq!(sidecar.get_admin("/readyz").await.status, 503);
            aws.set(&World::new());
        })
        .await;
}

#[tokio::test]
async fn a_role_that_accepts_any_external_id_is_reported() {
    let statement = |condition| json!({"Effect": "Allow", "Principal": {"AWS": PRINCIPAL}, "Action": "sts:AssumeRole", "Condition": condition});
    let any = policy(&statement(json!({"StringLike": {"sts:ExternalId": "*"}})));
    let world = World::new().role("principals", json!(null)).role("externalId", json!(null)).role("trustPolicy", any);
    let aws = Aws::start(&world).await;
    fault(ExternalIdEnforced, Reason::NotEnforced, &[ROLE, "without its external ID"])
        .assert_reported_until(&aws, Setup::new(&aws).start().await, async |_| aws.set(&World::new()))
        .await;
}

#[tokio::test]
async fn with_enforcement_warn_events_are_stored_through_a_role_that_requires_no_external_id() {
    let aws = Aws::start(&World::new().role("externalId", json!(null))).await;
    let function = Function::new().with("externalIdEnforcement", json!("Warn"));
    let sidecar = Setup::new(&aws).function(function).start().await;
    let reported =
        sidecar.wait_condition(ExternalIdEnforced, ConditionStatus::False, Reason::NotEnforced, REPORT_TIMEOUT).await;
    assert!(
        reported.message.contains("sts:ExternalId") && !reported.message.contains("no event"),
        "{}",
        reported.message
    );
    sidecar.wait_ready().await;
    assert_eq!(sidecar.send("/v1/track", &track(1)).await.status, 200);
    assert_stored_once(&aws.objects(), &[message_id(1)]);
    assert_eq!(sidecar.condition(ExternalIdEnforced).await.status, ConditionStatus::False);
}
