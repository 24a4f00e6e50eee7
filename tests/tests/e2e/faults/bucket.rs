//! Tests faults of BucketWritable: refusals by S3, and an S3 that does not answer.

use serde_json::{Value, json};
use tributary_tests::kubernetes::Tenant;
use tributary_tests::world::{ACCOUNT, REGION, policy};

use super::{RECOVERY_TIMEOUT, assert_reported, wait_recovered_without_restart};
use crate::stage::{ENDPOINTS, tenant};

async fn run_function(name: &str) -> Tenant {
    let tenant = tenant("bucket").await;
    tenant.run(name, &json!({})).await;
    tenant
}

/// A bucket or role of the account that is replaced by a wrong one, and how that must be reported.
struct Misconfiguration<'a> {
    what: &'a str,
    to: Option<Value>,
    reason: &'a str,
    parts: &'a [&'a str],
}

impl Misconfiguration<'_> {
    async fn assert_reported_until_fixed(self, tenant: &Tenant, name: &str) {
        let bucket = tenant.aws_name(name);
        let place = |all: &mut Value| all["accounts"][ACCOUNT][self.what][&bucket].take();
        let mut before = Value::Null;
        tenant
            .cloud
            .edit(|all| {
                before = place(all);
                match self.to {
                    Some(to) => all["accounts"][ACCOUNT][self.what][&bucket] = to,
                    None => drop(all["accounts"][ACCOUNT][self.what].as_object_mut().expect("a map").remove(&bucket)),
                }
            })
            .await;
        assert_reported(tenant, name, "BucketWritable", self.reason, self.parts).await;
        tenant.cloud.edit(|all| all["accounts"][ACCOUNT][self.what][&bucket] = before).await;
        wait_recovered_without_restart(tenant, name, RECOVERY_TIMEOUT).await;
    }
}

#[tokio::test]
async fn a_deleted_bucket_is_reported() {
    let tenant = run_function("gone").await;
    let parts = &["no bucket bucket-gone", "create it in us-west-2"];
    Misconfiguration { what: "buckets", to: None, reason: "NoSuchBucket", parts }
        .assert_reported_until_fixed(&tenant, "gone")
        .await;
}

#[tokio::test]
async fn a_bucket_in_another_region_is_reported() {
    let tenant = run_function("moved").await;
    let to = Some(json!({"region": "eu-west-1"}));
    let parts = &["bucket-moved", "is in eu-west-1", "set spec.s3.region to eu-west-1"];
    Misconfiguration { what: "buckets", to, reason: "WrongRegion", parts }
        .assert_reported_until_fixed(&tenant, "moved")
        .await;
}

#[tokio::test]
async fn a_bucket_whose_policy_denies_is_reported() {
    let tenant = run_function("denied").await;
    let deny = json!({"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::bucket-denied/*"});
    let to = Some(json!({"region": REGION, "policy": policy(&deny)}));
    let parts = &["s3:PutObject on bucket-denied/*", "bucket's policy"];
    Misconfiguration { what: "buckets", to, reason: "AccessDenied", parts }
        .assert_reported_until_fixed(&tenant, "denied")
        .await;
}

#[tokio::test]
async fn a_kms_key_that_the_role_may_not_use_is_reported() {
    let tenant = tenant("bucket").await;
    let key = "arn:aws:kms:us-west-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let encryption = json!({"type": "KMS", "keyId": key});
    let s3 = json!({"bucket": "bucket-sealed", "region": REGION, "encryption": encryption});
    tenant.run("sealed", &json!({"s3": s3})).await;
    let objects_only = policy(&json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*"}));
    let role = json!({
        "principals": [tributary_tests::world::PRINCIPAL],
        "externalId": tenant.external_id("sealed"),
        "policy": objects_only,
    });
    let parts = &["allow kms:GenerateDataKey", "key/1234abcd"];
    Misconfiguration { what: "roles", to: Some(role), reason: "KmsDenied", parts }
        .assert_reported_until_fixed(&tenant, "sealed")
        .await;
}

#[tokio::test]
async fn an_s3_that_throttles_is_reported() {
    assert_error_reported(
        "throttled",
        "SlowDown",
        "Throttled",
        &["S3 asks for fewer requests to bucket-throttled", "SlowDown"],
    )
    .await;
}

#[tokio::test]
async fn an_s3_error_is_reported_with_its_code() {
    assert_error_reported("failing", "InternalError", "S3Error", &["bucket-failing", "InternalError"]).await;
}

async fn assert_error_reported(name: &str, code: &str, reason: &str, parts: &[&str]) {
    let tenant = run_function(name).await;
    let bucket = tenant.aws_name(name);
    let action = json!({"error": code});
    tenant
        .cloud
        .add_fault(json!({"service": "s3", "operation": "PutObject", "bucket": bucket, "action": action}))
        .await;
    assert_reported(&tenant, name, "BucketWritable", reason, parts).await;
    tenant.cloud.remove_faults("bucket", &bucket).await;
    wait_recovered_without_restart(&tenant, name, RECOVERY_TIMEOUT).await;
}

/// The endpoint's Service points at nothing at first. Changing it later would have no effect, because open connections
/// stay.
#[tokio::test]
async fn an_unreachable_s3_is_reported() {
    let tenant = tenant("bucket").await;
    tenant.cloud.point_service("s3", "nothing").await;
    tenant.prepare("far").await;
    let s3 = json!({"bucket": "bucket-far", "region": REGION, "endpoint": ENDPOINTS[1], "forcePathStyle": true});
    tenant.apply("far", &json!({"s3": s3})).await;
    assert_reported(&tenant, "far", "BucketWritable", "S3Unreachable", &["can't be reached", "retried"]).await;
    tenant.cloud.point_service("s3", "aws").await;
    wait_recovered_without_restart(&tenant, "far", RECOVERY_TIMEOUT).await;
}
