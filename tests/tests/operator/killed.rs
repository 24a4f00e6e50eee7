//! An operator that is killed at any moment, again and again, leaves nothing wrong behind.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams};
use serde_json::json;
use tributary_tests::kubernetes::eventually;

use crate::scene::Scene;

/// Times that it is killed.
const KILLS: usize = 100;
/// Functions that come and go meanwhile.
const FUNCTIONS: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_is_what_was_wanted_however_often_it_is_killed() {
    let scene = Scene::new("killed").await;
    let mut rng = fastrand::Rng::with_seed(7);
    let mut wanted = BTreeSet::new();
    for _ in 0..KILLS {
        let mut operator = scene.operator().start().await;
        for _ in 0..rng.usize(1..4) {
            let name = format!("f-{}", rng.usize(..FUNCTIONS));
            if wanted.contains(&name) && rng.bool() {
                // Gone already, if a deletion before is still under way.
                let _ = scene.functions().delete(&name, &DeleteParams::background()).await;
                wanted.remove(&name);
            } else {
                let level = ["info", "error", "warn"][rng.usize(..3)];
                scene.apply(&name, &json!({"logLevel": level})).await;
                wanted.insert(name);
            }
        }
        tokio::time::sleep(Duration::from_millis(rng.u64(..400))).await;
        operator.kill();
    }
    let _operator = scene.operator().start().await;
    let wanted: Vec<_> = wanted.into_iter().collect();
    assert!(!wanted.is_empty());
    eventually("there is what is wanted, and nothing else", async || {
        let mut made =
            [scene.made::<Deployment>().await, scene.made::<Service>().await, scene.made::<ServiceAccount>().await];
        made.iter_mut().for_each(|names| names.sort_unstable());
        made.iter().all(|names| *names == wanted).then_some(())
    })
    .await;
    // Each Deployment is its function's, as it is now.
    let functions = scene.functions().list(&ListParams::default()).await.expect("a list");
    eventually("each is its function's", async || {
        for function in &functions {
            let deployment = scene.objects::<Deployment>().get(&function.name_any()).await.ok()?;
            let map =
                serde_json::to_value(&deployment).ok()?["spec"]["template"]["spec"]["volumes"][0]["configMap"]["name"]
                    .as_str()?
                    .to_owned();
            let data = scene.objects::<ConfigMap>().get_opt(&map).await.ok()??.data?;
            let level = serde_json::to_value(function.spec.log_level).ok()?;
            let said = format!("logLevel: {}", level.as_str()?);
            let owned =
                deployment.owner_references().iter().any(|owner| Some(&owner.uid) == function.metadata.uid.as_ref());
            if !owned || !data["function.yaml"].contains(&said) {
                return None;
            }
        }
        Some(())
    })
    .await;
}
