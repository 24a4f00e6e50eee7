//! What whoever has the operator's credential can't do with it.

use serde_json::{Value, json};
use tributary_tests::kubernetes::{SYSTEM, kubectl};

use crate::stage::tenant;

/// Runs kubectl as the operator.
fn as_operator(arguments: &[&str], input: &Value) -> Result<String, String> {
    let account = format!("system:serviceaccount:{SYSTEM}:tributary-operator");
    let input = if input.is_null() { String::new() } else { input.to_string() };
    kubectl(&[arguments, &["--as", &account]].concat(), &input)
}

/// Whoever has the operator's credential can't make it run something else.
#[tokio::test]
async fn the_operator_runs_the_sidecars_image_and_nothing_else() {
    let tenant = tenant("pinned").await;
    tenant.run("orders", &json!({})).await;
    let get = ["get", "deployment", "orders", "--namespace", "pinned", "--output", "json"];
    let patch = |change: Value| {
        let container = json!({"name": "sidecar"});
        let mut pod = json!({"containers": [container]});
        for (field, value) in change.as_object().expect("fields") {
            match field.as_str() {
                "image" | "command" | "args" | "env" | "envFrom" | "lifecycle" | "volumeMounts" => {
                    pod["containers"][0][field] = value.clone();
                }
                _ => pod[field] = value.clone(),
            }
        }
        let patch = json!({"spec": {"template": {"spec": pod}}}).to_string();
        as_operator(&["patch", "deployment", "orders", "--namespace", "pinned", "--patch", &patch], &Value::Null)
    };
    let before = kubectl(&get, "").expect("a Deployment");
    let from_secret = json!({"secretKeyRef": {"name": "orders", "key": "externalId"}});
    for (change, says) in [
        (json!({"image": "docker.io/library/busybox:1"}), "the operator runs the sidecar's image only"),
        (json!({"command": ["/tributary-sidecar", "--help"]}), "the operator runs the sidecar's image only"),
        (
            json!({"args": ["--config", "/var/run/secrets/tributary/external-id/externalId"]}),
            "a sidecar has no arguments",
        ),
        (
            json!({"env": [{"name": "AWS_REGION", "value": null, "valueFrom": from_secret}]}),
            "a sidecar has no arguments and no environment but the chart's",
        ),
        (json!({"env": [{"name": "HTTPS_PROXY", "value": "http://elsewhere"}]}), "no environment but the chart's"),
        (json!({"envFrom": [{"secretRef": {"name": "orders"}}]}), "and nothing of a Secret in it"),
        (json!({"lifecycle": {"preStop": {"exec": {"command": ["sh"]}}}}), "a sidecar has no arguments"),
        (
            json!({"volumeMounts": [{"name": "external-id", "mountPath": "/etc/tributary/x"}]}),
            "a sidecar's Secrets are mounted whole",
        ),
        (json!({"serviceAccountName": "default"}), "a sidecar runs as its function's ServiceAccount"),
        (json!({"hostNetwork": true}), "a sidecar has nothing of its node"),
        (
            json!({"volumes": [{"name": "host", "hostPath": {"path": "/"}}]}),
            "a sidecar has nothing of its node, and no volumes but",
        ),
    ] {
        let said = patch(change).expect_err("it should be refused");
        assert!(said.contains(says), "{said}");
    }
    let spec = |text: &str| serde_json::from_str::<Value>(text).expect("JSON")["spec"].clone();
    assert_eq!(spec(&kubectl(&get, "").expect("a Deployment")), spec(&before));
}

/// Every kind of child, of somebody else's.
const OTHERS: [(&str, &str); 6] = [
    ("configmap", "{metadata: {name: coredns}, data: {Corefile: a}}"),
    ("service", "{metadata: {name: checkout}, spec: {ports: [{port: 80}]}}"),
    ("serviceaccount", "{metadata: {name: checkout}}"),
    (
        "deployment",
        "{metadata: {name: checkout}, spec: {replicas: 0, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: \
         b}}, spec: {containers: [{name: a, image: a}]}}}}",
    ),
    ("networkpolicy", "{metadata: {name: checkout}, spec: {podSelector: {matchLabels: {a: b}}}}"),
    ("poddisruptionbudget", "{metadata: {name: checkout}, spec: {selector: {matchLabels: {a: b}}}}"),
];

fn manifest(kind: &str, text: &str) -> Value {
    let (api, proper) = match kind {
        "configmap" => ("v1", "ConfigMap"),
        "service" => ("v1", "Service"),
        "serviceaccount" => ("v1", "ServiceAccount"),
        "deployment" => ("apps/v1", "Deployment"),
        "networkpolicy" => ("networking.k8s.io/v1", "NetworkPolicy"),
        _ => ("policy/v1", "PodDisruptionBudget"),
    };
    let mut manifest: Value = serde_yaml::from_str(text).expect("YAML");
    (manifest["apiVersion"], manifest["kind"]) = (json!(api), json!(proper));
    manifest["metadata"]["namespace"] = json!("others");
    manifest
}

/// The function that an object of this name would be a child of.
fn owner(name: &str) -> Value {
    json!([{
        "apiVersion": "tributary.dev/v1alpha1", "kind": "DestinationFunction", "controller": true,
        "name": name, "uid": "11111111-2222-3333-4444-555555555555",
    }])
}

#[tokio::test]
async fn the_operator_writes_and_deletes_nothing_but_children_of_functions() {
    const REFUSED: &str = "the operator writes and deletes children of functions only";
    tenant("others").await;
    let refused = |what: &str, said: Result<String, String>| {
        let said = said.expect_err(what);
        // A Deployment has a policy of its own, which may speak first.
        let of_deployments =
            what.ends_with("deployment") && said.contains("ValidatingAdmissionPolicy 'tributary-operator'");
        let told = said.contains(REFUSED) || of_deployments;
        assert!(told, "{what}: {said}");
    };
    for (kind, text) in OTHERS {
        let object = manifest(kind, text);
        let name = object["metadata"]["name"].as_str().expect("a name").to_owned();
        refused(&format!("create {kind}"), as_operator(&["create", "--filename", "-"], &object));
        kubectl(&["create", "--filename", "-"], &object.to_string()).expect("an object of somebody else's");
        let there = [kind, &name, "--namespace", "others"];
        let change = json!({"metadata": {"annotations": {"a": "b"}}}).to_string();
        refused(
            &format!("change {kind}"),
            as_operator(&[&["patch"], &there[..], &["--type=merge", "--patch", &change]].concat(), &Value::Null),
        );
        // Nor does it help to make it a function's first.
        let taken = json!({"metadata": {"ownerReferences": owner(name.trim_end_matches("dns"))}}).to_string();
        refused(
            &format!("take over {kind}"),
            as_operator(&[&["patch"], &there[..], &["--type=merge", "--patch", &taken]].concat(), &Value::Null),
        );
        refused(&format!("delete {kind}"), as_operator(&[&["delete"], &there[..]].concat(), &Value::Null));
    }
}

/// A child is what the operator makes of it, whoever says that it is one.
#[tokio::test]
async fn what_the_operator_writes_is_what_a_function_has() {
    tenant("others").await;
    for (kind, text, says) in [
        ("configmap", "{metadata: {name: aws-auth}, immutable: true, data: {mapRoles: a}}", "holds its configuration"),
        ("configmap", "{metadata: {name: aws-auth}, data: {function.yaml: a}}", "never changes"),
        (
            "service",
            "{metadata: {name: aws}, spec: {selector: {app: other}, ports: [{port: 80}]}}",
            "selects those of its",
        ),
        (
            "service",
            "{metadata: {name: aws}, spec: {type: ExternalName, externalName: elsewhere.example.com, selector: \
             {tributary.dev/function: aws}}}",
            "from within the cluster",
        ),
        ("serviceaccount", "{metadata: {name: aws}, secrets: [{name: other}]}", "names no Secret"),
        ("networkpolicy", "{metadata: {name: aws}, spec: {podSelector: {}}}", "selects those of its"),
        ("poddisruptionbudget", "{metadata: {name: aws}, spec: {selector: {}}}", "selects those of its"),
    ] {
        let mut object = manifest(kind, text);
        object["metadata"]["ownerReferences"] = owner("aws");
        let said = as_operator(&["create", "--filename", "-"], &object).expect_err("it should be refused");
        assert!(said.contains(says), "{kind}: {said}");
    }
}
