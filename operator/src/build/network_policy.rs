//! Builds the NetworkPolicy, if the platform enables it: which peers may connect to the function's sidecars, and to
//! which peers they may connect. The cluster's network plugin must enforce it.

use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
    NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tributary_crds::function::DestinationFunctionSpec;

use super::child_meta::ChildMeta;
use super::pod::{ADMIN_PORT, EVENTS_PORT_NAME};
use crate::platform::{BaseIdentity, NetworkPolicies};

/// All addresses, except those local to a node: among them the instance metadata service, which
/// serves the credentials of the node's role.
const NON_LOCAL_BLOCKS: [(&str, &str); 2] = [("0.0.0.0/0", "169.254.0.0/16"), ("::/0", "fd00:ec2::/32")];

/// The addresses of the EKS Pod Identity agent.
/// <https://docs.aws.amazon.com/eks/latest/userguide/pod-id-agent-setup.html>
const POD_IDENTITY_AGENT: [&str; 2] = ["169.254.170.23/32", "fd00:ec2::23/128"];

/// The function's NetworkPolicy, if the platform enables them.
pub fn network_policy(
    meta: &ChildMeta,
    spec: &DestinationFunctionSpec,
    identity: &BaseIdentity,
    platform: &NetworkPolicies,
) -> Option<NetworkPolicy> {
    platform.enabled.then(|| NetworkPolicy {
        metadata: meta.metadata(meta.name.clone()),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector { match_labels: Some(meta.selector()), ..LabelSelector::default() }),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(ingress(platform)),
            egress: Some(egress(spec, identity, platform)),
        }),
    })
}

/// The desired policy, plus the rules that old sidecars need: those for the ports of the function's endpoints and for
/// the agent of its base identity, as in `live`. The platform's own rules in `live` are not kept.
pub fn widened(desired: &NetworkPolicy, live: &NetworkPolicy) -> NetworkPolicy {
    let mut widened = desired.clone();
    let Some(rules) = widened.spec.as_mut().and_then(|spec| spec.egress.as_mut()) else { return widened };
    let before = live.spec.iter().flat_map(|spec| spec.egress.iter().flatten());
    let needed: Vec<_> = before.filter(|rule| is_for_function(rule) && !rules.contains(rule)).cloned().collect();
    rules.extend(needed);
    widened
}

/// Whether a rule is for the function's endpoints or its base identity, by its peers.
fn is_for_function(rule: &NetworkPolicyEgressRule) -> bool {
    rule.to.as_ref().is_some_and(|to| *to == non_local_peers() || *to == pod_identity_agent())
}

fn non_local_peers() -> Vec<NetworkPolicyPeer> {
    NON_LOCAL_BLOCKS.map(|(everywhere, except)| block(everywhere, Some(except))).to_vec()
}

fn pod_identity_agent() -> Vec<NetworkPolicyPeer> {
    POD_IDENTITY_AGENT.map(|address| block(address, None)).to_vec()
}

fn ingress(platform: &NetworkPolicies) -> Vec<NetworkPolicyIngressRule> {
    let events = NetworkPolicyIngressRule {
        from: (!platform.events_from.is_empty()).then(|| platform.events_from.clone()),
        ports: Some(vec![tcp(IntOrString::String(EVENTS_PORT_NAME.to_owned()))]),
    };
    let status_and_metrics = NetworkPolicyIngressRule {
        from: Some(platform.platform_from.clone()),
        ports: Some(vec![tcp(IntOrString::Int(ADMIN_PORT))]),
    };
    // An empty `from` would allow everyone.
    if platform.platform_from.is_empty() { vec![events] } else { vec![events, status_and_metrics] }
}

fn egress(
    spec: &DestinationFunctionSpec,
    identity: &BaseIdentity,
    platform: &NetworkPolicies,
) -> Vec<NetworkPolicyEgressRule> {
    let dns = NetworkPolicyEgressRule {
        to: None,
        ports: Some(["UDP", "TCP"].map(|protocol| port(IntOrString::Int(53), protocol)).to_vec()),
    };
    let aws = NetworkPolicyEgressRule {
        to: Some(non_local_peers()),
        ports: Some(ports(spec).into_iter().map(|number| tcp(IntOrString::Int(number))).collect()),
    };
    let mut rules = vec![dns, aws];
    if *identity == BaseIdentity::PodIdentity {
        rules.push(NetworkPolicyEgressRule {
            to: Some(pod_identity_agent()),
            ports: Some(vec![tcp(IntOrString::Int(80))]),
        });
    }
    rules.extend(platform.egress.iter().cloned());
    rules
}

/// 443, for AWS, and the ports of the function's own endpoints.
fn ports(spec: &DestinationFunctionSpec) -> Vec<i32> {
    let endpoints = [spec.s3.endpoint.as_ref(), spec.sts.as_ref().and_then(|sts| sts.endpoint.as_ref())];
    let mut ports: Vec<_> = endpoints.into_iter().flatten().map(|endpoint| i32::from(endpoint.port())).collect();
    ports.push(443);
    ports.sort_unstable();
    ports.dedup();
    ports
}

fn tcp(number: IntOrString) -> NetworkPolicyPort {
    port(number, "TCP")
}

fn port(number: IntOrString, protocol: &str) -> NetworkPolicyPort {
    NetworkPolicyPort { port: Some(number), protocol: Some(protocol.to_owned()), end_port: None }
}

fn block(cidr: &str, except: Option<&str>) -> NetworkPolicyPeer {
    let except = except.map(|except| vec![except.to_owned()]);
    NetworkPolicyPeer { ip_block: Some(IPBlock { cidr: cidr.to_owned(), except }), ..NetworkPolicyPeer::default() }
}
