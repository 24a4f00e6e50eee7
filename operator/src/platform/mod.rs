//! The platform's settings: the file that the Helm chart renders from its values, read once at startup.
//!
//! The platform's owner decides everything here, never a function.

mod identity;
mod network;
mod policy;
mod template;

use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use identity::{BaseIdentities, BaseIdentity, InvalidIdentity};
pub use network::NetworkPolicies;
pub use policy::{Grant, Policy};
pub use template::{EnvVar, MaxResources, SidecarTemplate};

/// The platform's settings, as its file has them. Unknown fields are an error.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Platform {
    /// The settings of all sidecar pods.
    pub sidecar: SidecarTemplate,
    /// The AWS identities with which sidecars assume their functions' roles.
    #[serde(default)]
    pub base_identity: BaseIdentities,
    /// Which endpoints, roles and external IDs functions may use.
    #[serde(default)]
    pub policy: Policy,
    /// The functions' NetworkPolicies.
    #[serde(default)]
    pub network_policy: NetworkPolicies,
    /// How many functions may roll concurrently after the platform changed the sidecar; at least 1.
    #[serde(default = "max_concurrent_rollouts")]
    pub max_concurrent_rollouts: usize,
    /// After how many failed rollouts no other begins; at least 1.
    #[serde(default = "max_failed_rollouts")]
    pub max_failed_rollouts: usize,
    /// This operator's mark on Deployments: NAMESPACE/NAME of its Lease. Not in the file.
    #[serde(skip)]
    pub operator: Option<String>,
}

fn max_concurrent_rollouts() -> usize {
    5
}

fn max_failed_rollouts() -> usize {
    10
}

/// Why the platform's file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    /// The file can't be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the file system.
        source: std::io::Error,
    },
    /// The file is not valid YAML, or not valid settings.
    #[error("{}: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// The parser's error.
        source: serde_yaml::Error,
    },
    /// The certificate authorities can't be used.
    #[error("{}: sidecar.caBundle {why}", path.display())]
    CaBundle {
        /// The file.
        path: PathBuf,
        /// Why not, without its content.
        why: &'static str,
    },
    /// A limit of the rollout is 0, so no rollout could ever begin.
    #[error("{}: {field} is 0, so no rollout could ever begin; write 1 or more", path.display())]
    NoRollouts {
        /// The file.
        path: PathBuf,
        /// The field that is 0.
        field: &'static str,
    },
}

impl Platform {
    /// Reads and checks the platform's file.
    ///
    /// # Errors
    /// When the file can't be read or parsed, the certificate authorities can't be used, or a limit of the rollout is 0.
    pub fn load(path: &Path) -> Result<Self, PlatformError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| PlatformError::Read { path: path.to_owned(), source })?;
        let platform: Self =
            serde_yaml::from_str(&text).map_err(|source| PlatformError::Parse { path: path.to_owned(), source })?;
        if let Some(why) = platform.sidecar.ca_bundle.as_deref().and_then(template::ca_bundle_fault) {
            return Err(PlatformError::CaBundle { path: path.to_owned(), why });
        }
        let counts = [
            ("maxConcurrentRollouts", platform.max_concurrent_rollouts),
            ("maxFailedRollouts", platform.max_failed_rollouts),
        ];
        match counts.into_iter().find(|(_, count)| *count == 0) {
            Some((field, _)) => Err(PlatformError::NoRollouts { path: path.to_owned(), field }),
            None => Ok(platform),
        }
    }
}
