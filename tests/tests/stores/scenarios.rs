//! What is tried with each store.

use std::collections::BTreeMap;
use std::io::Read;

use flate2::read::MultiGzDecoder;
use serde_json::{Value, json};
use tributary_crds::conditions::ConditionType::{BucketWritable, ExternalIdEnforced, RoleAssumed};
use tributary_crds::conditions::{ConditionStatus, ConditionType, Reason, SidecarCondition};
use tributary_tests::event::{batch, message_id, track};
use tributary_tests::wait::{DEFAULT_TIMEOUT, until};
use tributary_tests::{Function, Setup, SidecarProcess};

use crate::store::{BASE_KEY, BUCKET, CONDITIONAL_ROLE, ROLE, Store};

/// How a missing bucket is reported.
#[derive(Clone, Copy, PartialEq)]
pub enum MissingBucket {
    /// As such, before the first event.
    AtTheStart,
    /// As an access that is denied, with the first event: the store says no more.
    AsDenied,
}

/// What becomes of an access key that the store does not know.
#[derive(Clone, Copy, PartialEq)]
pub enum UnknownKey {
    /// STS refuses it.
    Refused,
    /// The store accepts every access key.
    Accepted,
}

/// A function that stores its events in the store's bucket.
fn function(store: &Store) -> Function {
    let s3 = json!({"bucket": BUCKET, "region": store.region, "endpoint": store.endpoint, "forcePathStyle": true});
    let function = Function::new().with("roleArn", json!(ROLE)).with("externalIdEnforcement", json!("Warn"));
    function.with("s3", s3).with("sts", json!({"endpoint": store.endpoint}))
}

fn setup(store: &Store, function: Function) -> Setup {
    Setup { keys: Some(BASE_KEY), ..Setup::at(store.endpoint.clone()) }.function(function)
}

async fn ready(store: &Store, function: Function) -> SidecarProcess {
    let sidecar = setup(store, function).start().await;
    sidecar.wait_ready().await;
    sidecar
}

/// Waits until a condition is False.
async fn reported(sidecar: &SidecarProcess, r#type: ConditionType) -> SidecarCondition {
    until(&format!("{type} is False"), DEFAULT_TIMEOUT, async || {
        let condition = sidecar.condition(r#type).await;
        (condition.status == ConditionStatus::False).then_some(condition)
    })
    .await
}

async fn assert_stored(sidecar: &SidecarProcess, path: &str, body: &Value) {
    let answer = sidecar.send(path, body).await;
    assert_eq!(answer.status, 200, "{}: {:?}", answer.text(), sidecar.condition(BucketWritable).await);
}

/// The number of objects per event.
fn objects_per_event(store: &Store) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for (key, body) in store.objects() {
        let event: Value = serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{key}: {error}"));
        *found.entry(event["messageId"].as_str().expect("a messageId").to_owned()).or_default() += 1;
    }
    found
}

/// Object mode, with conditional writes: an event that is sent again does not overwrite its object, also if another
/// sidecar has stored it.
pub async fn an_event_that_is_sent_again_is_one_object(store: &Store) {
    let sidecar = ready(store, function(store)).await;
    for _ in 0..2 {
        for i in 0..3 {
            assert_stored(&sidecar, "/v1/track", &track(i)).await;
        }
    }
    // The store has answered 412 to the second PUT of each event.
    assert_eq!(sidecar.metric("events_deduplicated_total").await, 3.0);
    assert_eq!(sidecar.condition(BucketWritable).await.reason, Reason::Ok);
    let another = ready(store, function(store)).await;
    assert_stored(&another, "/v1/batch", &batch(2..5)).await;
    let expected: BTreeMap<_, _> = (0..5).map(|i| (message_id(i), 1)).collect();
    assert_eq!(objects_per_event(store), expected);
}

pub async fn a_batch_is_one_object(store: &Store) {
    let sidecar = ready(store, function(store).with("delivery.mode", json!("Batch"))).await;
    assert_stored(&sidecar, "/v1/batch", &batch(0..50)).await;
    let objects = store.objects();
    let [(key, body)] = objects.as_slice() else { panic!("{objects:?}") };
    assert!(key.ends_with(".ndjson.gz"), "{key}");
    let mut lines = String::new();
    MultiGzDecoder::new(body.as_slice()).read_to_string(&mut lines).expect("gzip");
    assert_eq!(lines.lines().count(), 50);
}

/// Without conditional writes and checksums too, with tags and under a prefix.
pub async fn every_setting_of_the_objects_is_accepted(store: &Store) {
    let with = |path: &str, value: Value| function(store).with(path, value);
    let tagged = with("s3.tags", json!({"team": "data"})).with("s3.prefix", json!("in/"));
    let plain = with("s3.checksum", json!("WhenRequired")).with("s3.conditionalWrites", json!(false));
    for (i, function) in [tagged, plain].into_iter().enumerate() {
        let sidecar = ready(store, function).await;
        for _ in 0..2 {
            assert_stored(&sidecar, "/v1/track", &track(i)).await;
        }
    }
    let expected: BTreeMap<_, _> = (0..2).map(|i| (message_id(i), 1)).collect();
    assert_eq!(objects_per_event(store), expected);
}

/// By default no event is stored then, and the advice is not a condition that the store would never find fulfilled.
pub async fn the_store_ignores_the_external_id(store: &Store) {
    let sidecar = setup(store, function(store).with("externalIdEnforcement", json!("Require"))).start().await;
    let reported = reported(&sidecar, ExternalIdEnforced).await;
    assert_eq!(reported.reason, Reason::NotEnforced, "{}", reported.message);
    assert!(reported.message.contains("set spec.externalIdEnforcement: Warn"), "{}", reported.message);
    assert!(!reported.message.contains("sts:ExternalId"), "{}", reported.message);
    assert_eq!(sidecar.send("/v1/track", &track(1)).await.status, 503);
    assert_eq!(store.objects(), []);
}

pub async fn a_missing_bucket_is_reported(store: &Store, how: MissingBucket) {
    let sidecar = setup(store, function(store).with("s3.bucket", json!("missing"))).start().await;
    let (reason, part) = match how {
        MissingBucket::AtTheStart => (Reason::NoSuchBucket, "there is no bucket missing"),
        MissingBucket::AsDenied => {
            sidecar.wait_ready().await;
            assert_eq!(sidecar.send("/v1/track", &track(1)).await.status, 503);
            (Reason::AccessDenied, "check in this order: that the bucket exists")
        }
    };
    let reported = reported(&sidecar, BucketWritable).await;
    assert_eq!(reported.reason, reason, "{}", reported.message);
    assert!(reported.message.contains(part), "{}", reported.message);
}

pub async fn a_wrong_access_key_is_reported(store: &Store, unknown: UnknownKey) {
    for keys in [("nobody-knows-this", "and-not-this-secret"), (BASE_KEY.0, "not-the-secret")] {
        let sidecar = Setup { keys: Some(keys), ..setup(store, function(store)) }.start().await;
        if unknown == UnknownKey::Accepted {
            sidecar.wait_ready().await;
            continue;
        }
        let reported = reported(&sidecar, RoleAssumed).await;
        assert_eq!(reported.reason, Reason::NoBaseIdentity, "{}: {}", keys.0, reported.message);
    }
}

pub async fn a_condition_on_the_external_id_is_reported(store: &Store) {
    let sidecar = setup(store, function(store).with("roleArn", json!(CONDITIONAL_ROLE))).start().await;
    let reported = reported(&sidecar, RoleAssumed).await;
    assert_eq!(reported.reason, Reason::AccessDenied, "{}", reported.message);
    let advice = "if the store ignores external IDs, that it has no such condition";
    assert!(reported.message.contains(advice), "{}", reported.message);
}
