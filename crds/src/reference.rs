//! Generates `docs/reference.md`, which lists all fields, conditions and reasons, from the types of the resource.

use std::fmt::Write;

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;

use crate::conditions::{ConditionType, Reason};

const HEADER: &str = "\
<!-- Generated from crds/src by `just crd`; a test fails when it is not current. -->
# DestinationFunction

`apiVersion: tributary.dev/v1alpha1`, `kind: DestinationFunction`; short names `df` and `dfn`. Its name is a DNS label
of at most 52 characters that begins with a letter, because the function's Service has the same name.

The API server checks every field when a function is written. `tributary check FILE` makes the same checks, with the same
messages, without a cluster. Unknown fields are refused.

## spec
";

const STATUS_HEADING: &str = "
## status

Written by the operator.
";

const CONDITIONS_HEADING: &str = "
## Conditions

The status lists the conditions in this order.

`Ready` is not True if another condition keeps events from being stored. It has the reason and the message of that
condition: of the first that is False or, if none is, of the first that is Unknown, `SidecarAvailable` before the others.

While `Ready` is True, its reason is `Ok`, or that of a fault that does not stop events now, such as RenewalFailing.

The start and the end of each fault are also Events
([troubleshooting](troubleshooting.md)).

| type | True when |
| --- | --- |
";

const REASONS_HEADING: &str = "
## Reasons

| reason | meaning |
| --- | --- |
";

/// The content of `docs/reference.md`.
pub fn reference() -> String {
    let definition = serde_json::to_value(crate::custom_resource_definition()).unwrap_or_default();
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
    let mut page = HEADER.to_owned();
    table(&mut page, &schema["spec"]);
    page.push_str(STATUS_HEADING);
    // A condition's fields are Kubernetes' own: the page lists only its types and reasons.
    let mut status = schema["status"].clone();
    status["properties"]["conditions"]["items"].take();
    table(&mut page, &status);
    page.push_str(CONDITIONS_HEADING);
    variants::<ConditionType>(&mut page);
    page.push_str(REASONS_HEADING);
    variants::<Reason>(&mut page);
    page
}

fn table(page: &mut String, object: &Value) {
    page.push_str("\n| field | type | default | meaning |\n| --- | --- | --- | --- |\n");
    rows(page, "", object);
}

/// Adds one row per field of `object`, each followed by those of the fields within it.
fn rows(page: &mut String, path: &str, object: &Value) {
    let required = |name: &str| object["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
    let mut fields: Vec<_> = object["properties"].as_object().into_iter().flatten().collect();
    // Required fields come first.
    fields.sort_by_key(|(name, _)| !required(name));
    for (name, field) in fields {
        let path = format!("{path}{name}");
        let default = match &field["default"] {
            Value::Null if required(name) => "required".to_owned(),
            // The defaults of an object are in the rows of its fields.
            Value::Null | Value::Object(_) => String::new(),
            Value::String(text) => format!("`{text}`"),
            other => format!("`{other}`"),
        };
        let mut meaning = cell(&field["description"]);
        if let Some(hint) = hint(field) {
            let _ = write!(meaning, " Written like {hint}.");
        }
        let _ = writeln!(page, "| `{path}` | {} | {default} | {meaning} |", kind(field));
        rows(page, &format!("{path}."), field);
        rows(page, &format!("{path}[]."), &field["items"]);
    }
}

/// How the value is written, from the message of its first rule that shows it.
fn hint(field: &Value) -> Option<String> {
    let rules = field["x-kubernetes-validations"].as_array()?;
    let hints = |rule: &Value| Some(rule["message"].as_str()?.split_once("; write it like ")?.1.to_owned());
    let hint = rules.iter().find_map(hints)?;
    // Without spaces it is an example, otherwise a phrase.
    Some(if hint.contains(' ') { hint } else { format!("`{hint}`") })
}

/// The values of an enum; `None` for another type.
fn values(field: &Value) -> Option<String> {
    let values = field["enum"].as_array()?.iter().filter_map(Value::as_str);
    Some(values.map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", "))
}

/// The type of a field, with its limits.
fn kind(field: &Value) -> String {
    if let Some(values) = values(field) {
        return values;
    }
    if field["x-kubernetes-int-or-string"] == true {
        return "quantity".to_owned();
    }
    let most = |keyword: &str| field[keyword].as_u64().map(|most| format!(", at most {most}"));
    match field["type"].as_str().unwrap_or_default() {
        "string" if field["format"] == "date-time" => "time".to_owned(),
        "string" => format!("text{}", most("maxLength").map(|most| most + " characters").unwrap_or_default()),
        "integer" => match (field["minimum"].as_f64(), field["maximum"].as_f64()) {
            (Some(least), Some(most)) => format!("{least} to {most}"),
            (Some(least), None) => format!("number, at least {least}"),
            _ => "number".to_owned(),
        },
        "array" => match values(&field["items"]) {
            Some(values) => format!("list of {values}"),
            None => format!("list{}", most("maxItems").unwrap_or_default()),
        },
        "object" if field.get("additionalProperties").is_some() => {
            format!("map{}", most("maxProperties").unwrap_or_default())
        }
        other => other.to_owned(),
    }
}

/// Adds one row per variant of an enum: its name and its doc comment.
fn variants<T: JsonSchema>(page: &mut String) {
    let schema = SchemaGenerator::default().into_root_schema_for::<T>().to_value();
    for variant in schema["oneOf"].as_array().into_iter().flatten() {
        let name = variant["const"].as_str().unwrap_or_default();
        let _ = writeln!(page, "| `{name}` | {} |", cell(&variant["description"]));
    }
}

/// A doc comment as a table cell, which must be on one line.
fn cell(description: &Value) -> String {
    description.as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_is_current() {
        assert!(
            super::reference() == include_str!("../../docs/reference.md"),
            "docs/reference.md is not current: run `just crd`"
        );
    }
}
