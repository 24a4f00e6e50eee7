//! How clients send events: credentials, TLS, CORS and limits.

use std::time::Duration;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::DestinationFunctionSpec;
use crate::values::{ConnectionAge, EventBytes, IdleTimeout, Origin, SecretKey, SecretName};

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
    /// Longest time that a connection may wait for a request, from 10s to 1h; by default 650s. It must be longer than
    /// that of a load balancer in front of the sidecars, or some of its requests fail: an AWS Application Load Balancer
    /// and nginx have 60 s, Google's have 600 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<IdleTimeout>,
    /// Age from which a connection is closed after the next answer, from 10s to 1h, shortened at random by up to a
    /// tenth; by default 10m. Clients then connect again, and reach replicas that were added since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connection_age: Option<ConnectionAge>,
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

/// How long a connection may wait for a request if `ingest.idleTimeout` is not set: longer than the 600 s for which
/// Google's load balancers keep connections, the longest of the common ones. Whichever side has the shorter limit closes
/// the connection, and if the server does while a request is on its way, that request fails.
/// <https://cloud.google.com/load-balancing/docs/https/request-distribution>
const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(650);

/// The age from which connections are closed after an answer if `ingest.maxConnectionAge` is not set.
const DEFAULT_MAX_CONNECTION_AGE: Duration = Duration::from_secs(600);

impl DestinationFunctionSpec {
    /// The maximum number of open connections per sidecar of the function, with the default applied.
    pub fn max_connections(&self) -> usize {
        let named = self.ingest.as_ref().and_then(|ingest| ingest.max_connections);
        named.and_then(|count| count.try_into().ok()).unwrap_or(DEFAULT_MAX_CONNECTIONS)
    }

    /// How long a connection may wait for a request, with the default applied.
    pub fn idle_timeout(&self) -> Duration {
        let named = self.ingest.as_ref().and_then(|ingest| ingest.idle_timeout.as_ref());
        named.map_or(DEFAULT_IDLE_TIMEOUT, IdleTimeout::duration)
    }

    /// The age from which connections are closed after an answer, with the default applied.
    pub fn max_connection_age(&self) -> Duration {
        let named = self.ingest.as_ref().and_then(|ingest| ingest.max_connection_age.as_ref());
        named.map_or(DEFAULT_MAX_CONNECTION_AGE, ConnectionAge::duration)
    }
}
