//! What a real API server says of every rendered object.

use tributary_tests::Kubernetes;
use tributary_tests::kubernetes::kubectl;

use crate::chart::{NAMESPACE, render, sets};

/// Names the folder with the definitions of the Prometheus operator's resources.
const MONITORING: &str = "TEST_MONITORING_CRDS";

/// Kinds of others' that the chart may make.
fn define_monitoring() {
    let folder = std::env::var(MONITORING).unwrap_or_else(|_| panic!("{MONITORING} is not set: run tests/run chart"));
    for resource in ["podmonitors", "prometheusrules"] {
        let file = format!("{folder}/monitoring.coreos.com_{resource}.yaml");
        kubectl(&["apply", "--server-side", "--filename", &file], "").expect("a definition");
    }
    let names = ["podmonitors", "prometheusrules"].map(|name| format!("crd/{name}.monitoring.coreos.com"));
    kubectl(&["wait", "--for", "condition=Established", "--timeout", "60s", &names[0], &names[1]], "")
        .expect("definitions");
}

#[tokio::test]
async fn every_object_of_every_set_is_taken_without_a_warning() {
    Kubernetes::connect().await;
    define_monitoring();
    for namespace in [NAMESPACE, "team-a", "team-b"] {
        // There already, if a test before has made it.
        let _ = kubectl(&["create", "namespace", namespace], "");
    }
    kubectl(&["label", "--overwrite", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted"], "")
        .expect("a label");
    for set in sets() {
        // Fields that nobody knows are errors, and so are warnings: of pods that are not restricted, for one.
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
        let said = kubectl(&arguments, &render(&set, &[]));
        let said = said.unwrap_or_else(|says| panic!("{set}: {says}"));
        assert!(said.contains("deployment.apps/tributary-operator"), "{set}: {said}");
    }
    kubectl(&["delete", "namespace", NAMESPACE, "team-a", "team-b", "--wait=false"], "").expect("an end");
}
