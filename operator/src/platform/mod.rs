//! What the platform says: the file that the chart makes of its values, read once, whole.
//!
//! Everything here is decided by the platform's owner, never by a function.

mod identity;
mod network;
mod policy;
mod template;

use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use identity::{BaseIdentities, BaseIdentity, InvalidIdentity};
pub use network::NetworkPolicies;
pub use policy::{Grant, Policy};
pub use template::{EnvVar, MostResources, SidecarTemplate};

/// The platform's file.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Platform {
    /// How sidecars run.
    pub sidecar: SidecarTemplate,
    /// What sidecars are before they assume their function's role.
    #[serde(default)]
    pub base_identity: BaseIdentities,
    /// What functions may use.
    #[serde(default)]
    pub policy: Policy,
    /// Who may talk to sidecars, and to whom they may talk.
    #[serde(default)]
    pub network_policy: NetworkPolicies,
    /// How many functions roll at once to a sidecar that the platform changed.
    #[serde(default = "max_concurrent_rollouts")]
    pub max_concurrent_rollouts: usize,
    /// How many of them may fail before no other begins.
    #[serde(default = "max_failed_rollouts")]
    pub max_failed_rollouts: usize,
    /// What this operator marks Deployments with, as the namespace and name of its Lease; not in the file.
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
    /// It can't be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system or the parser says.
        source: std::io::Error,
    },
    /// It is not such a file.
    #[error("{}: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What the system or the parser says.
        source: serde_yaml::Error,
    },
    /// It lets nothing roll.
    #[error("{}: {field} is 0, which no change of the sidecar would ever get past; write 1 or more", path.display())]
    NoRollouts {
        /// Which file.
        path: PathBuf,
        /// Which of its fields.
        field: &'static str,
    },
}

impl Platform {
    /// Reads the file.
    ///
    /// # Errors
    /// When it can't be read or is not right.
    pub fn load(path: &Path) -> Result<Self, PlatformError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| PlatformError::Read { path: path.to_owned(), source })?;
        let platform: Self =
            serde_yaml::from_str(&text).map_err(|source| PlatformError::Parse { path: path.to_owned(), source })?;
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
