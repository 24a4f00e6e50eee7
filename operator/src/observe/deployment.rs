//! Reads a Deployment's rollout state: ready pods, completion, and why pods can't be created. Pure.

use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;
use tributary_crds::conditions::Reason;

use super::observed::Rollout;
use crate::finding::Problem;
use crate::names::annotation;

/// The rollout state of `deployment`, on its way to the template of `desired`.
pub fn rollout(deployment: &Deployment, desired: &Deployment) -> Rollout {
    let template = |deployment: &Deployment| deployment.annotations().get(annotation::TEMPLATE_HASH).cloned();

    let status = deployment.status.clone().unwrap_or_default();
    let condition = |r#type: &str| {
        let mut conditions = status.conditions.iter().flatten();
        conditions.find(|condition| condition.type_ == r#type).cloned()
    };
    let failure = condition("ReplicaFailure").filter(|failure| failure.status == "True");
    let stuck = condition("Progressing").is_some_and(|progress| {
        progress.status == "False" && progress.reason.as_deref() == Some("ProgressDeadlineExceeded")
    });
    Rollout {
        wanted: deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1),
        replicas: status.replicas.unwrap_or_default(),
        ready: status.ready_replicas.unwrap_or_default(),
        problem: failure.map(|failure| refusal(&failure.message.unwrap_or_default())),
        stuck,
        complete: template(deployment) == template(desired) && is_complete(deployment),
    }
}

/// Whether all pods of the Deployment run its current template and are available.
pub fn is_complete(deployment: &Deployment) -> bool {
    let status = deployment.status.clone().unwrap_or_default();
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
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
        rollout(deployment, deployment)
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
        assert!(!rollout(&complete_now, &changed).complete, "it is complete for the previous template");
        for (field, other) in [
            ("observedGeneration: 2", "observedGeneration: 1"),
            ("updatedReplicas: 2", "updatedReplicas: 1"),
            ("replicas: 2", "replicas: 3"),
            ("availableReplicas: 2", "availableReplicas: 1"),
        ] {
            let status = complete.replacen(field, other, 1);
            assert!(!is_complete(&deployment(&format!("{{{status}}}"))), "{other}");
        }
        let stuck = "{conditions: [{type: Progressing, status: 'False', reason: ProgressDeadlineExceeded}]}";
        assert!(of(&deployment(stuck)).stuck);
    }
}
