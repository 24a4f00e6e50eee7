//! SidecarAvailable: pods that are not there, or can't be asked.

use futures_util::future::join_all;
use serde_json::json;
use tributary_tests::kubernetes::{inside_node, kubectl};

use super::{MENDED, mends, mends_by_itself, says, says_so};
use crate::stage::tenant;

#[tokio::test]
async fn a_sidecar_that_ends_again_and_again_is_told() {
    let tenant = tenant("pods").await;
    let resources = |memory: &str| json!({"resources": {"requests": {"memory": memory}, "limits": {"memory": memory}}});
    // Enough to start with, and not for batches as large as they may be.
    tenant.run("small", &resources("6Mi")).await;
    let event = json!({"type": "track", "userId": "u", "event": "e", "properties": {"text": "x".repeat(30_000)}});
    let batch = json!({"batch": vec![event; 16]}).to_string();
    let large = async {
        loop {
            join_all((0..16).map(|_| tenant.post("small", "/v1/batch", &[], batch.clone()))).await;
        }
    };
    let parts = &["OOMKilled", "raise spec.resources.limits.memory"];
    tokio::select! {
        () = says(&tenant, "small", "SidecarAvailable", "CrashLoop", parts) => {}
        () = large => unreachable!("it never ends"),
    }
    tenant.apply("small", &resources("64Mi")).await;
    mends(&tenant, "small", MENDED).await;
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
