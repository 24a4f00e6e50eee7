//! How clients send events: credentials, TLS, CORS and limits.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::DestinationFunctionSpec;
use crate::values::{EventBytes, Origin, SecretKey, SecretName};

/// How clients send events: credentials, TLS, CORS and limits.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ingest {
    /// The write keys, one per line of the Secret's value. With them, every request must show one; a webhook's request
    /// to the path / may be signed instead (signatureSecretRef).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_key_secret_ref: Option<SecretKeyRef>,
    /// The shared secrets of Segment's webhook destinations (X-Signature), one per line of the Secret's value. With
    /// them, a request to the path / must be signed or show a write key; without writeKeySecretRef, requests to /v1 are
    /// refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature_secret_ref: Option<SecretKeyRef>,
    /// The server certificate and its private key. With it, the sidecars serve only HTTPS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_secret_ref: Option<TlsSecretRef>,
    /// Which web pages may send events from browsers (CORS); by default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
    /// Maximum size of an event, from 1Ki to 256Ki; by default 32Ki, which is Segment's own limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_event_bytes: Option<EventBytes>,
    /// Maximum number of open connections per sidecar; by default 1,024. At the limit, idle connections are closed for
    /// new ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    // As i32: Kubernetes has no unsigned integer formats.
    #[schemars(with = "Option<i32>", range(min = 16, max = 10_000))]
    pub max_connections: Option<u32>,
}

/// Reference to a key of a Secret.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
pub struct SecretKeyRef {
    /// Name of the Secret, in the function's own namespace.
    pub name: SecretName,
    /// Key within the Secret.
    pub key: SecretKey,
}

/// Reference to a Secret of type kubernetes.io/tls.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
pub struct TlsSecretRef {
    /// Name of the Secret, in the function's own namespace. Its keys are tls.crt and tls.key.
    pub name: SecretName,
}

/// Which web pages may send events from browsers (CORS).
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cors {
    /// Origins of the pages, as scheme, host and port; * allows every page.
    #[schemars(length(min = 1, max = 50))]
    pub allowed_origins: Vec<Origin>,
}

/// The maximum number of open connections per sidecar if `ingest.maxConnections` is not set: each may fill its buffers,
/// and all together fit into the chart's default memory limit.
pub const DEFAULT_MAX_CONNECTIONS: usize = 1024;

impl DestinationFunctionSpec {
    /// The maximum number of open connections per sidecar of the function, with the default applied.
    pub fn max_connections(&self) -> usize {
        let named = self.ingest.as_ref().and_then(|ingest| ingest.max_connections);
        named.and_then(|count| count.try_into().ok()).unwrap_or(DEFAULT_MAX_CONNECTIONS)
    }
}
