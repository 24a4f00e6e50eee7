//! The base identity: what a sidecar is before it assumes its function's role.

use std::collections::BTreeMap;

use serde::Deserialize;
use tributary_crds::values::{RoleArn, SecretName};

use crate::function::FunctionRef;

/// Base identities by namespace. One that namespaces share is no boundary between them: what keeps
/// them apart then is the policy's list of roles, and the external IDs.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseIdentities {
    /// Of namespaces that are not named.
    #[serde(default)]
    default: BaseIdentity,
    /// Of namespaces by name.
    #[serde(default)]
    namespaces: BTreeMap<String, BaseIdentity>,
    /// Of single functions, as `namespace/name`: of the chart's own, for its test.
    #[serde(default)]
    functions: BTreeMap<String, BaseIdentity>,
}

impl BaseIdentities {
    /// The function's.
    pub fn of(&self, function: &FunctionRef) -> &BaseIdentity {
        let own = self.functions.get(&function.to_string());
        own.or_else(|| self.namespaces.get(&function.namespace)).unwrap_or(&self.default)
    }
}

/// Where a base identity comes from.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(try_from = "Entry")]
pub enum BaseIdentity {
    /// From nowhere that the operator knows of.
    #[default]
    None,
    /// IAM roles for service accounts.
    /// <https://docs.aws.amazon.com/eks/latest/userguide/iam-roles-for-service-accounts.html>
    Irsa {
        /// The role, which the sidecar's service account is annotated with.
        role_arn: RoleArn,
        /// Whether the operator mounts the token itself, where no webhook of EKS does.
        mount_token: bool,
    },
    /// EKS Pod Identity: its agent and webhook do all, by associations with service accounts.
    /// <https://docs.aws.amazon.com/eks/latest/userguide/pod-identities.html>
    PodIdentity,
    /// A Secret in the function's namespace, with AWS's shared credentials file under the key
    /// `credentials`.
    Secret {
        /// The Secret.
        name: SecretName,
    },
}

impl BaseIdentity {
    /// Where the function's sidecars look for it, for a person who is to fix it.
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
                "EKS Pod Identity gives none to the ServiceAccount {name} of the namespace {namespace}: make an \
                 association, then restart the sidecars"
            ),
            Self::Secret { name } => format!(
                "there is no Secret {name} in the namespace {namespace}, or its key credentials does not hold an access \
                 key that AWS takes (baseIdentity of the chart's values)"
            ),
        }
    }
}

/// A base identity that is none, or several.
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
    fn two_at_once_are_refused() {
        let both = "default: {podIdentity: {}, secret: {name: base}}";
        let error = serde_yaml::from_str::<BaseIdentities>(both).unwrap_err().to_string();
        assert!(error.contains("one of irsa, podIdentity and secret, and this one has 2"), "{error}");
        assert!(serde_yaml::from_str::<BaseIdentities>("default: {irsa: {roleArn: admin}}").is_err());
    }
}
