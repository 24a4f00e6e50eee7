//! Publishes Events: on a function about its conditions and reverted changes of its children, and on the operator's Lease about the platform.

use k8s_openapi::Resource as _;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Api, Client, Resource};
use tracing::{debug, warn};
use tributary_crds::DestinationFunction;
use tributary_crds::conditions::ConditionType;

use super::function_status::needs_a_person;
use crate::api_error::{error_text, is_namespace_terminating};
use crate::apply::{Change, Write};
use crate::names::hash;

/// Maximum bytes of an Event's note; the API server accepts 1,024.
const MAX_NOTE_BYTES: usize = 1_000;

/// Publishes Events. The process needs only one: its recorder aggregates Events that repeat.
#[derive(Clone)]
pub struct Events {
    recorder: Recorder,
    client: Client,
    /// The operator's Lease, which Events about the platform refer to.
    lease: ObjectReference,
}

impl Events {
    /// Publishes with `client`, as the replica `identity`.
    pub fn new(client: Client, identity: &str, lease: &str, lease_namespace: &str) -> Self {
        let reporter = Reporter { controller: "tributary-operator".to_owned(), instance: Some(identity.to_owned()) };
        let lease = ObjectReference {
            api_version: Some(Lease::API_VERSION.to_owned()),
            kind: Some(Lease::KIND.to_owned()),
            name: Some(lease.to_owned()),
            namespace: Some(lease_namespace.to_owned()),
            ..ObjectReference::default()
        };
        Self { recorder: Recorder::new(client.clone(), reporter), client, lease }
    }

    /// Publishes one Event per changed condition. A failure is logged, ends the publication and is not retried: the
    /// status contains the same.
    pub async fn publish(&self, function: &DestinationFunction, changed: &[Condition]) {
        for condition in changed {
            if let Err(error) = self.recorder.publish(&event(condition, changed), &function.object_ref(&())).await {
                return log_failure(&error);
            }
        }
    }

    /// Publishes one Event per child of which changes by others were reverted. A failure is logged and not retried.
    pub async fn publish_reverts(&self, function: &DestinationFunction, writes: &[Write]) {
        for event in writes.iter().filter_map(revert) {
            if let Err(error) = self.recorder.publish(&event, &function.object_ref(&())).await {
                return log_failure(&error);
            }
        }
    }

    /// Informs the platform's owner by an Event on the operator's Lease. A failure is only logged.
    pub async fn publish_for_platform(&self, type_: EventType, reason: &str, note: String) {
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(shortened(&note)),
            action: "Rollout".to_owned(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, &self.lease().await).await {
            log_failure(&error);
        }
    }

    /// The operator's Lease, with its uid if it can be read: `kubectl describe` finds Events by it.
    async fn lease(&self) -> ObjectReference {
        let name = self.lease.name.as_deref().unwrap_or_default();
        let leases: Api<Lease> =
            Api::namespaced(self.client.clone(), self.lease.namespace.as_deref().unwrap_or_default());
        let uid = leases.get(name).await.ok().and_then(|lease| lease.metadata.uid);
        ObjectReference { uid, ..self.lease.clone() }
    }
}

fn log_failure(error: &kube::Error) {
    if is_namespace_terminating(error) {
        debug!(error = error_text(error), "an Event can't be written");
    } else {
        warn!(error = error_text(error), "an Event can't be written");
    }
}

fn shortened(note: &str) -> String {
    note[..note.floor_char_boundary(MAX_NOTE_BYTES)].to_owned()
}

/// The Event about a revert, or `None` for another write.
fn revert(write: &Write) -> Option<Event> {
    let Write { kind, name, change: Change::Reverted(fields) } = write else { return None };
    let note = format!(
        "the operator reverted changes by others of the {kind} {name}: {}; change the function instead",
        fields.join(", ")
    );
    Some(Event {
        type_: EventType::Normal,
        reason: "ChangeReverted".to_owned(),
        action: format!("Revert-{}", hash(&note)),
        note: Some(shortened(&note)),
        secondary: None,
    })
}

/// The Event about a condition, one of those that `changed` together.
fn event(condition: &Condition, changed: &[Condition]) -> Event {
    let holds = condition.status == "True";
    let warns = needs_a_person(condition);
    let is_ready = condition.type_ == ConditionType::Ready.to_string();
    let mut others = changed.iter().filter(|other| other.type_ != condition.type_);
    let (reason, note) = match (holds, warns, is_ready) {
        (true, false, _) => (condition.type_.clone(), condition.message.clone()),
        (false, _, true) if others.any(|other| other.message == condition.message) => {
            ("NotReady".to_owned(), format!("the function is not ready; the Event {} has the cause", condition.reason))
        }
        (_, _, true) => {
            let reason = if holds { "Ready" } else { "NotReady" };
            (reason.to_owned(), format!("{}: {}", condition.reason, condition.message))
        }
        (_, _, false) => (condition.reason.clone(), condition.message.clone()),
    };
    Event {
        // That events are stored again is good news, also if the fault may recur; the fault has an Event of its own.
        type_: if warns && !(is_ready && holds) { EventType::Warning } else { EventType::Normal },
        reason,
        // The recorder counts an Event that differs only in its note as a repetition, and keeps the first note: a
        // later fault would be described by an earlier cause.
        action: format!("{}-{}", condition.type_, hash(&note)),
        note: Some(shortened(&note)),
        secondary: None,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn condition(r#type: &str, status: &str, reason: &str, message: &str) -> Condition {
        Condition {
            type_: r#type.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: message.to_owned(),
            last_transition_time: Time(jiff::Timestamp::UNIX_EPOCH),
            observed_generation: None,
        }
    }

    fn of(r#type: &str, status: &str, reason: &str) -> (EventType, String, String) {
        let event = event(&condition(r#type, status, reason, "m"), &[]);
        (event.type_, event.reason, event.note.unwrap())
    }

    #[test]
    fn events_with_different_notes_are_not_merged() {
        let action = |message: &str| event(&condition("BucketWritable", "False", "NoSuchBucket", message), &[]).action;
        assert_ne!(action("there is no bucket typo"), action("there is no bucket typo2"));
        assert_eq!(action("there is no bucket typo"), action("there is no bucket typo"));
    }

    #[test]
    fn the_event_of_ready_does_not_repeat_that_of_the_cause() {
        let cause = condition("RoleAssumed", "False", "AccessDenied", "m");
        let ready = condition("Ready", "False", "AccessDenied", "m");
        let note = event(&ready, &[ready.clone(), cause]).note.unwrap();
        assert_eq!(note, "the function is not ready; the Event AccessDenied has the cause");
    }

    #[test]
    fn faults_are_warnings_and_conditions_that_hold_are_normal_events() {
        let all = |r#type, reason: &str, note: &str| (r#type, reason.to_owned(), note.to_owned());
        assert_eq!(of("RoleAssumed", "False", "AccessDenied"), all(EventType::Warning, "AccessDenied", "m"));
        assert_eq!(of("RoleAssumed", "True", "Ok"), all(EventType::Normal, "RoleAssumed", "m"));
        assert_eq!(of("BucketWritable", "Unknown", "NotYetWritten"), all(EventType::Normal, "NotYetWritten", "m"));
        assert_eq!(of("Ready", "False", "AccessDenied"), all(EventType::Warning, "NotReady", "AccessDenied: m"));
        assert_eq!(of("Ready", "True", "Ok"), all(EventType::Normal, "Ready", "m"));
        assert_eq!(of("Ready", "False", "Progressing"), all(EventType::Normal, "NotReady", "Progressing: m"));
        let none = |r#type| of(r#type, "False", "NoReplicas");
        assert_eq!(none("SidecarAvailable"), all(EventType::Normal, "NoReplicas", "m"));
        assert_eq!(none("Ready"), all(EventType::Normal, "NotReady", "NoReplicas: m"));
        let failing = |r#type| of(r#type, "True", "RenewalFailing");
        assert_eq!(failing("RoleAssumed"), all(EventType::Warning, "RenewalFailing", "m"));
        assert_eq!(failing("Ready"), all(EventType::Normal, "Ready", "RenewalFailing: m"));
    }
}
