//! The sidecar's configuration: the file that the operator writes and the sidecar reads when it starts.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::function::DestinationFunctionSpec;
use crate::values::{ExternalIdPrefix, SecretName, SessionName};

/// The request header by which the operator passes `spec.logLevel` to a sidecar when it polls `/status`.
pub const LOG_LEVEL_HEADER: &str = "tributary-log-level";

/// The configuration of one function's sidecars. It holds no secret.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SidecarConfig {
    /// The function's namespace.
    pub namespace: String,
    /// The function's name.
    pub name: String,
    /// The function's generation when the configuration was written.
    #[serde(default)]
    pub generation: i64,
    /// The beginning of [`digest`](Self::digest), by which the operator distinguishes old pods from new; empty outside a
    /// cluster.
    #[serde(default)]
    pub config_hash: String,
    /// The prefix that the platform requires of external IDs in the namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id_prefix: Option<ExternalIdPrefix>,
    /// Whether an external ID without the prefix is still used, and only reported.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub external_id_prefix_is_audited: bool,
    /// Certificate authorities, as PEM, that the platform trusts for AWS and S3-compatible stores in addition to the
    /// public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<String>,
    /// The function's spec, as far as a sidecar reads it.
    pub spec: DestinationFunctionSpec,
}

impl SidecarConfig {
    /// The configuration of a function: its spec without the fields that a sidecar doesn't read, because a change of those
    /// needs no new configuration. The platform's part, the generation and the hash are the caller's to set.
    pub fn of(namespace: &str, name: &str, spec: &DestinationFunctionSpec) -> Self {
        let spec = DestinationFunctionSpec { replicas: None, resources: None, paused: false, ..spec.clone() };
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            generation: 0,
            config_hash: String::new(),
            external_id_prefix: None,
            external_id_prefix_is_audited: false,
            ca_bundle: None,
            spec,
        }
    }

    /// The SHA-256 of the configuration in hex, without its generation and its hash, which don't affect a sidecar's
    /// behaviour.
    ///
    /// # Panics
    /// Never: every configuration can be serialized as JSON.
    pub fn digest(&self) -> String {
        let content = Self { generation: 0, config_hash: String::new(), ..self.clone() };
        // Deterministic: struct fields are in declaration order and the maps are sorted.
        hex::encode(Sha256::digest(serde_json::to_vec(&content).expect("a configuration is JSON")))
    }

    /// The prefix without which an external ID is refused; `None` if there is none, or it is only audited.
    pub fn demanded_external_id_prefix(&self) -> Option<&ExternalIdPrefix> {
        self.external_id_prefix.as_ref().filter(|_| !self.external_id_prefix_is_audited)
    }

    /// The function's role session name: `spec.sessionName`, otherwise the default, made of its namespace and name.
    pub fn session_name(&self) -> SessionName {
        self.spec.session_name.clone().unwrap_or_else(|| SessionName::for_function(&self.namespace, &self.name))
    }
}

/// The use of a mounted Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretUse {
    /// The external ID: `spec.externalIdSecretRef`.
    ExternalId,
    /// Write keys: `spec.ingest.writeKeySecretRef`.
    WriteKey,
    /// Signing secrets: `spec.ingest.signatureSecretRef`.
    Signature,
    /// The server certificate and its key: `spec.ingest.tlsSecretRef`.
    Tls,
}

impl SecretUse {
    /// The folder on which a Secret of this use is mounted, below the folder of all the sidecar's Secrets.
    pub fn folder(self) -> &'static str {
        match self {
            Self::ExternalId => "external-id",
            Self::WriteKey => "write-key",
            Self::Signature => "signature",
            Self::Tls => "tls",
        }
    }
}

impl DestinationFunctionSpec {
    /// The Secrets that are mounted into the function's sidecars, by use; one Secret may have several.
    pub fn secrets(&self) -> Vec<(SecretUse, &SecretName)> {
        let ingest = self.ingest.as_ref();
        let uses = [
            (SecretUse::ExternalId, Some(&self.external_id_secret_ref.name)),
            (SecretUse::WriteKey, ingest.and_then(|ingest| Some(&ingest.write_key_secret_ref.as_ref()?.name))),
            (SecretUse::Signature, ingest.and_then(|ingest| Some(&ingest.signature_secret_ref.as_ref()?.name))),
            (SecretUse::Tls, ingest.and_then(|ingest| Some(&ingest.tls_secret_ref.as_ref()?.name))),
        ];
        uses.into_iter().filter_map(|(r#use, name)| Some((r#use, name?))).collect()
    }
}
