//! Tests that the operator reverts manual edits, additions and deletions of children, and leaves others' labels and
//! annotations alone.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tributary_tests::wait::until;

use crate::scene::{Fixture, template};

/// How soon a change is reverted.
const REVERT_TIMEOUT: Duration = Duration::from_secs(10);

fn to_json(deployment: &Deployment) -> Value {
    serde_json::to_value(deployment).expect("JSON")
}

#[tokio::test]
async fn manual_edits_of_children_are_reverted() {
    let (fixture, _operator) = Fixture::with_operator("edited").await;
    let before = to_json(&fixture.apply_and_wait("orders", &json!({"replicas": 2})).await);
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
        // The API server itself refuses some of these edits: then there is nothing to revert.
        let edit = async {
            let api = fixture.objects::<Deployment>();
            let patch = Patch::Merge(&patch);
            api.patch("orders", &PatchParams::default(), &patch).await
        };
        if let Err(refused) = edit.await {
            assert!(refused.to_string().contains("Required value"), "{pointer}: {refused}");
            continue;
        }
        until(&format!("{pointer} is reverted"), REVERT_TIMEOUT, async || {
            let now = to_json(&fixture.objects::<Deployment>().get("orders").await.ok()?);
            (now.pointer(pointer) == before.pointer(pointer)).then_some(())
        })
        .await;
    }
    fixture.edit::<Service>("orders", &json!({"spec": {"selector": {"app": "mine"}}})).await;
    until("the selector is reverted", REVERT_TIMEOUT, async || {
        let selector = fixture.objects::<Service>().get("orders").await.ok()?.spec?.selector?;
        (selector.get("tributary.dev/function").is_some_and(|name| name == "orders")).then_some(())
    })
    .await;
}

/// Fields that the operator does not set itself: an apply would leave them.
#[tokio::test]
async fn fields_that_others_add_to_children_are_removed() {
    let (fixture, _operator) = Fixture::with_operator("added").await;
    let before = template(&fixture.apply_and_wait("orders", &json!({})).await);
    let container = |fields: Value| json!({"containers": [fields]});
    for added in [
        container(json!({"name": "sidecar", "args": ["--help"]})),
        container(
            json!({"name": "sidecar", "env": [{"name": "AWS_ENDPOINT_URL", "value": "http://evil.example.com"}]}),
        ),
        container(json!({"name": "sidecar", "securityContext": {"runAsUser": 4_711}})),
        container(json!({"name": "stowaway", "image": "registry.invalid/stowaway:1"})),
        json!({"hostNetwork": true}),
        json!({"serviceAccountName": "default"}),
        json!({"nodeSelector": {"disk": "fast"}}),
        json!({"tolerations": [{"operator": "Exists"}]}),
        json!({"priorityClassName": "system-node-critical"}),
        json!({"volumes": [{"name": "host", "hostPath": {"path": "/"}}]}),
    ] {
        let patch = json!({"spec": {"template": {"spec": added}}});
        let api = fixture.objects::<Deployment>();
        let edited = api.patch("orders", &PatchParams::default(), &Patch::Strategic(&patch)).await.expect("an edit");
        assert_ne!(template(&edited), before, "{added}");
        until(&format!("{added} is removed"), REVERT_TIMEOUT, async || {
            (template(&fixture.objects::<Deployment>().get("orders").await.ok()?) == before).then_some(())
        })
        .await;
    }
    let service = async || fixture.objects::<Service>().get("orders").await.ok()?.spec;
    let before = service().await.expect("a Service");
    for added in [
        json!({"selector": {"app": "mine"}}),
        json!({"selector": {"tributary.dev/function": "other"}}),
        json!({"type": "NodePort"}),
        json!({"externalIPs": ["192.0.2.1"]}),
        json!({"ports": [{"name": "events", "port": 80, "targetPort": "events"}, {"name": "more", "port": 81}]}),
    ] {
        fixture.edit::<Service>("orders", &json!({"spec": added})).await;
        until(&format!("{added} is removed"), REVERT_TIMEOUT, async || (service().await? == before).then_some(()))
            .await;
    }
}

/// It would run with the function's Secrets, and admission would stop the operator from writing the Deployment again.
#[tokio::test]
async fn added_containers_are_removed() {
    let (fixture, operator) = Fixture::with_operator("stowaway").await;
    fixture.apply_and_wait("orders", &json!({})).await;
    let of = |deployment: &Deployment, list: &str| {
        let containers = to_json(deployment)["spec"]["template"]["spec"][list].clone();
        containers
            .as_array()
            .map(|all| all.iter().map(|one| one["name"].clone()).collect::<Vec<_>>())
            .unwrap_or_default()
    };
    for list in ["containers", "initContainers"] {
        let stowaway = json!({list: [{"name": "stowaway", "image": "registry.invalid/stowaway:1"}]});
        let patch = json!({"spec": {"template": {"spec": stowaway}}});
        let api = fixture.objects::<Deployment>();
        let added = api.patch("orders", &PatchParams::default(), &Patch::Strategic(&patch)).await;
        assert!(of(&added.expect("a Deployment"), list).contains(&json!("stowaway")));
        until(&format!("{list} has only the operator's containers"), REVERT_TIMEOUT, async || {
            let now = fixture.objects::<Deployment>().get("orders").await.ok()?;
            (of(&now, "containers") == ["sidecar"] && of(&now, "initContainers").is_empty()).then_some(())
        })
        .await;
    }
    assert!(operator.has_logged("removing parts that others added"));
}

#[tokio::test]
async fn deleted_children_are_recreated() {
    let (fixture, _operator) = Fixture::with_operator("deleted").await;
    let first = fixture.apply_and_wait("orders", &json!({"replicas": 2})).await;
    let maps = fixture.managed_names::<ConfigMap>().await;
    let [configuration] = maps.as_slice() else { panic!("{maps:?}") };
    fixture.wait_exists::<PodDisruptionBudget>("orders").await;
    fixture.delete::<ConfigMap>(configuration).await;
    fixture.delete::<Service>("orders").await;
    fixture.delete::<ServiceAccount>("orders").await;
    fixture.delete::<PodDisruptionBudget>("orders").await;
    fixture.delete::<Deployment>("orders").await;
    until("all children are recreated", REVERT_TIMEOUT, async || {
        fixture.objects::<ConfigMap>().get_opt(configuration).await.ok()??;
        fixture.objects::<Service>().get_opt("orders").await.ok()??;
        fixture.objects::<ServiceAccount>().get_opt("orders").await.ok()??;
        fixture.objects::<PodDisruptionBudget>().get_opt("orders").await.ok()??;
        let deployment = fixture.objects::<Deployment>().get_opt("orders").await.ok()??;
        (deployment.uid() != first.uid()).then_some(())
    })
    .await;
}

/// The ConfigMap is immutable, but it can be deleted and created again: write access to ConfigMaps must not suffice to
/// change a sidecar's configuration.
#[tokio::test]
async fn a_forged_configuration_is_replaced() {
    let (fixture, _operator) = Fixture::with_operator("forged").await;
    fixture.apply_and_wait("orders", &json!({})).await;
    let maps = fixture.objects::<ConfigMap>();
    let name = fixture.managed_names::<ConfigMap>().await.remove(0);
    let mut forged = maps.get(&name).await.expect("the ConfigMap");
    (forged.metadata.uid, forged.metadata.resource_version) = (None, None);
    let file = forged.data.as_mut().expect("data").get_mut("function.yaml").expect("the file");
    *file = file.replace("externalIdEnforcement: Require", "externalIdEnforcement: Warn");
    assert!(file.contains("externalIdEnforcement: Warn"));
    // The operator recreates it immediately too, so this may take several attempts.
    until("the forged ConfigMap is created", REVERT_TIMEOUT, async || {
        // It may be deleted already.
        let _ = maps.delete(&name, &DeleteParams::background()).await;
        maps.create(&PostParams::default(), &forged).await.ok()
    })
    .await;
    until("the ConfigMap is replaced", REVERT_TIMEOUT, async || {
        let file = maps.get_opt(&name).await.ok()??.data?.remove("function.yaml")?;
        file.contains("externalIdEnforcement: Require").then_some(())
    })
    .await;
}

#[tokio::test]
async fn labels_and_annotations_of_others_are_kept() {
    let (fixture, _operator) = Fixture::with_operator("foreign").await;
    fixture.apply_and_wait("orders", &json!({})).await;
    let restarted = json!({"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}}});
    let patch = json!({
        "metadata": {"labels": {"team": "data"}, "annotations": {"note": "mine"}},
        "spec": {"template": restarted},
    });
    fixture.edit::<Deployment>("orders", &patch).await;
    fixture.edit::<Service>("orders", &json!({"metadata": {"annotations": {"note": "mine"}}})).await;
    // A change of the function must keep them.
    fixture.apply("orders", &json!({"logLevel": "warn"})).await;
    let map = |deployment: &Deployment| {
        to_json(deployment)["spec"]["template"]["metadata"]["labels"]["tributary.dev/config"].clone()
    };
    let before = map(&fixture.objects::<Deployment>().get("orders").await.expect("the Deployment"));
    let after = fixture
        .wait_for::<Deployment>("orders", "is changed", |deployment| {
            map(deployment) != before || deployment.metadata.generation > Some(2)
        })
        .await;
    let after = to_json(&after);
    assert_eq!(after["metadata"]["labels"]["team"], "data");
    assert_eq!(after["metadata"]["annotations"]["note"], "mine");
    let kept = &after["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"];
    assert_eq!(kept, "2026-01-01T00:00:00Z");
    let service = fixture.objects::<Service>().get("orders").await.expect("the Service");
    assert_eq!(service.annotations()["note"], "mine");
}
