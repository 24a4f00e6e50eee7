//! Builds the pod template: one sidecar, hardened to the Pod Security Standard "restricted", without a
//! Kubernetes credential.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EnvVar, HTTPGetAction, LocalObjectReference, PodSecurityContext, PodSpec,
    PodTemplateSpec, Probe, ResourceRequirements, SeccompProfile, SecurityContext, TopologySpreadConstraint,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tributary_crds::function::{Amounts, DestinationFunctionSpec, Resources};
use tributary_crds::sidecar_config::SidecarConfig;

use super::child_meta::ChildMeta;
use super::volumes::{self, Mounts};
use crate::names::{annotation, label};
use crate::platform::{BaseIdentity, SidecarTemplate};

/// The name of the pod's only container.
pub const CONTAINER: &str = "sidecar";
/// The name of the port for events.
pub const EVENTS_PORT_NAME: &str = "events";
const EVENTS_PORT: i32 = 8080;
/// The name of the platform's port: health, metrics, status.
const ADMIN_PORT_NAME: &str = "platform";
/// The number of the platform's port, which the operator polls.
pub const ADMIN_PORT: i32 = 8081;

/// The variable with the digest of the configuration that the sidecar must find (its flag `--config-sha256`).
const CONFIG_DIGEST_VARIABLE: &str = "TRIBUTARY_CONFIG_SHA256";

/// The ID of the image's user, which owns no files, and of the group that can read the Secrets.
const SIDECAR_USER_ID: i64 = 65_532;

/// The pod's grace period in seconds: the sidecar accepts requests for 5 more seconds, then answers those in progress
/// within at most 20.
const GRACE_PERIOD_SECONDS: i64 = 30;

/// The pod template of a function's sidecars. Any change to it rolls them.
pub fn template(
    meta: &ChildMeta,
    spec: &DestinationFunctionSpec,
    config: &SidecarConfig,
    sidecar: &SidecarTemplate,
    identity: &BaseIdentity,
) -> PodTemplateSpec {
    let mounts = volumes::mounts(meta, spec, &config.config_hash, identity);
    PodTemplateSpec {
        metadata: Some(metadata(meta, &config.config_hash, sidecar, identity)),
        spec: Some(PodSpec {
            service_account_name: Some(meta.name.clone()),
            automount_service_account_token: Some(false),
            // A sidecar doesn't use variables about other Services.
            enable_service_links: Some(false),
            termination_grace_period_seconds: Some(GRACE_PERIOD_SECONDS),
            security_context: Some(PodSecurityContext {
                run_as_non_root: Some(true),
                run_as_user: Some(SIDECAR_USER_ID),
                run_as_group: Some(SIDECAR_USER_ID),
                fs_group: Some(SIDECAR_USER_ID),
                seccomp_profile: Some(SeccompProfile {
                    type_: "RuntimeDefault".to_owned(),
                    ..SeccompProfile::default()
                }),
                ..PodSecurityContext::default()
            }),
            image_pull_secrets: non_empty(sidecar.image_pull_secrets.iter().map(|name| pull_secret(name)).collect()),
            containers: vec![container(&mounts, spec, sidecar, environment(config, sidecar, identity))],
            volumes: Some(mounts.volumes),
            node_selector: (!sidecar.node_selector.is_empty()).then(|| sidecar.node_selector.clone()),
            tolerations: non_empty(sidecar.tolerations.clone()),
            affinity: sidecar.affinity.clone(),
            topology_spread_constraints: non_empty(spread(meta, sidecar)),
            priority_class_name: sidecar.priority_class_name.clone(),
            ..PodSpec::default()
        }),
    }
}

fn metadata(meta: &ChildMeta, config_hash: &str, sidecar: &SidecarTemplate, identity: &BaseIdentity) -> ObjectMeta {
    let mut labels = sidecar.labels.clone();
    // The operator's labels override: watches and the Service select by them.
    labels.extend(meta.labels());
    labels.insert(label::CONFIG.to_owned(), config_hash.to_owned());
    let mut annotations = sidecar.annotations.clone();
    annotations.extend(injected(identity).map(|identity| (annotation::BASE_IDENTITY.to_owned(), identity)));
    let annotations = (!annotations.is_empty()).then_some(annotations);
    ObjectMeta { labels: Some(labels), annotations, ..ObjectMeta::default() }
}

/// The base identity that EKS's webhooks inject when the pod is created: another identity needs a new pod.
fn injected(identity: &BaseIdentity) -> Option<String> {
    match identity {
        BaseIdentity::Irsa { role_arn, mount_token: false } => Some(role_arn.to_string()),
        BaseIdentity::PodIdentity => Some("pod-identity".to_owned()),
        BaseIdentity::None | BaseIdentity::Irsa { mount_token: true, .. } | BaseIdentity::Secret { .. } => None,
    }
}

fn container(
    mounts: &Mounts,
    spec: &DestinationFunctionSpec,
    sidecar: &SidecarTemplate,
    environment: Vec<EnvVar>,
) -> Container {
    let port = |name: &str, number| ContainerPort {
        name: Some(name.to_owned()),
        container_port: number,
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    };
    Container {
        name: CONTAINER.to_owned(),
        image: Some(sidecar.image.clone()),
        image_pull_policy: sidecar.image_pull_policy.clone(),
        env: Some(environment),
        ports: Some(vec![port(EVENTS_PORT_NAME, EVENTS_PORT), port(ADMIN_PORT_NAME, ADMIN_PORT)]),
        resources: Some(resources(&sidecar.resources(spec.resources.as_ref()))),
        // A short period: a rollout waits for readiness, and the probe costs the sidecar almost nothing.
        readiness_probe: Some(probe("/readyz", 2, 2)),
        liveness_probe: Some(probe("/healthz", 10, 6)),
        volume_mounts: Some(mounts.mounts.clone()),
        // The last log lines of a failed sidecar are then in the pod's status, and so in the function's.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            run_as_non_root: Some(true),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Capabilities::default() }),
            ..SecurityContext::default()
        }),
        ..Container::default()
    }
}

fn environment(config: &SidecarConfig, sidecar: &SidecarTemplate, identity: &BaseIdentity) -> Vec<EnvVar> {
    let variable =
        |name: &str, value: &str| EnvVar { name: name.to_owned(), value: Some(value.to_owned()), ..EnvVar::default() };
    // A sidecar must not fall back to the node's role.
    let mut all = vec![variable("AWS_EC2_METADATA_DISABLED", "true")];
    if let Some(region) = &sidecar.region {
        all.push(variable("AWS_REGION", region.as_str()));
    }
    all.extend(volumes::identity_files(identity).into_iter().map(|(name, value)| variable(name, &value)));
    // The platform's variables override these, except the digest, which is set last.
    for own in &sidecar.env {
        all.retain(|var| var.name != own.name);
        all.push(variable(&own.name, &own.value));
    }
    all.retain(|var| var.name != CONFIG_DIGEST_VARIABLE);
    // Anyone who can write ConfigMaps can replace the function's: the sidecar refuses another digest.
    all.push(variable(CONFIG_DIGEST_VARIABLE, &config.digest()));
    all
}

fn probe(path: &str, period: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(ADMIN_PORT_NAME.to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(2),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}

fn resources(given: &Resources) -> ResourceRequirements {
    let amounts = |amounts: Option<&Amounts>| {
        let amounts = amounts?;
        let pairs = [("cpu", &amounts.cpu), ("memory", &amounts.memory)];
        let pairs = pairs.into_iter().filter_map(|(name, amount)| Some((name, amount.as_ref()?)));
        let map: BTreeMap<_, _> = pairs.map(|(name, amount)| (name.to_owned(), Quantity(amount.to_string()))).collect();
        (!map.is_empty()).then_some(map)
    };
    ResourceRequirements {
        requests: amounts(given.requests.as_ref()),
        limits: amounts(given.limits.as_ref()),
        ..ResourceRequirements::default()
    }
}

fn pull_secret(name: &str) -> LocalObjectReference {
    LocalObjectReference { name: name.to_owned() }
}

/// The platform's constraints; those without a selector apply to the function's own pods.
fn spread(meta: &ChildMeta, sidecar: &SidecarTemplate) -> Vec<TopologySpreadConstraint> {
    let own = || LabelSelector { match_labels: Some(meta.selector()), ..LabelSelector::default() };
    let mut constraints = sidecar.topology_spread_constraints.clone();
    for constraint in &mut constraints {
        constraint.label_selector.get_or_insert_with(own);
    }
    constraints
}

fn non_empty<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}
