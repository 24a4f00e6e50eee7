//! What the sidecar is started with: the file that the operator writes and the sidecar reads.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::function::DestinationFunctionSpec;
use crate::values::{ExternalIdPrefix, SecretName, SessionName};

/// The header with which the operator, when it asks a sidecar for its `/status`, says which level
/// `spec.logLevel` wants.
pub const LOG_LEVEL_HEADER: &str = "tributary-log-level";

/// One function, as its sidecar needs it. It holds no secret.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SidecarConfig {
    /// The function's namespace.
    pub namespace: String,
    /// The function's name.
    pub name: String,
    /// The function's generation.
    #[serde(default)]
    pub generation: i64,
    /// The hash of this configuration, by which the operator tells old pods from new.
    #[serde(default)]
    pub config_hash: String,
    /// What the external IDs of the namespace must begin with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id_prefix: Option<ExternalIdPrefix>,
    /// Whether one that begins otherwise is used all the same, and only told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub external_id_prefix_is_audited: bool,
    /// The function.
    pub spec: DestinationFunctionSpec,
}

impl SidecarConfig {
    /// The SHA-256 of what it says, in hex; its generation and its hash aside, which say nothing of what
    /// a sidecar is to do.
    ///
    /// # Panics
    /// Never: it is made of what JSON can hold.
    pub fn digest(&self) -> String {
        let said = Self { generation: 0, config_hash: String::new(), ..self.clone() };
        // Structs are written in the order of their fields, and maps are sorted: the text is the value's.
        hex::encode(Sha256::digest(serde_json::to_vec(&said).expect("a configuration is JSON")))
    }

    /// What external IDs must begin with to be used.
    pub fn demanded_external_id_prefix(&self) -> Option<&ExternalIdPrefix> {
        self.external_id_prefix.as_ref().filter(|_| !self.external_id_prefix_is_audited)
    }

    /// What the function's sessions are called: as it says, else after its namespace and name.
    pub fn session_name(&self) -> SessionName {
        self.spec.session_name.clone().unwrap_or_else(|| SessionName::for_function(&self.namespace, &self.name))
    }
}

/// What a Secret is mounted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretUse {
    /// `spec.externalIdSecretRef`
    ExternalId,
    /// `spec.ingest.writeKeySecretRef`
    WriteKey,
    /// `spec.ingest.signatureSecretRef`
    Signature,
    /// `spec.ingest.tlsSecretRef`
    Tls,
}

impl SecretUse {
    /// The folder that such a Secret is mounted on, below the folder of all the sidecar's Secrets.
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
    /// The Secrets that the function's sidecar is given; one Secret may have several uses.
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
