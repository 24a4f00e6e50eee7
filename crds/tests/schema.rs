//! Tests the API server's requirements of the definition itself.
#![cfg(feature = "check")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use kube::core::cel::{CompiledSchema, compile_schema};
use serde_json::Value;

fn schema() -> Value {
    let definition = tributary_crds::custom_resource_definition();
    serde_json::to_value(&definition.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema).unwrap()
}

#[test]
fn every_rule_compiles() {
    fn rules_of(schema: &CompiledSchema) -> usize {
        assert!(!schema.has_errors(), "{:?}", schema.compilation_errors());
        let inside =
            schema.properties.values().chain(schema.items.as_deref()).chain(schema.additional_properties.as_deref());
        schema.validations.len() + inside.map(rules_of).sum::<usize>()
    }
    assert!(rules_of(&compile_schema(&schema())) > 30, "the walk has missed most rules");
}

/// Without a maximum, the API server assumes that a value is as large as a request, and refuses the definition because
/// of the estimated cost of its rules.
#[test]
fn every_text_list_and_map_of_the_spec_has_a_maximum() {
    fn check(path: &str, schema: &Value) {
        let has = |keyword| schema.get(keyword).is_some();
        match schema["type"].as_str() {
            Some("string") => assert!(has("maxLength") || has("enum"), "{path}"),
            Some("array") => assert!(has("maxItems"), "{path}"),
            Some("object") if has("additionalProperties") => assert!(has("maxProperties"), "{path}"),
            None => assert!(has("maxLength") || !has("x-kubernetes-int-or-string"), "{path}"),
            _ => {}
        }
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            check(&format!("{path}.{name}"), field);
        }
        for inside in [schema.get("items"), schema.get("additionalProperties")].into_iter().flatten() {
            check(&format!("{path}[]"), inside);
        }
    }
    check("spec", &schema()["properties"]["spec"]);
}

/// People share their screens and open split terminals: a line that wraps makes the table unreadable.
#[test]
fn the_columns_of_kubectl_get_fit_100_characters() {
    /// kubectl separates columns by three spaces.
    const PADDING: usize = 3;
    /// The widest value of a column in practice.
    fn widest(column: &str) -> &'static str {
        match column {
            "Ready" | "Up-To-Date" => "Unknown",
            "Reason" => "ProgressDeadlineExceeded",
            "Desired" | "Running" => "100",
            "Bucket" => "acme-analytics-events-us-west2",
            "Mode" => "Object",
            "Age" => "364d",
            other => panic!("there is no value for the column {other}"),
        }
    }
    let definition = tributary_crds::custom_resource_definition();
    let columns = definition.spec.versions[0].additional_printer_columns.iter().flatten();
    let shown = columns.filter(|column| column.priority.unwrap_or_default() == 0);
    let widths = shown.map(|column| column.name.len().max(widest(&column.name).len()));
    let line = "orders-identify-events".len() + widths.map(|width| PADDING + width).sum::<usize>();
    assert!(line <= 100, "{line} characters");
}
