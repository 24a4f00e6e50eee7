//! Tests the CRD on a real API server: it must accept and refuse the same documents as the tool does offline.

use hyper::Request;
use serde_json::Value;
use tributary_tests::{Kubernetes, Namespace};

#[allow(clippy::unwrap_used, reason = "helpers of tests are tests")]
#[path = "../../../crds/tests/common/mod.rs"]
mod cases;

/// The API server's error for a document, as `kubectl apply` requests it: unknown fields are errors.
async fn refusal(cluster: &Kubernetes, namespace: &str, document: String) -> Option<String> {
    let path = format!("/apis/tributary.dev/v1alpha1/namespaces/{namespace}/destinationfunctions");
    let request = Request::post(format!("{path}?dryRun=All&fieldValidation=Strict"))
        .header("content-type", "application/json")
        .body(document.into_bytes())
        .expect("a request");
    cluster.client.request::<Value>(request).await.err().map(|error| error.to_string())
}

#[tokio::test]
async fn the_api_server_and_the_tool_agree_on_every_case() {
    let cluster = Kubernetes::connect().await;
    let namespace = Namespace::new(&cluster, "definition").await;
    let (mut failed, mut judged) = (Vec::new(), 0);
    for (case, document, verdict) in cases::cases() {
        let document = serde_json::to_string(&document).expect("a document that JSON can hold");
        let error = refusal(&cluster, &namespace.name, document).await;
        let right = match (verdict.as_str(), &error) {
            ("accept", error) => error.is_none(),
            (_, None) => false,
            (part, Some(error)) => error.contains(part),
        };
        judged += 1;
        if !right {
            failed.push(format!("{case}: {error:?}, not {verdict}"));
        }
    }
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
    assert!(judged > 100, "only {judged} cases");
}
