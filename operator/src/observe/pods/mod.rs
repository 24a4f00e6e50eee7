//! Reads a pod's state: whether it counts, whether it is ready, where to poll it, and why it doesn't run. Pure.

#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod as KubePod, PodCondition};
use kube::ResourceExt;
use tributary_crds::conditions::Reason;

use super::observed::{Pod, SidecarAnswer};
use super::sanitize::safe;
use crate::build::{ADMIN_PORT, CONTAINER};
use crate::finding::Problem;
use crate::names::label;

/// The kubelet's reasons for an image that can't be pulled.
/// <https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/images/types.go>
const IMAGE_PULL_REASONS: [&str; 6] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "ImageInspectError",
    "RegistryUnavailable",
];

/// How long a pod must have been unschedulable before it is a problem: during a rollout on a full node, the scheduler
/// waits for pods that end, which takes a sidecar without long requests 5 to 10 s.
const UNSCHEDULABLE_AFTER: SignedDuration = SignedDuration::from_secs(15);

/// The same while other sidecars' pods start or end: on a node that is nearly full, the new pods of several functions
/// take turns.
const UNSCHEDULABLE_AFTER_TURNS: SignedDuration = SignedDuration::from_secs(90);

/// How soon an unschedulable pod is judged again while others start or end.
const TURN: Duration = Duration::from_secs(5);

/// How long an OOM kill is reported after the sidecar is ready again: it recurs with the load, which may take a while.
const OOM_REPORT_DURATION: SignedDuration = SignedDuration::from_hours(1);

/// Whether a pod has this configuration, and has neither ended nor is being deleted.
pub fn is_current(pod: &KubePod, config_hash: &str) -> bool {
    is_active(pod) && pod.labels().get(label::CONFIG).is_some_and(|config| config == config_hash)
}

/// Whether a pod has neither ended nor is being deleted.
pub fn is_active(pod: &KubePod) -> bool {
    pod.metadata.deletion_timestamp.is_none() && !has_ended(pod)
}

/// Whether all of the pod's containers have ended permanently.
pub fn has_ended(pod: &KubePod) -> bool {
    matches!(phase(pod), "Failed" | "Succeeded")
}

/// Whether the kubelet considers the pod ready, so that it receives events.
pub fn is_ready(pod: &KubePod) -> bool {
    condition(pod, "Ready").is_some_and(|ready| ready.status == "True")
}

/// Whether the pod starts or ends, so that its node may soon have room for another.
pub fn is_changing(pod: &KubePod) -> bool {
    let is_placed = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
    pod.metadata.deletion_timestamp.is_some() || (is_placed && !is_ready(pod) && !has_ended(pod))
}

/// Summarizes a pod. `template` is the hash of the pod template of the present rollout; `answer` is the last result of
/// polling the pod, if it was polled. `others_change` tells whether an unschedulable pod should wait for a pod of any
/// function that [is changing](is_changing).
pub fn pod(
    pod: &KubePod,
    template: Option<&str>,
    answer: Option<SidecarAnswer>,
    others_change: impl FnOnce() -> bool,
    now: Timestamp,
) -> Pod {
    let unheard = if address(pod).is_some() { SidecarAnswer::Awaited } else { SidecarAnswer::NotAsked };
    let ready = is_ready(pod);
    let outdated = pod.labels().get(label::TEMPLATE).is_some_and(|of_pod| Some(of_pod.as_str()) != template);
    let due_in = due_in(pod, others_change, now);
    let problem = if ready { out_of_memory(pod, now) } else { problem(pod, now) };
    let problem = problem.filter(|_| ready || !(outdated || due_in.is_some()));
    Pod { name: pod.name_any(), ready, outdated, problem, due_in, answer: answer.unwrap_or(unheard) }
}

/// The address of the admin port, if the pod runs and is not being deleted.
pub fn address(pod: &KubePod) -> Option<SocketAddr> {
    let running = phase(pod) == "Running" && pod.metadata.deletion_timestamp.is_none();
    let ip: IpAddr = pod.status.as_ref().filter(|_| running)?.pod_ip.as_ref()?.parse().ok()?;
    Some(SocketAddr::new(ip, u16::try_from(ADMIN_PORT).ok()?))
}

fn phase(pod: &KubePod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

fn condition<'a>(pod: &'a KubePod, r#type: &str) -> Option<&'a PodCondition> {
    pod.status.as_ref()?.conditions.as_ref()?.iter().find(|condition| condition.type_ == r#type)
}

/// The condition that no node can run the pod, if that is so.
fn unschedulable(pod: &KubePod) -> Option<&PodCondition> {
    condition(pod, "PodScheduled")
        .filter(|scheduled| scheduled.status == "False" && scheduled.reason.as_deref() == Some("Unschedulable"))
}

fn container(pod: &KubePod) -> Option<&ContainerStatus> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    statuses.iter().find(|status| status.name == CONTAINER)
}

/// Why the pod doesn't run, and how to fix it.
fn problem(pod: &KubePod, now: Timestamp) -> Option<Problem> {
    if let Some(scheduled) = unschedulable(pod) {
        let message = scheduled.message.as_deref().unwrap_or_default();
        return Some(Problem {
            reason: Reason::Unschedulable,
            message: format!(
                "no node can run the sidecar: add nodes, or lower spec.resources. Kubernetes said: {message}"
            ),
        });
    }
    let container = container(pod)?;
    let waiting = container.state.as_ref().and_then(|state| state.waiting.as_ref());
    let why = waiting.and_then(|waiting| waiting.reason.as_deref()).unwrap_or_default();
    let kubelet_message = waiting.and_then(|waiting| waiting.message.as_deref()).unwrap_or_default();
    if IMAGE_PULL_REASONS.contains(&why) {
        // The kubelet alternates between its last attempt and the pause after it, which quotes the attempt. The message
        // must not change with them.
        let (why, kubelet_message) = match kubelet_message.split_once(": ErrImagePull: ") {
            Some((_, attempt)) if why == "ImagePullBackOff" => ("ErrImagePull", attempt),
            _ => (why, kubelet_message),
        };
        return Some(Problem {
            reason: Reason::ImagePull,
            message: format!(
                "the image {} can't be pulled ({why}): the platform's owner must correct image.registry, image.tag, \
                 image.references or imagePullSecrets in the chart's values. The kubelet said: {kubelet_message}",
                container.image
            ),
        });
    }
    if let Some(killed) = out_of_memory(pod, now) {
        return Some(killed);
    }
    if let Some(end) = crash(container, why) {
        return Some(Problem {
            reason: Reason::CrashLoop,
            message: format!(
                "the sidecar ended {} after it had started, {}{end}; kubectl logs --namespace {} {} --previous says more",
                if container.restart_count > 1 {
                    format!("{} times", container.restart_count)
                } else {
                    "once".to_owned()
                },
                if container.restart_count > 1 { "the last time " } else { "" },
                pod.namespace().unwrap_or_default(),
                pod.name_any()
            ),
        });
    }
    // The kubelet's other errors, such as CreateContainerConfigError and RunContainerError.
    let failing = why.ends_with("Error");
    failing.then(|| Problem {
        reason: Reason::ContainerError,
        message: format!("the sidecar can't be started ({why}): {kubelet_message}"),
    })
}

/// Time until an unschedulable pod is a problem, or is judged again; `None` if it is schedulable, or a problem.
fn due_in(pod: &KubePod, others_change: impl FnOnce() -> bool, now: Timestamp) -> Option<Duration> {
    let since = unschedulable(pod)?.last_transition_time.as_ref()?.0;
    // A node's clock may be ahead.
    let age = now.duration_since(since).max(SignedDuration::ZERO);
    if age < UNSCHEDULABLE_AFTER {
        return Duration::try_from(UNSCHEDULABLE_AFTER - age).ok();
    }
    (age < UNSCHEDULABLE_AFTER_TURNS && others_change()).then_some(TURN)
}

/// The OOM kill that ended the container, while it is not ready and for `OOM_REPORT_DURATION` after the kill.
fn out_of_memory(pod: &KubePod, now: Timestamp) -> Option<Problem> {
    let container = container(pod)?;
    let terminated = |state: &Option<ContainerState>| state.as_ref().and_then(|state| state.terminated.clone());
    let end = terminated(&container.state).or_else(|| terminated(&container.last_state))?;
    let at = end.finished_at.map(|at| at.0);
    let is_reported = !container.ready || at.is_some_and(|at| now.duration_since(at) < OOM_REPORT_DURATION);
    if end.reason.as_deref() != Some("OOMKilled") || !is_reported {
        return None;
    }
    let limit = memory_limit(pod).map(|limit| format!(" of {limit}")).unwrap_or_default();
    // Without time and count: otherwise each kill would change the message, and get an Event of its own.
    let message = format!(
        "the kernel killed the sidecar for exceeding its memory limit{limit}: raise spec.resources.limits.memory; \
         kubectl describe pod --namespace {} {} shows when and how often",
        pod.namespace().unwrap_or_default(),
        pod.name_any()
    );
    Some(Problem { reason: Reason::OOMKilled, message })
}

fn memory_limit(pod: &KubePod) -> Option<&str> {
    let container = pod.spec.as_ref()?.containers.iter().find(|container| container.name == CONTAINER)?;
    Some(container.resources.as_ref()?.limits.as_ref()?.get("memory")?.0.as_str())
}

/// How the container ended, if it keeps crashing.
fn crash(container: &ContainerStatus, why: &str) -> Option<String> {
    let state = container.state.as_ref();
    let now = state.and_then(|state| state.terminated.as_ref());
    let again = now.is_some() && container.restart_count > 0;
    // It runs between two crashes, but never becomes ready.
    let still = state.is_some_and(|state| state.running.is_some()) && !container.ready && container.restart_count > 1;
    if why != "CrashLoopBackOff" && !again && !still {
        return None;
    }
    let before = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    let end = now.or(before)?;
    let reason = end.reason.as_deref().unwrap_or("Error");
    let message = end.message.as_deref().unwrap_or_default();
    // With a limit of a few MiB, the container runtime can't even start the process.
    let lacks_memory = message.contains("memory limit too low");
    let hint = if lacks_memory { ": raise spec.resources.limits.memory" } else { "" };
    // The last line of the log (FallbackToLogsOnError) is the error with which the sidecar exited.
    let last_line = message.lines().rev().map(str::trim).find(|line| !line.is_empty()).filter(|_| !lacks_memory);
    let last_line = last_line.map(|line| format!(" and \"{}\"", safe(line))).unwrap_or_default();
    Some(format!("with exit code {} ({reason}{hint}){last_line}", end.exit_code))
}
