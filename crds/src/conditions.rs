//! A function's status: the types and reasons of its conditions, and the documents that contain them.
//!
//! A sidecar reports the conditions from `ExternalIdAvailable` to `EventsValid` in its `/status`. The operator adds
//! its own, and writes the function's status. Neither uses other types or reasons.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The observed state of a function, written by the operator.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FunctionStatus {
    /// Generation of the function that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Reason of the first thing that needs attention: that of `Ready` or, while that is `Ok`, that of `UpToDate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reason: Option<String>,
    /// Number of sidecar pods, including those of a previous configuration during a rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Number of sidecar pods that are ready, including those of a previous configuration during a rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_replicas: Option<i32>,
    /// Number that the operator wrote into spec.replicas because the function set none, so that an autoscaler can
    /// start. While spec.replicas has this value, the operator leaves the Deployment's own number to others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defaulted_replicas: Option<i32>,
    /// Label selector of the sidecar pods, for autoscalers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub selector: Option<String>,
    /// URL within the cluster to which applications send events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub url: Option<String>,
    /// Conditions of the function: whether it stores events, whether its sidecars are up to date, and why not.
    #[serde(default)]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
}

/// The hint in messages about a missing or invalid Secret: the kubelet's delay in mounting a change. Without it, people who
/// have fixed the Secret look for another fault.
/// <https://kubernetes.io/docs/concepts/configuration/secret/#using-secrets-as-files-from-a-pod>
pub const SECRET_DELAY_HINT: &str = "the sidecar sees a change of a Secret after up to two minutes";

/// The type of a condition. The status lists conditions in this order, and `Ready` looks for its cause in this order.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum ConditionType {
    /// Events are accepted and stored now, by sidecars of the current or of a previous configuration.
    Ready,
    /// The platform allows the function, and no other object has a name that the function needs.
    Accepted,
    /// The sidecar has read a valid external ID from its Secret.
    ExternalIdAvailable,
    /// If the function names Secrets with write keys or signing secrets, at least one of the two can be read; if it
    /// names one with a certificate, clients are served a valid certificate.
    IngestConfigured,
    /// The sidecar holds a session of the role that has not expired.
    RoleAssumed,
    /// STS refuses to grant the role without an external ID, and with a random one.
    ExternalIdEnforced,
    /// Uploads of events of every type are stored.
    BucketWritable,
    /// No dead letter was stored within the last ten minutes. Only if the function stores dead letters; it does not count
    /// for `Ready`.
    EventsValid,
    /// A sidecar is ready, and answers the operator's polls.
    SidecarAvailable,
    /// All sidecars run with the current spec of the function and the current settings of the platform. If not,
    /// previous sidecars may still store events.
    UpToDate,
    /// The sidecars are being changed to the desired state, or retry until an outage of S3 or STS is over. For kstatus, by
    /// which Flux judges resources.
    /// <https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md>
    Reconciling,
    /// The function stores no events, or its sidecars can't reach the desired state, until a person fixes the cause. For
    /// kstatus.
    Stalled,
}

impl ConditionType {
    /// Whether the condition is only information about the events that clients send: valid events are stored, whatever its
    /// status.
    pub fn is_informative(self) -> bool {
        self == Self::EventsValid
    }
}

/// The status of a condition, spelled as in Kubernetes.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub enum ConditionStatus {
    /// The condition holds.
    True,
    /// The condition does not hold.
    False,
    /// It is not known whether the condition holds.
    Unknown,
}

/// Why a condition has its status: one CamelCase word for programs, in addition to the message for people.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Hash, Serialize)]
pub enum Reason {
    /// Nothing is wrong.
    Ok,
    /// Not checked or not done yet: the sidecar is starting, or another condition reports what it waits for.
    Pending,
    /// The platform does not grant the role to the namespace.
    RoleNotAllowed,
    /// The platform does not allow the endpoint of S3 or STS.
    EndpointNotAllowed,
    /// The session name has a dot but does not begin with the function's namespace and a dot, so it would imitate a
    /// function of another namespace.
    SessionNameNotAllowed,
    /// The external ID lacks the prefix that the platform requires in the namespace.
    ExternalIdNotAllowed,
    /// A request or limit is above the platform's maximum, a request is above its limit, or the memory limit is below
    /// what the sidecar needs.
    ResourcesOutOfBounds,
    /// An object that isn't the function's has a name that the function needs.
    NameClash,
    /// The operator of another release manages the function too; both leave it as it is.
    RivalOperator,
    /// `spec.paused` is true: changes of the function are not applied, changes by the platform are.
    Paused,
    /// The operator can't parse the function, which was stored under the schema of another version.
    Invalid,
    /// The Secret with the external ID does not exist, or is empty.
    SecretNotFound,
    /// The Secret with the external ID lacks the key.
    SecretKeyNotFound,
    /// The value in the Secret is not a valid external ID.
    InvalidExternalId,
    /// No write key can be read: the Secret or its key is missing, or the value is invalid.
    WriteKeyNotFound,
    /// No signing secret can be read: the Secret or its key is missing, or the value is invalid.
    SignatureNotFound,
    /// No certificate with its private key can be read, or the certificate has expired or is not valid yet.
    TlsInvalid,
    /// STS or S3 refused access.
    AccessDenied,
    /// The sidecar has no AWS credentials of its own to assume the role with, or STS does not accept them.
    NoBaseIdentity,
    /// The session policy and the session tags together are larger than STS accepts.
    PackedPolicyTooLarge,
    /// STS can't be reached, or gave no complete answer.
    StsUnreachable,
    /// STS or S3 throttles requests.
    Throttled,
    /// STS answered with another error, which the message quotes.
    StsError,
    /// Renewing the session fails. The current session is still used; when it expires, no more events are stored.
    RenewalFailing,
    /// The node's clock differs from that of STS or S3 by more than request signatures allow.
    ClockSkewed,
    /// STS grants the role without the external ID, or with a random one.
    NotEnforced,
    /// The current sidecars have not uploaded an event since they started, and no fault of the bucket is known.
    NotYetWritten,
    /// The bucket does not exist.
    NoSuchBucket,
    /// The bucket is in another region than `spec.s3.region`.
    WrongRegion,
    /// KMS did not let the role use the key that encrypts the objects, or the key is disabled or does not exist.
    KmsDenied,
    /// S3 can't be reached, or did not answer in time.
    S3Unreachable,
    /// S3, or a server in its place, answered with another error, which the message quotes.
    S3Error,
    /// The store answers 412 to every If-None-Match: events are stored, but with two PUTs per object.
    ConditionalWritesUnsupported,
    /// Clients sent invalid events, which are stored as dead letters.
    EventsRejected,
    /// Pods are being created or started. If Kubernetes reports an error that has no reason of its own here, the
    /// message quotes it.
    Progressing,
    /// The platform has changed the sidecar, and the function waits for a rollout slot.
    RolloutWaiting,
    /// The rollout of the platform's sidecar did not complete within the Deployment's deadline; the previous pods keep
    /// running.
    RolloutFailed,
    /// Too many functions failed to roll out the platform's sidecar, so no further rollout begins.
    RolloutHalted,
    /// The sidecar's image can't be pulled.
    ImagePull,
    /// The sidecar keeps exiting after it has started.
    CrashLoop,
    /// The kernel killed the sidecar for exceeding its memory limit. Reported until the sidecar is ready again, and at
    /// least for an hour.
    OOMKilled,
    /// The current sidecars did not become ready within the Deployment's deadline, and no cause is known.
    ProgressDeadlineExceeded,
    /// For at least 15 seconds (90 if previous sidecars store events, and other pods start or end), no node could run a
    /// pod: none has room, or scheduling constraints exclude those that have.
    Unschedulable,
    /// The namespace's quota leaves no room for a pod, or requires a request or limit that is not set.
    QuotaExceeded,
    /// The API server refuses to create or change one of the function's objects or its pods: RBAC, an admission policy
    /// or webhook, or PodSecurity. The message quotes it.
    Forbidden,
    /// The kubelet can't create or start the sidecar's container. The message quotes it.
    ContainerError,
    /// No sidecar answers the operator's polls.
    SidecarUnreachable,
    /// The function is scaled to 0.
    NoReplicas,
}

impl Reason {
    /// Whether a condition with this status is True but needs a person: the function will stop working, or costs more
    /// than it must.
    pub fn warns(self, status: ConditionStatus) -> bool {
        status == ConditionStatus::True && !matches!(self, Self::Ok | Self::Paused)
    }

    /// Whether the function is in progress or waits, without a fault that its owner could fix.
    pub fn is_progress(self) -> bool {
        matches!(self, Self::Pending | Self::Progressing | Self::RolloutWaiting | Self::RolloutHalted)
    }

    /// Whether the state often ends within minutes and without a person: a start, an outage, throttling.
    pub fn may_pass(self) -> bool {
        matches!(
            self,
            Self::Pending
                | Self::Progressing
                | Self::Throttled
                | Self::StsUnreachable
                | Self::StsError
                | Self::S3Unreachable
                | Self::S3Error
        )
    }

    /// Whether the function's owner has asked for this state, so it is no fault.
    pub fn is_wanted(self) -> bool {
        matches!(self, Self::Paused | Self::NoReplicas)
    }

    /// Whether the cause is in an object that the function names or in its AWS account, so no other function's sidecar
    /// fails because of it.
    pub fn is_of_function(self) -> bool {
        matches!(
            self,
            Self::ExternalIdNotAllowed
                | Self::SecretNotFound
                | Self::SecretKeyNotFound
                | Self::InvalidExternalId
                | Self::WriteKeyNotFound
                | Self::SignatureNotFound
                | Self::TlsInvalid
                | Self::AccessDenied
                | Self::PackedPolicyTooLarge
                | Self::NotEnforced
                | Self::NoSuchBucket
                | Self::WrongRegion
                | Self::KmsDenied
        )
    }
}

// Spelled as they are serialized, since conditions and metrics contain that spelling.

impl std::fmt::Display for ConditionStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.serialize(f)
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.serialize(f)
    }
}

impl std::fmt::Display for ConditionType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.serialize(f)
    }
}

/// The document that a sidecar serves at `/status`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SidecarStatus {
    /// The function's generation for which the sidecar's configuration was written.
    pub generation: i64,
    /// The hash of its configuration:
    /// [`SidecarConfig::config_hash`](crate::sidecar_config::SidecarConfig::config_hash).
    pub config_hash: String,
    /// The conditions that it reports, one per type.
    pub conditions: Vec<SidecarCondition>,
    /// The times of its session; `None` while it has none that has not expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionTimes>,
    /// Number of events that it has accepted and not answered yet.
    pub in_flight: u64,
    /// The message of the first condition that is False, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// A condition as a sidecar reports it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct SidecarCondition {
    /// The condition's type.
    pub r#type: ConditionType,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// Why, for programs.
    pub reason: Reason,
    /// Why, for people, and what to do.
    pub message: String,
    /// When the status last changed, RFC 3339.
    pub since: String,
}

impl SidecarCondition {
    /// Whether events are not stored, or soon will not be, until its cause is over.
    pub fn is_fault(&self) -> bool {
        self.status == ConditionStatus::False && !self.r#type.is_informative()
    }
}

/// When the sidecar's session expires, and when it will be renewed.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionTimes {
    /// When it expires, by STS's clock, RFC 3339.
    pub expiry: String,
    /// When the sidecar requests the next one, RFC 3339.
    pub next_refresh: String,
}
