//! Names that the operator writes on its objects: field manager, labels, annotations; and the hash they use.

use std::collections::BTreeMap;

use serde::Serialize;
use sha2::{Digest, Sha256};

/// The operator's field manager, and the value of [`label::MANAGED_BY`].
pub const MANAGER: &str = "tributary";

/// Label keys.
pub mod label {
    /// On every child: the operator's watches select by it.
    pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
    /// On every child: always [`SIDECAR`](super::SIDECAR).
    pub const NAME: &str = "app.kubernetes.io/name";
    /// On every child: the function's name.
    pub const FUNCTION: &str = "tributary.dev/function";
    /// On pods and ConfigMaps: the hash of the sidecar's configuration.
    pub const CONFIG: &str = "tributary.dev/config";
    /// On pods: the hash of the pod template that they were made from, without this label.
    pub const TEMPLATE: &str = "tributary.dev/template";
}

/// The value of [`label::NAME`] on every child.
pub const SIDECAR: &str = "tributary-sidecar";

/// Annotation keys.
pub mod annotation {
    /// The prefix of all annotations that the operator writes.
    pub const PREFIX: &str = "tributary.dev/";
    /// On every child: the hash of the object that the operator last applied. Only this reveals a field that is no
    /// longer desired.
    pub const APPLIED_HASH: &str = "tributary.dev/applied";
    /// On Deployments: the hash of the pod template ([`label::TEMPLATE`](super::label::TEMPLATE)).
    pub const TEMPLATE_HASH: &str = "tributary.dev/template";
    /// On pods: the base identity that EKS's webhooks inject at creation; another one rolls the pods.
    pub const BASE_IDENTITY: &str = "tributary.dev/base-identity";
    /// On Deployments: the hash of the part that the function's owner controls. If the template changes and this
    /// does not, the platform made the change.
    pub const FUNCTION_HASH: &str = "tributary.dev/function-hash";
    /// On Deployments: the hash of the external ID prefix that the platform enforces in the namespace, if any. When it
    /// changes, the rollout does not wait for a slot.
    pub const DEMANDS_HASH: &str = "tributary.dev/demands-hash";
    /// On Deployments: the operator that wrote them, as `NAMESPACE/LEASE`.
    pub const OPERATOR: &str = "tributary.dev/operator";
    /// On Deployments: the sidecar's image as last applied. Admission allows the operator this image, so that it can
    /// revert an edited image while the function waits for its rollout.
    pub const IMAGE: &str = "tributary.dev/image";
    /// On Deployments: `spec.resources` as last accepted, in JSON. The rest of the accepted spec is in the ConfigMap.
    pub const RESOURCES: &str = "tributary.dev/resources";
}

/// A map of labels or annotations from pairs.
pub fn labels<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// A hash of a value: 10 hex characters of SHA-256, short enough for names and labels.
pub fn hash(value: &impl Serialize) -> String {
    // Deterministic: struct fields are in declaration order and the maps are sorted.
    let text = serde_json::to_vec(value).expect("Kubernetes' types are JSON");
    hex::encode(&Sha256::digest(text)[..5])
}
