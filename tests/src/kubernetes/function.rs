//! Builds DestinationFunctions, and reads and awaits their conditions.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Api;
use serde_json::{Value, json};
use tributary_crds::DestinationFunction;

use super::within;

use crate::world::{BUCKET, REGION, ROLE};

/// A function of this name with the required fields; `fields` are set in its spec too.
///
/// # Panics
/// If the result is not a DestinationFunction.
pub fn function(name: &str, fields: &Value) -> DestinationFunction {
    let mut spec = json!({
        "roleArn": ROLE,
        "externalIdSecretRef": {"name": "orders-lake"},
        "s3": {"bucket": BUCKET, "region": REGION},
    });
    for (field, value) in fields.as_object().expect("fields") {
        spec[field] = value.clone();
    }
    let function = json!({
        "apiVersion": "tributary.dev/v1alpha1",
        "kind": "DestinationFunction",
        "metadata": {"name": name},
        "spec": spec,
    });
    serde_json::from_value(function).expect("a function")
}

/// The condition of this type; `None` if it is missing.
pub fn condition(function: &DestinationFunction, r#type: &str) -> Option<Condition> {
    let conditions = &function.status.as_ref()?.conditions;
    conditions.iter().find(|condition| condition.type_ == r#type).cloned()
}

/// Waits until a condition has this reason, and returns it.
///
/// # Panics
/// If it has not after `time`.
pub async fn wait_condition(
    functions: &Api<DestinationFunction>,
    name: &str,
    r#type: &str,
    reason: &str,
    time: Duration,
) -> Condition {
    within(time, &format!("{type} of {name} is {reason}"), async || {
        let function = functions.get(name).await.ok()?;
        condition(&function, r#type).filter(|condition| condition.reason == reason)
    })
    .await
}
