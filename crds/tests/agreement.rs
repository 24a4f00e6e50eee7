//! Tests that the types' parsers give the same verdict as the definition's schema and rules.
#![cfg(feature = "check")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod common;

use std::fmt::Display;
use std::str::FromStr;

use proptest::prelude::*;
use tributary_crds::check::judge;
use tributary_crds::values::{
    AccountId, BatchAge, BatchBytes, Bucket, ConnectionAge, DeadLetterPrefix, Endpoint, EventAge, EventBytes,
    EventNamePattern, IdleTimeout, KeyTemplate, KmsKeyArn, Origin, Prefix, Region, RoleArn, SecretKey, SecretName,
    SessionName, StorageClass,
};

/// Variants of `right`: with characters removed, inserted or replaced.
fn near(right: &'static [&'static str]) -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[ -~]{0,2}",
        "[a-zA-Z0-9./:{}*_-]{0,3}",
        Just("\n".to_owned()),
        Just("é".to_owned()),
        Just("..".to_owned()),
        Just("a".repeat(70)),
    ];
    (proptest::sample::select(right), any::<prop::sample::Index>(), 0..3_usize, piece).prop_map(
        |(text, at, out, piece)| {
            let at = at.index(text.len() + 1);
            let rest = &text[(at + out).min(text.len())..];
            format!("{}{piece}{rest}", &text[..at])
        },
    )
}

/// Checks `text` at `path` of a function by the parser and by the schema.
fn agree<T: FromStr<Err: Display>>(path: &str, text: &str) -> Result<(), TestCaseError> {
    let mut document = common::base();
    // Without an endpoint, only a region of AWS is valid, which the type does not know.
    common::set(&mut document, "spec.s3.endpoint", "https://s3.example.com".into());
    let field = path.trim_end_matches("[0]");
    let value = if field == path { text.into() } else { serde_yaml::Value::Sequence(vec![text.into()]) };
    common::set(&mut document, field, value);
    // Rules of other fields may refuse the document too, for example for a key without {messageId}.
    let problems = judge(&document).err().unwrap_or_default();
    let refused: Vec<_> = problems.iter().filter(|problem| problem.path == path).collect();
    match text.parse::<T>() {
        Ok(_) => prop_assert!(refused.is_empty(), "{text:?} parses; {refused:?}"),
        Err(error) => {
            prop_assert!(!refused.is_empty(), "{text:?} is accepted; {error}");
            // The messages are equal too, except for lengths (there the API server's words are used), control
            // characters (removed from problems) and long values (which the parser truncates).
            let error = error.to_string();
            let same = refused.iter().any(|problem| problem.message == error);
            let differs = error.contains(" characters, not ") || text.contains(char::is_control) || text.len() > 120;
            prop_assert!(same || differs, "{refused:?} and {error}");
        }
    }
    Ok(())
}

macro_rules! agreement {
    ($($test:ident: $value:ty, $path:literal, $right:expr;)+) => {
        proptest! {
            #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]
            $(#[test] fn $test(text in near(&$right)) {
                agree::<$value>($path, &text)?;
            })+
        }
    };
}

agreement! {
    role: RoleArn, "spec.roleArn", ["arn:aws:iam::123456789012:role/a/b", "arn:aws-iso-e:iam::123456789012:role/orders"];
    key_arn: KmsKeyArn, "spec.s3.encryption.keyId", ["arn:aws:kms:us-west-2:123456789012:key/1234abcd-12ab"];
    bucket: Bucket, "spec.s3.bucket", ["my-bucket", "a.b.c", "10.0.0.1", "abc", "arn:aws:s3:::a", "a--x-s3", "a.mrap"];
    region: Region, "spec.s3.region", ["us-west-2", "auto", "us-gov-west-1", "ap-southeast-12", "RegionOne"];
    prefix: Prefix, "spec.s3.prefix", ["", "a/", "events/orders/", "a/./"];
    account: AccountId, "spec.s3.expectedBucketOwner", ["123456789012"];
    session: SessionName, "spec.sessionName", ["segment-function", "ab"];
    endpoint: Endpoint, "spec.s3.endpoint", ["https://minio.storage.svc:9000", "http://[::1]:80", "https://a"];
    storage_class: StorageClass, "spec.s3.storageClass", ["STANDARD_IA", "GLACIER", "EXPRESS_ONEZONE"];
    event_name: EventNamePattern, "spec.events.names[0]", ["Order *", "*", ""];
    origin: Origin, "spec.ingest.cors.allowedOrigins[0]", ["*", "https://www.example.com", "http://a:3000"];
    secret: SecretName, "spec.externalIdSecretRef.name", ["orders-lake", "a.b", "a"];
    secret_key: SecretKey, "spec.externalIdSecretRef.key", ["externalId", "id.txt", "_"];
    batch_bytes: BatchBytes, "spec.delivery.batch.maxBytes", ["5Mi", "64Ki", "63Ki", "9999Ki", "64Mi"];
    batch_age: BatchAge, "spec.delivery.batch.maxAge", ["1s", "100ms", "5000ms", "5s"];
    idle_timeout: IdleTimeout, "spec.ingest.idleTimeout", ["650s", "10s", "9s", "3600s", "60m", "1h", "2h"];
    connection_age: ConnectionAge, "spec.ingest.maxConnectionAge", ["10m", "10s", "61m", "1h"];
    event_age: EventAge, "spec.delivery.batch.maxEventAge", ["7d", "12h", "9999d"];
    event_bytes: EventBytes, "spec.ingest.maxEventBytes", ["32Ki", "256Ki", "1Ki"];
    dead_letter_prefix: DeadLetterPrefix, "spec.delivery.deadLetter.prefix", ["_dead-letters/", "a/b/", "/", "a", "../", "", "type=page/", "dt=2026/"];
    key: KeyTemplate, "spec.delivery.key", [
        "{type}/{millis}-{messageId}.json", "{yyyy-MM-dd}/{userId}/{event}/{messageId}", "{type}/{batchId}", "a/{HH}/b",
        "dt={timestamp:yyyy-MM-dd}/{batchId}",
    ];
}
