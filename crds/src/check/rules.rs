//! Runs the CEL rules as the API server does.

use std::sync::LazyLock;

use kube::core::cel::{CompiledSchema, ErrorKind, Validator, compile_schema};
use serde_json::Value;

use super::root;
use super::walk::Walk;

static RULES: LazyLock<CompiledSchema> =
    LazyLock::new(|| compile_schema(&serde_json::to_value(root::schema()).expect("a schema is JSON")));

/// The document as CEL rules see it: a field that is null is absent for `has`, and no rule about it is run.
pub(super) fn without_nulls(document: &serde_yaml::Value) -> Value {
    let mut document = serde_json::to_value(document).unwrap_or_default();
    drop_nulls(&mut document);
    document
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// Runs all rules on `document`, and adds the violations where the schema holds.
pub(super) fn run(document: &Value, walk: &mut Walk) {
    let Err(broken) = Validator::new().validate_compiled(&RULES, document, None) else { return };
    // Fields before the values that contain them: the problems within a value must be known when its own rules are
    // considered.
    for error in broken.into_vec().into_iter().rev() {
        // A rule that could not be evaluated is not reported if its value is refused already: for example, a text that
        // is not an ARN has no third field.
        let follows = error.kind != ErrorKind::ValidationFailure && walk.has_problem_in(&error.field_path);
        if !follows {
            // The message quotes the value, whose line breaks would make it several lines.
            walk.rule_broken(&error.field_path, error.message.replace(char::is_control, " "));
        }
    }
}
