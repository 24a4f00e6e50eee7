//! Builds the ServiceAccount to which AWS assigns the base identity. It gives no access to Kubernetes.

use k8s_openapi::api::core::v1::ServiceAccount;

use super::child_meta::ChildMeta;
use crate::names::labels;
use crate::platform::BaseIdentity;

/// The annotation that EKS's IRSA webhook reads.
const IRSA_ROLE_ANNOTATION: &str = "eks.amazonaws.com/role-arn";

/// The function's ServiceAccount; with IRSA it names the role.
pub fn service_account(meta: &ChildMeta, identity: &BaseIdentity) -> ServiceAccount {
    let mut metadata = meta.metadata(meta.name.clone());
    if let BaseIdentity::Irsa { role_arn, .. } = identity {
        metadata.annotations = Some(labels([(IRSA_ROLE_ANNOTATION, role_arn.as_str())]));
    }
    ServiceAccount { metadata, automount_service_account_token: Some(false), ..ServiceAccount::default() }
}
