//! Tests that a real API server accepts every rendered object.

use tributary_tests::Kubernetes;
use tributary_tests::kubernetes::kubectl;

use crate::chart::{NAMESPACE, render, value_sets};

/// The environment variable with the folder of the Prometheus operator's CRDs.
const MONITORING_CRDS_ENV: &str = "TEST_MONITORING_CRDS";

/// Applies the CRDs of the Prometheus operator, whose resources the chart may create.
fn define_monitoring() {
    let folder = std::env::var(MONITORING_CRDS_ENV)
        .unwrap_or_else(|_| panic!("{MONITORING_CRDS_ENV} is not set: run tests/run chart"));
    for resource in ["podmonitors", "prometheusrules"] {
        let file = format!("{folder}/monitoring.coreos.com_{resource}.yaml");
        kubectl(&["apply", "--server-side", "--filename", &file], "").expect("a definition");
    }
    let names = ["podmonitors", "prometheusrules"].map(|name| format!("crd/{name}.monitoring.coreos.com"));
    kubectl(&["wait", "--for", "condition=Established", "--timeout", "60s", &names[0], &names[1]], "")
        .expect("definitions");
}

#[tokio::test]
async fn every_object_of_every_set_is_accepted_without_a_warning() {
    Kubernetes::connect().await;
    define_monitoring();
    for namespace in [NAMESPACE, "team-a", "team-b"] {
        // An error means that it exists, from an earlier run.
        let _ = kubectl(&["create", "namespace", namespace], "");
    }
    kubectl(&["label", "--overwrite", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted"], "")
        .expect("a label");
    for set in value_sets() {
        // Unknown fields are errors, and so are warnings, for example about pods that are not restricted.
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
        let output = kubectl(&arguments, &render(&set, &[]));
        let output = output.unwrap_or_else(|error| panic!("{set}: {error}"));
        assert!(output.contains("deployment.apps/tributary-operator"), "{set}: {output}");
    }
    kubectl(&["delete", "namespace", NAMESPACE, "team-a", "team-b", "--wait=false"], "")
        .expect("the namespaces are deleted");
}
