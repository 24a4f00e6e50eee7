//! Tests the chart's values: each set renders, and invalid values are refused with a message that names them.

use tributary_tests::kubernetes::helm;

use crate::chart::{NAMESPACE, object, objects, render, value_sets, values_file};

fn helm_error(arguments: &[&str]) -> String {
    let all = [&["template", "tributary", "charts/tributary", "--set", "image.registry=r"], arguments].concat();
    helm(&all).expect_err("the values should be refused")
}

#[test]
fn helm_lint_passes_for_every_set_of_values() {
    for set in value_sets() {
        let file = values_file(&set);
        let linted = helm(&["lint", "--strict", "charts/tributary", "--values", file.to_str().expect("UTF-8")]);
        linted.unwrap_or_else(|error| panic!("{set}: {error}"));
    }
}

#[test]
fn an_invalid_value_is_refused_by_name() {
    for (value, part) in [
        ("operator.replica=2", "operator"),
        ("operator.replicas=many", "/operator/replicas"),
        ("operator.logLevel=loud", "/operator/logLevel"),
        ("watch.namespaces[0]=Team_A", "/watch/namespaces/0"),
        ("baseIdentity.default.irsa.roleArn=admin", "/baseIdentity/default/irsa/roleArn"),
        ("baseIdentity.default.irsa.mountToken=true", "roleArn"),
        ("policy.allowedEndpoints[0]=minio:9000", "/policy/allowedEndpoints/0"),
        ("policy.grants.namespaces.a.roleArns[0]=a-*", "/policy/grants"),
        ("policy.grants.namespaces.a.prefix=a", "/policy/grants"),
        ("sidecar.maxConcurrentRollouts=0", "/sidecar/maxConcurrentRollouts"),
        ("sidecar.resources.limits.memory=lots", "/sidecar/resources/limits/memory"),
        ("image.pullPolicy=Sometimes", "/image/pullPolicy"),
    ] {
        let error = helm_error(&["--set", value]);
        assert!(error.contains(part) || error.replace('.', "/").contains(part), "{value}: {error}");
    }
    let both = ["--set", "baseIdentity.default.podIdentity.x=1", "--set", "baseIdentity.default.secret.name=a"];
    assert!(helm_error(&both).contains("baseIdentity"));
}

#[test]
fn a_missing_registry_is_refused_with_how_to_set_it() {
    let error = helm(&["template", "tributary", "charts/tributary"]).expect_err("the values should be refused");
    assert!(error.contains("image.registry is required") && error.contains("--set image.registry="), "{error}");
}

#[test]
fn a_namespaced_install_has_no_cluster_scoped_objects() {
    let objects = objects(&render("namespaced", &[]));
    for object in &objects {
        let kind = object["kind"].as_str().expect("a kind");
        let namespaced = object["metadata"]["namespace"].is_string();
        assert!(namespaced, "{kind} {} is cluster-scoped", object["metadata"]["name"]);
    }
    for namespace in ["team-a", "team-b", NAMESPACE] {
        let of = |kind: &str| {
            objects.iter().any(|object| {
                object["kind"] == kind
                    && object["metadata"]["name"] == "tributary-operator"
                    && object["metadata"]["namespace"] == namespace
            })
        };
        assert!(of("Role") && of("RoleBinding"), "{namespace}");
    }
    let operator = object(&objects, "Deployment", "tributary-operator").to_string();
    assert!(operator.contains("--namespace=team-a") && operator.contains("--namespace=team-b"));
}

#[test]
fn no_role_has_a_verb_on_secrets() {
    for set in value_sets() {
        for object in objects(&render(&set, &[])) {
            let rules = object["rules"].as_array().cloned().unwrap_or_default();
            for rule in rules {
                let text = rule.to_string();
                let everything =
                    rule["resources"].to_string().contains('*') || rule["apiGroups"].to_string().contains('*');
                assert!(
                    !text.contains("secrets") && !everything && !rule["verbs"].to_string().contains('*'),
                    "{set}: {text}"
                );
            }
        }
    }
}

#[test]
fn common_labels_and_annotations_are_on_every_object() {
    for object in objects(&render("high-availability", &[])) {
        // Objects of `helm test` have their own labels and annotations.
        if object["metadata"]["annotations"]["helm.sh/hook"].is_string() {
            continue;
        }
        let metadata = &object["metadata"];
        let what = format!("{} {}", object["kind"], metadata["name"]);
        assert_eq!(metadata["labels"]["owner"], "data", "{what}");
        assert_eq!(metadata["annotations"]["example.com/owner"], "data", "{what}");
    }
}
