//! Reconstructs a function as it was last accepted, from its live Deployment and ConfigMap. Used while its owner's
//! changes are not applied, because it is paused or asks for too many resources; the platform's changes still are, so
//! that a pause can't evade them. Pure.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use tributary_crds::DestinationFunction;
use tributary_crds::function::Resources;

use crate::build::started_with;
use crate::names::{annotation, label};

/// The function with the spec that the sidecars of `live` run. `None` if `configuration` is not the ConfigMap that they
/// were started with, is not intact, or the annotation with the resources can't be parsed.
pub fn last_accepted(
    function: &DestinationFunction,
    live: &Deployment,
    configuration: &ConfigMap,
) -> Option<DestinationFunction> {
    let config = started_with(configuration).filter(|config| Some(&config.config_hash) == config_hash(live))?;
    let resources: Option<Resources> = match live.annotations().get(annotation::RESOURCES) {
        Some(json) => Some(serde_json::from_str(json).ok()?),
        None => None,
    };
    let running = live.spec.as_ref().and_then(|spec| spec.replicas);
    let mut accepted = function.clone();
    accepted.spec = config.spec;
    accepted.spec.resources = resources;
    accepted.spec.replicas = function.spec.replicas.and(running);
    Some(accepted)
}

/// The hash of the configuration that a Deployment's pods are started with, from the template's label.
pub fn config_hash(deployment: &Deployment) -> Option<&String> {
    deployment.spec.as_ref()?.template.metadata.as_ref()?.labels.as_ref()?.get(label::CONFIG)
}

/// Whether the part that the function's owner decides differs between the Deployment of the current spec, `asked`, and
/// that of the last accepted one. Replicas that `asked` leaves unset don't count.
pub fn differs(asked: &Deployment, accepted: &Deployment) -> bool {
    let owners = |deployment: &Deployment| deployment.annotations().get(annotation::FUNCTION_HASH).cloned();
    let replicas = |deployment: &Deployment| deployment.spec.as_ref().and_then(|spec| spec.replicas);
    owners(asked) != owners(accepted) || replicas(asked).is_some_and(|asked| Some(asked) != replicas(accepted))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::build::{Children, children};
    use crate::platform::Platform;

    fn function(spec: &Value) -> DestinationFunction {
        let mut spec_json = json!({
            "roleArn": "arn:aws:iam::123456789012:role/shop-orders",
            "externalIdSecretRef": {"name": "orders-lake"},
            "s3": {"bucket": "orders-lake", "region": "us-west-2"},
        });
        spec_json.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let metadata = json!({"name": "orders", "namespace": "shop", "uid": "u", "generation": 3});
        let api = ("tributary.dev/v1alpha1", "DestinationFunction");
        serde_json::from_value(json!({"apiVersion": api.0, "kind": api.1, "metadata": metadata, "spec": spec_json}))
            .unwrap()
    }

    fn platform(image: &str, prefix: Option<&str>) -> Platform {
        let grant = json!({"roleArns": ["*"], "externalIdPrefix": prefix});
        let policy = json!({"grants": {"namespaces": {"shop": grant}}});
        serde_json::from_value(json!({"sidecar": {"image": image}, "policy": policy})).unwrap()
    }

    fn live(spec: &Value, platform: &Platform) -> Children {
        let mut made = children(&function(spec), platform, None);
        made.deployment.spec.as_mut().unwrap().replicas.get_or_insert(1);
        made
    }

    fn template(children: &Children) -> Value {
        serde_json::to_value(&children.deployment.spec.as_ref().unwrap().template).unwrap()
    }

    #[test]
    fn the_owners_part_stays_and_the_platforms_is_applied() {
        let before = json!({"logLevel": "warn", "replicas": 2, "resources": {"limits": {"memory": "300Mi"}}});
        let old = live(&before, &platform("i:1", None));
        let after = json!({"paused": true, "replicas": 5, "resources": {"limits": {"memory": "900Mi"}},
            "s3": {"bucket": "another", "region": "us-west-2"}});
        let asked = function(&after);
        let accepted = last_accepted(&asked, &old.deployment, &old.config_map).unwrap();

        let same = children(&accepted, &platform("i:1", None), Some(2));
        assert_eq!(template(&same), template(&old), "with the same platform nothing rolls");
        assert!(!differs(&same.deployment, &old.deployment));
        assert!(differs(&children(&asked, &platform("i:1", None), Some(2)).deployment, &same.deployment));

        let new = children(&accepted, &platform("i:2", Some("shop/")), Some(2));
        let container = &template(&new)["spec"]["containers"][0];
        assert_eq!(
            (&container["image"], &container["resources"]["limits"]["memory"]),
            (&json!("i:2"), &json!("300Mi"))
        );
        assert_eq!(new.deployment.spec.as_ref().unwrap().replicas, Some(2));
        let config = started_with(&new.config_map).unwrap();
        assert_eq!(config.external_id_prefix.unwrap().as_str(), "shop/");
        assert_eq!(config.spec.s3.bucket.as_str(), "orders-lake");
    }

    #[test]
    fn replicas_without_an_owner_stay_without_one() {
        let old = live(&json!({}), &platform("i:1", None));
        let accepted = last_accepted(&function(&json!({"paused": true})), &old.deployment, &old.config_map).unwrap();
        assert_eq!(accepted.spec.replicas, None);
        let scaled = function(&json!({"paused": true, "replicas": 4}));
        let accepted = last_accepted(&scaled, &old.deployment, &old.config_map).unwrap();
        assert_eq!(accepted.spec.replicas, Some(1));
        let asked = children(&scaled, &platform("i:1", None), Some(1)).deployment;
        assert!(differs(&asked, &children(&accepted, &platform("i:1", None), Some(1)).deployment));
    }

    #[test]
    fn another_or_a_forged_config_map_is_rejected() {
        let platform = platform("i:1", None);
        let (old, other) = (live(&json!({}), &platform), live(&json!({"logLevel": "warn"}), &platform));
        let paused = function(&json!({"paused": true}));
        assert!(last_accepted(&paused, &old.deployment, &other.config_map).is_none());
        let mut forged = old.config_map.clone();
        let text = forged.data.as_mut().unwrap().values_mut().next().unwrap();
        *text = text.replace("role/shop-orders", "role/other");
        assert!(last_accepted(&paused, &old.deployment, &forged).is_none());
    }
}
