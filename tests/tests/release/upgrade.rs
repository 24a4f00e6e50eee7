//! Upgrades: under load, with a bad image, with a stricter policy; and the end.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use serde_json::json;
use tributary_crds::DestinationFunction;
use tributary_tests::kubernetes::pods::Sender;
use tributary_tests::kubernetes::{
    ENDPOINT, SYSTEM, Tenant, checkout, condition, eventually, function, helm, kubectl, wait_condition, within,
};

use tributary_tests::world::{ACCOUNT, REGION};

use crate::Stage;

/// Functions that roll together.
const FUNCTIONS: [&str; 4] = ["one", "two", "three", "four"];
/// How soon a fault is in the status.
const SAID: Duration = Duration::from_secs(15);

async fn fleet(stage: &Stage) -> Tenant {
    let fleet = Tenant::new(&stage.cluster, "fleet").await;
    for name in FUNCTIONS {
        fleet.prepare(name).await;
        fleet.apply(name, &json!({})).await;
    }
    for name in FUNCTIONS {
        fleet.wait_ready(name, Duration::from_secs(60)).await;
    }
    fleet
}

/// 200 events a second, of which each is sent once: on kept connections to one function, on new ones to
/// another.
async fn load(fleet: &Tenant, seconds: u64, prefix: &str) -> [Sender; 2] {
    let count = (seconds * 100).to_string();
    let kept = fleet.load("one", &["--rate", "100", "--count", &count, "--prefix", prefix]).await;
    let new = ["--rate", "100", "--count", &count, "--prefix", prefix, "--no-keep-alive"];
    [kept, fleet.load("two", &new).await]
}

async fn assert_nothing_was_lost(fleet: &Tenant, load: [Sender; 2], prefix: &str) {
    for (sender, name) in load.into_iter().zip(["one", "two"]) {
        let sent = sender.finish(Duration::from_secs(180)).await;
        sent.assert_all_stored();
        fleet.assert_stored(&fleet.of(name), prefix, sent.sent).await;
    }
}

/// Those of the fleet whose pods are not all of their Deployment's template.
async fn rolling(fleet: &Tenant) -> BTreeSet<String> {
    let api: Api<Deployment> = fleet.cluster.api(&fleet.namespace);
    let all = api.list(&ListParams::default()).await.expect("Deployments");
    let is_rolling = |deployment: &&Deployment| {
        let status = deployment.status.clone().unwrap_or_default();
        status.observed_generation < deployment.metadata.generation
            || status.updated_replicas != status.replicas
            || status.unavailable_replicas.unwrap_or_default() > 0
    };
    all.iter().filter(is_rolling).map(ResourceExt::name_any).collect()
}

/// How many of the fleet are to run the sidecar's image with this tag.
async fn with_tag(fleet: &Tenant, tag: &str) -> usize {
    let api: Api<Deployment> = fleet.cluster.api(&fleet.namespace);
    let all = api.list(&ListParams::default()).await.expect("Deployments");
    let image = |deployment: &Deployment| {
        let pod = deployment.spec.as_ref()?.template.spec.as_ref()?;
        pod.containers.first()?.image.clone()
    };
    all.iter().filter_map(image).filter(|image| image.ends_with(&format!("/tributary-sidecar:{tag}"))).count()
}

/// The definition's own description, as the API server has it.
fn description() -> String {
    let path = "{.spec.versions[0].schema.openAPIV3Schema.description}";
    kubectl(&["get", "crd", "destinationfunctions.tributary.dev", "--output", &format!("jsonpath={path}")], "")
        .expect("the definition")
}

/// A copy of the chart with another definition, which knows a mode more.
fn next_chart() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let copied =
        std::process::Command::new("cp").arg("-r").arg(checkout().join("charts/tributary")).arg(folder.path()).status();
    assert!(copied.expect("cp").success());
    let file = folder.path().join("tributary/files/destinationfunctions.yaml");
    let text = std::fs::read_to_string(&file).expect("the definition");
    let next =
        text.replace("A destination function: a sidecar", "A destination function of the next version: a sidecar");
    assert_ne!(text, next);
    let more = next.replace("- Batch\n", "- Batch\n                    - Stream\n");
    assert_ne!(next, more);
    std::fs::write(&file, more).expect("a file");
    folder
}

/// A function that the definition lets in and the operator can't read is told so, and no other waits
/// for it.
async fn a_function_of_a_version_that_knows_more_is_told(fleet: &Tenant) {
    let mut function = serde_json::to_value(function("later", &json!({}))).expect("a function");
    function["spec"]["delivery"]["mode"] = json!("Stream");
    kubectl(&["apply", "--namespace", &fleet.namespace, "--filename", "-"], &function.to_string()).expect("a function");
    let ready = r#"jsonpath={.status.conditions[?(@.type=="Ready")]}"#;
    let get = ["get", "df", "later", "--namespace", &fleet.namespace, "--output", ready];
    within(SAID, "it is told", async || {
        let said = kubectl(&get, "").expect("the function");
        (said.contains("\"reason\":\"Invalid\"") && said.contains("Stream")).then_some(())
    })
    .await;
    kubectl(&["delete", "df", "later", "--namespace", &fleet.namespace], "").expect("no function");
}

pub async fn upgrade_and_roll_back_under_load(stage: &Stage) {
    let fleet = fleet(stage).await;
    let before = description();
    let load = load(&fleet, 75, "upgrade").await;
    let folder = next_chart();
    let mut next = stage
        .release()
        .with("image.tag", json!(stage.images.next_tag))
        .with("operator.replicas", json!(2))
        .with("sidecar.maxConcurrentRollouts", json!(1));
    next.chart = folder.path().join("tributary").to_string_lossy().into_owned();
    next.apply();
    assert!(description().contains("of the next version"), "an upgrade brings the definition up to date");
    a_function_of_a_version_that_knows_more_is_told(&fleet).await;
    let mut most = 0;
    within(Duration::from_secs(90), "all are rolled, one at a time", async || {
        let rolling = rolling(&fleet).await;
        most = most.max(rolling.len());
        (rolling.is_empty() && with_tag(&fleet, &stage.images.next_tag).await == FUNCTIONS.len()).then_some(())
    })
    .await;
    assert_eq!(most, 1, "so many rolled at once");

    helm(&["rollback", "tributary", "--namespace", SYSTEM, "--wait", "--timeout", "120s"])
        .unwrap_or_else(|says| panic!("{says}"));
    assert_eq!(description(), before);
    within(Duration::from_secs(60), "all are rolled back", async || {
        (rolling(&fleet).await.is_empty() && with_tag(&fleet, &stage.images.tag).await == FUNCTIONS.len()).then_some(())
    })
    .await;
    assert_nothing_was_lost(&fleet, load, "upgrade").await;
}

pub async fn an_image_that_is_not_there_stops_a_few_at_most(stage: &Stage) {
    let fleet = fleet(stage).await;
    let load = load(&fleet, 60, "image").await;
    let missing = format!("{}/tributary-sidecar:no-such-tag", stage.images.registry);
    let bad = stage
        .release()
        .with("image.references", json!({"sidecar": missing}))
        .with("sidecar.maxConcurrentRollouts", json!(2));
    bad.apply();
    // The shop's among them.
    let functions: Api<DestinationFunction> = Api::all(stage.cluster.client.clone());
    let stuck = async |reason: &str| {
        let all = functions.list(&ListParams::default()).await.expect("functions");
        let is_ready = |function: &&DestinationFunction| {
            condition(function, "Ready")
                .is_some_and(|ready| (ready.status.as_str(), ready.reason.as_str()) == ("True", "Ok"))
        };
        // The old ones go on.
        let said = all.iter().filter(is_ready).filter_map(|function| condition(function, "UpToDate"));
        said.filter(|said| said.status == "False" && said.reason == reason).count()
    };
    eventually("two can't be rolled, and say so", async || {
        let waiting = FUNCTIONS.len() + 1 - 2;
        (stuck("ImagePull").await == 2 && stuck("RolloutWaiting").await == waiting).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(stuck("ImagePull").await, 2, "the others wait for them");
    assert!(rolling(&fleet).await.len() <= 2);
    // One that comes now has no pods of before.
    fleet.prepare("five").await;
    fleet.apply("five", &json!({})).await;
    let said = wait_condition(&fleet.functions(), "five", "SidecarAvailable", "ImagePull", SAID).await;
    assert!(said.status == "False" && said.message.contains("no-such-tag"), "{}", said.message);
    wait_condition(&fleet.functions(), "five", "Ready", "ImagePull", SAID).await;
    assert!(fleet.has_event("five", "ImagePull").await);
    stage.release().apply();
    fleet.wait_ready("five", Duration::from_secs(30)).await;
    for name in FUNCTIONS {
        fleet.wait_ready(name, Duration::from_secs(30)).await;
    }
    assert_nothing_was_lost(&fleet, load, "image").await;
}

pub async fn a_policy_stops_functions_that_are_older(stage: &Stage) {
    let fleet = fleet(stage).await;
    stage.release().with("policy.allowedEndpoints", json!([ENDPOINT])).apply();
    fleet.prepare("near").await;
    let near = json!({"s3": {"bucket": fleet.of("near"), "region": REGION, "endpoint": ENDPOINT}});
    // The API server takes up a policy in its own time.
    within(SAID, "the policy lets it in", async || fleet.try_apply("near", &near).await.ok()).await;
    fleet.wait_ready("near", Duration::from_secs(60)).await;
    fleet.prepare("older").await;
    fleet.apply("older", &json!({})).await;
    let role = |name: &str| format!("arn:aws:iam::{ACCOUNT}:role/{}", fleet.of(name));
    let all_but_four = json!(["one", "two", "three", "near"].map(role));
    let strict = json!({"namespaces": {"fleet": {"roleArns": all_but_four}}});
    let event = r#"{"userId":"u","event":"e"}"#;
    let audited = stage.release().with("policy.grants", strict.clone()).with("policy.grantsMode", json!("Audit"));
    audited.with("policy.allowedEndpoints", json!([ENDPOINT])).apply();
    let told = wait_condition(&fleet.functions(), "four", "Accepted", "RoleNotAllowed", SAID).await;
    assert_eq!(told.status, "True", "{}", told.message);
    assert_eq!(fleet.post("four", "/v1/track", &[], event.to_owned()).await.0, 200, "it is only told");

    stage.release().with("policy.grants", strict).apply();
    let refused = async || {
        let ready = condition(&fleet.functions().get("four").await.ok()?, "Ready")?;
        (ready.status == "False" && ready.reason == "RoleNotAllowed").then_some(())
    };
    within(SAID, "four is refused", refused).await;
    assert!(fleet.has_event("four", "RoleNotAllowed").await);
    // Nor are endpoints allowed any more.
    wait_condition(&fleet.functions(), "near", "Ready", "EndpointNotAllowed", SAID).await;
    assert!(fleet.has_event("near", "EndpointNotAllowed").await);
    // It asks for nothing more: neither its labels nor its end are kept from it.
    kubectl(&["label", "df", "older", "--namespace", "fleet", "checked=yes"], "").expect("a label");
    let delete = ["delete", "df", "older", "--namespace", "fleet", "--cascade=foreground", "--timeout=30s"];
    kubectl(&delete, "").expect("an end");
    within(Duration::from_secs(45), "its sidecar takes nothing more", async || {
        let (status, _) = fleet.post("four", "/v1/track", &[], event.to_owned()).await;
        // The API server's own answer, for want of anybody to send to.
        (status == 503).then_some(())
    })
    .await;
    fleet.wait_ready("one", SAID).await;
    // Shop is not named: it has nothing.
    wait_condition(&Tenant::new(&stage.cluster, "shop").await.functions(), "orders", "Ready", "RoleNotAllowed", SAID)
        .await;

    stage.release().with("policy.allowedEndpoints", json!([ENDPOINT])).apply();
    for name in ["four", "near"] {
        fleet.wait_ready(name, Duration::from_secs(30)).await;
    }
    kubectl(&["delete", "df", "near", "--namespace", &fleet.namespace], "").expect("no function");
}

pub async fn uninstall_and_install_again(stage: &Stage) {
    let fleet = fleet(stage).await;
    let sets = async || {
        let api: Api<ReplicaSet> = fleet.cluster.api(&fleet.namespace);
        let all = api.list(&ListParams::default()).await.expect("ReplicaSets");
        all.iter().map(|set| set.uid().expect("a uid")).collect::<BTreeSet<_>>()
    };
    let before = sets().await;
    let load = load(&fleet, 25, "again").await;
    helm(&["uninstall", "tributary", "--namespace", SYSTEM, "--wait"]).unwrap_or_else(|says| panic!("{says}"));
    let left = kubectl(&["get", "all,configmaps", "--namespace", SYSTEM, "--output", "name"], "").expect("a list");
    let left: Vec<_> =
        left.lines().filter(|name| !name.contains("kube-root-ca.crt") && !name.starts_with("pod/")).collect();
    assert!(left.is_empty(), "{left:?}");
    // Or the next one would wait for it to lapse, and say nothing meanwhile.
    let leases = kubectl(&["get", "leases", "--namespace", SYSTEM, "--output", "name"], "").expect("a list");
    assert!(!leases.contains("tributary"), "{leases}");
    for kind in
        ["clusterroles", "clusterrolebindings", "validatingadmissionpolicies", "validatingadmissionpolicybindings"]
    {
        let left = kubectl(&["get", kind, "--output", "name"], "").expect("a list");
        assert!(!left.contains("tributary"), "{left}");
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    stage.release().apply();
    for name in FUNCTIONS {
        fleet.wait_ready(name, Duration::from_secs(30)).await;
    }
    assert_eq!(sets().await, before, "nothing was rolled");
    // Policies judge as before.
    let elsewhere = json!({"s3": {"bucket": "lake", "region": REGION, "endpoint": "https://elsewhere.example.com"}});
    let refused = fleet.try_apply("stray", &elsewhere).await.expect_err("it should be refused").to_string();
    assert!(refused.contains("is not among the endpoints"), "{refused}");
    fleet.apply("stray", &json!({"replicas": 0})).await;
    kubectl(&["delete", "df", "stray", "--namespace", &fleet.namespace], "").expect("no function");
    assert_nothing_was_lost(&fleet, load, "again").await;
}
