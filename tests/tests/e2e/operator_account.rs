//! Tests that the operator's credentials allow no more than it needs, for example if they are stolen.

use serde_json::{Value, json};
use tributary_tests::kubernetes::{RELEASE_NAMESPACE, eventually, kubectl};

use crate::stage::tenant;

/// Runs kubectl as the operator's ServiceAccount.
fn as_operator(arguments: &[&str], input: &Value) -> Result<String, String> {
    let account = format!("system:serviceaccount:{RELEASE_NAMESPACE}:tributary-operator");
    let input = if input.is_null() { String::new() } else { input.to_string() };
    kubectl(&[arguments, &["--as", &account]].concat(), &input)
}

/// The operator's credentials do not suffice to make its Deployments run another image.
#[tokio::test]
async fn the_operators_account_can_run_only_the_sidecars_image() {
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
    for (change, expected) in [
        (json!({"image": "docker.io/library/busybox:1"}), "the operator runs only the sidecar's image"),
        (json!({"command": ["/tributary-sidecar", "--help"]}), "the operator runs only the sidecar's image"),
        (
            json!({"args": ["--config", "/var/run/secrets/tributary/external-id/externalId"]}),
            "a sidecar has no arguments",
        ),
        (
            json!({"env": [{"name": "AWS_REGION", "value": null, "valueFrom": from_secret}]}),
            "a sidecar has no arguments, and only the chart's environment variables",
        ),
        (
            json!({"env": [{"name": "HTTPS_PROXY", "value": "http://elsewhere"}]}),
            "only the chart's environment variables",
        ),
        (json!({"envFrom": [{"secretRef": {"name": "orders"}}]}), "none of them from a Secret"),
        (json!({"lifecycle": {"preStop": {"exec": {"command": ["sh"]}}}}), "a sidecar has no arguments"),
        (
            json!({"volumeMounts": [{"name": "external-id", "mountPath": "/etc/tributary/x"}]}),
            "a sidecar's Secrets are mounted whole",
        ),
        (json!({"serviceAccountName": "default"}), "a sidecar runs as its function's ServiceAccount"),
        (json!({"hostNetwork": true}), "a sidecar shares nothing with its node"),
        (
            json!({"volumes": [{"name": "host", "hostPath": {"path": "/"}}]}),
            "a sidecar shares nothing with its node, and has no volumes except",
        ),
    ] {
        let error = patch(change).expect_err("it should be refused");
        assert!(error.contains(expected), "{error}");
    }
    let recorded = json!({"metadata": {"annotations": {"tributary.dev/image": "docker.io/library/busybox:1"}}});
    let patch = ["patch", "deployment", "orders", "--namespace", "pinned", "--patch", &recorded.to_string()];
    let error = as_operator(&patch, &Value::Null).expect_err("it should be refused");
    assert!(error.contains("the operator records only an image that it may run"), "{error}");
    let spec = |text: &str| serde_json::from_str::<Value>(text).expect("JSON")["spec"].clone();
    assert_eq!(spec(&kubectl(&get, "").expect("a Deployment")), spec(&before));
}

/// One object of every kind of child; none of them belongs to a function.
const FOREIGN_OBJECTS: [(&str, &str); 6] = [
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

/// Owner references to a function of this name.
fn owner(name: &str) -> Value {
    json!([{
        "apiVersion": "tributary.dev/v1alpha1", "kind": "DestinationFunction", "controller": true,
        "name": name, "uid": "11111111-2222-3333-4444-555555555555",
    }])
}

#[tokio::test]
async fn the_operators_account_can_write_and_delete_only_children_of_functions() {
    const REFUSED: &str = "the operator writes and deletes children of functions only";
    tenant("others").await;
    let refused = |what: &str, error: Result<String, String>| {
        let error = error.expect_err(what);
        // Deployments have another policy too, which may refuse first.
        let of_deployments =
            what.ends_with("deployment") && error.contains("ValidatingAdmissionPolicy 'tributary-operator'");
        let is_refused = error.contains(REFUSED) || of_deployments;
        assert!(is_refused, "{what}: {error}");
    };
    for (kind, text) in FOREIGN_OBJECTS {
        let object = manifest(kind, text);
        let name = object["metadata"]["name"].as_str().expect("a name").to_owned();
        refused(&format!("create {kind}"), as_operator(&["create", "--filename", "-"], &object));
        kubectl(&["create", "--filename", "-"], &object.to_string()).expect("an object that belongs to no function");
        let there = [kind, &name, "--namespace", "others"];
        let change = json!({"metadata": {"annotations": {"a": "b"}}}).to_string();
        refused(
            &format!("change {kind}"),
            as_operator(&[&["patch"], &there[..], &["--type=merge", "--patch", &change]].concat(), &Value::Null),
        );
        // Making it a function's child first is refused too.
        let taken = json!({"metadata": {"ownerReferences": owner(name.trim_end_matches("dns"))}}).to_string();
        refused(
            &format!("take over {kind}"),
            as_operator(&[&["patch"], &there[..], &["--type=merge", "--patch", &taken]].concat(), &Value::Null),
        );
        refused(&format!("delete {kind}"), as_operator(&[&["delete"], &there[..]].concat(), &Value::Null));
    }
}

/// An object with an owner reference to a function must still have the shape that the operator gives it.
#[tokio::test]
async fn the_operators_account_can_create_only_well_formed_children() {
    tenant("others").await;
    for (kind, text, expected) in [
        (
            "configmap",
            "{metadata: {name: aws-auth}, immutable: true, data: {mapRoles: a}}",
            "holds only its configuration",
        ),
        ("configmap", "{metadata: {name: aws-auth}, data: {function.yaml: a}}", "and is immutable"),
        (
            "service",
            "{metadata: {name: aws}, spec: {selector: {app: other}, ports: [{port: 80}]}}",
            "selects only those of its function",
        ),
        (
            "service",
            "{metadata: {name: aws}, spec: {type: ExternalName, externalName: elsewhere.example.com, selector: \
             {tributary.dev/function: aws}}}",
            "only from within the cluster",
        ),
        ("serviceaccount", "{metadata: {name: aws}, secrets: [{name: other}]}", "names no Secret"),
        ("networkpolicy", "{metadata: {name: aws}, spec: {podSelector: {}}}", "selects only those of its function"),
        ("poddisruptionbudget", "{metadata: {name: aws}, spec: {selector: {}}}", "selects only those of its function"),
    ] {
        let mut object = manifest(kind, text);
        object["metadata"]["ownerReferences"] = owner("aws");
        let error = as_operator(&["create", "--filename", "-"], &object).expect_err("it should be refused");
        assert!(error.contains(expected), "{kind}: {error}");
    }
}

/// The policies check the object as it would be stored, so the operator can overwrite manual edits.
#[tokio::test]
async fn admission_allows_the_operator_to_revert_manual_edits() {
    let tenant = tenant("edits").await;
    tenant.run("orders", &json!({})).await;
    let container = |fields: Value| json!({"spec": {"template": {"spec": {"containers": [fields]}}}});
    for (kind, patch, path) in [
        ("service", json!({"spec": {"selector": {"tributary.dev/function": "other"}}}), "{.spec.selector}"),
        ("service", json!({"spec": {"selector": {"x": "y"}}}), "{.spec.selector}"),
        ("service", json!({"metadata": {"ownerReferences": null}}), "{.metadata.ownerReferences[*].name}"),
        ("serviceaccount", json!({"automountServiceAccountToken": true}), "{.automountServiceAccountToken}"),
        (
            "deployment",
            json!({"spec": {"template": {"spec": {"serviceAccountName": "default"}}}}),
            "{.spec.template.spec.serviceAccountName}",
        ),
        (
            "deployment",
            json!({"spec": {"template": {"spec": {"hostNetwork": true}}}}),
            "{.spec.template.spec.hostNetwork}",
        ),
        (
            "deployment",
            container(json!({"name": "stowaway", "image": "registry.invalid/stowaway:1"})),
            "{.spec.template.spec.containers[*].name}",
        ),
        (
            "deployment",
            container(json!({"name": "sidecar", "env": [{"name": "HTTPS_PROXY", "value": "http://evil"}]})),
            "{.spec.template.spec.containers[*].env[*].name}",
        ),
        (
            "deployment",
            container(json!({"name": "sidecar", "args": ["--help"]})),
            "{.spec.template.spec.containers[*].args}",
        ),
    ] {
        let output = format!("jsonpath={path}");
        let get = ["get", kind, "orders", "--namespace", "edits", "--output", &output];
        let before = kubectl(&get, "").expect("a child");
        let patch = patch.to_string();
        let how = if patch.contains("null") { "merge" } else { "strategic" };
        let edit = ["patch", kind, "orders", "--namespace", "edits", "--type", how, "--patch", &patch];
        kubectl(&edit, "").expect("an edit");
        eventually(&format!("{kind} {patch} is reverted"), async || (kubectl(&get, "").ok()? == before).then_some(()))
            .await;
    }
}
