//! `DestinationFunction`: the resource, its values, and what is said about it.
//!
//! The operator, the sidecar and the tool share these types, so that a value is judged once and in
//! the same words everywhere:
//!
//! - [`values`]: role ARN, external ID, bucket, key template …, which exist only when right;
//! - [`function`]: the resource, its schema and its CEL rules;
//! - [`conditions`]: what is said about a function, by the sidecar and in its status;
//! - [`policy`]: the IAM policies that a function needs, and the one its sessions are cut down to;
//! - [`memory`]: how much memory a sidecar needs;
//! - [`sidecar_config`]: what a sidecar is started with;
//! - [`reference`](mod@reference): the page about all of it.

#[cfg(feature = "check")]
pub mod check;
pub mod conditions;
pub mod function;
pub mod memory;
pub mod policy;
pub mod reference;
pub mod sidecar_config;
pub mod values;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

pub use function::DestinationFunction;

/// The CustomResourceDefinition.
pub fn custom_resource_definition() -> CustomResourceDefinition {
    DestinationFunction::crd()
}

/// The CustomResourceDefinition as `crds/destinationfunctions.yaml` holds it.
///
/// # Errors
/// Never in practice: the definition is made of what YAML can hold.
pub fn custom_resource_definition_yaml() -> Result<String, serde_yaml::Error> {
    Ok(format!(
        "# Generated from crds/src by `just crd`; a test fails when it is not current.\n{}",
        serde_yaml::to_string(&custom_resource_definition())?
    ))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_file_is_current() {
        let generated = super::custom_resource_definition_yaml().unwrap();
        let file = include_str!("../destinationfunctions.yaml");
        assert!(generated == file, "crds/destinationfunctions.yaml is not current: run `just crd`");
    }
}
