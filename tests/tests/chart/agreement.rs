//! Tests that the chart's output is valid for its readers: the platform file for the operator, the CRD and the
//! admission policies for the API server.

use proptest::prelude::*;
use regex_lite::Regex;
use serde_json::{Value, json};
use tributary_crds::memory::CHART_MEMORY_LIMIT;
use tributary_operator::function::FunctionRef;
use tributary_operator::platform::{BaseIdentity, Platform};

use crate::chart::{NAMESPACE, data, object, objects, render, value_sets};

fn platform(set: &str) -> Platform {
    let rendered = objects(&render(set, &[]));
    let text = data(&rendered, "tributary-platform", "platform.yaml");
    serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{set}: {error} in\n{text}"))
}

#[test]
fn the_operator_parses_the_platform_file_of_every_set() {
    for set in value_sets() {
        platform(&set);
    }
}

fn function(namespace: &str) -> FunctionRef {
    FunctionRef::new(namespace, "orders")
}

#[test]
fn the_platform_file_has_the_settings_of_the_values() {
    let irsa = platform("irsa");
    assert!(irsa.sidecar.image.starts_with("registry.example.com/sidecar@sha256:"));
    assert!(matches!(irsa.base_identity.of(&function("any")), BaseIdentity::Irsa { mount_token: false, .. }));
    assert!(matches!(irsa.base_identity.of(&function("on-premises")), BaseIdentity::Irsa { mount_token: true, .. }));
    assert_eq!(*platform("pod-identity").base_identity.of(&function("any")), BaseIdentity::PodIdentity);
    assert!(matches!(platform("static-keys").base_identity.of(&function("team-a")), BaseIdentity::Secret { .. }));

    let policies = platform("policies").policy;
    let role = |name: &str| format!("arn:aws:iam::123456789012:role/{name}").parse().expect("a role");
    assert!(policies.allows_role("team-a", &role("team-a-orders")) && !policies.allows_role("team-a", &role("other")));
    assert!(policies.allows_role("team-b", &role("other")) && !policies.allows_role("team-c", &role("other")));
    assert_eq!(policies.external_id_prefix("team-a").map(ToString::to_string).as_deref(), Some("team-a/"));
    assert!(
        policies.allows_endpoint(&function("team-a"), &"https://minio.storage.svc:9000".parse().expect("an endpoint"))
    );

    assert!(!policies.audits_grants());
    let audited = objects(&render("policies", &["--set", "policy.grantsMode=Audit"]));
    let of_audit: Platform =
        serde_yaml::from_str(data(&audited, "tributary-platform", "platform.yaml")).expect("the platform file");
    assert!(of_audit.policy.audits_grants());
    let actions =
        |name| object(&audited, "ValidatingAdmissionPolicyBinding", name)["spec"]["validationActions"].clone();
    // Audit mode changes only the policies about grants.
    assert_eq!(actions("tributary-grants"), json!(["Warn", "Audit"]));
    assert_eq!(actions("tributary-external-ids"), json!(["Warn", "Audit"]));
    assert_eq!(actions("tributary-functions"), json!(["Deny"]));

    let network = platform("network-policies").network_policy;
    assert!(
        network.enabled
            && network.events_from.len() == 1
            && network.platform_from.len() == 2
            && network.egress.len() == 1
    );
}

/// `tributary check` assumes this limit, because it does not read the chart.
#[test]
fn the_tool_assumes_the_charts_default_memory_limit() {
    let limits = platform("default").sidecar.resources.limits.expect("limits");
    assert_eq!(limits.memory.expect("a memory limit").to_string(), CHART_MEMORY_LIMIT);
}

/// The grant and the identity of `helm test` apply only to its own function, and not to others in the release's
/// namespace.
#[test]
fn helm_test_changes_no_grant_or_identity_of_the_releases_namespace() {
    let (role, prefix) = ("arn:aws:iam::123456789012:role/any", "any/");
    let identity = format!("baseIdentity.namespaces.{NAMESPACE}.irsa.roleArn=arn:aws:iam::210987654321:role/base");
    let grant = [
        format!("policy.grants.default.roleArns[0]={role}"),
        format!("policy.grants.default.externalIdPrefix={prefix}"),
    ];
    let rendered = objects(&render("default", &["--set", &identity, "--set", &grant[0], "--set", &grant[1]]));
    let platform: Platform =
        serde_yaml::from_str(data(&rendered, "tributary-platform", "platform.yaml")).expect("YAML");
    assert!(matches!(platform.base_identity.of(&function(NAMESPACE)), BaseIdentity::Irsa { .. }));
    let test = FunctionRef::new(NAMESPACE, "tributary-test");
    assert!(matches!(platform.base_identity.of(&test), BaseIdentity::Secret { .. }));
    for namespace in [NAMESPACE, "another"] {
        assert!(platform.policy.allows_role(namespace, &role.parse().expect("a role")), "{namespace}");
        assert_eq!(platform.policy.external_id_prefix(namespace).map(ToString::to_string).as_deref(), Some(prefix));
    }
    let secret = object(&rendered, "Secret", "tributary-test");
    assert_eq!(secret["stringData"]["externalId"], format!("{prefix}helm-test"));
}

#[test]
fn the_charts_crd_is_the_generated_one() {
    let rendered = objects(&render("default", &[]));
    let mut in_chart = object(&rendered, "CustomResourceDefinition", "destinationfunctions.tributary.dev").clone();
    assert_eq!(in_chart["metadata"]["annotations"]["helm.sh/resource-policy"], "keep");
    let mut generated =
        serde_json::to_value(tributary_crds::custom_resource_definition()).expect("a definition that JSON can hold");
    // The chart's file may have integers where the generated CRD has floats.
    for definition in [&mut in_chart, &mut generated] {
        definition["metadata"] = Value::Null;
        integers_to_floats(definition);
    }
    assert!(in_chart == generated, "charts/tributary/files/destinationfunctions.yaml is not current: run `just crd`");
}

fn integers_to_floats(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(integers_to_floats),
        Value::Array(items) => items.iter_mut().for_each(integers_to_floats),
        Value::Number(number) => *value = number.as_f64().into(),
        _ => {}
    }
}

/// The prefixes to render expressions for; with all lengths modulo 3, on which their base64 depends.
const PREFIXES: [&str; 11] =
    ["a", "ab", "abc", "team-a/", "team-ab/", "team-abc/", "x+y=,.@:/-_", "Z", "9/", "/", "=="];

/// The regular expression that the chart renders for each prefix.
fn rendered_expressions() -> Vec<(&'static str, Regex)> {
    let prefixes: Vec<_> = PREFIXES.iter().enumerate().collect();
    let values: Vec<_> = prefixes
        .iter()
        .map(|(i, prefix)| format!("policy.grants.namespaces.n{i}.externalIdPrefix={}", prefix.replace(',', "\\,")))
        .collect();
    let more: Vec<_> = values.iter().flat_map(|value| ["--set-string", value.as_str()]).collect();
    let rendered = objects(&render("default", &more));
    let policy = object(&rendered, "ValidatingAdmissionPolicy", "tributary-external-ids");
    let map = policy["spec"]["variables"][1]["expression"].as_str().expect("a map");
    let expression = |i: usize| {
        let (_, behind) = map.split_once(&format!("'n{i}': r'")).expect("an expression");
        behind.split_once('\'').expect("its end").0.to_owned()
    };
    prefixes.iter().map(|(i, prefix)| (**prefix, Regex::new(&expression(*i)).expect("an expression"))).collect()
}

#[test]
fn an_external_id_prefix_is_recognized_in_base64() {
    let encode = |text: &str| base64_simd::STANDARD.encode_to_string(text);
    let all = rendered_expressions();
    let mut runner =
        proptest::test_runner::TestRunner::new(ProptestConfig { cases: 2000, ..ProptestConfig::default() });
    let texts = proptest::string::string_regex("[A-Za-z0-9_+=,.@:/-]{0,12}").expect("an expression");
    runner
        .run(&texts, |text| {
            for (prefix, expression) in &all {
                let with = format!("{prefix}{text}");
                prop_assert!(expression.is_match(&encode(&with)), "{with} begins with {prefix}");
                prop_assert_eq!(
                    expression.is_match(&encode(&text)),
                    text.starts_with(prefix),
                    "{} and {}",
                    text,
                    prefix
                );
            }
            Ok(())
        })
        .expect("every text");
    // External IDs that differ from the prefix only in its last character.
    for (prefix, expression) in &all {
        let last = prefix.chars().last().expect("a character");
        for other in ('!'..='~').filter(|other| *other != last) {
            let near = format!("{}{other}rest", &prefix[..prefix.len() - 1]);
            assert!(!expression.is_match(&encode(&near)), "{near} does not begin with {prefix}");
        }
    }
}
