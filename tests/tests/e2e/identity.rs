//! Tests the sidecars' base identity.

use std::time::Duration;

use hyper::Request;
use serde_json::{Value, json};
use tributary_tests::kubernetes::Kubernetes;
use tributary_tests::world::{ACCOUNT, BASE_ACCOUNT};

use crate::stage::{IDENTITY, tenant};

/// Gets a document that the cluster publishes about its token issuer.
async fn get_json(cluster: &Kubernetes, path: &str) -> Value {
    let request = Request::get(path).body(Vec::new()).expect("a request");
    let text = cluster.client.request_text(request).await.expect("an answer");
    serde_json::from_str(&text).expect("JSON")
}

/// The pod's ServiceAccount token, which the kubelet mounts and the cluster has signed, is exchanged for the base
/// identity's role, and that role assumes the function's.
#[tokio::test]
async fn a_sidecar_gets_the_base_role_with_its_service_accounts_token() {
    let tenant = tenant(IDENTITY).await;
    let provider = json!({
        "issuer": get_json(&tenant.cluster, "/.well-known/openid-configuration").await["issuer"],
        "audiences": ["sts.amazonaws.com"],
        "keys": get_json(&tenant.cluster, "/openid/v1/jwks").await["keys"],
    });
    let external_id = tenant.external_id("orders");
    tenant.secret("orders", &json!({"externalId": external_id})).await;
    tenant.cloud.add_bucket(&tenant.aws_name("orders")).await;
    let sidecars = json!({"webIdentitySubjects": ["system:serviceaccount:identity:orders"]});
    let of_the_function =
        json!({"principals": [format!("arn:aws:iam::{BASE_ACCOUNT}:role/sidecars")], "externalId": external_id});
    tenant
        .cloud
        .edit(|all| {
            all["accounts"][BASE_ACCOUNT]["oidcProviders"] = json!([provider]);
            all["accounts"][BASE_ACCOUNT]["roles"]["sidecars"] = sidecars;
            all["accounts"][ACCOUNT]["roles"][tenant.aws_name("orders")] = of_the_function;
        })
        .await;
    tenant.apply("orders", &json!({})).await;
    tenant.wait_ready("orders", Duration::from_secs(60)).await;
    let sent = tenant.load("orders", &["--count", "20", "--prefix", "token"]).await;
    sent.finish(Duration::from_secs(30)).await.assert_all_stored();
    tenant.assert_stored(&tenant.aws_name("orders"), "token", 20).await;
}
