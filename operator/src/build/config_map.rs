//! Builds the ConfigMap with the sidecar's configuration. It holds no secret and is immutable: a
//! changed configuration gets a new ConfigMap, so a pod that starts late still gets its template's configuration.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use tributary_crds::DestinationFunction;
use tributary_crds::function::LogLevel;
use tributary_crds::sidecar_config::SidecarConfig;

use super::child_meta::ChildMeta;
use crate::names::label;
use crate::platform::Platform;

/// The only key of the data: the file that the sidecar reads.
pub const CONFIG_FILE: &str = "function.yaml";

/// The length of the configuration hash, in characters of the digest.
const HASH_LENGTH: usize = 10;

/// The configuration of the function's sidecars, with the hash that names its ConfigMap.
pub fn config(function: &DestinationFunction, meta: &ChildMeta, platform: &Platform) -> SidecarConfig {
    let mut config = SidecarConfig::of(&meta.namespace, &meta.name, &function.spec);
    // More detail is set at run time, with the request for its status (observe::poller). Less must be set
    // here: the sidecar's port is unauthenticated, and anyone could silence its log.
    config.spec.log_level = config.spec.log_level.min(LogLevel::Info);
    let prefix = platform.policy.external_id_prefix(&meta.namespace);
    config.external_id_prefix = prefix.cloned();
    config.external_id_prefix_is_audited = prefix.is_some() && platform.policy.audits_grants();
    config.ca_bundle.clone_from(&platform.sidecar.ca_bundle);
    config.config_hash = config.digest()[..HASH_LENGTH].to_owned();
    config.generation = function.metadata.generation.unwrap_or_default();
    config
}

/// The ConfigMap of a configuration, without its data: they contain the generation, which alone must
/// not change the hash of the ConfigMap.
pub fn config_map(config: &SidecarConfig, meta: &ChildMeta) -> ConfigMap {
    let mut metadata = meta.metadata(name(&meta.name, &config.config_hash));
    metadata.labels.get_or_insert_default().insert(label::CONFIG.to_owned(), config.config_hash.clone());
    ConfigMap { metadata, immutable: Some(true), ..ConfigMap::default() }
}

/// The data of the ConfigMap, fixed at its creation.
pub fn data(config: &SidecarConfig) -> BTreeMap<String, String> {
    let text = serde_yaml::to_string(config).expect("every configuration can be serialized as YAML");
    BTreeMap::from([(CONFIG_FILE.to_owned(), text)])
}

/// Whether a ConfigMap holds the desired configuration, for any generation. If not, the operator did not
/// create it: its own ConfigMaps are immutable and named after their hash.
pub fn holds(live: &ConfigMap, desired: &ConfigMap) -> bool {
    if live.data == desired.data {
        return true;
    }
    let digest = |map| Some(started_with(map)?.digest());
    let live = digest(live);
    live.is_some() && live == digest(desired)
}

/// The configuration in a ConfigMap; `None` if it has other keys, is not valid, or doesn't match its hash.
pub fn started_with(map: &ConfigMap) -> Option<SidecarConfig> {
    let data = map.data.as_ref().filter(|data| data.len() == 1)?;
    let config: SidecarConfig = serde_yaml::from_str(data.get(CONFIG_FILE)?).ok()?;
    let is_intact = config.digest().starts_with(&config.config_hash) && config.config_hash.len() == HASH_LENGTH;
    is_intact.then_some(config)
}

/// The name of the ConfigMap for a configuration hash: `FUNCTION-HASH`.
pub fn name(function: &str, config_hash: &str) -> String {
    format!("{function}-{config_hash}")
}
