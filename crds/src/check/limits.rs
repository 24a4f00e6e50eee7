//! Validates one value against its schema: type, enum and bounds. Values within it are not validated here.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use regex_lite::Regex;
use serde_yaml::Value;

/// A violation of the schema, in the API server's words.
pub(super) struct Fault {
    pub(super) message: String,
    /// Whether the schema wants a string, and the value has another type.
    pub(super) wants_string: bool,
    stops_rules: bool,
}

impl Fault {
    /// A violation after which the API server runs no CEL rule: the value may have a type that the rules do not expect,
    /// or a size that makes them exceed their cost.
    fn grave(message: String) -> Self {
        Self { message, wants_string: false, stops_rules: true }
    }

    fn slight(message: String) -> Self {
        Self { message, wants_string: false, stops_rules: false }
    }

    /// Whether CEL rules about this value, and about values that contain it, can't be run.
    pub(super) fn stops_rules(&self) -> bool {
        self.stops_rules
    }
}

/// All violations of `value` itself, without those of values within it.
pub(super) fn faults(schema: &JSONSchemaProps, value: &Value) -> Vec<Fault> {
    if let Some(wanted) = wrong_type(schema, value) {
        let fault = Fault::grave(format!("must be of type {wanted}: \"{}\"", type_of(value)));
        return vec![Fault { wants_string: wanted == "string", ..fault }];
    }
    let mut faults = Vec::new();
    if let Some(choices) = &schema.enum_
        && !choices.iter().any(|choice| serde_yaml::to_value(&choice.0).is_ok_and(|choice| choice == *value))
    {
        let choices: Vec<_> = choices.iter().map(|choice| choice.0.to_string()).collect();
        faults.push(Fault::grave(format!(
            "Unsupported value: {}: supported values: {}",
            shown(value),
            choices.join(", ")
        )));
    }
    match value {
        Value::String(text) => of_text(schema, text, &mut faults),
        Value::Number(number) => of_number(schema, number.as_f64().unwrap_or(f64::NAN), &mut faults),
        Value::Sequence(items) => of_count(items.len(), schema.min_items, schema.max_items, "items", &mut faults),
        Value::Mapping(fields) => {
            of_count(fields.len(), schema.min_properties, schema.max_properties, "properties", &mut faults);
        }
        _ => {}
    }
    faults
}

/// The type that `value` should have, if it has another one.
fn wrong_type(schema: &JSONSchemaProps, value: &Value) -> Option<String> {
    let is = type_of(value);
    let wanted = match &schema.type_ {
        _ if schema.x_kubernetes_int_or_string == Some(true) => "integer,string",
        Some(wanted) => wanted,
        None => return None,
    };
    let right = wanted.split(',').any(|wanted| wanted == is || wanted == "number" && is == "integer");
    (!right).then(|| wanted.to_owned())
}

/// JSON Schema's name of the value's type; a number without a fraction is an integer.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.as_f64().is_some_and(|number| number.fract() == 0.0) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Sequence(_) => "array",
        Value::Mapping(_) => "object",
        Value::Tagged(tagged) => type_of(&tagged.value),
    }
}

fn of_text(schema: &JSONSchemaProps, text: &str, faults: &mut Vec<Fault>) {
    let length = count(text.chars().count());
    if let Some(max) = schema.max_length.filter(|max| length > *max) {
        faults.push(Fault::grave(format!("Too long: may not be more than {max} characters, and is {length}")));
    }
    if let Some(min) = schema.min_length.filter(|min| length < *min) {
        faults.push(Fault::slight(format!("{} should be at least {min} chars long", shown(&text.into()))));
    }
    if let Some(pattern) = &schema.pattern
        && !Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text))
    {
        faults.push(Fault::slight(format!("{} should match '{pattern}'", shown(&text.into()))));
    }
}

fn of_number(schema: &JSONSchemaProps, number: f64, faults: &mut Vec<Fault>) {
    if let Some(max) = schema.maximum.filter(|max| number > *max) {
        faults.push(Fault::slight(format!("{number} should be less than or equal to {max}")));
    }
    if let Some(min) = schema.minimum.filter(|min| number < *min) {
        faults.push(Fault::slight(format!("{number} should be greater than or equal to {min}")));
    }
}

fn of_count(length: usize, min: Option<i64>, max: Option<i64>, of: &str, faults: &mut Vec<Fault>) {
    let length = count(length);
    if let Some(max) = max.filter(|max| length > *max) {
        faults.push(Fault::grave(format!("Too many: {length}: must have at most {max} {of}")));
    }
    if let Some(min) = min.filter(|min| length < *min) {
        faults.push(Fault::slight(format!("{length}: should have at least {min} {of}")));
    }
}

fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// A value as JSON, for a message.
pub(super) fn shown(value: &Value) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| type_of(value).to_owned())
}
