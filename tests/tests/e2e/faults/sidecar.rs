//! SidecarAvailable: pods that are not there, or can't be asked.

use std::fs;
use std::process::Command;

use k8s_openapi::api::core::v1::Pod;
use serde_json::json;
use tributary_tests::kubernetes::{inside_node, kubectl};

use super::{EVERY, MENDED, mends, mends_by_itself, says, says_so};
use crate::stage::tenant;

/// By a signal that it can't handle, as the kernel sends it when memory runs out: a limit too small to work with is
/// refused before a sidecar has it.
#[tokio::test]
async fn a_sidecar_that_ends_again_and_again_is_told() {
    if std::env::var_os("TEST_LOCAL_NODE").is_none() {
        println!("NOT RUN: the containers of a node that is not the tests' own can't be killed");
        return;
    }
    let tenant = tenant("pods").await;
    tenant.run("killed", &json!({})).await;
    let killing = async {
        loop {
            for pod in tenant.pods("killed").await {
                kill_sidecar(&pod);
            }
            tokio::time::sleep(EVERY).await;
        }
    };
    tokio::select! {
        () = says(&tenant, "killed", "SidecarAvailable", "CrashLoop", &["exit code 137", "kubectl logs"]) => {}
        () = killing => unreachable!("it never ends"),
    }
    // A pod of its own need not wait for the old one's back-off.
    tenant.apply("killed", &json!({"resources": {"limits": {"memory": "192Mi"}}})).await;
    mends(&tenant, "killed", MENDED).await;
}

/// Ends a pod's sidecar, a process of this machine that is in the pod's cgroup.
fn kill_sidecar(pod: &Pod) {
    let uid = pod.metadata.uid.as_deref().expect("a pod has a UID");
    for process in fs::read_dir("/proc").expect("the processes of Linux").flatten().map(|entry| entry.path()) {
        // What is no process, or has ended meanwhile, has no such files.
        let read = |file: &str| fs::read_to_string(process.join(file)).unwrap_or_default();
        if read("comm").starts_with("tributary-sidec") && read("cgroup").contains(uid) {
            let _ = Command::new("kill").arg("-KILL").args(process.file_name()).status();
        }
    }
}

#[tokio::test]
async fn a_sidecar_that_fits_no_node_is_told() {
    let tenant = tenant("pods").await;
    tenant.prepare("large").await;
    tenant.apply("large", &json!({"resources": {"requests": {"cpu": "900"}}})).await;
    let parts = &["no node takes a sidecar", "lower spec.resources", "Insufficient cpu"];
    says(&tenant, "large", "SidecarAvailable", "Unschedulable", parts).await;
    tenant.apply("large", &json!({})).await;
    mends(&tenant, "large", MENDED).await;
}

#[tokio::test]
async fn a_quota_that_leaves_no_room_is_told() {
    let tenant = tenant("full").await;
    kubectl(&["create", "quota", "none", "--hard", "pods=0", "--namespace", "full"], "").expect("a quota");
    tenant.prepare("orders").await;
    tenant.apply("orders", &json!({})).await;
    let parts = &["the namespace's quota leaves no room", "exceeded quota: none"];
    says(&tenant, "orders", "SidecarAvailable", "QuotaExceeded", parts).await;
    kubectl(&["delete", "quota", "none", "--namespace", "full"], "").expect("no quota");
    mends(&tenant, "orders", MENDED).await;
}

#[tokio::test]
async fn a_function_that_is_scaled_to_zero_is_told() {
    let tenant = tenant("pods").await;
    tenant.run("none", &json!({})).await;
    let scale = |replicas: &str| {
        let replicas = format!("--replicas={replicas}");
        kubectl(&["scale", "df", "none", "--namespace", "pods", &replicas], "").expect("a scale");
    };
    scale("0");
    says(&tenant, "none", "SidecarAvailable", "NoReplicas", &["spec.replicas is 0", "scale the function up"]).await;
    scale("1");
    mends(&tenant, "none", MENDED).await;
}

/// As a NetworkPolicy does that forgets the operator: the kubelet reaches the sidecar, events do, and
/// the operator does not.
#[tokio::test]
async fn a_sidecar_that_the_operator_can_not_ask_is_told() {
    if std::env::var_os("TEST_LOCAL_NODE").is_none() {
        println!("NOT RUN: the packets of a node that is not the tests' own can't be dropped");
        return;
    }
    let tenant = tenant("pods").await;
    tenant.run("silent", &json!({})).await;
    let pods = tenant.pods("silent").await;
    let address = pods[0].status.as_ref().and_then(|status| status.pod_ip.clone()).expect("an address");
    let rule = |what: &str| {
        let rule = ["iptables", what, "FORWARD", "--destination", &address, "--protocol", "tcp", "--dport", "8081"];
        inside_node(&[&rule[..], &["--jump", "DROP"]].concat()).expect("a rule");
    };
    rule("--insert");
    let parts = &["no sidecar answers the operator at port 8081", "NetworkPolicy"];
    says_so(&tenant, "silent", ("SidecarAvailable", "Unknown"), "SidecarUnreachable", parts).await;
    assert!(super::send(&tenant, "silent").await, "events should go on");
    rule("--delete");
    mends_by_itself(&tenant, "silent", MENDED).await;
}
