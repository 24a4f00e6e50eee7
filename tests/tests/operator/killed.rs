//! Tests that an operator that is killed repeatedly at random moments leaves no wrong objects.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams};
use serde_json::json;
use tributary_tests::kubernetes::eventually;

use crate::scene::Fixture;

/// How often the operator is killed.
const KILLS: usize = 100;
/// The number of functions that are applied and deleted meanwhile.
const FUNCTIONS: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn children_converge_after_a_hundred_kills_of_the_operator() {
    let fixture = Fixture::new("killed").await;
    let mut rng = fastrand::Rng::with_seed(7);
    let mut wanted = BTreeSet::new();
    for _ in 0..KILLS {
        let mut operator = fixture.operator().start().await;
        for _ in 0..rng.usize(1..4) {
            let name = format!("f-{}", rng.usize(..FUNCTIONS));
            if wanted.contains(&name) && rng.bool() {
                // It may be gone already, if an earlier deletion is still in progress.
                let _ = fixture.functions().delete(&name, &DeleteParams::background()).await;
                wanted.remove(&name);
            } else {
                let level = ["info", "error", "warn"][rng.usize(..3)];
                fixture.apply(&name, &json!({"logLevel": level})).await;
                wanted.insert(name);
            }
        }
        tokio::time::sleep(Duration::from_millis(rng.u64(..400))).await;
        operator.kill();
    }
    let _operator = fixture.operator().start().await;
    let wanted: Vec<_> = wanted.into_iter().collect();
    assert!(!wanted.is_empty());
    eventually("exactly the children of the wanted functions exist", async || {
        let mut made = [
            fixture.managed_names::<Deployment>().await,
            fixture.managed_names::<Service>().await,
            fixture.managed_names::<ServiceAccount>().await,
        ];
        made.iter_mut().for_each(|names| names.sort_unstable());
        made.iter().all(|names| *names == wanted).then_some(())
    })
    .await;
    // Each Deployment belongs to its current function.
    let functions = fixture.functions().list(&ListParams::default()).await.expect("a list");
    eventually("each Deployment is of its current function", async || {
        for function in &functions {
            let deployment = fixture.objects::<Deployment>().get(&function.name_any()).await.ok()?;
            let map =
                serde_json::to_value(&deployment).ok()?["spec"]["template"]["spec"]["volumes"][0]["configMap"]["name"]
                    .as_str()?
                    .to_owned();
            let data = fixture.objects::<ConfigMap>().get_opt(&map).await.ok()??.data?;
            let level = serde_json::to_value(function.spec.log_level).ok()?;
            let expected = format!("logLevel: {}", level.as_str()?);
            let owned =
                deployment.owner_references().iter().any(|owner| Some(&owner.uid) == function.metadata.uid.as_ref());
            if !owned || !data["function.yaml"].contains(&expected) {
                return None;
            }
        }
        Some(())
    })
    .await;
}
