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
    assert!(requests.iter().all(|request| !request.ends_with("/status")), "{requests:?}");
    assert_eq!(scene.deployment()["metadata"]["labels"]["app.kubernetes.io/managed-by"], "tributary");
    assert_eq!(scene.reconcile().await, Vec::<String>::new());
}

/// After a restart the operator has written nothing, and the caches have every Deployment.
#[tokio::test]
async fn a_restarted_operator_reads_no_deployment() {
    let mut scene = Scene::new(&json!({})).rolled_out().await;
    scene.reconcile().await;

/// A strategic merge patch, such as that of `kubectl patch`, puts an added container before the sidecar.
#[tokio::test]
async fn the_event_about_an_inserted_container_names_it_alone() {
    let mut scene = Scene::new(&json!({})).rolled_out().await;
    let mut edited = scene.deployment()["spec"]["template"]["spec"]["containers"].clone();
    edited.as_array_mut().unwrap().insert(0, json!({"name": "spy", "image": "theirs"}));
    scene.server.edit("deployments", &json!({"spec": {"template": {"spec": {"containers": edited}}}}));
    scene.reconcile().await;
    let reverts: Vec<_> = events(&scene).into_iter().filter(|event| event[0] == "ChangeReverted").collect();
    let [[_, _, note]] = reverts.as_slice() else { panic!("{reverts:?}") };
    assert_eq!(
        note,
        "the operator reverted changes by others of the Deployment orders: spec.template.spec.containers[spy]; change \
         the function instead"
    );
}
    scene.restart(&json!({}));
    assert_eq!(scene.reconcile().await, Vec::<String>::new());
}

/// The reason, type and note of each Event.
fn events(scene: &Scene) -> Vec<[String; 3]> {
    let text = |event: &Value, field: &str| event[field].as_str().unwrap_or_default().to_owned();
    let all = scene.server.objects("events");
    all.iter().map(|event| [text(event, "reason"), text(event, "type"), text(event, "note")]).collect()
}

#[tokio::test]
async fn a_reverted_edit_is_an_event_that_names_the_fields_and_a_change_of_the_function_or_the_platform_is_none() {
    let mut scene = Scene::new(&json!({})).rolled_out().await;
    scene.edit_function(&json!({"s3": {"bucket": "another-lake"}}));
    scene.reconcile().await;
    scene.roll_out();
    scene.restart(&json!({"sidecar": {"image": "sidecar:2"}}));
    assert_eq!(spec_patches(&scene.reconcile().await), 1);
    let is_revert = |event: &[String; 3]| event[0] == "ChangeReverted";
    assert!(!events(&scene).iter().any(is_revert), "{:?}", events(&scene));

    let mut edited = scene.deployment()["spec"]["template"]["spec"]["containers"].clone();
    edited[0]["image"] = json!("theirs");
    edited[0]["command"] = json!(["sh"]);
    scene.server.edit("deployments", &json!({"spec": {"template": {"spec": {"containers": edited}}}}));
    scene.reconcile().await;
    let reverts: Vec<_> = events(&scene).into_iter().filter(is_revert).collect();
    let [[_, r#type, note]] = reverts.as_slice() else { panic!("{reverts:?}") };
    assert_eq!(r#type, "Normal");
    assert_eq!(
        note,
        "the operator reverted changes by others of the Deployment orders: \
         spec.template.spec.containers[sidecar].command, spec.template.spec.containers[sidecar].image; change the \
         function instead"
    );
}
