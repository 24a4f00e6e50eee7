//! Prepares an object's managed fields for server-side apply. Pure.
//!
//! A child is created by a plain POST, which never takes over an existing object. Managed fields
//! record the POST as an update, and no later apply would remove the update's fields. So before the
//! first apply the entry is changed to one of an apply, as kubectl does when it migrates an object.
//! Replicas that the operator no longer sets are removed from the entry; otherwise the apply would
//! reset them.
//! <https://kubernetes.io/docs/reference/using-api/server-side-apply/#transferring-ownership>

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::Value;

use crate::names::MANAGER;

/// The managed fields to write before an apply; `None` if they can stay. `leaves_replicas` is true
/// if the object to apply leaves `spec.replicas` to others.
pub fn prepare(entries: &[ManagedFieldsEntry], leaves_replicas: bool) -> Option<Vec<ManagedFieldsEntry>> {
    let applied = entries.iter().any(|entry| is_ours(entry) && is(entry, "Apply"));
    let mut prepared = Vec::with_capacity(entries.len());
    for entry in entries {
        let mut entry = entry.clone();
        if is_ours(&entry) && is(&entry, "Update") {
            if applied {
                continue;
            }
            entry.operation = Some("Apply".to_owned());
        }
        if leaves_replicas && is_ours(&entry) {
            remove_replicas(&mut entry);
        }
        prepared.push(entry);
    }
    (prepared != entries).then_some(prepared)
}

fn is_ours(entry: &ManagedFieldsEntry) -> bool {
    entry.manager.as_deref() == Some(MANAGER) && entry.subresource.is_none()
}

fn is(entry: &ManagedFieldsEntry, operation: &str) -> bool {
    entry.operation.as_deref() == Some(operation)
}

fn remove_replicas(entry: &mut ManagedFieldsEntry) {
    let spec = entry.fields_v1.as_mut().and_then(|fields| fields.0.get_mut("f:spec"));
    if let Some(Value::Object(spec)) = spec {
        spec.remove("f:replicas");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entries(entries: Value) -> Vec<ManagedFieldsEntry> {
        serde_json::from_value(entries).unwrap()
    }

    fn entry(manager: &str, operation: &str, fields: &Value) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "apps/v1", "fieldsType": "FieldsV1", "fieldsV1": fields})
    }

    #[test]
    fn a_creation_becomes_an_apply() {
        let theirs = entry("kubectl", "Update", &json!({"f:metadata": {}}));
        let before = entries(json!([entry(MANAGER, "Update", &json!({"f:spec": {"f:x": {}}})), theirs]));
        let after = entries(json!([entry(MANAGER, "Apply", &json!({"f:spec": {"f:x": {}}})), theirs]));
        assert_eq!(prepare(&before, false), Some(after.clone()));
        assert_eq!(prepare(&after, false), None);
    }

    #[test]
    fn replicas_left_to_others_are_removed_from_the_managed_fields() {
        let before = entries(json!([entry(MANAGER, "Apply", &json!({"f:spec": {"f:replicas": {}, "f:x": {}}}))]));
        let after = entries(json!([entry(MANAGER, "Apply", &json!({"f:spec": {"f:x": {}}}))]));
        assert_eq!(prepare(&before, true), Some(after));
        assert_eq!(prepare(&before, false), None);
    }

    #[test]
    fn an_update_beside_an_apply_is_dropped() {
        let apply = entry(MANAGER, "Apply", &json!({"f:spec": {"f:x": {}}}));
        let update = entry(MANAGER, "Update", &json!({"f:spec": {"f:replicas": {}}}));
        assert_eq!(prepare(&entries(json!([apply, update])), false), Some(entries(json!([apply]))));
    }

    #[test]
    fn entries_of_others_and_of_the_status_stay_unchanged() {
        let mut status = entry(MANAGER, "Update", &json!({"f:status": {}}));
        status["subresource"] = json!("status");
        let others = entries(json!([entry("hpa", "Update", &json!({"f:spec": {"f:replicas": {}}})), status]));
        assert_eq!(prepare(&others, true), None);
    }
}
