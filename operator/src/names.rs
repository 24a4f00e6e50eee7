//! The names by which the operator knows its own objects: field manager, labels, annotations.

use std::collections::BTreeMap;

use serde::Serialize;
use sha2::{Digest, Sha256};

/// The field manager of all that the operator writes.
pub const MANAGER: &str = "tributary";

/// Labels.
pub mod label {
    /// Of every child: what the operator's watches select.
    pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
    /// Of every child: what it is.
    pub const NAME: &str = "app.kubernetes.io/name";
    /// Of every child: its function's name.
    pub const FUNCTION: &str = "tributary.dev/function";
    /// Of pods and ConfigMaps: the hash of the configuration.
    pub const CONFIG: &str = "tributary.dev/config";
}

/// The value of [`label::NAME`].
pub const SIDECAR: &str = "tributary-sidecar";

/// Annotations.
pub mod annotation {
    /// What the names of all of them begin with.
    pub const PREFIX: &str = "tributary.dev/";
    /// Of every child: the hash of what the operator last applied. What is no longer wanted is seen by
    /// it alone.
    pub const APPLIED: &str = "tributary.dev/applied";
    /// Of Deployments: the hash of the pod template.
    pub const TEMPLATE: &str = "tributary.dev/template";
    /// Of pods: the base identity, where EKS gives it to them at their beginning.
    pub const BASE_IDENTITY: &str = "tributary.dev/base-identity";
    /// Of Deployments: the hash of what the function's owner has a say in. A template that changes
    /// while this does not is the platform's doing.
    pub const FUNCTION: &str = "tributary.dev/function-hash";
    /// Of Deployments: the hash of what the platform demands of the namespace for its security, if anything. When
    /// it changes, the roll waits for no other.
    pub const DEMANDS: &str = "tributary.dev/demands-hash";
    /// Of Deployments: the operator that wrote them, as the namespace and name of its Lease.
    pub const OPERATOR: &str = "tributary.dev/operator";
    /// Of Deployments: `spec.resources` as it was taken up, in JSON. The rest of the function's is in the ConfigMap.
    pub const RESOURCES: &str = "tributary.dev/resources";
}

/// Pairs as Kubernetes' maps.
pub fn labels<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// A hash of what a value says: 10 characters, fit for names and labels.
pub fn hash(value: &impl Serialize) -> String {
    // Structs are written in the order of their fields, and maps are sorted: the text is the value's.
    let text = serde_json::to_vec(value).expect("Kubernetes' types are JSON");
    hex::encode(&Sha256::digest(text)[..5])
}
