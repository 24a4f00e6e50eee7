//! SidecarAvailable: pods that are not there, or can't be asked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use futures_util::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;
use tributary_tests::kubernetes::{condition, inside_node, kubectl, within};

use super::{EVERY, MENDED, SAID, assert_judged, mends, mends_by_itself, says, says_so};
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

/// A pod's sidecar, a process of this machine that is in the pod's cgroup: its folder in `/proc`, if it runs.
fn sidecar_process(pod: &Pod) -> Option<PathBuf> {
    let uid = pod.metadata.uid.as_deref().expect("a pod has a UID");
    let processes = fs::read_dir("/proc").expect("the processes of Linux").flatten();
    processes.map(|entry| entry.path()).find(|process| {
        // What is no process, or has ended meanwhile, has no such files.
        let read = |file: &str| fs::read_to_string(process.join(file)).unwrap_or_default();
        read("comm").starts_with("tributary-sidec") && read("cgroup").contains(uid)
    })
}

fn kill_sidecar(pod: &Pod) {
    if let Some(process) = sidecar_process(pod) {
        let _ = Command::new("kill").arg("-KILL").args(process.file_name()).status();
    }
}

/// The kernel ends a sidecar that goes over its memory limit. The limit is lowered behind Kubernetes' back: sidecars keep
/// below those that the operator lets them have.
#[tokio::test]
async fn a_sidecar_that_runs_out_of_memory_is_told() {
    if std::env::var_os("TEST_LOCAL_NODE").is_none() {
        println!("NOT RUN: the limits of a node that is not the tests' own can't be lowered");
        return;
    }
    let tenant = tenant("pods").await;
    tenant.run("hungry", &json!({})).await;
    let pods = tenant.pods("hungry").await;
    limit_memory_to_usage(&sidecar_process(&pods[0]).expect("a sidecar"));
    // No events, but bodies of their size are read before that is known.
    let body = format!("[{}]", "1,".repeat(3 << 20));
    let posts = (0..4).map(|_| tenant.post("hungry", "/", &[], body.clone()));
    let statuses: Vec<_> = join_all(posts).await.into_iter().map(|(status, _)| status).collect();
    assert!(statuses.iter().any(|status| *status >= 500), "the sidecar still runs, and answered {statuses:?}");
    let said = within(SAID, "SidecarAvailable of hungry is OOMKilled", async || {
        let function = tenant.functions().get("hungry").await.ok()?;
        condition(&function, "SidecarAvailable").filter(|said| said.reason == "OOMKilled")
    });
    let said = said.await;
    for part in ["memory limit of 256Mi", "raise spec.resources.limits.memory"] {
        assert!(said.message.contains(part), "{}", said.message);
    }
    // The kubelet starts it again. That it was killed stays to be seen for an hour.
    within(MENDED, "hungry stores events again", async || {
        let function = tenant.functions().get("hungry").await.ok()?;
        let ready = condition(&function, "Ready")?;
        let is_said = (ready.status.as_str(), ready.reason.as_str()) == ("True", "OOMKilled");
        (is_said && super::send(&tenant, "hungry").await).then_some(())
    })
    .await;
    within(SAID, "there is an Event OOMKilled of hungry", async || {
        tenant.has_event("hungry", "OOMKilled").await.then_some(())
    })
    .await;
}

/// What the process's cgroup uses now becomes all that it may use: by the files of cgroup v1, or of v2.
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
    assert_judged(&tenant, "none", "InProgress").await;
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
