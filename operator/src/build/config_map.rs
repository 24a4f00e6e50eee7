//! The ConfigMap: what the sidecar is started with. It holds no secret, and never changes: another
//! configuration is another ConfigMap, so that a pod that starts late starts as its template says.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use tributary_crds::DestinationFunction;
use tributary_crds::function::LogLevel;
use tributary_crds::sidecar_config::SidecarConfig;

use super::child_meta::ChildMeta;
use crate::names::label;
use crate::platform::Platform;

/// The file in it, which the sidecar reads.
pub const FILE: &str = "function.yaml";

/// Characters of a digest that are enough of a name.
const SHORT: usize = 10;

/// What the function's sidecars are started with.
pub fn config(function: &DestinationFunction, meta: &ChildMeta, platform: &Platform) -> SidecarConfig {
    let mut spec = function.spec.clone();
    // These are no business of a sidecar, and no reason for a new one.
    spec.replicas = None;
    spec.resources = None;
    spec.paused = false;
    // More than this is asked for while the sidecar runs, with its status (observe::asking). Less is
    // not, and stays here: the sidecar's port has no credentials, and a stranger could silence it.
    spec.log_level = spec.log_level.min(LogLevel::Info);
    let prefix = platform.policy.external_id_prefix(&meta.namespace);
    let mut config = SidecarConfig {
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
        generation: 0,
        config_hash: String::new(),
        external_id_prefix: prefix.cloned(),
        external_id_prefix_is_audited: prefix.is_some() && platform.policy.audits_grants(),
        spec,
    };
    config.config_hash = config.digest()[..SHORT].to_owned();
    config.generation = function.metadata.generation.unwrap_or_default();
    config
}

/// The ConfigMap of a configuration, less its data: of functions that differ in nothing that sidecars
/// are told, the generations differ, and the ConfigMap stays the one that it was.
pub fn config_map(config: &SidecarConfig, meta: &ChildMeta) -> ConfigMap {
    let mut metadata = meta.metadata(name(&meta.name, &config.config_hash));
    metadata.labels.get_or_insert_default().insert(label::CONFIG.to_owned(), config.config_hash.clone());
    ConfigMap { metadata, immutable: Some(true), ..ConfigMap::default() }
}

/// What it holds from its creation on.
pub fn data(config: &SidecarConfig) -> BTreeMap<String, String> {
    let text = serde_yaml::to_string(config).expect("a configuration is made of what YAML can hold");
    BTreeMap::from([(FILE.to_owned(), text)])
}

/// Whether a ConfigMap holds the configuration that is desired, whichever generation it was made for. One
/// that does not was put there by somebody else: what it holds can't be changed any more.
pub fn holds(live: &ConfigMap, desired: &ConfigMap) -> bool {
    if live.data == desired.data {
        return true;
    }
    let digest = |map| Some(started_with(map)?.digest());
    let live = digest(live);
    live.is_some() && live == digest(desired)
}

/// What sidecars are started with that mount this ConfigMap; nothing, if it is none of the operator's.
pub fn started_with(map: &ConfigMap) -> Option<SidecarConfig> {
    let data = map.data.as_ref().filter(|data| data.len() == 1)?;
    let config: SidecarConfig = serde_yaml::from_str(data.get(FILE)?).ok()?;
    let is_whole = config.digest().starts_with(&config.config_hash) && config.config_hash.len() == SHORT;
    is_whole.then_some(config)
}

/// How the ConfigMap of a configuration is called.
pub fn name(function: &str, config_hash: &str) -> String {
    format!("{function}-{config_hash}")
}
