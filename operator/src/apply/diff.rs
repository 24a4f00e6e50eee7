//! Compares an object in the cluster with the desired one. Pure.
//!
//! A dry run on the API server would cost one request per child and reconcile, so the comparison is
//! made here. Every desired field must be present; fields that others added or that the API server
//! fills in are ignored (`child` removes the added ones that must not stay). A field that is no longer desired is not found by this comparison: the hash
//! of the last applied object reveals it ([`annotation::APPLIED_HASH`]).

use kube::ResourceExt;
use serde::Serialize;
use serde_json::Value;
use tributary_crds::values::Quantity;

use crate::names::annotation;

/// Lists whose elements are matched by a key field, to which others may have added elements.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy>
const KEYED_LISTS: [(&str, &str); 8] = [
    ("containers", "name"),
    ("env", "name"),
    ("imagePullSecrets", "name"),
    ("ownerReferences", "uid"),
    ("ports", "name"),
    ("topologySpreadConstraints", "topologyKey"),
    ("volumeMounts", "mountPath"),
    ("volumes", "name"),
];

/// Whether `live` has all of `desired`, and was last applied from it.
pub fn is_current<K: ResourceExt + Serialize>(live: &K, desired: &K) -> bool {
    let applied = |object: &K| object.annotations().get(annotation::APPLIED_HASH).cloned();
    if applied(live) != applied(desired) {
        return false;
    }
    let json = |object: &K| serde_json::to_value(object).expect("Kubernetes' types are JSON");
    covers(&json(live), &json(desired), FieldContext::default())
}

/// The name of the field that holds a value, and whether the value is below `resources`, where strings are quantities.
#[derive(Clone, Copy, Default)]
struct FieldContext<'a> {
    field: &'a str,
    has_quantities: bool,
}

fn covers(live: &Value, desired: &Value, context: FieldContext<'_>) -> bool {
    match (live, desired) {
        (Value::Object(live), Value::Object(desired)) => desired.iter().all(|(field, desired)| {
            let live = live.get(field).unwrap_or(&Value::Null);
            // The API server may rewrite a quantity, for example 1000m as 1.
            covers(
                live,
                desired,
                FieldContext { field, has_quantities: context.has_quantities || field == "resources" },
            )
        }),
        (Value::Array(live), Value::Array(desired)) => match key_of(context.field) {
            // Not every list of this name has keys: a NetworkPolicy's ports have no names.
            Some(key) if desired.iter().all(|desired| !desired[key].is_null()) => desired.iter().all(|desired| {
                let mut same = live.iter().filter(|live| live[key] == desired[key]);
                same.any(|live| covers(live, desired, context))
            }),
            _ => {
                live.len() == desired.len()
                    && live.iter().zip(desired).all(|(live, desired)| covers(live, desired, context))
            }
        },
        // The API server drops empty values.
        (Value::Null, Value::Object(desired)) => desired.is_empty(),
        (Value::Null, Value::Array(desired)) => desired.is_empty(),
        (Value::Null, Value::String(desired)) => desired.is_empty(),
        (Value::String(live), Value::String(desired)) if context.has_quantities => {
            let amount = |text: &String| Quantity::Text(text.clone()).thousandths();
            live == desired || (amount(live).is_some() && amount(live) == amount(desired))
        }
        _ => live == desired,
    }
}

fn key_of(field: &str) -> Option<&'static str> {
    KEYED_LISTS.iter().find(|(list, _)| *list == field).map(|(_, key)| *key)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::Deployment;
    use serde_json::json;

    use super::*;

    const DEPLOYMENT: &str = "
        metadata:
          name: orders
          labels: {a: b}
          annotations: {tributary.dev/applied: '1'}
        spec:
          selector: {matchLabels: {a: b}}
          template:
            spec:
              containers:
              - name: sidecar
                image: one
                args: [x, y]
                env: [{name: A, value: '1'}]
                resources: {limits: {cpu: 1000m, memory: 1024Mi}}
                volumeMounts: [{name: s, mountPath: /a}, {name: s, mountPath: /b}]
    ";

    fn with(pointer: &str, value: Value) -> Deployment {
        let mut object: Value = serde_yaml::from_str(DEPLOYMENT).unwrap();
        *object.pointer_mut(pointer).unwrap() = value;
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn fields_added_by_others_or_defaulted_by_the_server_are_ignored() {
        let desired: Deployment = serde_yaml::from_str(DEPLOYMENT).unwrap();
        let container = json!({
            "name": "sidecar",
            "image": "one",
            "imagePullPolicy": "IfNotPresent",
            "args": ["x", "y"],
            "env": [{"name": "Z", "value": "9"}, {"name": "A", "value": "1"}],
            "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
            "volumeMounts": [{"name": "t", "mountPath": "/t"}, {"name": "s", "mountPath": "/b"}, {"name": "s", "mountPath": "/a"}],
        });
        for (pointer, value) in [
            ("/metadata/labels", json!({"a": "b", "theirs": "x"})),
            ("/spec/selector", json!({"matchLabels": {"a": "b"}})),
            ("/spec/template/spec/containers", json!([{"name": "injected"}, container])),
            ("/spec/template/spec", json!({"containers": [container], "dnsPolicy": "ClusterFirst"})),
        ] {
            assert!(is_current(&with(pointer, value), &desired), "{pointer}");
        }
    }

    #[test]
    fn every_desired_field_must_be_present() {
        let desired: Deployment = serde_yaml::from_str(DEPLOYMENT).unwrap();
        for (pointer, value) in [
            ("/metadata/labels", json!({})),
            ("/metadata/annotations", json!({"tributary.dev/applied": "2"})),
            ("/metadata/annotations", json!({})),
            ("/spec/template/spec/containers", json!([])),
            ("/spec/template/spec/containers/0/image", json!("two")),
            ("/spec/template/spec/containers/0/args", json!(["x"])),
            ("/spec/template/spec/containers/0/args", json!(["y", "x"])),
            ("/spec/template/spec/containers/0/env", json!([{"name": "A", "value": "2"}])),
            ("/spec/template/spec/containers/0/resources/limits/cpu", json!("2")),
            ("/spec/template/spec/containers/0/volumeMounts", json!([{"name": "s", "mountPath": "/a"}])),
        ] {
            assert!(!is_current(&with(pointer, value), &desired), "{pointer}");
        }
    }
}
