//! Tests faults of SidecarAvailable: pods that are missing, that exit, or that the operator can't reach.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use futures_util::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;
use tributary_tests::kubernetes::{condition, inside_node, kubectl, within};

use super::{
    EVENT_INTERVAL, RECOVERY_TIMEOUT, REPORT_TIMEOUT, assert_kstatus, assert_reported, assert_reported_with_status,
    wait_recovered, wait_recovered_without_restart,
};
use crate::stage::tenant;

/// Ends the sidecar with SIGKILL, as the kernel does when memory runs out. A memory limit that is too small can't be
/// used for this: the operator refuses it.
#[tokio::test]
async fn a_sidecar_in_a_crash_loop_is_reported() {
    if std::env::var_os("TEST_LOCAL_NODE").is_none() {
        println!("NOT RUN: containers can be killed only on the tests' own node");
        return;
    }
    let tenant = tenant("pods").await;
    tenant.run("killed", &json!({})).await;
    let killing = async {
        loop {
            for pod in tenant.pods("killed").await {
                kill_sidecar(&pod);
            }
            tokio::time::sleep(EVENT_INTERVAL).await;
        }
    };
    let parts = &["exit code 137", "kubectl logs"];
    tokio::select! {
        () = assert_reported(&tenant, "killed", "SidecarAvailable", "CrashLoop", parts) => {}
        () = killing => unreachable!("it never ends"),
    }
    // The changed function gets a new pod, which does not wait for the back-off of the old one.
    tenant.apply("killed", &json!({"resources": {"limits": {"memory": "192Mi"}}})).await;
    wait_recovered(&tenant, "killed", RECOVERY_TIMEOUT).await;
}

/// The folder in `/proc` of a pod's sidecar: a process of this machine in the pod's cgroup. `None` if it does not run.
fn sidecar_process(pod: &Pod) -> Option<PathBuf> {
    let uid = pod.metadata.uid.as_deref().expect("a pod has a UID");
    let processes = fs::read_dir("/proc").expect("the processes of Linux").flatten();
    processes.map(|entry| entry.path()).find(|process| {
        // The files are missing if the entry is not a process, or the process has exited.
        let read = |file: &str| fs::read_to_string(process.join(file)).unwrap_or_default();
        read("comm").starts_with("tributary-sidec") && read("cgroup").contains(uid)
    })
}

fn kill_sidecar(pod: &Pod) {
    if let Some(process) = sidecar_process(pod) {
        let _ = Command::new("kill").arg("-KILL").args(process.file_name()).status();
    }
}

/// The kernel kills a sidecar that exceeds its memory limit. The test lowers the limit of the cgroup: with a limit that
/// the operator has set, a sidecar does not exceed it.
#[tokio::test]
async fn a_sidecar_that_runs_out_of_memory_is_reported() {
    if std::env::var_os("TEST_LOCAL_NODE").is_none() {
        println!("NOT RUN: limits can be lowered only on the tests' own node");
        return;
    }
    let tenant = tenant("pods").await;
    tenant.run("hungry", &json!({})).await;
    let pods = tenant.pods("hungry").await;
    limit_memory_to_usage(&sidecar_process(&pods[0]).expect("a sidecar"));
    // These are no events, but bodies of this size are read before that is known.
    let body = format!("[{}]", "1,".repeat(3 << 20));
    let posts = (0..4).map(|_| tenant.post("hungry", "/", &[], body.clone()));
    let statuses: Vec<_> = join_all(posts).await.into_iter().map(|(status, _)| status).collect();
    assert!(statuses.iter().any(|status| *status >= 500), "the sidecar still runs, and answered {statuses:?}");
    let reported = within(REPORT_TIMEOUT, "SidecarAvailable of hungry is OOMKilled", async || {
        let function = tenant.functions().get("hungry").await.ok()?;
        condition(&function, "SidecarAvailable").filter(|reported| reported.reason == "OOMKilled")
    });
    let reported = reported.await;
    for part in ["memory limit of 256Mi", "raise spec.resources.limits.memory"] {
        assert!(reported.message.contains(part), "{}", reported.message);
    }
    // The kubelet restarts the container. That it was killed is reported for an hour.
    within(RECOVERY_TIMEOUT, "hungry stores events again", async || {
        let function = tenant.functions().get("hungry").await.ok()?;
        let ready = condition(&function, "Ready")?;
        let is_reported = (ready.status.as_str(), ready.reason.as_str()) == ("True", "OOMKilled");
        (is_reported && super::send(&tenant, "hungry").await).then_some(())
    })
    .await;
    tenant.wait_event("hungry", "OOMKilled").await;
}

/// Limits a process's cgroup to the memory that it uses now; cgroup v1 or v2.
fn limit_memory_to_usage(process: &Path) {
    let groups = fs::read_to_string(process.join("cgroup")).expect("the cgroups of a process");
    let path = |controller: &str| {
        let line =
            groups.lines().find_map(|line| line.split_once(':')?.1.split_once(':').filter(|(c, _)| *c == controller));
        line.map(|(_, path)| path.trim_start_matches('/'))
    };
    let (folder, usage, limit) = match path("memory") {
        Some(path) => (Path::new("/sys/fs/cgroup/memory").join(path), "memory.usage_in_bytes", "memory.limit_in_bytes"),
        None => {
            let path = path("").expect("a cgroup");
            (Path::new("/sys/fs/cgroup").join(path), "memory.current", "memory.max")
        }
    };
    let bytes = fs::read_to_string(folder.join(usage)).expect("how much is used");
    fs::write(folder.join(limit), bytes.trim()).expect("a limit that can be set");
}

#[tokio::test]
async fn an_unschedulable_sidecar_is_reported() {
    let tenant = tenant("pods").await;
    tenant.prepare("large").await;
    tenant.apply("large", &json!({"resources": {"requests": {"cpu": "900"}}})).await;
    let parts = &["no node can run the sidecar", "lower spec.resources", "Insufficient cpu"];
    assert_reported(&tenant, "large", "SidecarAvailable", "Unschedulable", parts).await;
    tenant.apply("large", &json!({})).await;
    wait_recovered(&tenant, "large", RECOVERY_TIMEOUT).await;
}

#[tokio::test]
async fn an_exhausted_quota_is_reported() {
    let tenant = tenant("full").await;
    kubectl(&["create", "quota", "none", "--hard", "pods=0", "--namespace", "full"], "").expect("a quota");
    tenant.prepare("orders").await;
    tenant.apply("orders", &json!({})).await;
    let parts = &["the namespace's quota leaves no room", "exceeded quota: none"];
    assert_reported(&tenant, "orders", "SidecarAvailable", "QuotaExceeded", parts).await;
    kubectl(&["delete", "quota", "none", "--namespace", "full"], "").expect("no quota");
    wait_recovered(&tenant, "orders", RECOVERY_TIMEOUT).await;
}

#[tokio::test]
async fn a_function_scaled_to_zero_is_reported() {
    let tenant = tenant("pods").await;
    tenant.run("none", &json!({})).await;
    let scale = |replicas: &str| {
        let replicas = format!("--replicas={replicas}");
        kubectl(&["scale", "df", "none", "--namespace", "pods", &replicas], "").expect("a scale");
    };
    scale("0");
    assert_reported(
        &tenant,
        "none",
        "SidecarAvailable",
        "NoReplicas",
        &["spec.replicas is 0", "scale the function up"],
    )
    .await;
    assert_kstatus(&tenant, "none", "InProgress").await;
    scale("1");
    wait_recovered(&tenant, "none", RECOVERY_TIMEOUT).await;
}

/// As with a NetworkPolicy that does not allow the operator: the kubelet and events reach the sidecar, and the operator
/// does not.
#[tokio::test]
async fn a_sidecar_that_the_operator_cannot_reach_is_reported() {
    if std::env::var_os("TEST_LOCAL_NODE").is_none() {
        println!("NOT RUN: packets can be dropped only on the tests' own node");
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
    assert_reported_with_status(&tenant, "silent", ("SidecarAvailable", "Unknown"), "SidecarUnreachable", parts).await;
    assert!(super::send(&tenant, "silent").await, "events should still be stored");
    rule("--delete");
    wait_recovered_without_restart(&tenant, "silent", RECOVERY_TIMEOUT).await;
}
