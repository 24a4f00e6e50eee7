//! The CEL rules, evaluated here as the API server evaluates them.

use std::sync::LazyLock;

use kube::core::cel::{CompiledSchema, ErrorKind, Validator, compile_schema};
use serde_json::Value;

use super::root;
use super::walk::Walk;

static RULES: LazyLock<CompiledSchema> =
    LazyLock::new(|| compile_schema(&serde_json::to_value(root::schema()).expect("a schema is JSON")));

/// The document as rules see it: a field that is null is not there for `has`, and no rule about
/// it is run.
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

/// Runs every rule on `document`, and adds those that are broken where the schema holds.
pub(super) fn run(document: &Value, walk: &mut Walk) {
    let Err(broken) = Validator::new().validate_compiled(&RULES, document, None) else { return };
    // Children first, so that it is known of a parent's rule what is wrong beneath.
    for error in broken.into_vec().into_iter().rev() {
        // A rule that could not be evaluated stumbled over a value that is refused already: the
        // third field of an ARN that is none.
        let follows = error.kind != ErrorKind::ValidationFailure && walk.has_problem_in(&error.field_path);
        if !follows {
            // A message repeats the value, whose line breaks would make it several lines.
            walk.rule_broken(&error.field_path, error.message.replace(char::is_control, " "));
        }
    }
}
