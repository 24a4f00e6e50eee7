//! Finds duplicates in lists whose items must differ: `x-kubernetes-list-type` set and map.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use serde_yaml::Value;

use super::limits::shown;

/// The index of each item that equals an earlier one, with the message.
pub(super) fn duplicates(schema: &JSONSchemaProps, items: &[Value]) -> Vec<(usize, String)> {
    let identities: Vec<Vec<&Value>> = match schema.x_kubernetes_list_type.as_deref() {
        Some("set") => items.iter().map(|item| vec![item]).collect(),
        Some("map") => {
            let keys = schema.x_kubernetes_list_map_keys.as_deref().unwrap_or_default();
            items.iter().map(|item| keys.iter().filter_map(|key| item.get(key)).collect()).collect()
        }
        _ => return Vec::new(),
    };
    let repeated = |index: &usize| identities[..*index].contains(&identities[*index]);
    let problem = |index: usize| {
        let values: Vec<_> = identities[index].iter().map(|value| shown(value)).collect();
        (index, format!("Duplicate value: {}", values.join(", ")))
    };
    (0..items.len()).filter(repeated).map(problem).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(schema: serde_json::Value, items: &str) -> Vec<(usize, String)> {
        let schema: JSONSchemaProps = serde_json::from_value(schema).unwrap();
        let items: Vec<Value> = serde_yaml::from_str(items).unwrap();
        duplicates(&schema, &items)
    }

    #[test]
    fn duplicate_items_of_sets_and_keys_of_maps_are_found() {
        let expected = |index, value: &str| (index, format!("Duplicate value: {value}"));
        let set = serde_json::json!({"x-kubernetes-list-type": "set"});
        assert_eq!(found(set, "[a, b, a, a]"), [expected(2, "\"a\""), expected(3, "\"a\"")]);
        let map = serde_json::json!({"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]});
        assert_eq!(found(map, "[{type: A, n: 1}, {type: B}, {type: A, n: 2}]"), [expected(2, "\"A\"")]);
        assert_eq!(found(serde_json::json!({}), "[a, a]"), []);
    }
}
