//! The base identity: the AWS identity with which a sidecar assumes its function's role.

use std::collections::BTreeMap;

use serde::Deserialize;
use tributary_crds::conditions::SECRET_DELAY_HINT;
use tributary_crds::values::{RoleArn, SecretName};

use crate::function::FunctionRef;

/// Base identities by function, namespace and default, in this order of precedence. An identity shared by several
/// namespaces does not isolate them from one another; then only the policy's role list and the external IDs do.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseIdentities {
    /// For namespaces that are not listed.
    #[serde(default)]
    default: BaseIdentity,
    /// For namespaces, by name.
    #[serde(default)]
    namespaces: BTreeMap<String, BaseIdentity>,
    /// For single functions, as `namespace/name`: the chart uses it for the function of `helm test`.
    #[serde(default)]
    functions: BTreeMap<String, BaseIdentity>,
}

impl BaseIdentities {
    /// The identity of the function's sidecars.
    pub fn of(&self, function: &FunctionRef) -> &BaseIdentity {
        let own = self.functions.get(&function.to_string());
        own.or_else(|| self.namespaces.get(&function.namespace)).unwrap_or(&self.default)
    }
}

/// How sidecars get their base identity.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(try_from = "Entry")]
pub enum BaseIdentity {
    /// The operator configures none.
    #[default]
    None,
    /// IAM roles for service accounts.
    /// <https://docs.aws.amazon.com/eks/latest/userguide/iam-roles-for-service-accounts.html>
    Irsa {
        /// The role with which the operator annotates the sidecar's ServiceAccount.
        role_arn: RoleArn,
        /// Whether the operator mounts the token itself, for clusters without EKS's webhook.
        mount_token: bool,
    },
    /// EKS Pod Identity: its webhook and agent provide the credentials, by associations with ServiceAccounts.
    /// <https://docs.aws.amazon.com/eks/latest/userguide/pod-identities.html>
    PodIdentity,
    /// A Secret in the function's namespace, with AWS's shared credentials file under the key
    /// `credentials`.
    Secret {
        /// The Secret's name.
        name: SecretName,
    },
}

impl BaseIdentity {
    /// Why the function's sidecars may lack this identity and what to check, for a condition's message.
    pub fn source(&self, function: &FunctionRef) -> String {
        let FunctionRef { namespace, name } = function;
        match self {
            Self::None => format!("baseIdentity of the chart's values names none for the namespace {namespace}"),
            Self::Irsa { role_arn, mount_token } => {
                let webhook = if *mount_token { "" } else { ", or EKS's webhook did not put its token into the pod" };
                format!(
                    "AWS does not give {role_arn} to the ServiceAccount {name} of the namespace {namespace}{webhook} \
                     (baseIdentity of the chart's values)"
                )
            }
            Self::PodIdentity => format!(
                "EKS Pod Identity gives none to the ServiceAccount {name} of the namespace {namespace}: create \
                 an association, then restart the sidecars"
            ),
            Self::Secret { name } => format!(
                "there is no Secret {name} in the namespace {namespace}, or its key credentials does not hold an access \
                 key that AWS accepts (baseIdentity of the chart's values); {SECRET_DELAY_HINT}"
            ),
        }
    }
}

/// An entry that names several kinds of base identity, and how many.
#[derive(Debug, thiserror::Error)]
#[error("a base identity is one of irsa, podIdentity and secret, and this one has {0}")]
pub struct InvalidIdentity(usize);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    irsa: Option<Irsa>,
    pod_identity: Option<Nothing>,
    secret: Option<Secret>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Irsa {
    role_arn: RoleArn,
    #[serde(default)]
    mount_token: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Secret {
    name: SecretName,
}

impl TryFrom<Entry> for BaseIdentity {
    type Error = InvalidIdentity;

    fn try_from(entry: Entry) -> Result<Self, InvalidIdentity> {
        match (entry.irsa, entry.pod_identity, entry.secret) {
            (None, None, None) => Ok(Self::None),
            (Some(Irsa { role_arn, mount_token }), None, None) => Ok(Self::Irsa { role_arn, mount_token }),
            (None, Some(Nothing {}), None) => Ok(Self::PodIdentity),
            (None, None, Some(Secret { name })) => Ok(Self::Secret { name }),
            (irsa, pod, secret) => Err(InvalidIdentity(
                usize::from(irsa.is_some()) + usize::from(pod.is_some()) + usize::from(secret.is_some()),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_function_has_its_own_or_its_namespaces_or_the_default() {
        let identities: BaseIdentities = serde_yaml::from_str(
            "
            default: {irsa: {roleArn: 'arn:aws:iam::210987654321:role/tributary'}}
            namespaces:
              a: {secret: {name: base}}
              b: {podIdentity: {}}
              c: {}
            functions:
              d/test: {secret: {name: of-the-test}}
            ",
        )
        .unwrap();
        let of = |namespace: &str, name: &str| identities.of(&FunctionRef::new(namespace, name)).clone();
        assert_eq!(of("a", "test"), BaseIdentity::Secret { name: "base".parse().unwrap() });
        assert_eq!(of("b", "test"), BaseIdentity::PodIdentity);
        assert_eq!(of("c", "test"), BaseIdentity::None);
        assert_eq!(of("d", "test"), BaseIdentity::Secret { name: "of-the-test".parse().unwrap() });
        assert!(matches!(of("d", "orders"), BaseIdentity::Irsa { mount_token: false, .. }));
    }

    #[test]
    fn a_missing_secret_is_reported_with_the_delay_of_its_fix() {
        let secret = BaseIdentity::Secret { name: "base".parse().unwrap() };
        let source = secret.source(&FunctionRef::new("shop", "orders"));
        assert!(source.starts_with("there is no Secret base in the namespace shop"), "{source}");
        assert!(source.ends_with("; the sidecar sees a change of a Secret after up to two minutes"), "{source}");
    }

    #[test]
    fn an_entry_with_two_kinds_of_identity_is_refused() {
        let both = "default: {podIdentity: {}, secret: {name: base}}";
        let error = serde_yaml::from_str::<BaseIdentities>(both).unwrap_err().to_string();
        assert!(error.contains("one of irsa, podIdentity and secret, and this one has 2"), "{error}");
        assert!(serde_yaml::from_str::<BaseIdentities>("default: {irsa: {roleArn: admin}}").is_err());
    }
}
