//! The platform's policy: which endpoints, roles and external IDs functions may use. The chart's admission policies
//! enforce the same at `kubectl apply`; the operator also enforces it for functions older than the policy.

use std::collections::BTreeMap;

use serde::Deserialize;
use tributary_crds::values::{Endpoint, ExternalIdPrefix, RoleArn, RoleArnPattern};

use crate::function::FunctionRef;

/// The platform's policy, from the platform's file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policy {
    /// The endpoints that functions may use instead of AWS's; by default none.
    #[serde(default)]
    allowed_endpoints: Vec<Endpoint>,
    /// Endpoints for single functions, as `namespace/name`: the chart uses it for the function of `helm test`.
    #[serde(default)]
    function_endpoints: BTreeMap<String, Vec<Endpoint>>,
    /// The roles and external IDs of each namespace. Without it, namespaces may use every role that trusts the base identity.
    grants: Option<Grants>,
    /// Whether functions that violate the grants are refused or only reported.
    #[serde(default)]
    grants_mode: GrantsMode,
}

/// Whether functions that violate the grants are refused or only reported.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
enum GrantsMode {
    /// They are refused, and their sidecars stopped.
    #[default]
    Enforce,
    /// They are only reported.
    Audit,
}

/// The grants of all namespaces.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Grants {
    /// For namespaces that are not listed. Without it, they may use no role.
    default: Option<Grant>,
    /// For namespaces, by name.
    #[serde(default)]
    namespaces: BTreeMap<String, Grant>,
}

/// The roles and external IDs that the functions of a namespace may use.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Grant {
    /// The roles they may assume; `*` matches any text.
    #[serde(default)]
    pub role_arns: Vec<RoleArnPattern>,
    /// The prefix that their external IDs must have.
    pub external_id_prefix: Option<ExternalIdPrefix>,
}

impl Policy {
    /// Whether the function may use this endpoint: it must equal an allowed one.
    pub fn allows_endpoint(&self, function: &FunctionRef, endpoint: &Endpoint) -> bool {
        let own = self.function_endpoints.get(&function.to_string());
        self.allowed_endpoints.iter().chain(own.into_iter().flatten()).any(|allowed| allowed == endpoint)
    }

    /// Whether a function in `namespace` may use `role`.
    pub fn allows_role(&self, namespace: &str, role: &RoleArn) -> bool {
        self.grants.is_none()
            || self.grant(namespace).is_some_and(|grant| grant.role_arns.iter().any(|pattern| pattern.matches(role)))
    }

    /// Whether violations of the grants are only reported.
    pub fn audits_grants(&self) -> bool {
        self.grants_mode == GrantsMode::Audit
    }

    /// The prefix without which an external ID in `namespace` is refused; `None` while grants are only audited.
    pub fn demanded_external_id_prefix(&self, namespace: &str) -> Option<&ExternalIdPrefix> {
        self.external_id_prefix(namespace).filter(|_| !self.audits_grants())
    }

    /// The prefix that external IDs in `namespace` should have, whether it is enforced or audited.
    pub fn external_id_prefix(&self, namespace: &str) -> Option<&ExternalIdPrefix> {
        self.grant(namespace)?.external_id_prefix.as_ref()
    }

    /// The role patterns granted to `namespace`, as text for messages.
    pub fn roles(&self, namespace: &str) -> String {
        let patterns = self.grant(namespace).map(|grant| grant.role_arns.as_slice()).unwrap_or_default();
        let patterns: Vec<_> = patterns.iter().map(RoleArnPattern::as_str).collect();
        if patterns.is_empty() { "no role at all".to_owned() } else { patterns.join(", ") }
    }

    fn grant(&self, namespace: &str) -> Option<&Grant> {
        let grants = self.grants.as_ref()?;
        grants.namespaces.get(namespace).or(grants.default.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(name: &str) -> FunctionRef {
        FunctionRef::new("shop", name)
    }

    fn policy(text: &str) -> Policy {
        serde_yaml::from_str(text).unwrap()
    }

    #[test]
    fn a_namespace_may_use_only_its_granted_roles() {
        let policy = policy(
            "
            grants:
              namespaces:
                a: {roleArns: ['arn:aws:iam::111111111111:role/a-*'], externalIdPrefix: a/}
                b: {}
            ",
        );
        let role = |name: &str| -> RoleArn { format!("arn:aws:iam::111111111111:role/{name}").parse().unwrap() };
        for (namespace, name, allowed) in
            [("a", "a-orders", true), ("a", "b-orders", false), ("b", "a-orders", false), ("c", "a-orders", false)]
        {
            assert_eq!(policy.allows_role(namespace, &role(name)), allowed, "{namespace} {name}");
        }
        assert_eq!(policy.external_id_prefix("a").unwrap().as_str(), "a/");
        assert_eq!(policy.external_id_prefix("b"), None);
        assert_eq!(policy.roles("a"), "arn:aws:iam::111111111111:role/a-*");
        assert_eq!(policy.roles("c"), "no role at all");
    }

    #[test]
    fn namespaces_without_a_grant_get_the_default_grant() {
        let policy = policy("grants: {default: {roleArns: ['*']}, namespaces: {a: {roleArns: []}}}");
        let role = "arn:aws:iam::111111111111:role/any".parse().unwrap();
        assert!(policy.allows_role("other", &role) && !policy.allows_role("a", &role));
    }

    #[test]
    fn without_grants_every_role_is_allowed_and_no_endpoint() {
        let policy = policy("{}");
        assert!(policy.allows_role("a", &"arn:aws:iam::111111111111:role/any".parse().unwrap()));
        assert!(!policy.allows_endpoint(&function("orders"), &"https://minio.storage.svc:9000".parse().unwrap()));
    }

    #[test]
    fn an_endpoint_is_allowed_to_the_letter() {
        let policy = policy("allowedEndpoints: ['https://minio.storage.svc:9000']");
        let allows = |endpoint: &str| policy.allows_endpoint(&function("orders"), &endpoint.parse().unwrap());
        assert!(allows("https://minio.storage.svc:9000"));
        assert!(!allows("http://minio.storage.svc:9000") && !allows("https://minio.storage.svc"));
    }

    #[test]
    fn an_endpoint_of_one_function_is_refused_to_others() {
        let policy = policy("functionEndpoints: {shop/test: ['http://aws.shop.svc:9000']}");
        let endpoint = "http://aws.shop.svc:9000".parse().unwrap();
        assert!(policy.allows_endpoint(&function("test"), &endpoint));
        assert!(!policy.allows_endpoint(&function("orders"), &endpoint));
    }
}
