//! Edits of children by others.

use super::*;

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

/// The admission policy allows the operator the platform's new image, and must also allow it the previous one.
#[tokio::test]
async fn an_edited_image_becomes_the_previous_one_again_while_the_function_waits_for_its_rollout() {
    for was_edited_before_the_wait in [false, true] {
        let mut scene = served().await;
        let containers = scene.deployment()["spec"]["template"]["spec"]["containers"].clone();
        let mut edited = containers.clone();
        edited[0]["image"] = json!("theirs");
        let edit = json!({"spec": {"template": {"spec": {"containers": edited}}}});
        if was_edited_before_the_wait {
            scene.server.edit("deployments", &edit);
        }
        scene.server.admit_image("sidecar:2");
        scene.restart(&json!({"sidecar": {"image": "sidecar:2"}, "maxConcurrentRollouts": 0}));
        scene.reconcile().await;
        assert_eq!(scene.condition("UpToDate"), ("False".to_owned(), "RolloutWaiting".to_owned()));
        if !was_edited_before_the_wait {
            scene.server.edit("deployments", &edit);
            scene.reconcile().await;
        }
        assert_eq!(scene.deployment()["spec"]["template"]["spec"]["containers"], containers);
        let reverts: Vec<_> = events(&scene).into_iter().filter(|event| event[0] == "ChangeReverted").collect();
        let [[_, _, note]] = reverts.as_slice() else { panic!("{reverts:?}") };
        assert!(note.contains(": spec.template.spec.containers[sidecar].image;"), "{note}");
        assert_eq!(but_events(scene.reconcile().await), Vec::<String>::new(), "it stays so");
    }
}
