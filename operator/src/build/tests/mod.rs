//! Compares the children of a minimal and a full function with the files in `tests/`, and tests single rules.

use std::fmt::Write;
use std::path::Path;

use tributary_crds::DestinationFunction;
use tributary_crds::function::LogLevel;
use tributary_crds::sidecar_config::SidecarConfig;

use super::*;

const SMALL: &str = include_str!("small.yaml");
const LARGE: &str = include_str!("large.yaml");

/// The function and the platform, from a file's two documents.
fn read(text: &str) -> (DestinationFunction, Platform) {
    let (function, platform) = text.split_once("\n---\n").unwrap();
    (serde_yaml::from_str(function).unwrap(), serde_yaml::from_str(platform).unwrap())
}

fn small() -> (DestinationFunction, Platform) {
    read(SMALL)
}

fn print(children: &Children) -> String {
    let mut text = "# Generated: UPDATE=1 cargo test --workspace --lib build writes it again.\n".to_owned();
    let mut add = |document: Result<String, serde_yaml::Error>| {
        write!(text, "---\n{}", document.unwrap()).unwrap();
    };
    add(serde_yaml::to_string(&children.config_map));
    add(serde_yaml::to_string(&children.service_account));
    add(serde_yaml::to_string(&children.service));
    children.network_policy.iter().for_each(|policy| add(serde_yaml::to_string(policy)));
    children.disruption_budget.iter().for_each(|budget| add(serde_yaml::to_string(budget)));
    add(serde_yaml::to_string(&children.deployment));
    text
}

#[test]
fn children_equal_the_generated_files() {
    for (name, text) in [("small", SMALL), ("large", LARGE)] {
        let (function, platform) = read(text);
        let printed = print(&children(&function, &platform, None));
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/build/tests/{name}.children.yaml"));
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &printed).unwrap();
        }
        let file = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            printed == file,
            "{} is not current; to update it, run: UPDATE=1 cargo test --workspace --lib build",
            path.display()
        );
    }
}

#[test]
fn the_config_map_holds_a_valid_configuration() {
    let (function, platform) = read(LARGE);
    let children = children(&function, &platform, None);
    let text = &children.config_map.data.unwrap()[config_map::CONFIG_FILE];
    let config: SidecarConfig = serde_yaml::from_str(text).unwrap();
    assert_eq!(config.spec.role_arn, function.spec.role_arn);
    assert_eq!(config.config_hash, children.config_hash);
}

#[test]
fn configurations_of_different_generations_are_equal() {
    for text in [SMALL, LARGE] {
        let (mut function, platform) = read(text);
        let map = |function: &DestinationFunction| children(function, &platform, None).config_map;
        let before = map(&function);
        function.metadata.generation = Some(99);
        assert_ne!(before.data, map(&function).data);
        assert!(holds(&before, &map(&function)));
        let file = before.data.clone().unwrap().remove(config_map::CONFIG_FILE).unwrap();
        let with = |data: &[(&str, &str)]| {
            let data = data.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
            ConfigMap { data: Some(data), ..before.clone() }
        };
        let forged = file.replace("externalIdEnforcement: Require", "externalIdEnforcement: Warn");
        assert_ne!(forged, file);
        for other in [
            ConfigMap { data: None, ..before.clone() },
            with(&[(config_map::CONFIG_FILE, &forged)]),
            with(&[(config_map::CONFIG_FILE, "nonsense")]),
            with(&[(config_map::CONFIG_FILE, &file), ("more", "")]),
        ] {
            assert!(!holds(&other, &before), "{:?}", other.data);
        }
    }
}

#[test]
fn another_base_identity_changes_the_pod_template() {
    let (function, mut platform) = small();
    let template = |platform: &Platform| children(&function, platform, None).deployment.spec.unwrap().template;
    let mut before = template(&platform);
    for identity in [
        "{default: {irsa: {roleArn: 'arn:aws:iam::210987654321:role/one'}}}",
        "{default: {irsa: {roleArn: 'arn:aws:iam::210987654321:role/two'}}}",
        "{default: {podIdentity: {}}}",
        "{default: {secret: {name: base}}}",
        "{default: {irsa: {roleArn: 'arn:aws:iam::210987654321:role/two', mountToken: true}}}",
        "{}",
    ] {
        platform.base_identity = serde_yaml::from_str(identity).unwrap();
        let after = template(&platform);
        assert_ne!(before, after, "{identity}");
        before = after;
    }
}

#[test]
fn platform_variables_override_others_without_duplicates() {
    let (function, mut platform) = small();
    platform.sidecar.env = serde_yaml::from_str(
        "[{name: AWS_EC2_METADATA_DISABLED, value: 'false'}, {name: A, value: '1'}, {name: A, value: '2'},
          {name: TRIBUTARY_CONFIG_SHA256, value: none}]",
    )
    .unwrap();
    let pod = children(&function, &platform, None).deployment.spec.unwrap().template.spec.unwrap();
    let env = pod.containers[0].env.clone().unwrap();
    let value = |name: &str| {
        let mut all = env.iter().filter(|var| var.name == name).map(|var| var.value.clone().unwrap());
        (all.next().unwrap(), all.next())
    };
    assert_eq!(value("AWS_EC2_METADATA_DISABLED"), ("false".to_owned(), None));
    assert_eq!(value("A"), ("2".to_owned(), None));
    assert_eq!(value("TRIBUTARY_CONFIG_SHA256").0.len(), 64);
}

#[test]
fn only_fields_that_a_sidecar_reads_change_its_configuration() {
    let (function, platform) = small();
    let before = children(&function, &platform, None);
    let with = |change: fn(&mut DestinationFunction)| {
        let mut changed = function.clone();
        change(&mut changed);
        children(&changed, &platform, None)
    };
    let scaled = with(|function| {
        function.spec.replicas = Some(3);
        function.metadata.generation = Some(9);
    });
    assert_eq!(scaled.config_hash, before.config_hash);
    assert_eq!(scaled.deployment.spec.unwrap().template, before.deployment.spec.clone().unwrap().template);
    assert!(scaled.disruption_budget.is_some() && before.disruption_budget.is_none());
    for level in [LogLevel::Debug, LogLevel::Trace] {
        let mut louder = function.clone();
        louder.spec.log_level = level;
        let louder = children(&louder, &platform, None);
        assert_eq!(louder.config_map, before.config_map, "{level:?}");
        assert_eq!(louder.deployment, before.deployment, "{level:?}");
    }
    let quieter = with(|function| function.spec.log_level = LogLevel::Warn);
    assert_ne!(quieter.config_map.metadata.name, before.config_map.metadata.name);
    let moved = with(|function| function.spec.s3.bucket = "other-lake".parse().unwrap());
    assert_ne!(moved.config_hash, before.config_hash);
    assert_ne!(moved.config_map.metadata.name, before.config_map.metadata.name);
}

#[test]
fn changes_by_platform_and_owner_change_different_hashes() {
    let (function, platform) = small();
    let hashes = |function: &DestinationFunction, platform: &Platform| {
        let mut annotations = children(function, platform, None).deployment.metadata.annotations.unwrap();
        [annotation::FUNCTION_HASH, annotation::TEMPLATE_HASH].map(|name| annotations.remove(name).unwrap())
    };
    let [owner, template] = hashes(&function, &platform);

    let mut upgraded = platform.clone();
    upgraded.sidecar.image = "registry.example.com/tributary-sidecar:2".to_owned();
    let [owner_then, template_then] = hashes(&function, &upgraded);
    assert!(owner_then == owner && template_then != template);

    let mut larger = function.clone();
    larger.spec.resources = serde_yaml::from_str("{limits: {memory: 1Gi}}").unwrap();
    let [owner_then, template_then] = hashes(&larger, &platform);
    assert!(owner_then != owner && template_then != template);

    let mut renamed = platform.clone();
    renamed.max_concurrent_rollouts = 9;
    assert_eq!(hashes(&function, &renamed), [owner, template]);
}

#[test]
fn a_single_sidecar_has_no_disruption_budget_and_running_ones_count() {
    let (function, platform) = small();
    assert!(children(&function, &platform, None).disruption_budget.is_none());
    assert!(children(&function, &platform, Some(1)).disruption_budget.is_none());
    assert!(children(&function, &platform, Some(4)).disruption_budget.is_some());
    // The replicas of a new Deployment are left unset, and Kubernetes defaults them to 1.
    assert_eq!(children(&function, &platform, Some(4)).deployment.spec.unwrap().replicas, None);
}

#[test]
fn a_network_policy_is_widened_for_old_sidecars_but_not_by_old_platform_rules() {
    let (mut function, mut platform) = small();
    platform.network_policy.enabled = true;
    platform.network_policy.egress = serde_yaml::from_str("[{ports: [{port: 8125, protocol: UDP}]}]").unwrap();
    platform.base_identity = serde_yaml::from_str("{default: {podIdentity: {}}}").unwrap();
    function.spec.s3.endpoint = Some("https://minio.storage.svc:9000".parse().unwrap());
    let policy = |function: &DestinationFunction, platform: &Platform| {
        children(function, platform, None).network_policy.unwrap()
    };
    let rules = |policy: &NetworkPolicy| policy.spec.clone().unwrap().egress.unwrap();
    let before = policy(&function, &platform);
    assert_eq!(while_rolling(&before, &before), before, "nothing has changed");

    function.spec.s3.endpoint = None;
    platform.base_identity = serde_yaml::from_str("{}").unwrap();
    platform.network_policy.egress.clear();
    let after = policy(&function, &platform);
    let rolling = while_rolling(&after, &before);
    assert_ne!(rolling.annotations()[annotation::APPLIED_HASH], after.annotations()[annotation::APPLIED_HASH]);
    let text = serde_yaml::to_string(&rules(&rolling)).unwrap();
    assert!(text.contains("9000") && text.contains("169.254.170.23"), "{text}");
    assert!(!text.contains("8125"), "the platform's own change applies immediately: {text}");
    assert!(rules(&after).iter().all(|rule| rules(&rolling).contains(rule)));
    // Another reconcile doesn't change it; the complete rollout narrows it.
    assert_eq!(while_rolling(&after, &rolling), rolling);
    assert!(!serde_yaml::to_string(&rules(&after)).unwrap().contains("9000"));
}
