//! Whether a pod is a function's, by its owners: labels are anybody's to write. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::kinship::controller;

/// The owners between a function and its pods.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a> {
    /// The function's.
    pub function_uid: &'a str,
    /// The function's Deployment.
    pub deployment: &'a ObjectMeta,
    /// The pod's ReplicaSet, by the name that the pod gives.
    pub replica_set: &'a ObjectMeta,
}

/// Whether the pod is made by the ReplicaSet, that by the Deployment, and that for the function.
pub fn belongs(pod: &ObjectMeta, chain: Chain<'_>) -> bool {
    let made_by = |object: &ObjectMeta, owner: Option<&str>| {
        owner.is_some() && controller(object).map(|owner| owner.uid.as_str()) == owner
    };
    made_by(pod, chain.replica_set.uid.as_deref())
        && made_by(chain.replica_set, chain.deployment.uid.as_deref())
        && made_by(chain.deployment, Some(chain.function_uid))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

    use super::*;

    fn object(uid: &str, owner: &str) -> ObjectMeta {
        let owner = OwnerReference { uid: owner.to_owned(), controller: Some(true), ..OwnerReference::default() };
        ObjectMeta { uid: Some(uid.to_owned()), owner_references: Some(vec![owner]), ..ObjectMeta::default() }
    }

    #[test]
    fn every_link_must_hold() {
        let judge = |pod: &ObjectMeta, replica_set: &ObjectMeta, deployment: &ObjectMeta| {
            belongs(pod, Chain { function_uid: "f", deployment, replica_set })
        };
        let (pod, set, deployment) = (object("p", "r"), object("r", "d"), object("d", "f"));
        assert!(judge(&pod, &set, &deployment));
        assert!(!judge(&object("p", "x"), &set, &deployment));
        assert!(!judge(&pod, &object("r", "x"), &deployment));
        assert!(!judge(&pod, &set, &object("d", "x")));
        assert!(!judge(&ObjectMeta::default(), &ObjectMeta::default(), &ObjectMeta::default()));
    }
}
