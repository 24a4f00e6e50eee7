//! Whether the function's sidecars run, as Kubernetes sees it, and can be asked.

use tributary_crds::conditions::{ConditionType, Reason, Truth};

use super::{Finding, Heard, Observed, Pod, Problem, Rollout};

/// SidecarAvailable.
pub fn condition(observed: &Observed) -> Finding {
    let say = |status, reason, message: String| Finding::new(ConditionType::SidecarAvailable, status, reason, message);
    let problem = |problem: &Problem| say(Truth::False, problem.reason, problem.message.clone());
    if let Some(clash) = &observed.problem {
        return problem(clash);
    }
    let Some(rollout) = &observed.rollout else {
        return say(Truth::False, Reason::Progressing, no_deployment(observed).to_owned());
    };
    if rollout.wanted == 0 {
        let message = "spec.replicas is 0: no sidecar takes events; scale the function up".to_owned();
        return say(Truth::False, Reason::NoReplicas, message);
    }
    let ready = ready(&observed.pods);
    if ready < rollout.wanted {
        // What keeps one from starting most likely keeps the others.
        if let Some(found) = rollout.problem.as_ref().or_else(|| first_problem(&observed.pods)) {
            return problem(found);
        }
        if ready == 0 || rollout.stuck {
            return say(Truth::False, Reason::Progressing, progress(observed, rollout, ready));
        }
    }
    let standing = observed.standing(ConditionType::SidecarAvailable);
    if let Some(standing) = standing.filter(|standing| standing.reason == Reason::SidecarUnreachable) {
        return standing.clone();
    }
    if let Some(why) = nobody_answers(&observed.pods) {
        let message = format!(
            "no sidecar answers the operator at port 8081 ({why}); a NetworkPolicy may keep it away. Events may be \
             stored all the same"
        );
        return say(Truth::Unknown, Reason::SidecarUnreachable, message);
    }
    say(Truth::True, Reason::Ok, running(observed, rollout, ready))
}

pub(super) fn ready(pods: &[Pod]) -> i32 {
    let count = pods.iter().filter(|pod| pod.ready).count();
    i32::try_from(count).unwrap_or(i32::MAX)
}

pub(super) fn first_problem(pods: &[Pod]) -> Option<&Problem> {
    pods.iter().find_map(|pod| pod.problem.as_ref())
}

fn no_deployment(observed: &Observed) -> &'static str {
    match &observed.refusal {
        Some(_) => "there are no sidecars: see the condition Accepted",
        None => "the sidecars are being made",
    }
}

fn progress(observed: &Observed, rollout: &Rollout, ready: i32) -> String {
    let Rollout { wanted, stuck, replicas, ready: all_ready, .. } = rollout;
    let pods = i32::try_from(observed.pods.len()).unwrap_or(i32::MAX);
    // While a new configuration starts, the sidecars of the old one go on.
    let old_serve = *replicas > pods && *all_ready > ready;
    let old = if old_serve { "; those of the configuration before take events meanwhile" } else { "" };
    let stuck = if *stuck { ", and there is no progress: see the other conditions" } else { "" };
    format!("{ready} of {wanted} sidecars are ready{stuck}{old}")
}

fn running(observed: &Observed, rollout: &Rollout, ready: i32) -> String {
    let is_one = rollout.wanted == 1;
    let ready = if is_one {
        "the sidecar is ready".to_owned()
    } else {
        format!("{} of {} sidecars are ready", ready.min(rollout.wanted), rollout.wanted)
    };
    // Those that are to come in their place, after a change of the platform's.
    let more = match first_problem(&observed.pods) {
        Some(problem) => format!("; a new one can't be started: {}", problem.message),
        None if observed.turn.waits() && is_one => "; it waits for its turn to be replaced by a new one".to_owned(),
        None if observed.turn.waits() => "; they wait for their turn to be replaced by new ones".to_owned(),
        None => String::new(),
    };
    ready + &more
}

/// Why, if all that could be asked were, and none answered.
fn nobody_answers(pods: &[Pod]) -> Option<&str> {
    let mut why = None;
    for pod in pods {
        match &pod.heard {
            Heard::Status(_) | Heard::NotYet | Heard::Awaited => return None,
            Heard::Nothing(said) => why = why.or(Some(said.as_str())),
        }
    }
    why
}
