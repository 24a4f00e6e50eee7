//! Tests other stores than AWS: what they answer differently, and that the advice fits them. The store is the embedded
//! AWS, which the function names by its endpoints.

use tributary_tests::world::BUCKET;

use super::*;

/// A function whose S3 and STS are a store at this address.
fn function_at(aws: &Aws) -> Function {
    let endpoint = json!(aws.endpoint());
    let function = Function::new().with("s3.endpoint", endpoint.clone()).with("sts", json!({"endpoint": endpoint}));
    function.with("s3.forcePathStyle", json!(true))
}

fn setup_at(aws: &Aws) -> Setup {
    Setup::new(aws).function(function_at(aws))
}

fn s3_operation(operation: &str, action: tributary_local_aws::Action) -> Fault {
    Fault { operation: Some(operation.to_owned()), ..Fault::new(action) }
}

/// An error in XML, in the form of S3.
fn xml(code: &str, more: &str) -> String {
    format!("<Error><Code>{code}</Code><Message>said</Message>{more}</Error>")
}

/// An answer of S3 has this header.
const REQUEST_ID: [(&str, &str); 1] = [("x-amz-request-id", "1")];

/// SeaweedFS refuses a role for good if its trust policy has a condition on sts:ExternalId.
#[tokio::test]
async fn a_store_that_ignores_external_ids_is_reported_with_the_setting_that_accepts_that() {
    let aws = Aws::start(&World::new().role("externalId", json!(null))).await;
    let parts = &[ROLE, "ignores external IDs", "so no event is stored", "set spec.externalIdEnforcement: Warn"];
    fault(ExternalIdEnforced, Reason::NotEnforced, parts)
        .assert_reported_until(&aws, setup_at(&aws).start().await, async |sidecar| {
            let message = sidecar.condition(ExternalIdEnforced).await.message;
            assert!(message.contains(&aws.endpoint()) && !message.contains("sts:ExternalId"), "{message}");
            aws.set(&World::new());
        })
        .await;
    let warns = function_at(&aws).with("externalIdEnforcement", json!("Warn"));
    aws.set(&World::new().role("externalId", json!(null)));
    let sidecar = Setup::new(&aws).function(warns).start().await;
    sidecar.wait_ready().await;
    assert_eq!(sidecar.send("/v1/track", &track(1)).await.status, 200);
    let message = sidecar.condition(ExternalIdEnforced).await.message;
    assert!(message.contains("as the function accepts") && !message.contains("sts:ExternalId"), "{message}");
}

/// MinIO refuses a session policy with kms:ViaService.
#[tokio::test]
async fn a_session_of_a_store_has_no_permission_for_kms() {
    let aws = Aws::start(&World::new()).await;
    let sidecar = setup_at(&aws).start().await;
    sidecar.wait_ready().await;
    assert_eq!(sidecar.send("/v1/track", &track(1)).await.status, 200);
    let granted = aws.assume_role_calls().into_iter().find(|call| call.status == Some(200)).unwrap();
    let policy = granted.session_policy.unwrap();
    assert!(policy.contains("s3:PutObject") && !policy.contains("kms:"), "{policy}");
}

#[tokio::test]
async fn a_store_may_name_its_region_as_it_likes() {
    for region in ["garage", "us-west-004", "ru-central1"] {
        let aws = Aws::start(&World::new().bucket("region", json!(region))).await;
        let mut setup = setup_at(&aws);
        setup.function = setup.function.with("s3.region", json!(region));
        // The platform's region is AWS's, and no store's.
        setup.flags.extend(["--region", "eu-central-1"]);
        let sidecar = setup.start().await;
        sidecar.wait_ready().await;
        assert_eq!(sidecar.send("/v1/track", &track(1)).await.status, 200, "{region}");
    }
}

#[tokio::test]
async fn a_missing_bucket_of_a_store_is_reported_without_any_event() {
    let aws = Aws::start(&World::new().without_bucket()).await;
    let sidecar = setup_at(&aws).start().await;
    sidecar.wait_condition(BucketWritable, ConditionStatus::False, Reason::NoSuchBucket, REPORT_TIMEOUT).await;
    assert_eq!(sidecar.get_admin("/readyz").await.status, 503);
}

/// versitygw answers so if it does not know the session's user.
#[tokio::test]
async fn another_404_of_a_store_is_no_missing_bucket() {
    let aws = Aws::start(&World::new()).await;
    let unknown = || respond(404, &REQUEST_ID, &xml("XAdminUserNotFound", ""));
    aws.faults([
        s3_operation("HeadBucket", respond(404, &REQUEST_ID, "")),
        s3_operation("ListObjectsV2", unknown()),
        puts(unknown()),
    ]);
    fault(BucketWritable, Reason::S3Error, &["XAdminUserNotFound (404): said"])
        .assert_reported_until(&aws, setup_at(&aws).start().await, async |_| aws.faults([]))
        .await;
}

#[tokio::test]
async fn a_header_that_a_store_does_not_support_is_named() {
    for (header, part) in [
        (
            "<Header>x-amz-security-token</Header>",
            "the header x-amz-security-token of the request; the store must accept",
        ),
        ("", "if it is x-amz-security-token, the store must accept"),
    ] {
        let aws = Aws::start(&World::new()).await;
        aws.faults([puts(respond(501, &REQUEST_ID, &xml("NotImplemented", header)))]);
        fault(BucketWritable, Reason::S3Error, &[part, "S3 said: said"])
            .assert_reported_until(&aws, setup_at(&aws).start().await, async |_| aws.faults([]))
            .await;
    }
}

#[tokio::test]
async fn a_body_that_is_not_s3s_xml_is_quoted() {
    let aws = Aws::start(&World::new()).await;
    aws.faults([puts(respond(403, &REQUEST_ID, "{\"reason\": \"the bucket is frozen\"}"))]);
    let quoted = "S3 answered with a body that begins with: {\"reason\": \"the bucket is frozen\"}";
    fault(BucketWritable, Reason::AccessDenied, &[BUCKET, quoted])
        .assert_reported_until(&aws, setup_at(&aws).start().await, async |_| aws.faults([]))
        .await;
}

#[tokio::test]
async fn a_wrong_signature_is_reported_with_its_causes() {
    let aws = Aws::start(&World::new()).await;
    aws.faults([puts(error("SignatureDoesNotMatch"))]);
    let parts =
        &["can't verify the signature", "no proxy", "spec.s3.region", "spec.sts.endpoint", "S3 at http://127.0.0.1:"];
    fault(BucketWritable, Reason::S3Error, parts)
        .assert_reported_until(&aws, setup_at(&aws).start().await, async |_| aws.faults([]))
        .await;
}

/// moto answers so: with one more element than AWS, which the SDK does not read.
#[tokio::test]
async fn an_error_of_an_sts_in_another_form_is_read() {
    let denied = "<ErrorResponse><Errors><Error><Code>AccessDenied</Code><Message>said</Message></Error></Errors></ErrorResponse>";
    for (status, body, reason, part) in [
        (403, denied, Reason::AccessDenied, "if the store ignores external IDs"),
        (
            400,
            "Bad <b>Request</b>",
            Reason::StsError,
            "400 (400): no message, but a body that begins with: Bad <b>Request</b>",
        ),
    ] {
        let aws = Aws::start(&World::new()).await;
        aws.faults([sts(respond(status, &[], body))]);
        fault(RoleAssumed, reason, &[ROLE, part])
            .assert_reported_until(&aws, setup_at(&aws).start().await, async |_| aws.faults([]))
            .await;
    }
}
