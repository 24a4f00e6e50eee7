//! CPU and memory of each sidecar.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::values::Quantity;

/// CPU and memory of each sidecar, as in a container's resources.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
pub struct Resources {
    /// CPU and memory that the scheduler reserves for each sidecar on its node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<Amounts>,
    /// CPU and memory that the kernel allows each sidecar: it throttles one that needs more CPU, and kills one that
    /// needs more memory (OOMKilled).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Amounts>,
}

/// An amount of CPU and one of memory; what is not set is the platform's default.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
pub struct Amounts {
    /// CPU in cores, such as 100m or 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Quantity>,
    /// Memory in bytes, such as 64Mi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Quantity>,
}
