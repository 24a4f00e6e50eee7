//! Drops nulls and fills in defaults, as the API server does before it validates.
//!
//! A null in a field that is not nullable counts as absent, so the field's default applies; a null in a nullable field
//! stays.
//! <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#defaulting-and-nullable>

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_yaml::{Mapping, Value};

/// Drops the nulls and fills in the defaults of `value` and of everything in it.
pub(super) fn complete(schema: &JSONSchemaProps, value: &mut Value) {
    match value {
        Value::Mapping(fields) => complete_fields(schema, fields),
        Value::Sequence(items) => {
            if let Some(JSONSchemaPropsOrArray::Schema(of_item)) = &schema.items {
                items.iter_mut().for_each(|item| complete(of_item, item));
            }
        }
        _ => {}
    }
}

fn complete_fields(schema: &JSONSchemaProps, fields: &mut Mapping) {
    if let Some(JSONSchemaPropsOrBool::Schema(of_value)) = &schema.additional_properties {
        fields.retain(|_, value| !(value.is_null() && of_value.nullable != Some(true)));
        fields.values_mut().for_each(|value| complete(of_value, value));
    }
    for (name, of_field) in schema.properties.iter().flatten() {
        if fields.get(name).is_some_and(Value::is_null) && of_field.nullable != Some(true) {
            // Not `remove`, which would move the last field into its place.
            fields.shift_remove(name.as_str());
        }
        if let (None, Some(default)) = (fields.get(name), &of_field.default)
            && let Ok(default) = serde_yaml::to_value(&default.0)
        {
            fields.insert(name.as_str().into(), default);
        }
        if let Some(value) = fields.get_mut(name) {
            complete(of_field, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_and_null_fields_get_their_defaults_recursively() {
        let schema: JSONSchemaProps = serde_json::from_value(serde_json::json!({"properties": {
            "a": {"default": 1},
            "b": {"default": {}, "properties": {"c": {"default": "d"}}},
            "n": {"nullable": true, "default": 1},
            "x": {},
            "m": {"additionalProperties": {"type": "string"}},
        }}))
        .unwrap();
        let mut value: Value = serde_yaml::from_str("{z: 0, x: null, a: null, n: null, m: {k: null, l: v}}").unwrap();
        complete(&schema, &mut value);
        let expected: Value = serde_yaml::from_str("{z: 0, n: null, m: {l: v}, a: 1, b: {c: d}}").unwrap();
        assert_eq!(value, expected);
    }
}
