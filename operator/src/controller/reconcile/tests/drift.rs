//! Edits of children by others.

use tributary_crds::conditions::{ConditionType, SidecarStatus};

use super::*;

const POD_UID: &str = "pod-1";

/// A function with a sidecar that reports that all is well.
async fn served() -> Scene {
    let mut scene = Scene::new(&json!({})).rolled_out().await;
    let deployment = scene.deployment();
    let config = &deployment["spec"]["template"]["metadata"]["labels"]["tributary.dev/config"];
    let labels = json!({"app.kubernetes.io/managed-by": "tributary", "tributary.dev/function": "orders",
        "tributary.dev/config": config});
    let owned = |uid: &str, kind: &str, name: &str, owner_uid: &Value| {
        let owner = json!({"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": owner_uid, "controller": true});
        json!({"name": uid, "namespace": "shop", "uid": uid, "labels": labels, "ownerReferences": [owner]})
    };
    let replica_set = owned("set-1", "Deployment", "orders", &deployment["metadata"]["uid"]);
    scene.server.put(&format!("/apis/apps/v1{NAMESPACE}/replicasets/set-1"), json!({"metadata": replica_set}));
    let status = json!({"phase": "Running", "podIP": "192.0.2.1", "conditions": [{"type": "Ready", "status": "True"}]});
    let pod = json!({"metadata": owned(POD_UID, "ReplicaSet", "set-1", &json!("set-1")), "spec": {"containers": []},
        "status": status});
    scene.server.put(&format!("/api/v1{NAMESPACE}/pods/{POD_UID}"), pod);
    let conditions = [
        ConditionType::ExternalIdAvailable,
        ConditionType::IngestConfigured,
        ConditionType::RoleAssumed,
        ConditionType::ExternalIdEnforced,
        ConditionType::BucketWritable,
    ]
    .map(|r#type| json!({"type": r#type, "status": "True", "reason": "Ok", "message": "fine", "since": ""}));
    let status = json!({"generation": 1, "configHash": "h", "inFlight": 0, "conditions": conditions});
    let status: SidecarStatus = serde_json::from_value(status).unwrap();
    scene.context.reports.record(POD_UID, true, Ok(status));
    scene.reconcile().await;
    assert_eq!(scene.condition("Ready"), ("True".to_owned(), "Ok".to_owned()));
    scene
}

/// The watch selects Deployments by a label, and so reports one that loses it as deleted.
#[tokio::test]
async fn a_deployment_that_loses_its_label_gets_it_back_and_the_status_does_not_change() {
    let mut scene = served().await;
    scene.server.edit("deployments", &json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": null}}}));
    let requests = scene.reconcile_behind(Vec::new()).await;
    assert_eq!(spec_patches(&requests), 1, "{requests:?}");
    let others = requests.iter().filter(|request| !request.contains("deployments")).collect::<Vec<_>>();
    assert!(others.is_empty(), "neither the status is written nor an Event: {others:?}");
    assert_eq!(scene.deployment()["metadata"]["labels"]["app.kubernetes.io/managed-by"], "tributary");
    assert_eq!(scene.reconcile().await, Vec::<String>::new());
}

/// After a restart the operator has written nothing, and the caches have every Deployment.
#[tokio::test]
async fn a_restarted_operator_reads_no_deployment() {
    let mut scene = Scene::new(&json!({})).rolled_out().await;
    scene.reconcile().await;
    scene.restart(&json!({}));
    assert_eq!(scene.reconcile().await, Vec::<String>::new());
}
