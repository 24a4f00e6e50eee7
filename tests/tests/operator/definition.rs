//! The definition on a real API server: every case of the table is judged as the tool does offline.

use hyper::Request;
use serde_json::Value;
use tributary_tests::{Kubernetes, Namespace};

#[allow(clippy::unwrap_used, reason = "helpers of tests are tests")]
#[path = "../../../crds/tests/common/mod.rs"]
mod cases;

/// What the API server would say of a document, as `kubectl apply` asks: a field that nobody knows is
/// an error.
async fn refusal(cluster: &Kubernetes, namespace: &str, document: String) -> Option<String> {
    let path = format!("/apis/tributary.dev/v1alpha1/namespaces/{namespace}/destinationfunctions");
    let request = Request::post(format!("{path}?dryRun=All&fieldValidation=Strict"))
        .header("content-type", "application/json")
        .body(document.into_bytes())
        .expect("a request");
    cluster.client.request::<Value>(request).await.err().map(|error| error.to_string())
}

#[tokio::test]
async fn the_api_server_judges_every_case_as_the_tool_does() {
    let cluster = Kubernetes::connect().await;
    let namespace = Namespace::new(&cluster, "definition").await;
    let (mut wrong, mut judged) = (Vec::new(), 0);
    for (case, document, verdict) in cases::cases() {
        let document = serde_json::to_string(&document).expect("a document that JSON can hold");
        let said = refusal(&cluster, &namespace.name, document).await;
        let right = match (verdict.as_str(), &said) {
            ("accept", said) => said.is_none(),
            (_, None) => false,
            (part, Some(said)) => said.contains(part),
        };
        judged += 1;
        if !right {
            wrong.push(format!("{case}: {said:?}, not {verdict}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(judged > 100, "only {judged} cases");
}
