//! Tests the built sidecar with other stores than AWS, as they are: MinIO, SeaweedFS and moto. docs/stores.md states
//! what these tests show.
//!
//! `tests/run stores` builds the stores and runs this.

mod example;
mod scenarios;
mod store;

use crate::scenarios::{MissingBucket, UnknownKey};
use crate::store::Store;

/// Runs every scenario with a store.
macro_rules! stores {
    ($($name:ident: missing bucket $missing:expr, unknown key $unknown:expr;)+) => {$(
        mod $name {
            use super::*;

            #[tokio::test]
            async fn an_event_that_is_sent_again_is_one_object() {
                scenarios::an_event_that_is_sent_again_is_one_object(&Store::$name().await).await;
            }

            #[tokio::test]
            async fn a_batch_is_one_object() {
                scenarios::a_batch_is_one_object(&Store::$name().await).await;
            }

            #[tokio::test]
            async fn every_setting_of_the_objects_is_accepted() {
                scenarios::every_setting_of_the_objects_is_accepted(&Store::$name().await).await;
            }

            #[tokio::test]
            async fn the_store_ignores_the_external_id() {
                scenarios::the_store_ignores_the_external_id(&Store::$name().await).await;
            }

            #[tokio::test]
            async fn a_missing_bucket_is_reported() {
                scenarios::a_missing_bucket_is_reported(&Store::$name().await, $missing).await;
            }

            #[tokio::test]
            async fn a_wrong_access_key_is_reported() {
                scenarios::a_wrong_access_key_is_reported(&Store::$name().await, $unknown).await;
            }
        }
    )+};
}

stores! {
    minio: missing bucket MissingBucket::AsDenied, unknown key UnknownKey::Refused;
    seaweedfs: missing bucket MissingBucket::AsDenied, unknown key UnknownKey::Refused;
    moto: missing bucket MissingBucket::AtTheStart, unknown key UnknownKey::Accepted;
}

/// SeaweedFS evaluates trust policies, but never sees the external ID.
#[tokio::test]
async fn seaweedfs_refuses_a_role_with_a_condition_on_the_external_id() {
    scenarios::a_condition_on_the_external_id_is_reported(&Store::seaweedfs().await).await;
}
