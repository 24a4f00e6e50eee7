//! Reads a Deployment's rollout state: ready pods, completion, and why pods can't be created. Pure.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition};
use kube::ResourceExt;
use tributary_crds::conditions::Reason;

use super::observed::Rollout;
use crate::finding::Problem;
use crate::names::annotation;

/// The rollout state of `deployment`, on its way to the template of `desired`. `new_ready` is the number of ready pods
/// that were made from this template.
pub fn rollout(deployment: &Deployment, desired: &Deployment, new_ready: i32) -> Rollout {
    let status = deployment.status.clone().unwrap_or_default();
    let wanted = wanted(deployment);
    // The condition outlives the rollout that it reports: Kubernetes replaces it only when the next one makes progress.
    let is_of_this_rollout = has_template(deployment, desired) && new_ready < wanted;
    Rollout {
        wanted,
        replicas: status.replicas.unwrap_or_default(),
        ready: status.ready_replicas.unwrap_or_default(),
        problem: creation_problem(deployment),
        stuck: is_of_this_rollout && is_stuck(deployment),
        complete: has_template(deployment, desired) && is_complete(deployment),
    }
}

/// Whether `deployment` has the template of `desired`.
pub fn has_template(deployment: &Deployment, desired: &Deployment) -> bool {
    template_hash(deployment) == template_hash(desired)
}

/// The hash of the template that the operator wrote.
pub fn template_hash(deployment: &Deployment) -> Option<&String> {
    deployment.annotations().get(annotation::TEMPLATE_HASH)
}

/// Whether Kubernetes reports that the rollout, or an earlier one, exceeded the progress deadline.
pub fn is_stuck(deployment: &Deployment) -> bool {
    let observed = deployment.status.as_ref().and_then(|status| status.observed_generation);
    observed >= deployment.metadata.generation
        && condition(deployment, "Progressing").is_some_and(|progress| {
            progress.status == "False" && progress.reason.as_deref() == Some("ProgressDeadlineExceeded")
        })
}

/// Why Kubernetes can't create pods, for example a quota.
pub fn creation_problem(deployment: &Deployment) -> Option<Problem> {
    let failure = condition(deployment, "ReplicaFailure").filter(|failure| failure.status == "True")?;
    Some(refusal(failure.message.as_deref().unwrap_or_default()))
}

fn condition<'a>(deployment: &'a Deployment, r#type: &str) -> Option<&'a DeploymentCondition> {
    deployment.status.as_ref()?.conditions.iter().flatten().find(|condition| condition.type_ == r#type)
}

fn wanted(deployment: &Deployment) -> i32 {
    deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

/// Whether all pods of the Deployment run its current template and are available.
pub fn is_complete(deployment: &Deployment) -> bool {
    let status = deployment.status.clone().unwrap_or_default();
    let wanted = wanted(deployment);
    status.observed_generation >= deployment.metadata.generation
        && status.updated_replicas.unwrap_or_default() == wanted
        && status.replicas.unwrap_or_default() == wanted
        && status.available_replicas.unwrap_or_default() == wanted
}

/// Turns the message of the condition ReplicaFailure into a problem with its fix.
fn refusal(message: &str) -> Problem {
    let quota = |text: String| Problem { reason: Reason::QuotaExceeded, message: text };
    if message.contains("exceeded quota") {
        return quota(format!(
            "the namespace's quota leaves no room for a sidecar: raise it, or lower spec.resources or spec.replicas. \
             Kubernetes said: {message}"
        ));
    }
    // "failed quota: NAME: must specify limits.cpu for: sidecar"
    if let Some((_, demanded)) = message.split_once("must specify ") {
        let field = demanded.split([' ', ';']).next().unwrap_or_default();
        return quota(format!(
            "the namespace's quota demands {field} of every container, and the sidecar has none: set \
             spec.resources.{field}. Kubernetes said: {message}"
        ));
    }
    // Admission refuses pods: PodSecurity, a policy or a webhook. Other causes, such as a timeout, pass.
    let is_refused = message.contains("is forbidden") || message.contains("denied the request");
    let reason = if is_refused { Reason::Forbidden } else { Reason::Progressing };
    let is_out_of_range = message.contains("per Container") || message.contains("per Pod");
    let fix = if is_out_of_range {
        ". Set spec.resources within the namespace's LimitRange, or change the LimitRange"
    } else {
        ""
    };
    Problem { reason, message: format!("Kubernetes creates no pods: {message}{fix}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(status: &str) -> Deployment {
        serde_yaml::from_str(&format!(
            "{{metadata: {{generation: 2}}, spec: {{replicas: 2, selector: {{}}, template: {{}}}}, status: {status}}}"
        ))
        .unwrap()
    }

    fn of(deployment: &Deployment) -> Rollout {
        rollout(deployment, deployment, 0)
    }

    #[test]
    fn pods_that_cannot_be_created_are_reported_with_the_cause() {
        let failure = |message: &str| {
            let status = format!("{{conditions: [{{type: ReplicaFailure, status: 'True', message: '{message}'}}]}}");
            of(&deployment(&status)).problem.unwrap()
        };
        let quota =
            failure("pods \"a\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1");
        assert_eq!(quota.reason, Reason::QuotaExceeded);
        assert!(quota.message.contains("spec.resources") && quota.message.contains("limited: pods=1"));
        let demands = failure("pods \"a\" is forbidden: failed quota: q: must specify limits.cpu for: sidecar");
        assert_eq!(demands.reason, Reason::QuotaExceeded);
        assert!(demands.message.contains("set spec.resources.limits.cpu."), "{}", demands.message);
        for refused in [
            "pods \"a\" is forbidden: violates PodSecurity \"restricted:latest\": runAsNonRoot != true",
            "admission webhook \"policy.example.com\" denied the request: no image of another registry",
        ] {
            assert_eq!(failure(refused).reason, Reason::Forbidden, "{refused}");
        }
        assert_eq!(failure("Internal error occurred: failed calling webhook").reason, Reason::Progressing);
    }

    #[test]
    fn a_rollout_is_complete_when_all_pods_are_new_and_available() {
        let complete = "observedGeneration: 2, updatedReplicas: 2, replicas: 2, availableReplicas: 2, readyReplicas: 2";
        let complete_now = deployment(&format!("{{{complete}}}"));
        assert!(is_complete(&complete_now) && of(&complete_now).complete);
        let mut changed = complete_now.clone();
        changed.annotations_mut().insert(annotation::TEMPLATE_HASH.to_owned(), "another".to_owned());
        assert!(!rollout(&complete_now, &changed, 0).complete, "it is complete for the previous template");
        for (field, other) in [
            ("observedGeneration: 2", "observedGeneration: 1"),
            ("updatedReplicas: 2", "updatedReplicas: 1"),
            ("replicas: 2", "replicas: 3"),
            ("availableReplicas: 2", "availableReplicas: 1"),
        ] {
            let status = complete.replacen(field, other, 1);
            assert!(!is_complete(&deployment(&format!("{{{status}}}"))), "{other}");
        }
    }

    #[test]
    fn a_rollout_is_stuck_unless_an_earlier_one_was() {
        let condition = "conditions: [{type: Progressing, status: 'False', reason: ProgressDeadlineExceeded}]";
        let stuck = deployment(&format!("{{observedGeneration: 2, {condition}}}"));
        let is_stuck = |live: &Deployment, desired: &Deployment, new_ready| rollout(live, desired, new_ready).stuck;
        assert!(is_stuck(&stuck, &stuck, 0) && is_stuck(&stuck, &stuck, 1));
        assert!(!is_stuck(&stuck, &stuck, 2), "the new pods are ready, and the old ones are being removed");
        let mut desired = stuck.clone();
        desired.annotations_mut().insert(annotation::TEMPLATE_HASH.to_owned(), "another".to_owned());
        assert!(!is_stuck(&stuck, &desired, 0), "the next rollout has not begun");
        let not_seen = deployment(&format!("{{observedGeneration: 1, {condition}}}"));
        assert!(!is_stuck(&not_seen, &not_seen, 0), "Kubernetes has not seen it begin");
    }
}
