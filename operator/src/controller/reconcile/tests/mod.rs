//! Reconciles a function against an API server in memory, and asserts each request.

mod api_server;
mod drift;
mod name_clash;

use hyper::Method;
use serde_json::{Value, json};
use tributary_crds::conditions::{ConditionType, FunctionStatus, SidecarStatus};

use super::*;
use crate::watch::filled::FilledCaches;
use api_server::ApiServer;

const NAMESPACE: &str = "/namespaces/shop";
const POD_UID: &str = "pod-1";

/// A function and the operator that reconciles it.
struct Scene {
    server: ApiServer,
    caches: FilledCaches,
    context: Arc<Context>,
}

impl Scene {
    /// The function `orders` in the namespace `shop`, with these fields beside the required ones.
    fn new(spec: &Value) -> Self {
        let mut function = json!({
            "apiVersion": "tributary.dev/v1alpha1",
            "kind": "DestinationFunction",
            "metadata": {"name": "orders", "namespace": "shop", "uid": "u", "generation": 1},
            "spec": {
                "roleArn": "arn:aws:iam::123456789012:role/shop-orders",
                "externalIdSecretRef": {"name": "orders-lake"},
                "s3": {"bucket": "orders-lake", "region": "us-west-2"},
            },
        });
        function["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let server = ApiServer::default();
        server.put(&format!("/apis/tributary.dev/v1alpha1{NAMESPACE}/destinationfunctions/orders"), function);
        let caches = FilledCaches::default();
        let context = context(&server, &caches, &json!({}));
        Self { server, caches, context }
    }

    /// Restarts the operator with other settings of the platform.
    fn restart(&mut self, platform: &Value) {
        self.caches = FilledCaches::default();
        self.context = context(&self.server, &self.caches, platform);
    }

    /// Brings the caches up to date, reconciles once, and returns the requests.
    async fn reconcile(&mut self) -> Vec<String> {
        self.caches.relist(|plural| self.server.objects(plural));
        self.reconcile_with_caches().await
    }

    /// Reconciles once with the function as it is and the Deployment as `cached`: its watch is behind.
    async fn reconcile_behind(&mut self, cached: Vec<Value>) -> Vec<String> {
        self.caches.relist(|plural| if plural == "deployments" { cached.clone() } else { self.server.objects(plural) });
        self.reconcile_with_caches().await
    }

    async fn reconcile_with_caches(&self) -> Vec<String> {
        let function = self.caches.caches.functions.state().pop().expect("a function");
        self.server.requests();
        // A failed write is in the status.
        let _ = reconcile(function, Arc::clone(&self.context)).await;
        self.server.requests()
    }

    /// With children, a Deployment that is rolled out, and a status that reports this.
    async fn rolled_out(mut self) -> Self {
        self.reconcile().await;
        self.roll_out();
        self.reconcile().await;
        self
    }

    /// Changes the function's spec.
    fn edit_function(&self, spec: &Value) {
        let generation = self.function()["metadata"]["generation"].as_i64().unwrap() + 1;
        self.server.edit("destinationfunctions", &json!({"metadata": {"generation": generation}, "spec": spec}));
    }

    fn function(&self) -> Value {
        self.server.objects("destinationfunctions").remove(0)
    }

    fn deployment(&self) -> Value {
        self.server.objects("deployments").remove(0)
    }

    /// Reports the Deployment as rolled out.
    fn roll_out(&self) {
        let generation = self.deployment()["metadata"]["generation"].clone();
        let status = json!({"observedGeneration": generation, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1,
            "availableReplicas": 1});
        self.server.edit("deployments", &json!({"spec": {"replicas": 1}, "status": status}));
    }

    /// The status and the reason of a condition.
    fn condition(&self, r#type: &str) -> (String, String) {
        let status: FunctionStatus = serde_json::from_value(self.function()["status"].clone()).unwrap();
        let condition = status.conditions.into_iter().find(|condition| condition.type_ == r#type).unwrap();
        (condition.status, condition.reason)
    }
}

fn context(server: &ApiServer, caches: &FilledCaches, platform: &Value) -> Arc<Context> {
    let mut settings = json!({"sidecar": {"image": "sidecar:1"}});
    settings.as_object_mut().unwrap().extend(platform.as_object().unwrap().clone());
    let platform: Platform = serde_json::from_value(settings).unwrap();
    let (client, platform) = (server.client(), Arc::new(platform));
    let events = Events::new(client.clone(), "test", "tributary", "tributary-system");
    Arc::new(Context {
        caches: caches.caches.clone(),
        reports: Reports::default(),
        applier: Applier::new(client.clone()),
        status_writer: StatusWriter::new(client, events.clone()),
        rollouts: Arc::new(Rollouts::new(&platform)),
        backoff: Backoff::default(),
        events,
        rivals: Rivals::of("tributary-system/tributary"),
        requeue: RequeueRequests::default(),
        metrics: Metrics::new(),
        platform,
    })
}

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

/// The requests except those for Events.
fn but_events(requests: Vec<String>) -> Vec<String> {
    requests.into_iter().filter(|request| !request.contains("events")).collect()
}

/// How many requests patch the Deployment's spec.
fn spec_patches(requests: &[String]) -> usize {
    requests.iter().filter(|request| *request == "PATCH deployments/orders").count()
}

/// Without Events, and `MAP` for the name of a ConfigMap, which ends with a hash.
fn with_map(requests: Vec<String>) -> Vec<String> {
    let named = |request: String| match request.split_once("configmaps/orders-") {
        Some((method, _)) => format!("{method}configmaps/MAP"),
        None => request,
    };
    but_events(requests).into_iter().map(named).collect()
}

#[tokio::test]
async fn a_new_function_gets_its_children_and_a_status_and_then_costs_nothing() {
    let mut scene = Scene::new(&json!({}));
    let checked = ["GET serviceaccounts/orders", "GET services/orders", "GET deployments/orders"];
    let created = ["POST configmaps", "POST serviceaccounts", "POST services", "POST deployments"];
    let expected = [&checked[..], &created, &["PATCH destinationfunctions/orders/status"]].concat();
    assert_eq!(but_events(scene.reconcile().await), expected);
    assert_eq!(scene.condition("Ready"), ("False".to_owned(), "Progressing".to_owned()));
    let second = but_events(scene.reconcile().await);
    assert!(second.iter().all(|request| request.starts_with("PATCH destinationfunctions/orders/")), "{second:?}");
    scene.reconcile().await;
    assert_eq!(scene.reconcile().await, Vec::<String>::new(), "nothing differs");
}

/// The first write of the spec after a POST is preceded by one of the managed fields alone: a second write of the spec
/// could make the Deployment controller lose the start of its progress deadline.
#[tokio::test]
async fn an_edited_deployment_is_reverted_by_a_single_write_of_its_spec() {
    let mut scene = Scene::new(&json!({})).rolled_out().await;
    let containers = &scene.deployment()["spec"]["template"]["spec"]["containers"];
    let mut edited = containers.clone();
    edited[0]["image"] = json!("theirs");
    scene.server.edit("deployments", &json!({"spec": {"template": {"spec": {"containers": edited}}}}));
    let requests = but_events(scene.reconcile().await);
    let expected = ["GET deployments/orders", "PATCH deployments/orders (metadata)", "PATCH deployments/orders"];
    assert_eq!(requests[..3], expected, "{requests:?}");
    assert_eq!(spec_patches(&requests), 1);
    assert_eq!(&scene.deployment()["spec"]["template"]["spec"]["containers"], containers);
}

#[tokio::test]
async fn an_added_container_is_removed_by_a_single_patch() {
    let mut scene = Scene::new(&json!({})).rolled_out().await;
    let containers = &scene.deployment()["spec"]["template"]["spec"]["containers"];
    let mut edited = containers.clone();
    edited.as_array_mut().unwrap().push(json!({"name": "theirs", "image": "theirs"}));
    scene.server.edit("deployments", &json!({"spec": {"template": {"spec": {"containers": edited}}}}));
    let requests = but_events(scene.reconcile().await);
    assert_eq!(requests[..2], ["GET deployments/orders", "PATCH deployments/orders"], "{requests:?}");
    assert_eq!(spec_patches(&requests), 1);
    assert_eq!(&scene.deployment()["spec"]["template"]["spec"]["containers"], containers);
}

#[tokio::test]
async fn a_deployment_that_a_webhook_changes_back_is_written_three_times_and_then_left_alone() {
    let mut scene = Scene::new(&json!({})).rolled_out().await;
    let theirs = json!({"spec": {"progressDeadlineSeconds": 7}});
    scene.server.mutate("deployments", theirs.clone());
    scene.server.edit("deployments", &theirs);
    let mut patches = Vec::new();
    for _ in 0..6 {
        // Another field of the Deployment changes, which triggers a reconcile.
        scene.server.edit("deployments", &json!({"status": {"conditions": null}}));
        patches.push(spec_patches(&scene.reconcile().await));
    }
    assert_eq!(patches, [1, 1, 1, 0, 0, 0]);
    // An edit of the function is a reason to try again.
    scene.edit_function(&json!({"s3": {"bucket": "another-lake"}}));
    assert_eq!(spec_patches(&scene.reconcile().await), 1);
}

/// The Deployment is created with 0 replicas, and the function's owner removes the number. Whatever the cache holds of
/// the Deployment, it is scaled to 1.
#[tokio::test]
async fn removing_replicas_of_zero_scales_to_one_even_while_the_deployments_watch_is_behind() {
    for history in [&[0][..], &[3, 0]] {
        let mut scene = Scene::new(&json!({"replicas": history[0]}));
        let mut cached = Vec::new();
        for replicas in history {
            cached = scene.server.objects("deployments");
            scene.edit_function(&json!({"replicas": replicas}));
            scene.reconcile().await;
        }
        assert_eq!(scene.deployment()["spec"]["replicas"], 0);
        scene.edit_function(&json!({"replicas": null}));
        scene.reconcile_behind(cached).await;
        scene.reconcile().await;
        assert_eq!(scene.deployment()["spec"]["replicas"], 1, "after {history:?}");
        assert_eq!(scene.function()["spec"]["replicas"], 1, "after {history:?}");
    }
}

/// The number that the operator chooses becomes a default, which others may change, only once it is applied.
#[tokio::test]
async fn removing_replicas_of_zero_scales_to_one_even_if_the_first_write_conflicts() {
    let mut scene = Scene::new(&json!({"replicas": 0}));
    scene.reconcile().await;
    scene.edit_function(&json!({"replicas": null}));
    scene.server.refuse(Method::PATCH, "deployments", 409, "the object has been modified");
    scene.reconcile().await;
    scene.server.accept();
    scene.reconcile().await;
    assert_eq!(scene.deployment()["spec"]["replicas"], 1);
    scene.reconcile().await;
    assert_eq!(scene.function()["spec"]["replicas"], 1);
}

#[tokio::test]
async fn a_function_whose_role_the_platform_revokes_loses_its_sidecars() {
    let mut scene = Scene::new(&json!({}));
    scene.reconcile().await;
    scene.restart(&json!({"policy": {"grants": {"namespaces": {"shop": {"roleArns": ["arn:aws:iam::123456789012:role/other"]}}}}}));
    let requests = but_events(scene.reconcile().await);
    let expected = ["GET deployments/orders", "DELETE deployments/orders", "PATCH destinationfunctions/orders/status"];
    assert_eq!(requests, expected);
    assert_eq!(scene.condition("Accepted"), ("False".to_owned(), "RoleNotAllowed".to_owned()));
    scene.reconcile().await;
    assert_eq!(scene.server.objects("deployments"), Vec::<Value>::new());
}

#[tokio::test]
async fn changes_to_a_paused_function_are_not_applied() {
    let mut scene = Scene::new(&json!({}));
    scene.reconcile().await;
    // The second fills in spec.replicas.
    scene.reconcile().await;
    scene.edit_function(&json!({"paused": true, "s3": {"bucket": "another-lake"}}));
    let requests = but_events(scene.reconcile().await);
    assert_eq!(requests, ["PATCH destinationfunctions/orders/status"]);
    assert_eq!(scene.condition("UpToDate"), ("False".to_owned(), "Paused".to_owned()));
    // The platform's part, the image, is still applied.
    scene.restart(&json!({"sidecar": {"image": "sidecar:2"}}));
    let requests = but_events(scene.reconcile().await);
    assert!(requests.contains(&"PATCH deployments/orders".to_owned()), "{requests:?}");
    assert_eq!(scene.deployment()["spec"]["template"]["spec"]["containers"][0]["image"], "sidecar:2");
}

#[tokio::test]
async fn a_refused_child_is_reported_in_the_status() {
    for (refusal, reason) in [
        ("deployments.apps \"orders\" is forbidden: exceeded quota: small", "QuotaExceeded"),
        ("admission webhook \"policy.example.com\" denied the request: no Deployments here", "Forbidden"),
    ] {
        let mut scene = Scene::new(&json!({}));
        scene.server.refuse(Method::POST, "deployments", 403, refusal);
        let requests = but_events(scene.reconcile().await);
        assert_eq!(requests[6..], ["POST deployments", "PATCH destinationfunctions/orders/status"], "{requests:?}");
        assert_eq!(scene.condition("SidecarAvailable"), ("False".to_owned(), reason.to_owned()));
        assert_eq!(scene.condition("Stalled"), ("True".to_owned(), reason.to_owned()));
        assert_eq!(scene.function()["status"]["reason"], reason);
    }
}

#[tokio::test]
async fn a_changed_configuration_gets_a_new_config_map_and_the_old_one_is_kept_until_the_rollout_is_complete() {
    let mut scene = Scene::new(&json!({})).rolled_out().await;
    scene.edit_function(&json!({"s3": {"bucket": "another-lake"}}));
    let requests = but_events(scene.reconcile().await);
    let expected = ["POST configmaps", "GET deployments/orders", "PATCH deployments/orders (metadata)"];
    assert_eq!(requests[..3], expected, "{requests:?}");
    assert_eq!(scene.server.objects("configmaps").len(), 2);
    scene.roll_out();
    let requests = with_map(scene.reconcile().await);
    assert!(requests.contains(&"DELETE configmaps/MAP".to_owned()), "{requests:?}");
    assert_eq!(scene.server.objects("configmaps").len(), 1);
}

#[test]
fn errors_are_counted_by_reasons_of_a_closed_set() {
    let forbidden = kube::Error::Api(kube::core::Status::failure("no", "Forbidden").with_code(403).boxed());
    assert_eq!(ReconcileError::Status(forbidden).reason(), "Forbidden");
    assert_eq!(ReconcileError::Timeout.reason(), "Timeout");
    let problem = ApplyError::Orphaned { kind: "Service".to_owned(), name: "a".to_owned() }.problem();
    assert!(problem.is_some());
}
