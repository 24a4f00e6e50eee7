//! What is said about a function: its conditions, their reasons, and the documents that carry them.
//!
//! The sidecar says what it sees in its `/status` (from `ExternalIdAvailable` to `BucketWritable`);
//! the operator adds what it sees itself and writes the function's status. Both use these names and
//! no others.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The function's `status`.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FunctionStatus {
    /// The generation that the rest speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// How many sidecars there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// How many of them are ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_replicas: Option<i32>,
    /// The number that the operator filled into spec.replicas of a function that names none, for autoscalers to
    /// begin with. While it stands there, how many sidecars the Deployment has is left to others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defaulted_replicas: Option<i32>,
    /// The sidecars' label selector, for autoscalers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub selector: Option<String>,
    /// Where to send events, within the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub url: Option<String>,
    /// What holds, and what does not.
    #[serde(default)]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
}

/// A condition's type. In this order they are shown, and looked through for what forbids traffic.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum ConditionType {
    /// Events are taken and stored now, by whichever sidecars serve: those of what was asked for last, or those of
    /// before.
    Ready,
    /// The platform allows this function.
    Accepted,
    /// The sidecar has read an external ID.
    ExternalIdAvailable,
    /// Of write keys and signature secret, where asked for, one at least is readable, and clients are shown a valid
    /// certificate, where one is asked for.
    IngestConfigured,
    /// The sidecar holds a session that still lives.
    RoleAssumed,
    /// STS refuses the role without an external ID, and with a random one.
    ExternalIdEnforced,
    /// Uploads are stored, whatever the events' type.
    BucketWritable,
    /// A sidecar is ready, and can be asked.
    SidecarAvailable,
    /// The sidecars are what the function and the platform ask for now, all of them. Events are stored whether or not
    /// they are.
    UpToDate,
    /// The function is on its way to what it asks for. For kstatus, by which Flux judges.
    /// <https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md>
    Reconciling,
    /// The function stores no events, or can't become what was asked for, until a person fixes the cause. For kstatus.
    Stalled,
}

/// A condition's status, as Kubernetes writes it.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Nobody knows yet.
    Unknown,
}

/// Why a condition is as it is: one CamelCase word for machines, in addition to the message for people.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Hash, Serialize)]
pub enum Reason {
    /// It holds.
    Ok,
    /// Not looked at yet.
    Pending,
    /// The platform gives the namespace no such role.
    RoleNotAllowed,
    /// The platform allows no such endpoint.
    EndpointNotAllowed,
    /// The session name would pass for a function of another namespace.
    SessionNameNotAllowed,
    /// The external ID does not begin as the platform demands in the namespace.
    ExternalIdNotAllowed,
    /// More CPU or memory than the platform gives a sidecar, or less memory than it needs.
    ResourcesOutOfBounds,
    /// Somebody else has an object of the name that the function needs.
    NameClash,
    /// Another release's operator looks after the function, too: both leave it as it is.
    RivalOperator,
    /// The function is paused: changes of it are not taken up, those of the platform are.
    Paused,
    /// The operator can't read the function, which was stored under other rules.
    Invalid,
    /// No such Secret.
    SecretNotFound,
    /// The Secret lacks the key.
    SecretKeyNotFound,
    /// The value is not an external ID.
    InvalidExternalId,
    /// There is no write key to be read.
    WriteKeyNotFound,
    /// There is no signature secret to be read.
    SignatureNotFound,
    /// There is no certificate with its key to be read, or it has expired or is not valid yet.
    TlsInvalid,
    /// STS or S3 refused.
    AccessDenied,
    /// The sidecar has no AWS identity of its own to assume the role with.
    NoBaseIdentity,
    /// The session policy and tags are larger than STS takes.
    PackedPolicyTooLarge,
    /// STS did not answer.
    StsUnreachable,
    /// STS or S3 asked for fewer requests.
    Throttled,
    /// STS answered something else.
    StsError,
    /// The session still lives and is used, but renewing it fails: traffic will stop when it ends.
    RenewalFailing,
    /// The node's clock is further from that of STS or S3 than signatures may be.
    ClockSkewed,
    /// STS gives the role away without the external ID.
    NotEnforced,
    /// No upload was tried yet.
    NotYetWritten,
    /// The bucket does not exist.
    NoSuchBucket,
    /// The bucket is in another region.
    WrongRegion,
    /// KMS refused its key.
    KmsDenied,
    /// S3 did not answer.
    S3Unreachable,
    /// S3 answered something else.
    S3Error,
    /// The store answers 412 to every If-None-Match, so that each object is put twice: uploads are stored.
    ConditionalWritesUnsupported,
    /// Pods are being made or started.
    Progressing,
    /// The platform's sidecar has changed, and the function waits for its turn to be rolled to it.
    RolloutWaiting,
    /// The roll to the platform's sidecar made no progress; the pods of before go on.
    RolloutFailed,
    /// Too many functions failed to roll to the platform's sidecar: no other begins.
    RolloutHalted,
    /// The sidecar's image can't be pulled.
    ImagePull,
    /// The sidecar ends soon after it has started.
    CrashLoop,
    /// The kernel has ended the sidecar in the last hour, since it went over its memory limit.
    OOMKilled,
    /// The sidecars that are asked for did not become ready within the Deployment's deadline, and nothing says why.
    ProgressDeadlineExceeded,
    /// No node has room for a pod, or may take it.
    Unschedulable,
    /// The namespace's quota leaves no room for a pod.
    QuotaExceeded,
    /// Nothing is heard of the sidecars.
    SidecarUnreachable,
    /// The function is scaled to zero.
    NoReplicas,
}

impl Reason {
    /// Whether a condition of this status holds and needs a person all the same: what works now will stop, or costs more
    /// than it has to.
    pub fn warns(self, status: Truth) -> bool {
        status == Truth::True && !matches!(self, Self::Ok | Self::Paused)
    }

    /// Whether something is under way that needs nobody.
    pub fn is_progress(self) -> bool {
        matches!(self, Self::Pending | Self::Progressing | Self::RolloutWaiting | Self::RolloutHalted)
    }

    /// Whether it is so because somebody wants it so.
    pub fn is_wanted(self) -> bool {
        matches!(self, Self::Paused | Self::NoReplicas)
    }

    /// Whether it is something that the function names, or that its AWS account holds: no other function's sidecar
    /// fails for it.
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

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

impl std::fmt::Display for ConditionType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

/// The sidecar's `/status`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SidecarStatus {
    /// The function's generation that the sidecar was started with.
    pub generation: i64,
    /// The hash of its configuration.
    pub config_hash: String,
    /// What it sees.
    pub conditions: Vec<SidecarCondition>,
    /// The session it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionTimes>,
    /// Events taken and not answered yet.
    pub in_flight: u64,
    /// The last error, of whatever kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// A condition as the sidecar sees it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct SidecarCondition {
    /// The condition's type.
    pub r#type: ConditionType,
    /// Whether it holds.
    pub status: Truth,
    /// Why, for machines.
    pub reason: Reason,
    /// Why, for people, and what to do.
    pub message: String,
    /// Since when the status has been so, RFC 3339.
    pub since: String,
}

/// When the sidecar's session ends, and when it will be renewed, RFC 3339.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionTimes {
    /// When it ends.
    pub expiry: String,
    /// When the next one is asked for.
    pub next_refresh: String,
}
