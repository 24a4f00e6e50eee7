//! Children that somebody edits or deletes are put back, and what isn't the operator's is left alone.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};
use tributary_tests::wait::until;

use crate::scene::Scene;

/// How soon things are as they were.
const BACK: Duration = Duration::from_secs(10);

fn json_of(deployment: &Deployment) -> Value {
    serde_json::to_value(deployment).expect("JSON")
}

#[tokio::test]
async fn what_is_edited_by_hand_is_put_back() {
    let (scene, _operator) = Scene::with_operator("edited").await;
    let before = json_of(&scene.applied("orders", &json!({"replicas": 2})).await);
    for (pointer, patch) in [
        ("/spec/replicas", json!({"spec": {"replicas": 7}})),
        (
            "/spec/template/spec/containers/0/image",
            json!({"spec": {"template": {"spec": {"containers": [{"name": "sidecar", "image": "evil.example.com/x"}]}}}}),
        ),
        (
            "/spec/template/spec/automountServiceAccountToken",
            json!({"spec": {"template": {"spec": {"automountServiceAccountToken": true}}}}),
        ),
        (
            "/spec/template/spec/containers/0/securityContext",
            json!({"spec": {"template": {"spec": {"containers": null}}}}),
        ),
        (
            "/metadata/labels",
            json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": null, "tributary.dev/function": "other"}}}),
        ),
        ("/metadata/ownerReferences", json!({"metadata": {"ownerReferences": null}})),
        (
            "/metadata/annotations/tributary.dev~1applied",
            json!({"metadata": {"annotations": {"tributary.dev/applied": null}}}),
        ),
    ] {
        // Some of these the API server refuses by themselves: then nothing is to be put back.
        let edit = async {
            let api = scene.objects::<Deployment>();
            let patch = kube::api::Patch::Merge(&patch);
            api.patch("orders", &kube::api::PatchParams::default(), &patch).await
        };
        if let Err(refused) = edit.await {
            assert!(refused.to_string().contains("Required value"), "{pointer}: {refused}");
            continue;
        }
        until(&format!("{pointer} is put back"), BACK, async || {
            let now = json_of(&scene.objects::<Deployment>().get("orders").await.ok()?);
            (now.pointer(pointer) == before.pointer(pointer)).then_some(())
        })
        .await;
    }
    scene.edit::<Service>("orders", &json!({"spec": {"selector": {"app": "mine"}}})).await;
    until("the selector is put back", BACK, async || {
        let selector = scene.objects::<Service>().get("orders").await.ok()?.spec?.selector?;
        (selector.get("tributary.dev/function").is_some_and(|name| name == "orders")).then_some(())
    })
    .await;
}

/// It would run with the function's Secrets, and admission would keep the operator from writing the Deployment again.
#[tokio::test]
async fn containers_that_somebody_adds_are_removed() {
    let (scene, operator) = Scene::with_operator("stowaway").await;
    scene.applied("orders", &json!({})).await;
    let of = |deployment: &Deployment, list: &str| {
        let containers = json_of(deployment)["spec"]["template"]["spec"][list].clone();
        containers
            .as_array()
            .map(|all| all.iter().map(|one| one["name"].clone()).collect::<Vec<_>>())
            .unwrap_or_default()
    };
    for list in ["containers", "initContainers"] {
        let stowaway = json!({list: [{"name": "stowaway", "image": "registry.invalid/stowaway:1"}]});
        let patch = json!({"spec": {"template": {"spec": stowaway}}});
        let api = scene.objects::<Deployment>();
        let added = api.patch("orders", &kube::api::PatchParams::default(), &kube::api::Patch::Strategic(&patch)).await;
        assert!(of(&added.expect("a Deployment"), list).contains(&json!("stowaway")));
        until(&format!("{list} are the operator's"), BACK, async || {
            let now = scene.objects::<Deployment>().get("orders").await.ok()?;
            (of(&now, "containers") == ["sidecar"] && of(&now, "initContainers").is_empty()).then_some(())
        })
        .await;
    }
    assert!(operator.has_said("somebody else's containers were removed"));
}

#[tokio::test]
async fn what_is_deleted_by_hand_comes_back() {
    let (scene, _operator) = Scene::with_operator("deleted").await;
    let first = scene.applied("orders", &json!({"replicas": 2})).await;
    let maps = scene.made::<ConfigMap>().await;
    let [configuration] = maps.as_slice() else { panic!("{maps:?}") };
    scene.appears::<PodDisruptionBudget>("orders").await;
    scene.delete::<ConfigMap>(configuration).await;
    scene.delete::<Service>("orders").await;
    scene.delete::<ServiceAccount>("orders").await;
    scene.delete::<PodDisruptionBudget>("orders").await;
    scene.delete::<Deployment>("orders").await;
    until("all is back", BACK, async || {
        scene.objects::<ConfigMap>().get_opt(configuration).await.ok()??;
        scene.objects::<Service>().get_opt("orders").await.ok()??;
        scene.objects::<ServiceAccount>().get_opt("orders").await.ok()??;
        scene.objects::<PodDisruptionBudget>().get_opt("orders").await.ok()??;
        let deployment = scene.objects::<Deployment>().get_opt("orders").await.ok()??;
        (deployment.uid() != first.uid()).then_some(())
    })
    .await;
}

/// It can't be edited, but deleted and made again: whoever may write ConfigMaps is not to say what a sidecar
/// does.
#[tokio::test]
async fn a_configuration_that_somebody_else_has_made_is_replaced() {
    let (scene, _operator) = Scene::with_operator("forged").await;
    scene.applied("orders", &json!({})).await;
    let maps = scene.objects::<ConfigMap>();
    let name = scene.made::<ConfigMap>().await.remove(0);
    let mut forged = maps.get(&name).await.expect("the ConfigMap");
    (forged.metadata.uid, forged.metadata.resource_version) = (None, None);
    let file = forged.data.as_mut().expect("data").get_mut("function.yaml").expect("the file");
    *file = file.replace("externalIdEnforcement: Require", "externalIdEnforcement: Warn");
    assert!(file.contains("externalIdEnforcement: Warn"));
    // The operator makes it again at once, too.
    until("it is forged", BACK, async || {
        // It may be gone already.
        let _ = maps.delete(&name, &DeleteParams::background()).await;
        maps.create(&PostParams::default(), &forged).await.ok()
    })
    .await;
    until("it is replaced", BACK, async || {
        let file = maps.get_opt(&name).await.ok()??.data?.remove("function.yaml")?;
        file.contains("externalIdEnforcement: Require").then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_others_add_stays() {
    let (scene, _operator) = Scene::with_operator("foreign").await;
    scene.applied("orders", &json!({})).await;
    let restarted = json!({"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}}});
    let patch = json!({
        "metadata": {"labels": {"team": "data"}, "annotations": {"note": "mine"}},
        "spec": {"template": restarted},
    });
    scene.edit::<Deployment>("orders", &patch).await;
    scene.edit::<Service>("orders", &json!({"metadata": {"annotations": {"note": "mine"}}})).await;
    // A change of the function goes by them.
    scene.apply("orders", &json!({"logLevel": "warn"})).await;
    let map = |deployment: &Deployment| {
        json_of(deployment)["spec"]["template"]["metadata"]["labels"]["tributary.dev/config"].clone()
    };
    let before = map(&scene.objects::<Deployment>().get("orders").await.expect("the Deployment"));
    let after = scene
        .becomes::<Deployment>("orders", "is changed", |deployment| {
            map(deployment) != before || deployment.metadata.generation > Some(2)
        })
        .await;
    let after = json_of(&after);
    assert_eq!(after["metadata"]["labels"]["team"], "data");
    assert_eq!(after["metadata"]["annotations"]["note"], "mine");
    let kept = &after["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"];
    assert_eq!(kept, "2026-01-01T00:00:00Z");
    let service = scene.objects::<Service>().get("orders").await.expect("the Service");
    assert_eq!(service.annotations()["note"], "mine");
}
