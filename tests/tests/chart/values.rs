//! Values: each set is taken, and what is wrong is refused with a sentence.

use tributary_tests::kubernetes::helm;

use crate::chart::{NAMESPACE, file, object, objects, render, sets};

fn refused(arguments: &[&str]) -> String {
    let all = [&["template", "tributary", "charts/tributary", "--set", "image.registry=r"], arguments].concat();
    helm(&all).expect_err("it is taken")
}

#[test]
fn helm_finds_nothing_wrong_with_any_set() {
    for set in sets() {
        let file = file(&set);
        let linted = helm(&["lint", "--strict", "charts/tributary", "--values", file.to_str().expect("UTF-8")]);
        linted.unwrap_or_else(|says| panic!("{set}: {says}"));
    }
}

#[test]
fn what_is_wrong_is_refused_with_its_name() {
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
        let says = refused(&["--set", value]);
        assert!(says.contains(part) || says.replace('.', "/").contains(part), "{value}: {says}");
    }
    let both = ["--set", "baseIdentity.default.podIdentity.x=1", "--set", "baseIdentity.default.secret.name=a"];
    assert!(refused(&both).contains("baseIdentity"));
}

#[test]
fn without_a_registry_it_says_how_to_name_one() {
    let says = helm(&["template", "tributary", "charts/tributary"]).expect_err("it is taken");
    assert!(says.contains("image.registry is required") && says.contains("--set image.registry="), "{says}");
}

#[test]
fn a_namespaced_install_has_nothing_of_the_whole_cluster() {
    let objects = objects(&render("namespaced", &[]));
    for object in &objects {
        let kind = object["kind"].as_str().expect("a kind");
        let namespaced = object["metadata"]["namespace"].is_string();
        assert!(namespaced, "{kind} {} is of the whole cluster", object["metadata"]["name"]);
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
fn nothing_has_a_verb_on_secrets() {
    for set in sets() {
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
fn common_labels_and_annotations_are_everywhere() {
    for object in objects(&render("high-availability", &[])) {
        // What comes with helm test has its own life.
        if object["metadata"]["annotations"]["helm.sh/hook"].is_string() {
            continue;
        }
        let metadata = &object["metadata"];
        let what = format!("{} {}", object["kind"], metadata["name"]);
        assert_eq!(metadata["labels"]["owner"], "data", "{what}");
        assert_eq!(metadata["annotations"]["example.com/owner"], "data", "{what}");
    }
}
