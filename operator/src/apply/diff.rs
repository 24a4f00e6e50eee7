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
    is_applied_from(live, desired) && covers(&json(live), &json(desired), FieldContext::default())
}

/// Whether `live` was last applied from `desired`, so that only others can have made the differences between them.
pub fn is_applied_from<K: ResourceExt>(live: &K, desired: &K) -> bool {
    live.annotations().get(annotation::APPLIED_HASH) == desired.annotations().get(annotation::APPLIED_HASH)
}

/// The paths of the fields of `desired` that `live` lacks or has with another value.
pub fn differing_fields<K: Serialize>(live: &K, desired: &K) -> Vec<String> {
    let mut fields = Vec::new();
    find_differing(&json(live), &json(desired), FieldContext::default(), "", &mut fields);
    fields
}

fn json<K: Serialize>(object: &K) -> Value {
    serde_json::to_value(object).expect("Kubernetes' types are JSON")
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

/// Adds the paths below `path` at which `live` does not cover `desired`.
fn find_differing(live: &Value, desired: &Value, context: FieldContext<'_>, path: &str, found: &mut Vec<String>) {
    if covers(live, desired, context) {
        return;
    }
    match (live, desired) {
        (Value::Object(live), Value::Object(desired)) => {
            for (field, desired) in desired {
                let has_quantities = context.has_quantities || field == "resources";
                let live = live.get(field).unwrap_or(&Value::Null);
                find_differing(live, desired, FieldContext { field, has_quantities }, &child_path(path, field), found);
            }
        }
        (Value::Array(live), Value::Array(all)) if key_of(context.field).is_some() => {
            let key = key_of(context.field).unwrap_or_default();
            for desired in all {
                let mut same = live.iter().filter(|live| live[key] == desired[key]);
                if same.clone().any(|live| covers(live, desired, context)) {
                    continue;
                }
                match (same.next(), desired[key].as_str()) {
                    (Some(live), Some(name)) => {
                        find_differing(live, desired, context, &format!("{path}[{name}]"), found);
                    }
                    (None, Some(name)) => found.push(format!("{path}[{name}]")),
                    (_, None) => found.push(path.to_owned()),
                }
            }
        }
        _ => found.push(path.to_owned()),
    }
}

/// The path of a field; names such as those of labels are put in brackets.
fn child_path(path: &str, field: &str) -> String {
    match (path, field.contains(['.', '/'])) {
        ("", _) => field.to_owned(),
        (path, true) => format!("{path}[{field}]"),
        (path, false) => format!("{path}.{field}"),
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

    #[test]
    fn differing_fields_are_named_by_their_paths() {
        let mut desired: Deployment = serde_yaml::from_str(DEPLOYMENT).unwrap();
        desired.labels_mut().insert("tributary.dev/function".to_owned(), "orders".to_owned());
        let container = json!({
            "name": "sidecar",
            "image": "two",
            "args": ["x", "y", "z"],
            "env": [{"name": "A", "value": "2"}],
            "resources": {"limits": {"cpu": "1", "memory": "2Gi"}},
            "volumeMounts": [{"name": "s", "mountPath": "/a"}],
        });
        let live = with("/spec/template/spec/containers", json!([{"name": "injected"}, container]));
        let sidecar = "spec.template.spec.containers[sidecar]";
        let expected = [
            "metadata.labels[tributary.dev/function]".to_owned(),
            format!("{sidecar}.args"),
            format!("{sidecar}.env[A].value"),
            format!("{sidecar}.image"),
            format!("{sidecar}.resources.limits.memory"),
            format!("{sidecar}.volumeMounts[/b]"),
        ];
        assert_eq!(differing_fields(&live, &desired), expected);
        assert_eq!(differing_fields(&desired, &desired), Vec::<String>::new());
    }
}
