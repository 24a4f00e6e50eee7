//! The offline verdict on every case of `tests/cases`.
#![cfg(feature = "check")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod common;

use common::{base, cases, set};
use tributary_crds::check::judge;

#[test]
fn every_case_gets_its_verdict() {
    let mut wrong = Vec::new();
    for (case, document, verdict) in cases() {
        let problems: Vec<_> =
            judge(&document).err().into_iter().flatten().map(|problem| problem.to_string()).collect();
        let right = match verdict.as_str() {
            "accept" => problems.is_empty(),
            part => problems.iter().any(|problem| problem.contains(part)),
        };
        if !right {
            wrong.push(format!("{case}: {problems:?}, not {verdict}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_problem_is_reported_once_in_the_documents_order() {
    let document = serde_yaml::from_str(
        "
        kind: DestinationFunction
        apiVersion: tributary.dev/v1alpha1
        spec:
          s3: {region: oregon, bucket: My_Bucket, colour: red}
          roleArn: my-secure-role-of-great-power
          delivery: {mode: Object, batch: {maxAge: 6s}}
          replicas: lots
        metadata: {name: Orders, labels: {a: b c}}
        ",
    )
    .unwrap();
    let problems: Vec<_> = judge(&document).unwrap_err().iter().map(ToString::to_string).collect();
    let parts = [
        "spec.externalIdSecretRef: Required value",
        "spec.s3.region: region \"oregon\" is not",
        "spec.s3.bucket: bucket \"My_Bucket\" is not",
        "unknown field \"spec.s3.colour\"",
        "spec.roleArn: roleArn \"my-secure-role-of-great-power\" is not",
        "spec.delivery: delivery.batch is allowed only",
        "spec.delivery.batch.maxAge: maxAge \"6s\" is not",
        "spec.replicas: must be of type integer: \"string\"",
        "metadata.name: \"Orders\": a lowercase RFC 1123",
        "metadata.labels: \"b c\": a valid label",
    ];
    assert_eq!(problems.len(), parts.len(), "{problems:#?}");
    for (problem, part) in problems.iter().zip(parts) {
        assert!(problem.starts_with(part), "{problem} is not {part}…");
    }
}

#[test]
fn stored_functions_have_their_defaults() {
    let function = judge(&base()).unwrap();
    assert_eq!(function.spec.external_id_secret_ref.key.as_str(), "externalId");
    assert!(function.spec.s3.conditional_writes && function.status.is_none());
}

#[test]
fn another_kind_is_refused() {
    let mut document = base();
    set(&mut document, "apiVersion", "tributary.dev/v1".into());
    set(&mut document, "kind", "Function".into());
    let problems: Vec<_> = judge(&document).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        [
            "apiVersion: Unsupported value: \"tributary.dev/v1\": supported values: \"tributary.dev/v1alpha1\"",
            "kind: Unsupported value: \"Function\": supported values: \"DestinationFunction\"",
        ]
    );
    assert_eq!(judge(&serde_yaml::Value::Null).unwrap_err()[0].to_string(), "must be of type object: \"null\"");
}

#[test]
fn a_problem_is_one_line() {
    let mut document = base();
    set(&mut document, "spec.s3.bucket", "my\nbucket".into());
    set(&mut document, "spec.resources.limits.cpu", "1\n2".into());
    for problem in judge(&document).unwrap_err() {
        assert_eq!(problem.to_string().lines().count(), 1, "{problem}");
    }
}
