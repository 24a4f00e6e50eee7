//! The resource `DestinationFunction`: its types, its CustomResourceDefinition, and values derived from its spec.
//!
//! The operator, the sidecar and the command line tool share these types, so each of them validates a value alike and
//! reports an invalid one in the same words:
//!
//! - [`values`]: the types of single values (role ARN, external ID, bucket, key template), which hold only valid ones;
//! - [`function`]: the resource, its schema and its CEL rules;
//! - [`conditions`]: a function's status, with the types and reasons of its conditions;
//! - [`policy`]: the IAM policies that a function needs, and its session policy;
//! - [`memory`]: how much memory a sidecar needs;
//! - [`sidecar_config`]: the configuration file of a sidecar;
//! - [`reference`](mod@reference): the page `docs/reference.md`;
//! - `check`, with the feature of that name: validates a document offline, as the API server would.

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

/// The CustomResourceDefinition of [`DestinationFunction`].
pub fn custom_resource_definition() -> CustomResourceDefinition {
    DestinationFunction::crd()
}

/// The content of `crds/destinationfunctions.yaml`.
///
/// # Errors
/// Never in practice: every definition can be serialized as YAML.
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
