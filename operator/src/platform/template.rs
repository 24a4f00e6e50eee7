//! The platform's settings for sidecar pods: image, resources and their limits, environment, scheduling.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, Toleration, TopologySpreadConstraint};
use rustls::pki_types::pem::{PemObject, SectionKind};
use serde::Deserialize;
use tributary_crds::function::{Amounts, Resources};
use tributary_crds::values::{Quantity, Region};

/// The settings of the pods of all functions.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SidecarTemplate {
    /// The sidecar's image, with registry and tag or digest.
    pub image: String,
    /// When the kubelet pulls the image; by default Kubernetes decides by its tag.
    pub image_pull_policy: Option<String>,
    /// Names of Secrets of type kubernetes.io/dockerconfigjson, which every function's namespace must have.
    #[serde(default)]
    pub image_pull_secrets: Vec<String>,
    /// The region whose STS sidecars use, unless the function sets one.
    pub region: Option<Region>,
    /// Certificate authorities, as PEM, that sidecars trust for AWS and S3-compatible stores in addition to the public
    /// ones.
    pub ca_bundle: Option<String>,
    /// The platform's environment variables, which override the operator's except the configuration's digest.
    #[serde(default)]
    pub env: Vec<EnvVar>,
    /// The requests and limits of a function that sets none.
    #[serde(default)]
    pub resources: Resources,
    /// Upper bounds of a function's resources; the operator refuses functions that exceed them.
    #[serde(default)]
    pub max_resources: MaxResources,
    /// Additional labels of the pods; the operator's own take precedence.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Additional annotations of the pods.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// Labels that the pods' nodes must have.
    #[serde(default)]
    pub node_selector: BTreeMap<String, String>,
    /// Node taints that the pods tolerate.
    #[serde(default)]
    pub tolerations: Vec<Toleration>,
    /// Affinity of the pods to nodes and to other pods.
    pub affinity: Option<Affinity>,
    /// How a function's pods are spread. A constraint without a label selector applies to the function's own pods.
    #[serde(default)]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// The pods' PriorityClass.
    pub priority_class_name: Option<String>,
}

/// An environment variable of the sidecar, with a literal value.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvVar {
    /// The variable's name.
    pub name: String,
    /// The variable's value.
    pub value: String,
}

/// Upper bounds of a function's requests and limits; without a value there is no bound.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxResources {
    /// CPU, in cores.
    pub cpu: Option<Quantity>,
    /// Memory, in bytes.
    pub memory: Option<Quantity>,
}

impl SidecarTemplate {
    /// A sidecar's resources: for each amount the function's value, otherwise the platform's default.
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

/// Why a bundle of certificate authorities can't be used. It goes into every function's ConfigMap, so it must hold nothing
/// but certificates.
pub(super) fn ca_bundle_fault(pem: &str) -> Option<&'static str> {
    let sections: Result<Vec<(SectionKind, Vec<u8>)>, _> = PemObject::pem_slice_iter(pem.as_bytes()).collect();
    match sections {
        Err(_) => Some("is not PEM: a section of it is cut off, or is not base64"),
        Ok(sections) if sections.is_empty() => Some("has no certificate (-----BEGIN CERTIFICATE-----)"),
        Ok(sections) if sections.iter().any(|(kind, _)| *kind != SectionKind::Certificate) => Some(
            "has a key or something else beside certificates: remove it, because every function's ConfigMap shows it",
        ),
        Ok(_) => None,
    }
}

/// The function's value of one amount, and the platform's default.
#[derive(Clone, Copy)]
struct Pick<'a> {
    asked: Option<&'a Quantity>,
    default: Option<&'a Quantity>,
}

/// The request and the limit. If the request exceeds the limit, the one that is a default is set to the other.
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
    fn a_bundle_of_authorities_holds_only_certificates() {
        let section = |kind: &str| format!("-----BEGIN {kind}-----\nAAAA\n-----END {kind}-----\n");
        let certificate = section("CERTIFICATE");
        assert_eq!(ca_bundle_fault(&format!("# ours\n{certificate}{certificate}")), None);
        for (wrong, why) in [
            (String::new(), "no certificate"),
            ("certificate".to_owned(), "no certificate"),
            (certificate.clone() + &section("PRIVATE KEY"), "a key or something else"),
            (section("RSA PRIVATE KEY"), "a key or something else"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n".to_owned(), "not PEM"),
        ] {
            assert!(ca_bundle_fault(&wrong).is_some_and(|fault| fault.contains(why)), "{wrong}");
        }
    }

    #[test]
    fn requested_amounts_override_defaults_and_no_request_exceeds_its_limit() {
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
