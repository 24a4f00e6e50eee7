//! Tests upgrades under load, with a missing image and with a stricter policy; and uninstall and reinstall.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use serde_json::json;
use tributary_crds::DestinationFunction;
use tributary_tests::kubernetes::pods::Sender;
use tributary_tests::kubernetes::{
    ENDPOINT, RELEASE_NAMESPACE, Tenant, checkout, condition, eventually, function, helm, kubectl, wait_condition,
    within,
};

use tributary_tests::world::{ACCOUNT, REGION};

use crate::Fixture;

/// Functions that are rolled out together.
const FUNCTIONS: [&str; 4] = ["one", "two", "three", "four"];
/// How soon a fault is reported in the status.
const REPORT_TIMEOUT: Duration = Duration::from_secs(15);

async fn start_fleet(fixture: &Fixture) -> Tenant {
    let fleet = Tenant::new(&fixture.cluster, "fleet").await;
    for name in FUNCTIONS {
        fleet.prepare(name).await;
        fleet.apply(name, &json!({})).await;
    }
    for name in FUNCTIONS {
        fleet.wait_ready(name, Duration::from_secs(60)).await;
    }
    fleet
}

/// Sends 200 events per second, each once: half of them on kept connections to one function, half on new connections to
/// another.
async fn start_load(fleet: &Tenant, seconds: u64, prefix: &str) -> [Sender; 2] {
    let count = (seconds * 100).to_string();
    let kept = fleet.load("one", &["--rate", "100", "--count", &count, "--prefix", prefix]).await;
    let new = ["--rate", "100", "--count", &count, "--prefix", prefix, "--no-keep-alive"];
    [kept, fleet.load("two", &new).await]
}

async fn assert_no_event_lost(fleet: &Tenant, load: [Sender; 2], prefix: &str) {
    for (sender, name) in load.into_iter().zip(["one", "two"]) {
        let sent = sender.finish(Duration::from_secs(180)).await;
        sent.assert_all_stored();
        fleet.assert_stored(&fleet.aws_name(name), prefix, sent.sent).await;
    }
}

/// The functions of the fleet whose pods are not all ready and of the Deployment's current template.
async fn rolling_functions(fleet: &Tenant) -> BTreeSet<String> {
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

/// How many Deployments of the fleet use the sidecar's image with this tag.
async fn count_with_tag(fleet: &Tenant, tag: &str) -> usize {
    let api: Api<Deployment> = fleet.cluster.api(&fleet.namespace);
    let all = api.list(&ListParams::default()).await.expect("Deployments");
    let image = |deployment: &Deployment| {
        let pod = deployment.spec.as_ref()?.template.spec.as_ref()?;
        pod.containers.first()?.image.clone()
    };
    all.iter().filter_map(image).filter(|image| image.ends_with(&format!("/tributary-sidecar:{tag}"))).count()
}

/// The description in the CRD's schema, from the API server.
fn crd_description() -> String {
    let path = "{.spec.versions[0].schema.openAPIV3Schema.description}";
    kubectl(&["get", "crd", "destinationfunctions.tributary.dev", "--output", &format!("jsonpath={path}")], "")
        .expect("the definition")
}

/// A copy of the chart with another CRD, which has one more delivery mode.
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

/// Asserts that a function that the CRD accepts and the operator can't parse is reported, and does not block others.
async fn assert_unknown_mode_is_reported(fleet: &Tenant) {
    let mut function = serde_json::to_value(function("later", &json!({}))).expect("a function");
    function["spec"]["delivery"]["mode"] = json!("Stream");
    kubectl(&["apply", "--namespace", &fleet.namespace, "--filename", "-"], &function.to_string()).expect("a function");
    let ready = r#"jsonpath={.status.conditions[?(@.type=="Ready")]}"#;
    let get = ["get", "df", "later", "--namespace", &fleet.namespace, "--output", ready];
    within(REPORT_TIMEOUT, "the function is reported as Invalid", async || {
        let reported = kubectl(&get, "").expect("the function");
        (reported.contains("\"reason\":\"Invalid\"") && reported.contains("Stream")).then_some(())
    })
    .await;
    kubectl(&["delete", "df", "later", "--namespace", &fleet.namespace], "").expect("no function");
}

pub async fn upgrade_and_roll_back_under_load(fixture: &Fixture) {
    let fleet = start_fleet(fixture).await;
    let before = crd_description();
    let load = start_load(&fleet, 75, "upgrade").await;
    let folder = next_chart();
    let mut next = fixture
        .release()
        .with("image.tag", json!(fixture.images.next_tag))
        .with("operator.replicas", json!(2))
        .with("sidecar.maxConcurrentRollouts", json!(1));
    next.chart = folder.path().join("tributary").to_string_lossy().into_owned();
    next.apply();
    assert!(crd_description().contains("of the next version"), "the upgrade did not update the CRD");
    assert_unknown_mode_is_reported(&fleet).await;
    let mut most = 0;
    within(Duration::from_secs(90), "all are rolled, one at a time", async || {
        let rolling = rolling_functions(&fleet).await;
        most = most.max(rolling.len());
        (rolling.is_empty() && count_with_tag(&fleet, &fixture.images.next_tag).await == FUNCTIONS.len()).then_some(())
    })
    .await;
    assert_eq!(most, 1, "more than one function rolled at once");

    helm(&["rollback", "tributary", "--namespace", RELEASE_NAMESPACE, "--wait", "--timeout", "120s"])
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(crd_description(), before);
    within(Duration::from_secs(60), "all are rolled back", async || {
        (rolling_functions(&fleet).await.is_empty()
            && count_with_tag(&fleet, &fixture.images.tag).await == FUNCTIONS.len())
        .then_some(())
    })
    .await;
    assert_no_event_lost(&fleet, load, "upgrade").await;
}

pub async fn a_missing_image_stops_no_more_than_two_rollouts(fixture: &Fixture) {
    let fleet = start_fleet(fixture).await;
    let load = start_load(&fleet, 60, "image").await;
    let missing = format!("{}/tributary-sidecar:no-such-tag", fixture.images.registry);
    let bad = fixture
        .release()
        .with("image.references", json!({"sidecar": missing}))
        .with("sidecar.maxConcurrentRollouts", json!(2));
    bad.apply();
    // Of all namespaces: the function in `shop` is one of them.
    let functions: Api<DestinationFunction> = Api::all(fixture.cluster.client.clone());
    let stuck = async |reason: &str| {
        let all = functions.list(&ListParams::default()).await.expect("functions");
        let is_ready = |function: &&DestinationFunction| {
            condition(function, "Ready")
                .is_some_and(|ready| (ready.status.as_str(), ready.reason.as_str()) == ("True", "Ok"))
        };
        // The old sidecars continue to serve, so these functions stay ready.
        let reported = all.iter().filter(is_ready).filter_map(|function| condition(function, "UpToDate"));
        reported.filter(|reported| reported.status == "False" && reported.reason == reason).count()
    };
    eventually("two rollouts fail, and the other functions wait", async || {
        let waiting = FUNCTIONS.len() + 1 - 2;
        (stuck("ImagePull").await == 2 && stuck("RolloutWaiting").await == waiting).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(stuck("ImagePull").await, 2, "the other functions must wait for these two");
    assert!(rolling_functions(&fleet).await.len() <= 2);
    // A new function has no old pods.
    fleet.prepare("five").await;
    fleet.apply("five", &json!({})).await;
    let reported = wait_condition(&fleet.functions(), "five", "SidecarAvailable", "ImagePull", REPORT_TIMEOUT).await;
    assert!(reported.status == "False" && reported.message.contains("no-such-tag"), "{}", reported.message);
    wait_condition(&fleet.functions(), "five", "Ready", "ImagePull", REPORT_TIMEOUT).await;
    fleet.wait_event("five", "ImagePull").await;
    fixture.release().apply();
    fleet.wait_ready("five", Duration::from_secs(30)).await;
    for name in FUNCTIONS {
        fleet.wait_ready(name, Duration::from_secs(30)).await;
    }
    assert_no_event_lost(&fleet, load, "image").await;
}

pub async fn a_stricter_policy_stops_existing_functions(fixture: &Fixture) {
    let fleet = start_fleet(fixture).await;
    fixture.release().with("policy.allowedEndpoints", json!([ENDPOINT])).apply();
    fleet.prepare("near").await;
    let s3 = json!({"bucket": fleet.aws_name("near"), "region": REGION, "endpoint": ENDPOINT, "forcePathStyle": true});
    let near = json!({"s3": s3});
    // The API server applies a policy after some time.
    within(REPORT_TIMEOUT, "the policy lets it in", async || fleet.try_apply("near", &near).await.ok()).await;
    fleet.wait_ready("near", Duration::from_secs(60)).await;
    fleet.prepare("older").await;
    fleet.apply("older", &json!({})).await;
    let role = |name: &str| format!("arn:aws:iam::{ACCOUNT}:role/{}", fleet.aws_name(name));
    let all_but_four = json!(["one", "two", "three", "near"].map(role));
    let strict = json!({"namespaces": {"fleet": {"roleArns": all_but_four}}});
    let event = r#"{"userId":"u","event":"e"}"#;
    let audited = fixture.release().with("policy.grants", strict.clone()).with("policy.grantsMode", json!("Audit"));
    audited.with("policy.allowedEndpoints", json!([ENDPOINT])).apply();
    let reported = wait_condition(&fleet.functions(), "four", "Accepted", "RoleNotAllowed", REPORT_TIMEOUT).await;
    assert_eq!(reported.status, "True", "{}", reported.message);
    assert_eq!(fleet.post("four", "/v1/track", &[], event.to_owned()).await.0, 200, "audit mode must only report");

    fixture.release().with("policy.grants", strict).apply();
    let refused = async || {
        let ready = condition(&fleet.functions().get("four").await.ok()?, "Ready")?;
        (ready.status == "False" && ready.reason == "RoleNotAllowed").then_some(())
    };
    within(REPORT_TIMEOUT, "four is refused", refused).await;
    fleet.wait_event("four", "RoleNotAllowed").await;
    // The endpoint is not allowed any more either.
    wait_condition(&fleet.functions(), "near", "Ready", "EndpointNotAllowed", REPORT_TIMEOUT).await;
    fleet.wait_event("near", "EndpointNotAllowed").await;
    // Labels can be changed and the function deleted without a grant, because that requests nothing new.
    kubectl(&["label", "df", "older", "--namespace", "fleet", "checked=yes"], "").expect("a label");
    let delete = ["delete", "df", "older", "--namespace", "fleet", "--cascade=foreground", "--timeout=30s"];
    kubectl(&delete, "").expect("an end");
    within(Duration::from_secs(45), "its sidecar accepts no more events", async || {
        let (status, _) = fleet.post("four", "/v1/track", &[], event.to_owned()).await;
        // The API server's own answer, because the Service has no endpoints.
        (status == 503).then_some(())
    })
    .await;
    fleet.wait_ready("one", REPORT_TIMEOUT).await;
    // The namespace shop is not named in the grants, so it has none.
    wait_condition(
        &Tenant::new(&fixture.cluster, "shop").await.functions(),
        "orders",
        "Ready",
        "RoleNotAllowed",
        REPORT_TIMEOUT,
    )
    .await;

    fixture.release().with("policy.allowedEndpoints", json!([ENDPOINT])).apply();
    for name in ["four", "near"] {
        fleet.wait_ready(name, Duration::from_secs(30)).await;
    }
    kubectl(&["delete", "df", "near", "--namespace", &fleet.namespace], "").expect("no function");
}

pub async fn uninstall_and_reinstall(fixture: &Fixture) {
    let fleet = start_fleet(fixture).await;
    let sets = async || {
        let api: Api<ReplicaSet> = fleet.cluster.api(&fleet.namespace);
        let all = api.list(&ListParams::default()).await.expect("ReplicaSets");
        all.iter().map(|set| set.uid().expect("a uid")).collect::<BTreeSet<_>>()
    };
    let before = sets().await;
    let load = start_load(&fleet, 25, "again").await;
    helm(&["uninstall", "tributary", "--namespace", RELEASE_NAMESPACE, "--wait"])
        .unwrap_or_else(|error| panic!("{error}"));
    let left =
        kubectl(&["get", "all,configmaps", "--namespace", RELEASE_NAMESPACE, "--output", "name"], "").expect("a list");
    let left: Vec<_> =
        left.lines().filter(|name| !name.contains("kube-root-ca.crt") && !name.starts_with("pod/")).collect();
    assert!(left.is_empty(), "{left:?}");
    // A Lease that is left behind would make the next operator wait until it expires.
    let leases = kubectl(&["get", "leases", "--namespace", RELEASE_NAMESPACE, "--output", "name"], "").expect("a list");
    assert!(!leases.contains("tributary"), "{leases}");
    for kind in
        ["clusterroles", "clusterrolebindings", "validatingadmissionpolicies", "validatingadmissionpolicybindings"]
    {
        let left = kubectl(&["get", kind, "--output", "name"], "").expect("a list");
        assert!(!left.contains("tributary"), "{left}");
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    fixture.release().apply();
    for name in FUNCTIONS {
        fleet.wait_ready(name, Duration::from_secs(30)).await;
    }
    assert_eq!(sets().await, before, "the reinstall rolled Deployments");
    // Admission policies work as before.
    let elsewhere = json!({"s3": {"bucket": "lake", "region": REGION, "endpoint": "https://elsewhere.example.com"}});
    let refused = fleet.try_apply("stray", &elsewhere).await.expect_err("it should be refused").to_string();
    assert!(refused.contains("is not among the endpoints"), "{refused}");
    fleet.apply("stray", &json!({"replicas": 0})).await;
    kubectl(&["delete", "df", "stray", "--namespace", &fleet.namespace], "").expect("no function");
    assert_no_event_lost(&fleet, load, "again").await;
}
