//! Tests that a real API server accepts every rendered object, and the examples of load balancers.

use tributary_tests::Kubernetes;
use tributary_tests::kubernetes::{checkout, kubectl};

use crate::chart::{NAMESPACE, render, value_sets};

/// The environment variable with the folder of other projects' definitions.
const FOREIGN_CRDS_ENV: &str = "TEST_FOREIGN_CRDS";

/// Applies the definitions of these resources, GROUP_RESOURCES, from the folder of another project.
fn define(project: &str, definitions: &[&str]) {
    let folder = std::env::var(FOREIGN_CRDS_ENV)
        .unwrap_or_else(|_| panic!("{FOREIGN_CRDS_ENV} is not set: run tests/run chart"));
    for definition in definitions {
        let file = format!("{folder}/{project}/{definition}.yaml");
        kubectl(&["apply", "--server-side", "--filename", &file], "").expect("a definition");
        let (group, resources) = definition.split_once('_').expect("GROUP_RESOURCES");
        let name = format!("crd/{resources}.{group}");
        kubectl(&["wait", "--for", "condition=Established", "--timeout", "60s", &name], "").expect("a definition");
    }
}

/// Applies a manifest as a dry run; unknown fields are errors, and so are warnings, for example about pods that are not
/// restricted.
fn dry_run(text: &str) -> Result<String, String> {
    let arguments = [
        "apply",
        "--dry-run=server",
        "--validate=strict",
        "--server-side",
        "--force-conflicts",
        "--warnings-as-errors",
        "--filename",
        "-",
    ];
    kubectl(&arguments, text)
}

#[tokio::test]
async fn the_examples_of_load_balancers_are_accepted() {
    Kubernetes::connect().await;
    define("gateway", &["gateway.networking.k8s.io_gateways", "gateway.networking.k8s.io_httproutes"]);
    let folder = checkout().join("examples/load-balancers");
    let mut seen = 0;
    for example in std::fs::read_dir(folder).expect("the examples") {
        let path = example.expect("an example").path();
        // The annotation by which GKE chooses its Ingress is deprecated everywhere else, and GKE knows no other way.
        let text = std::fs::read_to_string(&path).expect("an example");
        let text = text.replace("    kubernetes.io/ingress.class: gce\n", "");
        let output = dry_run(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(output.contains("orders serverside-applied"), "{output}");
        seen += 1;
    }
    assert_eq!(seen, 4);
}

#[tokio::test]
async fn every_object_of_every_set_is_accepted_without_a_warning() {
    Kubernetes::connect().await;
    define("monitoring", &["monitoring.coreos.com_podmonitors", "monitoring.coreos.com_prometheusrules"]);
    for namespace in [NAMESPACE, "team-a", "team-b"] {
        // An error means that it exists, from an earlier run.
        let _ = kubectl(&["create", "namespace", namespace], "");
    }
    kubectl(&["label", "--overwrite", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted"], "")
        .expect("a label");
    for set in value_sets() {
        let output = dry_run(&render(&set, &[]));
        let output = output.unwrap_or_else(|error| panic!("{set}: {error}"));
        assert!(output.contains("deployment.apps/tributary-operator"), "{set}: {output}");
    }
    kubectl(&["delete", "namespace", NAMESPACE, "team-a", "team-b", "--wait=false"], "")
        .expect("the namespaces are deleted");
}
