//! How sidecars run: what all of them have in common.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, Toleration, TopologySpreadConstraint};
use serde::Deserialize;
use tributary_crds::function::{Amounts, Resources};
use tributary_crds::values::{Quantity, Region};

/// What every sidecar's pod has.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SidecarTemplate {
    /// The image, by its full name.
    pub image: String,
    /// When the kubelet pulls it; by default as Kubernetes does for its tag.
    pub image_pull_policy: Option<String>,
    /// Secrets of type kubernetes.io/dockerconfigjson, by name, in every function's namespace.
    #[serde(default)]
    pub image_pull_secrets: Vec<String>,
    /// The region whose STS is asked, unless the function names one.
    pub region: Option<Region>,
    /// The platform's own environment variables: they take the place of the operator's.
    #[serde(default)]
    pub env: Vec<EnvVar>,
    /// What a sidecar is given where its function says nothing.
    #[serde(default)]
    pub resources: Resources,
    /// The most that a function may ask for.
    #[serde(default)]
    pub max_resources: MostResources,
    /// More labels of the pods.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// More annotations of the pods.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// Labels that a node must have.
    #[serde(default)]
    pub node_selector: BTreeMap<String, String>,
    /// Taints of nodes that the pods bear.
    #[serde(default)]
    pub tolerations: Vec<Toleration>,
    /// Which nodes and neighbours the pods like.
    pub affinity: Option<Affinity>,
    /// How a function's pods are spread; a constraint without a selector is about the function's own.
    #[serde(default)]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// The pods' priority.
    pub priority_class_name: Option<String>,
}

/// An environment variable.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvVar {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// The most that a function may ask for, as request or limit; without a value, anything.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MostResources {
    /// Cores.
    pub cpu: Option<Quantity>,
    /// Bytes.
    pub memory: Option<Quantity>,
}

impl SidecarTemplate {
    /// What a sidecar gets: what its function asks for, else the platform's default.
    pub fn resources(&self, asked: Option<&Resources>) -> Resources {
        let amounts = |of: fn(&Resources) -> Option<&Amounts>| {
            let (asked, default) = (asked.and_then(of), of(&self.resources));
            let pick = |of: fn(&Amounts) -> Option<&Quantity>| Pick {
                asked: asked.and_then(of),
                default: default.and_then(of),
            };
            (pick(|amounts| amounts.cpu.as_ref()), pick(|amounts| amounts.memory.as_ref()))
        };
        let (cpu_request, memory_request) = amounts(|resources| resources.requests.as_ref());
        let (cpu_limit, memory_limit) = amounts(|resources| resources.limits.as_ref());
        let (cpu_request, cpu_limit) = settle(cpu_request, cpu_limit);
        let (memory_request, memory_limit) = settle(memory_request, memory_limit);
        Resources {
            requests: Some(Amounts { cpu: cpu_request, memory: memory_request }),
            limits: Some(Amounts { cpu: cpu_limit, memory: memory_limit }),
        }
    }
}

/// What is asked for of an amount, and what there is without.
#[derive(Clone, Copy)]
struct Pick<'a> {
    asked: Option<&'a Quantity>,
    default: Option<&'a Quantity>,
}

/// The request and the limit: of two that don't go together, the one that nobody asked for gives way.
fn settle(request: Pick<'_>, limit: Pick<'_>) -> (Option<Quantity>, Option<Quantity>) {
    let (mut least, mut most) = (request.asked.or(request.default), limit.asked.or(limit.default));
    if least.zip(most).is_some_and(|(least, most)| least.thousandths() > most.thousandths()) {
        if request.asked.is_none() {
            least = most;
        } else if limit.asked.is_none() {
            most = least;
        }
    }
    (least.cloned(), most.cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template() -> SidecarTemplate {
        serde_yaml::from_str("{image: i, resources: {requests: {cpu: 50m, memory: 64Mi}, limits: {memory: 256Mi}}}")
            .unwrap()
    }

    #[test]
    fn what_is_asked_for_goes_before_the_default_and_no_request_is_over_its_limit() {
        for (asked, expected) in [
            ("{}", "{requests: {cpu: 50m, memory: 64Mi}, limits: {memory: 256Mi}}"),
            ("{limits: {memory: 32Mi}}", "{requests: {cpu: 50m, memory: 32Mi}, limits: {memory: 32Mi}}"),
            ("{requests: {memory: 1Gi}}", "{requests: {cpu: 50m, memory: 1Gi}, limits: {memory: 1Gi}}"),
            (
                "{requests: {cpu: 1}, limits: {cpu: 2}}",
                "{requests: {cpu: 1, memory: 64Mi}, limits: {cpu: 2, memory: 256Mi}}",
            ),
        ] {
            let asked: Resources = serde_yaml::from_str(asked).unwrap();
            let expected: Resources = serde_yaml::from_str(expected).unwrap();
            assert_eq!(template().resources(Some(&asked)), expected);
        }
    }
}
