//! BucketWritable: what S3 answers, and what doesn't answer.

use serde_json::{Value, json};
use tributary_tests::kubernetes::Tenant;
use tributary_tests::world::{ACCOUNT, REGION, policy};

use super::{MENDED, mends_by_itself, says};
use crate::stage::{DOORS, tenant};

async fn running(name: &str) -> Tenant {
    let tenant = tenant("bucket").await;
    tenant.run(name, &json!({})).await;
    tenant
}

/// A bucket or role of the account's, as it should not be.
struct Broken<'a> {
    what: &'a str,
    to: Option<Value>,
    reason: &'a str,
    parts: &'a [&'a str],
}

impl Broken<'_> {
    async fn shows(self, tenant: &Tenant, name: &str) {
        let bucket = tenant.of(name);
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
        says(tenant, name, "BucketWritable", self.reason, self.parts).await;
        tenant.cloud.edit(|all| all["accounts"][ACCOUNT][self.what][&bucket] = before).await;
        mends_by_itself(tenant, name, MENDED).await;
    }
}

#[tokio::test]
async fn a_bucket_that_is_gone_is_told() {
    let tenant = running("gone").await;
    let parts = &["no bucket bucket-gone", "create it in us-west-2"];
    Broken { what: "buckets", to: None, reason: "NoSuchBucket", parts }.shows(&tenant, "gone").await;
}

#[tokio::test]
async fn a_bucket_in_another_region_is_told() {
    let tenant = running("moved").await;
    let to = Some(json!({"region": "eu-west-1"}));
    let parts = &["bucket-moved", "is in eu-west-1", "set spec.s3.region to eu-west-1"];
    Broken { what: "buckets", to, reason: "WrongRegion", parts }.shows(&tenant, "moved").await;
}

#[tokio::test]
async fn a_bucket_whose_policy_denies_is_told() {
    let tenant = running("denied").await;
    let deny = json!({"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::bucket-denied/*"});
    let to = Some(json!({"region": REGION, "policy": policy(&deny)}));
    let parts = &["s3:PutObject on bucket-denied/*", "bucket's policy"];
    Broken { what: "buckets", to, reason: "AccessDenied", parts }.shows(&tenant, "denied").await;
}

#[tokio::test]
async fn a_key_that_the_role_may_not_use_is_told() {
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
    Broken { what: "roles", to: Some(role), reason: "KmsDenied", parts }.shows(&tenant, "sealed").await;
}

#[tokio::test]
async fn an_s3_that_throttles_is_told() {
    errors("throttled", "SlowDown", "Throttled", &["S3 asks for fewer requests to bucket-throttled", "SlowDown"]).await;
}

#[tokio::test]
async fn an_s3_that_fails_is_told_in_its_own_words() {
    errors("failing", "InternalError", "S3Error", &["bucket-failing", "InternalError"]).await;
}

async fn errors(name: &str, code: &str, reason: &str, parts: &[&str]) {
    let tenant = running(name).await;
    let bucket = tenant.of(name);
    let action = json!({"error": code});
    tenant
        .cloud
        .break_with(json!({"service": "s3", "operation": "PutObject", "bucket": bucket, "action": action}))
        .await;
    says(&tenant, name, "BucketWritable", reason, parts).await;
    tenant.cloud.mend("bucket", &bucket).await;
    mends_by_itself(&tenant, name, MENDED).await;
}

/// The Service of the endpoint leads nowhere at first. (Later would change nothing: connections that
/// there are go on.)
#[tokio::test]
async fn an_s3_that_can_not_be_reached_is_told() {
    let tenant = tenant("bucket").await;
    tenant.cloud.lead("s3", "nothing").await;
    tenant.prepare("far").await;
    let s3 = json!({"bucket": "bucket-far", "region": REGION, "endpoint": DOORS[1], "forcePathStyle": true});
    tenant.apply("far", &json!({"s3": s3})).await;
    says(&tenant, "far", "BucketWritable", "S3Unreachable", &["can't be reached", "tried again"]).await;
    tenant.cloud.lead("s3", "aws").await;
    mends_by_itself(&tenant, "far", MENDED).await;
}
