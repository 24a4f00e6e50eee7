//! Tests of base identities from tokens: web identity and EKS Pod Identity.

use std::time::Duration;

use crate::support::{Aws, keys, outcome, platform, session};

const BASE: &str = "arn:aws:iam::111122223333:role/base";

fn accounts(trust_actions: &str) -> String {
    format!(
        r#"
accounts:
  "111122223333":
    roles:
      base:
        webIdentityTokens: [plain-token, {{token: old-token, expires: 2020-01-01T00:00:00Z}}]
      other:
        webIdentityTokens: [other-token]
      target:
        trustPolicy:
          Version: "2012-10-17"
          Statement: {{Effect: Allow, Principal: {{AWS: "{BASE}"}}, Action: {trust_actions}}}
    podIdentities:
      - {{token: pod-token, role: base}}
"#
    )
}

#[tokio::test]
async fn a_role_is_assumed_with_its_web_identity_token() {
    let aws = Aws::start(&accounts("\"sts:AssumeRole\"")).await;
    let sts = aws.sts(platform());
    let assume = |role: &str, token: &str| {
        let call = sts.assume_role_with_web_identity().role_session_name("pod");
        call.role_arn(role).web_identity_token(token).send()
    };
    for (role, token, expected) in [
        (BASE, "made-up", "400 InvalidIdentityToken"),
        (BASE, "old-token", "400 ExpiredTokenException"),
        (BASE, "other-token", "403 AccessDenied"),
        ("arn:aws:iam::111122223333:role/nobody", "plain-token", "403 AccessDenied"),
    ] {
        assert_eq!(outcome(assume(role, token).await), expected, "{role} {token}");
    }
    let answer = assume(BASE, "plain-token").await.unwrap();
    let base = aws.sts(session(answer.credentials()));
    let target = base.assume_role().role_session_name("chained");
    let target = target.role_arn("arn:aws:iam::111122223333:role/target");
    assert_eq!(outcome(target.send().await), "ok");
}

#[tokio::test]
async fn pod_credentials_have_transitive_tags() {
    for (actions, expected) in
        [("[\"sts:AssumeRole\", \"sts:TagSession\"]", "ok"), ("\"sts:AssumeRole\"", "403 AccessDenied")]
    {
        let aws = Aws::start(&accounts(actions)).await;
        let get = |token: &str| {
            format!("GET /v1/credentials HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nConnection: close\r\n\r\n")
        };
        let answer = aws.raw(&get("pod-token")).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        let field = |name: &str| body[name].as_str().unwrap();
        assert_eq!(field("AccountId"), "111122223333");
        assert!(field("Expiration").ends_with('Z'));
        let pod = keys(field("AccessKeyId"), field("SecretAccessKey"), Some(field("Token")));
        let target = aws.sts(pod.clone()).assume_role().role_session_name("chained");
        let target = target.role_arn("arn:aws:iam::111122223333:role/target").send().await;
        assert_eq!(outcome(target), expected);

        aws.advance(Duration::from_secs(6 * 3600));
        let whoami = aws.sts(pod).get_caller_identity().send().await;
        assert_eq!(outcome(whoami), "403 ExpiredToken");

        let answer = aws.raw(&get("made-up")).await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("InvalidTokenException"), "{answer}");
        let call = aws.local.calls().pop().unwrap();
        assert_eq!(call.error_code.as_deref(), Some("InvalidTokenException"));
        assert_eq!(aws.local.calls()[0].role.as_deref(), Some(BASE));
    }
}
