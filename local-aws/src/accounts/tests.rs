//! Tests of parsing accounts files: a full one, and the errors of invalid ones.

use super::Accounts;
use crate::policy::{AccessRequest, CallerNames, Decision, PrincipalMatch};

const FULL: &str = r#"
accounts:
  "123456789012":
    partition: aws-us-gov
    roles:
      team/writer:
        externalId: wX8
        principals: ["arn:aws:iam::999999999999:user/segment"]
        maxSessionDuration: 7200
      base:
        trustPolicy:
          Version: "2012-10-17"
          Statement:
            - Effect: Allow
              Principal: {Service: pods.eks.amazonaws.com}
              Action: ["sts:AssumeRole", "sts:TagSession"]
        policy: {Version: "2012-10-17", Statement: {Effect: Allow, Action: "sts:AssumeRole", Resource: "*"}}
        webIdentityTokens: [plain, {token: other, expires: 2026-01-01T00:00:00Z}]
    users:
      segment: {accessKeyId: AKIAIOSFODNN7EXAMPLE, secretAccessKey: secret}
    podIdentities:
      - {token: pod, role: base}
    buckets:
      my-bucket: {region: us-gov-west-1}
faults:
  - {service: s3, operation: PutObject, action: {error: SlowDown}, probability: 0.5, count: 3}
  - {action: refuse}
  - {service: sts, action: {latencyMs: 250}}
"#;

#[test]
fn a_file_with_every_field_is_parsed() {
    let accounts = Accounts::parse(FULL).unwrap();
    let role = &accounts.roles["arn:aws-us-gov:iam::123456789012:role/team/writer"];
    assert_eq!(role.max_session.as_secs(), 7200);
    assert_eq!(accounts.pod_identities["pod"], "arn:aws-us-gov:iam::123456789012:role/base");
    assert_eq!(accounts.faults.len(), 3);
    let base = &accounts.roles["arn:aws-us-gov:iam::123456789012:role/base"];
    assert!(base.web_tokens[0].expires.is_none());
    assert!(base.web_tokens[1].expires.is_some());

    let arn = "arn:aws:iam::999999999999:user/segment";
    let caller = CallerNames { account: "999999999999", arn, role_arn: None };
    let evaluate_trust = |context| {
        let request = AccessRequest { action: "sts:AssumeRole", resource: &role.arn, context };
        role.trust.evaluate(request, caller)
    };
    assert_eq!(evaluate_trust(&[("sts:ExternalId", "wX8")]), Decision::Allow(PrincipalMatch::Direct));
    assert_eq!(evaluate_trust(&[("sts:ExternalId", "wX9")]), Decision::ImplicitDeny);
    assert_eq!(evaluate_trust(&[]), Decision::ImplicitDeny);
}

#[test]
fn errors_contain_the_path_and_the_problem() {
    let role = |fields: &str| format!("accounts: {{\"123456789012\": {{roles: {{writer: {fields}}}}}}}");
    let bucket = |fields: &str| format!("accounts: {{\"123456789012\": {{buckets: {fields}}}}}");
    for (text, parts) in [
        ("accounts: {\"123\": {}}".to_owned(), ["accounts.123", "12 digits"]),
        (role("{externalID: x}"), ["externalID", "writer"]),
        (role("{externalId: x}"), ["roles.writer", "requires principals"]),
        (role("{principals: [segment]}"), ["roles.writer", "\"segment\""]),
        (role("{maxSessionDuration: 60}"), ["roles.writer", "60"]),
        (
            role("{policy: {Statement: [{Effect: Allow, Action: \"s3:*\", Resource: \"*\", Principal: \"*\"}]}}"),
            ["roles.writer", "Principal"],
        ),
        (role("{policy: {Statement: [{Effect: Permit, Action: \"s3:*\"}]}}"), ["Permit", "writer"]),
        (bucket("{My_Bucket: {region: us-west-2}}"), ["buckets.My_Bucket", "lowercase"]),
        (bucket("{my-bucket: {region: US}}"), ["buckets.my-bucket", "US"]),
        (
            "accounts: {\"123456789012\": {podIdentities: [{token: t, role: none}]}}".to_owned(),
            ["podIdentities[0]", "none"],
        ),
        ("faults: [{service: ec2, action: refuse}]".to_owned(), ["faults[0]", "ec2"]),
        ("faults: [{action: {error: SlowDwn}}]".to_owned(), ["faults[0]", "SlowDwn"]),
        ("faults: [{action: refuse, probability: 2.0}]".to_owned(), ["faults[0]", "probability"]),
    ] {
        let message = Accounts::parse(&text).unwrap_err().to_string();
        for part in parts {
            assert!(message.contains(part), "{message:?} does not contain {part:?}");
        }
    }
}

#[test]
fn debug_output_contains_no_secrets() {
    let shown = format!("{:?}", Accounts::parse(FULL).unwrap());
    assert!(shown.contains("role/base"), "{shown}");
    for secret in ["wX8", "\"pod\"", "AKIA", "plain"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
