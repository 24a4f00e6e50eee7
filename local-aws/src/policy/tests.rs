//! Tests of parsing and evaluating policy documents like those of real accounts.

use serde_json::{Value, json};

use super::{AccessRequest, CallerNames, Decision, Policy, PolicyKind, PrincipalMatch};

const ROLE: CallerNames<'_> = CallerNames {
    account: "111122223333",
    arn: "arn:aws:sts::111122223333:assumed-role/writer/orders",
    role_arn: Some("arn:aws:iam::111122223333:role/team/writer"),
};

fn policy(statement: &Value) -> Policy {
    serde_json::from_value(json!({"Version": "2012-10-17", "Statement": statement})).unwrap()
}

fn error(document: &str) -> String {
    serde_json::from_str::<Policy>(document).unwrap_err().to_string()
}

fn request<'a>(action: &'a str, resource: &'a str, context: super::Context<'a>) -> AccessRequest<'a> {
    AccessRequest { action, resource, context }
}

#[test]
fn identity_policies_are_evaluated() {
    let allowed = Decision::Allow(PrincipalMatch::Direct);
    let put = json!({"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::b/in/*"});
    let deny = json!({"Effect": "Deny", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::b/in/secret*"]});
    let not = json!({"Effect": "Allow", "NotAction": "s3:Delete*", "NotResource": "arn:aws:s3:::b/out/*"});
    for (statement, action, resource, expected) in [
        (put.clone(), "s3:PutObject", "arn:aws:s3:::b/in/x", allowed),
        (put.clone(), "s3:PutObject", "arn:aws:s3:::b/out/x", Decision::ImplicitDeny),
        (put.clone(), "s3:PutObjectTagging", "arn:aws:s3:::b/in/x", Decision::ImplicitDeny),
        (json!([put, deny]), "s3:PutObject", "arn:aws:s3:::b/in/x", allowed),
        (json!([put, deny]), "s3:PutObject", "arn:aws:s3:::b/in/secret1", Decision::ExplicitDeny),
        (json!([deny, put]), "s3:PutObject", "arn:aws:s3:::b/in/secret1", Decision::ExplicitDeny),
        (not.clone(), "s3:PutObject", "arn:aws:s3:::b/in/x", allowed),
        (not.clone(), "s3:DeleteObject", "arn:aws:s3:::b/in/x", Decision::ImplicitDeny),
        (not, "s3:PutObject", "arn:aws:s3:::b/out/x", Decision::ImplicitDeny),
    ] {
        let shown = statement.to_string();
        let decision = policy(&statement).evaluate(request(action, resource, &[]), ROLE);
        assert_eq!(decision, expected, "{action} {resource} {shown}");
    }
}

#[test]
fn conditions_are_evaluated() {
    let with = |operator: &str, key: &str, value: Value| {
        policy(&json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*",
            "Condition": {operator: {key: value}}}))
    };
    let via = "s3.us-west-2.amazonaws.com";
    let context = [("kms:ViaService", via), ("aws:SecureTransport", "true")];
    for (operator, key, value, holds) in [
        ("StringEquals", "kms:ViaService", json!(via), true),
        ("StringEquals", "KMS:viaservice", json!(["x", via]), true),
        ("StringEquals", "kms:ViaService", json!("s3.*"), false),
        ("StringLike", "kms:ViaService", json!("s3.*.amazonaws.com"), true),
        ("StringNotEquals", "kms:ViaService", json!(via), false),
        ("StringNotEquals", "aws:Nothing", json!("x"), true),
        ("StringEquals", "aws:Nothing", json!("x"), false),
        ("Bool", "aws:SecureTransport", json!(true), true),
        ("Bool", "aws:SecureTransport", json!("false"), false),
    ] {
        let policy = with(operator, key, value.clone());
        let decision = policy.evaluate(request("kms:GenerateDataKey", "arn:k", &context), ROLE);
        assert_eq!(decision != Decision::ImplicitDeny, holds, "{operator} {key} {value}");
    }
}

#[test]
fn principals_are_matched() {
    for (principal, expected) in [
        (json!("*"), Some(PrincipalMatch::Direct)),
        (json!({"AWS": "*"}), Some(PrincipalMatch::Direct)),
        (json!({"AWS": "111122223333"}), Some(PrincipalMatch::Account)),
        (json!({"AWS": ["arn:aws:iam::111122223333:root"]}), Some(PrincipalMatch::Account)),
        (json!({"AWS": ["111122223333", ROLE.role_arn]}), Some(PrincipalMatch::Direct)),
        (json!({"AWS": ROLE.arn}), Some(PrincipalMatch::Direct)),
        (json!({"AWS": "arn:aws:iam::999999999999:root"}), None),
        (json!({"Service": "pods.eks.amazonaws.com"}), None),
    ] {
        let shown = principal.to_string();
        let trust = policy(&json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}));
        trust.check(PolicyKind::Trust).unwrap();
        let decision = trust.evaluate(request("sts:AssumeRole", "arn:r", &[]), ROLE);
        let expected = expected.map_or(Decision::ImplicitDeny, Decision::Allow);
        assert_eq!(decision, expected, "{shown}");
    }
}

#[test]
fn errors_name_the_unsupported_element() {
    let cases = [
        (
            r#"{"Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*",
                "Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}]}"#,
            "IpAddress",
        ),
        (r#"{"Statement":{"Effect":"Allow","Actions":"s3:*","Resource":"*"}}"#, "Actions"),
        (r#"{"Statement":{"Effect":"Allow","Action":"PutObject","Resource":"*"}}"#, "PutObject"),
        (
            r#"{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/${aws:username}/*"}}"#,
            "policy variable",
        ),
        (r#"{"Version":"2020-01-01","Statement":[]}"#, "2020-01-01"),
        (r#"{"Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::1:user/*"},"Action":"s3:*"}}"#, "user/*"),
    ];
    for (document, named) in cases {
        let message = error(document);
        assert!(message.contains(named), "{message}");
    }
}
