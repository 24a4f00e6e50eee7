//! Builds the desired children of a function. Pure.
//!
//! One file per kind. Only a function's configuration, the names of its Secrets and its resources reach
//! its pods, and only through this module. Image, service account, environment and the rest are the
//! platform's.

mod child_meta;
mod config_map;
mod deployment;
mod disruption_budget;
mod network_policy;
mod pod;
pub mod replicas;
mod service;
mod service_account;
#[cfg(test)]
mod tests;
mod volumes;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;
use serde::Serialize;
use tributary_crds::DestinationFunction;

use crate::names::{annotation, hash};
use crate::platform::Platform;
use deployment::Origins;

pub use child_meta::ChildMeta;
pub use config_map::{holds, name as config_map_name, started_with};
pub use deployment::held;
pub use pod::{ADMIN_PORT, CONTAINER};

/// All children of a function, as they should be.
#[derive(Clone, Debug)]
pub struct Children {
    /// The metadata that they share.
    pub meta: ChildMeta,
    /// The hash of the sidecars' configuration, part of the ConfigMap's name.
    pub config_hash: String,
    /// The URL for events, within the cluster.
    pub url: String,
    /// The sidecars' configuration.
    pub config_map: ConfigMap,
    /// The account to which AWS assigns the base identity.
    pub service_account: ServiceAccount,
    /// The address of the sidecars.
    pub service: Service,
    /// The allowed traffic, if the platform enables policies.
    pub network_policy: Option<NetworkPolicy>,
    /// The limit on evictions, if there is more than one sidecar.
    pub disruption_budget: Option<PodDisruptionBudget>,
    /// The sidecars themselves.
    pub deployment: Deployment,
}

/// The function's children. `running` is the live Deployment's `spec.replicas`, which counts if
/// the function sets no number.
pub fn children(function: &DestinationFunction, platform: &Platform, running: Option<i32>) -> Children {
    let (meta, spec) = (ChildMeta::of(function), &function.spec);
    let identity = platform.base_identity.of(&meta.function());
    let config = config_map::config(function, &meta, platform);
    let template = pod::template(&meta, spec, &config, &platform.sidecar, identity);
    let owner_hash = hash(&(&config.spec, &spec.resources));
    let demands = config.demanded_external_id_prefix().map(hash);
    let resources =
        spec.resources.as_ref().map(|resources| serde_json::to_string(resources).expect("amounts are JSON"));
    let origins = Origins {
        function: &owner_hash,
        demands: demands.as_deref(),
        resources: resources.as_deref(),
        operator: platform.operator.as_deref(),
    };
    let owner_replicas = replicas::wanted_by_owner(function, running);
    let replicas = owner_replicas.or(running).unwrap_or(1);
    Children {
        config_map: ConfigMap {
            data: Some(config_map::data(&config)),
            ..with_applied_hash(config_map::config_map(&config, &meta))
        },
        service_account: with_applied_hash(service_account::service_account(&meta, identity)),
        service: with_applied_hash(service::service(&meta, spec)),
        network_policy: network_policy::network_policy(&meta, spec, identity, &platform.network_policy)
            .map(with_applied_hash),
        disruption_budget: disruption_budget::disruption_budget(&meta, replicas).map(with_applied_hash),
        deployment: with_applied_hash(deployment::deployment(&meta, template, &origins, owner_replicas)),
        url: service::url(&meta, spec),
        config_hash: config.config_hash,
        meta,
    }
}

/// The NetworkPolicy during a rollout: old sidecars must keep access to their current endpoints.
pub fn while_rolling(desired: &NetworkPolicy, live: &NetworkPolicy) -> NetworkPolicy {
    let mut widened = network_policy::widened(desired, live);
    // The hash is of an object without annotations.
    widened.metadata.annotations = None;
    with_applied_hash(widened)
}

/// The Deployment that ends old sidecars before new ones are ready.
pub fn without_overlap(desired: &Deployment) -> Deployment {
    let mut deployment = deployment::without_overlap(desired.clone());
    deployment.annotations_mut().remove(annotation::APPLIED_HASH);
    with_applied_hash(deployment)
}

/// The child, annotated with the hash of everything else in it ([`annotation::APPLIED_HASH`]).
fn with_applied_hash<K: ResourceExt + Serialize>(mut child: K) -> K {
    let applied = hash(&child);
    child.annotations_mut().insert(annotation::APPLIED_HASH.to_owned(), applied);
    child
}
